"""Work of `catalog publish`."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from stocktake.catalog import (
    Catalog,
    Snapshot,
    compact_snapshot,
    find_snapshot,
    publish_iceberg,
    use_snapshot,
)
from stocktake.cli._run import Run
from stocktake.cli._sources import about, show_source
from stocktake.cli._text import plural
from stocktake.errors import InvalidSettingError
from stocktake.state import open_state

_NOT_A_NAME = re.compile(r"[^a-z0-9_]")


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What `catalog publish` was asked for. `properties` are texts `key=value`."""

    snapshot: str
    source: str | None
    table: str | None
    properties: tuple[str, ...]

    def iceberg_catalog(self, catalog: Catalog) -> dict[str, str]:
        """PyIceberg's properties: those given, or a catalog in a file beside ours."""
        pairs = [text.partition("=") for text in self.properties]
        if wrong := next((key for key, equals, _ in pairs if not (key and equals)), None):
            raise InvalidSettingError(
                f"--property is `{wrong}`", hint="write KEY=VALUE, for example type=glue"
            )
        if pairs:
            return {key: value for key, _, value in pairs}
        if catalog.location.startswith("s3://"):
            raise InvalidSettingError(
                "a catalog at an s3:// address needs an Iceberg catalog",
                hint="name it, for example --property type=glue",
            )
        root = Path(catalog.location)
        return {
            "type": "sql",
            "uri": f"sqlite:///{root / 'iceberg.db'}",
            "warehouse": f"file://{root / 'iceberg'}",
        }

    def table_of(self, snapshot: Snapshot) -> str:
        """The table's name."""
        return self.table or f"stocktake.{_NOT_A_NAME.sub('_', snapshot.bucket.lower())}"


def publish_snapshot(run: Run, request: PublishRequest) -> int:
    """Answer `catalog publish`."""
    with run.open_catalog() as catalog:
        found = find_snapshot(catalog, request.snapshot, source=request.source)
        table = request.table_of(found)
        properties = request.iceberg_catalog(catalog)
        with use_snapshot(catalog, found) as snapshot:
            location = publish_iceberg(catalog, snapshot, iceberg_catalog=properties, table=table)
        snapshot = find_snapshot(catalog, found.id)
        files = snapshot.manifest.files
    if run.out.json:
        run.out.document(
            {
                "snapshot": about(snapshot),
                "table": table,
                "metadata_location": location,
                "files": len(files),
                "rows": sum(file.rows for file in files),
            }
        )
        return 0
    run.out.line(f"published {snapshot.id} as table {table}: {plural(len(files), 'file')}")
    run.out.line(f"  {location}")
    show_source(run.out, snapshot)
    return 0


def compact_files(run: Run, reference: str, source: str | None) -> int:
    """Answer `catalog compact`."""
    with run.open_catalog() as catalog:
        snapshot = find_snapshot(catalog, reference, source=source)
        with run.watch() as progress:
            result = compact_snapshot(catalog, snapshot, progress=progress)
    if run.out.json:
        run.out.document({"snapshot": about(snapshot), **asdict(result)})
        return 0
    run.out.line(
        f"compacted {snapshot.id}: {plural(result.files_before, 'file')} before, "
        f"{plural(result.files_after, 'file')} now"
    )
    if result.files_left:
        left = plural(result.files_left, "old file")
        run.out.warn(f"{left} still in use; compact again later to remove them")
    return 0


def upgrade_state(run: Run) -> int:
    """Answer `catalog upgrade`."""
    if run.settings.state_url:
        open_state(run.settings.state_url, clock=run.clock, upgrade=True).close()
    with run.open_catalog() as catalog:
        address, location = catalog.state.address, catalog.location
    if run.out.json:
        run.out.document({"state": address, "catalog": location})
        return 0
    run.out.line(f"the control database {address} is up to date")
    return 0
