"""The second half of an import: from finished parts to a published snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, insert

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._change_log import append_changes, changes_path
from stocktake.catalog._compare import DiffSummary, write_changes
from stocktake.catalog._coverage import common_coverage
from stocktake.catalog._format import (
    FOLDERS_NAME,
    MANIFEST_NAME,
    UNCONFIRMED_NAME,
    SnapshotManifest,
    SnapshotStats,
)
from stocktake.catalog._import_ledger import (
    ImportRun,
    PartRecord,
    end_import,
    fence_of,
    renew_lease,
)
from stocktake.catalog._ranges import thin
from stocktake.catalog._snapshots import PUBLISHED, Snapshot
from stocktake.catalog._surplus import drop_surplus
from stocktake.catalog.engines._protocol import DiffRules, SnapshotView
from stocktake.clock import format_utc
from stocktake.errors import CoverageMismatchError
from stocktake.faults import reached
from stocktake.model import BAD_SAMPLES_MAX, SourceHeader
from stocktake.state import snapshots
from stocktake.telemetry import Progress

_QUANTILES_MAX = 8_192


class Publication:
    """A snapshot in the making: its files are there, `manifest` says what is known so far."""

    def __init__(
        self,
        catalog: Catalog,
        run: ImportRun,
        header: SourceHeader,
        records: dict[int, PartRecord],
    ) -> None:
        self._catalog = catalog
        self._run = run
        self._records = records
        self.manifest = _manifest(run, header, records, format_utc(catalog.clock.now()))

    def drop_surplus(self) -> None:
        """Keep each (key, version) once, and one latest version per key; count the rest."""
        view = self._view()
        self._records = drop_surplus(self._catalog, self._run, view, self._records)
        self.manifest = _manifest(
            self._run, self.manifest.header, self._records, self.manifest.created_at
        )
        stats = self.manifest.stats
        notes = []
        if stats.duplicates:
            differing = sum(r.tally.duplicates_differing for r in self._records.values())
            notes.append(
                f"{stats.duplicates} rows stood twice and were dropped, {differing} of them with "
                "other data than the one that was kept (the newest)"
            )
        if stats.demoted_latest:
            notes.append(
                f"{stats.demoted_latest} versions claimed to be the latest beside a newer one; the "
                "newest is taken"
            )
        self._update(notes=notes)

    def roll_up(self) -> None:
        """Write the folders and learn the totals."""
        with self._catalog.files.create(f"{self._run.folder}/{FOLDERS_NAME}") as sink:
            rolled = self._catalog.engine.roll_up(self._view(), sink)
        stats = replace(self.manifest.stats, folders=rolled.folders, **rolled.totals)
        notes = []
        if stats.excluded_objects:
            notes.append(
                f"{stats.excluded_objects} objects of the inventory itself are kept out of "
                "folders and totals"
            )
        if stats.undecodable_keys:
            notes.append(
                f"{stats.undecodable_keys} keys could not be decoded; they are kept raw in the "
                "view `undecodable`"
            )
        self._update(stats=stats, notes=notes)

    def compare(
        self, previous: Snapshot, margin: timedelta, progress: Progress
    ) -> DiffSummary | None:
        """Write what changed since the last snapshot, for the guard and the change log.

        None if there is nothing to compare, because the filter moved to other keys.
        """
        try:
            common = common_coverage(previous.manifest, self.manifest)
        except CoverageMismatchError as error:
            self._update(notes=[f"not compared with the last snapshot: {error.message}"])
            return None
        pending = f"{previous.path}/{UNCONFIRMED_NAME}"
        rules = DiffRules(
            key_prefix=common.prefix,
            deleted_before=self.manifest.header.as_of - margin,
            pending_path=self._catalog.files.engine_path(pending)
            if self._catalog.files.exists(pending)
            else None,
        )
        diff = write_changes(
            self._catalog,
            previous.view,
            self._view(),
            rules,
            self._changes_path,
            progress,
            unconfirmed_path=f"{self._run.folder}/{UNCONFIRMED_NAME}",
        )
        notes = list(common.warnings)
        if diff.unconfirmed:
            notes.append(
                f"{diff.unconfirmed} objects are not in this report but were modified less than "
                f"{margin.total_seconds() / 3600:.0f} hours before it: not called deleted yet"
            )
        self._update(notes=notes)
        return diff

    def publish(self, diff: DiffSummary | None, receipt: dict[str, Any]) -> None:
        """Write `snapshot.json` and make the snapshot visible, in one transaction."""
        catalog, run = self._catalog, self._run
        changes = diff.changes if diff is not None else 0
        # whoever was taken over must not touch the folder that another process goes on with
        renew_lease(catalog, run)
        self._remove_strays(diff or DiffSummary())
        reached("import.strays-removed")
        with catalog.files.create(f"{run.folder}/{MANIFEST_NAME}") as sink:
            sink.write(self.manifest.to_bytes())
        reached("import.manifest-written")
        with catalog.state.write() as connection:
            end_import(connection, catalog, run, receipt)
            self._insert_snapshot(connection)
            append_changes(
                connection,
                catalog,
                run.source_id,
                old_snapshot_id=run.previous_id,
                new_snapshot_id=run.snapshot_id,
                path=self._changes_path,
                count=changes,
            )
            reached("import.publishing")
        reached("import.published")

    def _remove_strays(self, diff: DiffSummary) -> None:
        """Remove what killed runs and rewritten files left in this snapshot's folder.

        Also an earlier run's comparison, which may have been made with another margin: taken for
        this one's, its unconfirmed keys would be called deleted once more.
        """
        files, folder = self._catalog.files, self._run.folder
        names = {f.name for f in (*self.manifest.files, *self.manifest.undecodable_files)}
        names.add(FOLDERS_NAME)
        if diff.unconfirmed:
            names.add(UNCONFIRMED_NAME)
        for path in list(files.listing(folder)):
            name = path.removeprefix(f"{folder}/")
            if name not in names and fence_of(name) <= self._run.fence:
                files.remove(path)
        if not diff.changes:
            files.remove(self._changes_path)

    @property
    def _changes_path(self) -> str:
        return changes_path(self._run.source_id, self._run.snapshot_id)

    def _insert_snapshot(self, connection: Connection) -> None:
        header, stats = self.manifest.header, self.manifest.stats
        connection.execute(
            insert(snapshots).values(
                id=self._run.snapshot_id,
                source_id=self._run.source_id,
                identity=header.identity,
                as_of=format_utc(header.as_of),
                published_at=format_utc(self._catalog.clock.now()),
                path=self._run.folder,
                objects=stats.objects,
                size_bytes=stats.size_bytes,
                coverage={
                    "prefix": header.coverage.prefix,
                    "versions": header.coverage.versions,
                    "config_hash": header.coverage.config_hash,
                },
                pinned=0,
                state=PUBLISHED,
            )
        )

    def _view(self) -> SnapshotView:
        files, folder = self._catalog.files, self._run.folder
        return SnapshotView(
            manifest=self.manifest,
            paths=tuple(files.engine_path(f"{folder}/{f.name}") for f in self.manifest.files),
            folders_path=files.engine_path(f"{folder}/{FOLDERS_NAME}"),
        )

    def _update(self, *, notes: list[str], **changes: Any) -> None:
        warnings = tuple(dict.fromkeys([*self.manifest.warnings, *notes]))
        self.manifest = replace(self.manifest, warnings=warnings, **changes)


def _manifest(
    run: ImportRun, header: SourceHeader, records: dict[int, PartRecord], created_at: str
) -> SnapshotManifest:
    """What the parts alone say about the snapshot."""
    ordered = [records[index] for index in sorted(records)]
    tallies = [record.tally for record in ordered]
    files = tuple(record.file for record in ordered if record.file is not None)
    bad = [sample for tally in tallies for sample in tally.bad_samples]
    return SnapshotManifest(
        snapshot_id=run.snapshot_id,
        created_at=created_at,
        header=header,
        files=files,
        undecodable_files=tuple(r.undecodable for r in ordered if r.undecodable is not None),
        stats=SnapshotStats(
            objects=0,
            size_bytes=None,
            rows=sum(file.rows for file in files),
            folders=0,
            undecodable_keys=sum(tally.undecodable_keys for tally in tallies),
            bad_rows=sum(tally.bad_rows for tally in tallies),
            duplicates=sum(tally.duplicates for tally in tallies),
            demoted_latest=sum(tally.demoted_latest for tally in tallies),
        ),
        warnings=tuple(dict.fromkeys(note for tally in tallies for note in tally.warnings)),
        bad_samples=tuple(bad[:BAD_SAMPLES_MAX]),
        quantiles=tuple(thin([key for r in ordered for key in r.samples], _QUANTILES_MAX)),
    )
