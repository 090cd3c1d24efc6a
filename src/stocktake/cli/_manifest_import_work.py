"""Work of `manifest import`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stocktake.cli._dataset_address import note_address
from stocktake.cli._manifest_sets import place_of
from stocktake.cli._run import Run
from stocktake.cli._text import plural, size_text
from stocktake.errors import UsageError
from stocktake.manifests import (
    Commit,
    DatasetInfo,
    DatasetSpec,
    ImportCheck,
    ParsedManifest,
    Readable,
    check_records,
    create_dataset,
    import_records,
    import_segments,
    parse_manifest,
)
from stocktake.model import S3Url, display_key

_EXIT_PARTIAL = 3
_SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What `manifest import` is asked for."""

    source: str
    dataset_id: str
    bucket: str
    shipped: str
    check: bool
    dry_run: bool


def take_over(run: Run, request: ImportRequest) -> int:
    """Answer `manifest import`."""
    if request.shipped:
        return _take_shipped(run, request)
    with _opened(run, request.source) as source:
        parsed = parse_manifest(
            source, dataset_id=request.dataset_id or None, bucket=request.bucket or None
        )
    with run.open_catalog(create=True) as catalog:
        checked = _checked(run, parsed) if request.check else None
        records = checked.records if checked else parsed.records
        commit = None
        if not request.dry_run:
            dataset = create_dataset(catalog.state, parsed.spec)
            note_address(run, dataset)
            commit = import_records(dataset, records)
    _say(run, parsed, checked, commit)
    return _EXIT_PARTIAL if parsed.left_out else 0


def _checked(run: Run, parsed: ParsedManifest) -> ImportCheck:
    """The records that are in the bucket; the dataset need not be there yet."""
    return check_records(run.open_store(), parsed.spec, parsed.records)


@contextmanager
def _opened(run: Run, source: str) -> Iterator[Readable]:
    if source == "-":
        yield sys.stdin.buffer
    elif source.startswith("s3://"):
        place = S3Url.parse(source)
        if not place.key or place.key.endswith("/"):
            raise UsageError(
                f"`{source}` is no address of a file",
                hint="name the manifest; for what was shipped there add --shipped NAME",
            )
        with run.open_store().get(place.bucket, place.key) as body:
            yield body
    else:
        try:
            file = Path(source).open("rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise UsageError(
                f"`{source}` cannot be read: {error.strerror}",
                hint="name a manifest's file, its s3:// address, or - for stdin",
            ) from error
        with file:
            yield file


def _take_shipped(run: Run, request: ImportRequest) -> int:
    if not request.source.startswith("s3://"):
        raise UsageError(
            f"`{request.source}` is no S3 address",
            hint="name where it was shipped to: s3://BUCKET/PREFIX/ --shipped NAME",
        )
    if request.check or request.dry_run:
        raise UsageError(
            "--shipped takes neither --check nor --dry-run",
            hint="look at it first: stocktake ship status; afterwards: stocktake manifest verify",
        )
    place = S3Url.parse(request.source)
    prefix = place.key if not place.key or place.key.endswith("/") else place.key + "/"
    name = request.dataset_id or request.shipped
    store = run.open_store()
    with run.open_catalog(create=True) as catalog:
        dataset = create_dataset(catalog.state, DatasetSpec(name, name, place.bucket, prefix))
        note_address(run, dataset)
        commit = import_segments(dataset, store, request.shipped)
        info = dataset.info()
    if run.out.json:
        run.out.document(_shipped_answer(info, commit))
    else:
        run.out.line(_committed_text(info.id, commit))
        run.out.note(f"{plural(info.total_files, 'file')} at {place_of(info)}")
    return 0


def _shipped_answer(info: DatasetInfo, commit: Commit) -> dict[str, Any]:
    return {
        "dataset": info.id,
        "place": str(S3Url(info.bucket, info.prefix)),
        "files": info.total_files,
        "added": commit.added,
        "replaced": commit.replaced,
        "version": commit.version,
        "applied": True,
    }


def _say(
    run: Run, parsed: ParsedManifest, checked: ImportCheck | None, commit: Commit | None
) -> None:
    if run.out.json:
        run.out.document(_answer(parsed, checked, commit))
        return
    spec = parsed.spec
    size_bytes = sum(one.size_bytes for one in parsed.records)
    run.out.note(
        f"the manifest has {plural(len(parsed.records), 'file')}, {size_text(size_bytes)}, "
        f"of dataset {spec.id} at {display_key(str(S3Url(spec.bucket, spec.prefix)))}"
    )
    for note in parsed.notes:
        run.out.warn(note)
    if checked is not None:
        _say_checked(run, checked)
    if commit is None:
        run.out.line(f"would enter up to {plural(_count(parsed, checked), 'file')}")
    else:
        run.out.line(_committed_text(spec.id, commit))


def _say_checked(run: Run, checked: ImportCheck) -> None:
    for keys, count, what in (
        (checked.gone, checked.gone_files, "not in the bucket, left out"),
        (checked.different, checked.different_files, "another object in the bucket"),
    ):
        for key in keys[:_SHOWN_MAX]:
            run.out.warn(f"{what}: {display_key(key)}")
        if count > _SHOWN_MAX:
            run.out.warn(f"{what}: {plural(count - _SHOWN_MAX, 'file')} more")
    run.out.note(f"looked with {plural(checked.requests, 'request')}")


def _count(parsed: ParsedManifest, checked: ImportCheck | None) -> int:
    return len(checked.records if checked is not None else parsed.records)


def _committed_text(dataset_id: str, commit: Commit) -> str:
    if not commit.added and not commit.replaced:
        return f"{dataset_id}  version {commit.version}: nothing new"
    return (
        f"{dataset_id}  version {commit.version}: "
        f"{commit.added:,} added, {commit.replaced:,} replaced"
    )


def _answer(
    parsed: ParsedManifest, checked: ImportCheck | None, commit: Commit | None
) -> dict[str, Any]:
    spec = parsed.spec
    return {
        "dataset": spec.id,
        "place": str(S3Url(spec.bucket, spec.prefix)),
        "files": _count(parsed, checked),
        "added": commit.added if commit else None,
        "replaced": commit.replaced if commit else None,
        "version": commit.version if commit else None,
        "left_out_files": parsed.left_out,
        "gone_files": checked.gone_files if checked else None,
        "gone": list(checked.gone) if checked else None,
        "different_files": checked.different_files if checked else None,
        "different": list(checked.different) if checked else None,
        "notes": parsed.notes,
        "applied": commit is not None,
    }
