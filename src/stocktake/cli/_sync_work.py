"""Work of `sync`: find or make the dataset, synchronise, say what came of it and what it cost."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stocktake.catalog import Catalog
from stocktake.cli._dataset_address import note_address
from stocktake.cli._output import Column
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, size_text
from stocktake.errors import (
    DatasetExistsError,
    DatasetNotFoundError,
    InvalidUrlError,
    LocalFolderError,
    UsageError,
)
from stocktake.manifests import (
    CopyResult,
    Dataset,
    DatasetSpec,
    KeyOutcome,
    LocalCheck,
    OnConflict,
    SyncAction,
    SyncOptions,
    SyncResult,
    create_dataset,
    is_manifest_file_current,
    manifest_file_name,
    open_dataset,
    preview_sync,
    push_copy,
    sync_folder,
    write_manifest_file,
)
from stocktake.model import S3Url, display_key
from stocktake.state import State
from stocktake.store import ListQuery, Store

EXIT_PARTIAL = 3
EXIT_DIFFERENT = 4
SHOWN_MAX = 20
MANIFESTS_FOLDER = "manifests"
_WIDTH = 76
_WORDS = {
    SyncAction.UPLOAD: "upload",
    SyncAction.DOWNLOAD: "download",
    SyncAction.DELETE_OBJECT: "delete in the bucket",
    SyncAction.DELETE_FILE: "delete in the folder",
    SyncAction.ENTER: "record, nothing to send",
    SyncAction.FORGET: "record that it is gone",
    SyncAction.KEEP_BOTH: "keep both",
    SyncAction.ASK: "conflict: somebody has to decide",
}


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What `sync` was asked for, as typed."""

    local: str
    target: str
    dataset: str
    title: str | None = None
    delete: bool = False
    accept_deletions: bool = False
    two_way: bool = False
    on_conflict: str | None = None
    dry_run: bool = False
    exclude: tuple[str, ...] = ()
    checksum: bool = False
    trust_times: bool = False
    workers: int = 64
    manifest_dir: str | None = None
    push_manifest: bool = False

    def options(self) -> SyncOptions:
        """Its options. Raises `UsageError` for those that contradict each other."""
        if self.checksum and self.trust_times:
            raise UsageError("--checksum and --trust-times contradict each other")
        check = LocalCheck.CONTENT if self.checksum else LocalCheck.CACHE
        return SyncOptions(
            delete=self.delete,
            dry_run=self.dry_run,
            workers=self.workers,
            two_way=self.two_way,
            on_conflict=self._on_conflict(),
            accept_deletions=self.accept_deletions,
            exclude=self.exclude,
            check=LocalCheck.TIMES if self.trust_times else check,
            manifest_folder=Path(self.manifest_dir) if self.manifest_dir else None,
        )

    def _on_conflict(self) -> OnConflict | None:
        if self.on_conflict is None:
            return None
        try:
            return OnConflict(self.on_conflict)
        except ValueError:
            raise UsageError(
                f"--on-conflict cannot be `{self.on_conflict}`",
                hint="one of local, remote, both, fail",
            ) from None

    def spec(self) -> DatasetSpec:
        """The dataset as the arguments describe it."""
        if self.local.startswith("s3://"):
            raise UsageError(
                f"the first argument is the local folder, not `{self.local}`",
                hint=f"stocktake sync {self.target} {self.local} --dataset {self.dataset}",
            )
        place = S3Url.parse(self.target)
        if not place.bucket:
            raise InvalidUrlError(f"`{self.target}` names no bucket")
        prefix = f"{place.key}/" if place.key and not place.key.endswith("/") else place.key
        return DatasetSpec(self.dataset, self.title or self.dataset, place.bucket, prefix)


@dataclass(slots=True)
class _Synced:
    """What a sync came to, with what is shown beside it."""

    result: SyncResult
    receipt: dict[str, Any]
    actions: list[KeyOutcome]
    copy: CopyResult | None = None


def sync_dataset(run: Run, request: SyncRequest) -> int:
    """Answer `sync`."""
    options, spec = request.options(), request.spec()
    with run.open_catalog(create=True) as catalog:
        synced = _sync(run, catalog, spec, options, request)
    if run.out.json:
        _document(run, request, spec, synced)
    else:
        _show(run, request, spec, synced)
    result = synced.result
    if result.conflicts:
        return EXIT_DIFFERENT
    return EXIT_PARTIAL if result.state == "partial" else 0


def _sync(
    run: Run, catalog: Catalog, spec: DatasetSpec, options: SyncOptions, request: SyncRequest
) -> _Synced:
    store = run.open_store()
    actions: list[KeyOutcome] = []

    def told(outcome: KeyOutcome) -> None:
        word = _WORDS.get(outcome.action, outcome.action.value)
        run.out.detail(f"{word}: {display_key(outcome.key)}")
        if options.dry_run and len(actions) < (10**6 if run.out.json else SHOWN_MAX):
            actions.append(outcome)

    began_s = run.clock.monotonic_s()
    root = Path(request.local)
    dataset = _dataset(catalog.state, spec, store, root, make=not options.dry_run)
    if dataset is not None and not options.dry_run:
        note_address(run, dataset)
    with run.watch() as progress:
        if dataset is None:
            result = preview_sync(
                spec, catalog.state, store, root, options, listener=progress, told=told
            )
        else:
            result = sync_folder(
                dataset, store, root, options, clock=run.clock, listener=progress, told=told
            )
    copy = None
    if dataset is not None and not options.dry_run:
        if result.manifest_file is None:
            result.manifest_file = _manifest_in(catalog, dataset)
        if request.push_manifest:
            copy = push_copy(dataset, store)
    elapsed_s = run.clock.monotonic_s() - began_s
    receipt = Receipt.of("sync", run.meter, elapsed_s, result.total_s3, from_report=False)
    return _Synced(result, receipt.to_dict(Prices.load()), actions, copy)


def _manifest_in(catalog: Catalog, dataset: Dataset) -> Path | None:
    """The manifest beside the catalog's files, written if it is not of this version yet."""
    if catalog.location.startswith("s3://"):
        return None
    folder = Path(catalog.location) / MANIFESTS_FOLDER
    if is_manifest_file_current(dataset, folder):
        return folder / manifest_file_name(dataset.id)
    return write_manifest_file(dataset, folder)


def _dataset(
    state: State, spec: DatasetSpec, store: Store, root: Path, *, make: bool
) -> Dataset | None:
    """The dataset at that place; a new one is made once folder and bucket are known to be there."""
    try:
        dataset = open_dataset(state, spec.id)
    except DatasetNotFoundError:
        if not root.is_dir():
            raise LocalFolderError(f"the folder `{root}` is not there", folder=str(root)) from None
        store.list_page(ListQuery(spec.bucket, spec.prefix, keys_max=1))
        return create_dataset(state, spec) if make else None
    return create_dataset(state, spec) if make else _checked(dataset, spec)


def _checked(dataset: Dataset, spec: DatasetSpec) -> Dataset:
    """The dataset, if it is where the arguments say."""
    info = dataset.info()
    if (info.bucket, info.prefix) != (spec.bucket, spec.prefix):
        there = display_key(str(S3Url(info.bucket, info.prefix)))
        raise DatasetExistsError(f"dataset `{spec.id}` is at {there} already", dataset=spec.id)
    return dataset


def _document(run: Run, request: SyncRequest, spec: DatasetSpec, synced: _Synced) -> None:
    copy = synced.copy
    run.out.document(
        {
            "dataset": spec.id,
            "folder": str(Path(request.local)),
            "target": str(S3Url(spec.bucket, spec.prefix)),
            "dry_run": request.dry_run,
            **synced.result.to_dict(),
            "manifest_copy": None if copy is None else str(copy.place),
            **({"actions": [_action(one) for one in synced.actions]} if request.dry_run else {}),
            "receipt": synced.receipt,
        }
    )


def _action(outcome: KeyOutcome) -> dict[str, Any]:
    return {
        "key": outcome.key,
        "state": outcome.state.value,
        "action": outcome.action.value,
        "size_bytes": outcome.size_bytes,
    }


def _show(run: Run, request: SyncRequest, spec: DatasetSpec, synced: _Synced) -> None:
    out, result = run.out, synced.result
    place = display_key(str(S3Url(spec.bucket, spec.prefix)))
    out.line(f"{request.local} and {place} (dataset {spec.id})")
    out.table(
        (Column("compared"), Column("files", right=True)),
        [
            ("in the folder", count_text(result.total_local)),
            ("in the bucket", count_text(result.total_s3)),
            ("identical", count_text(result.identical)),
            ("different", count_text(result.different)),
            ("missing in the bucket", count_text(result.missing_in_s3)),
            ("missing in the folder", count_text(result.missing_locally)),
        ],
    )
    out.line("")
    for line in _planned(synced) if request.dry_run else _done(result):
        out.line(line)
    if request.manifest_dir and result.manifest_file is not None:
        out.line(f"manifest written to {result.manifest_file}")
    for finding in result.findings[:SHOWN_MAX]:
        shown = f"{finding.kind}: {display_key(finding.key)}: {finding.why}"
        for number, line in enumerate(textwrap.wrap(shown, _WIDTH, break_on_hyphens=False)):
            out.line(f"  {line}" if number == 0 else f"    {line}")
    more = result.conflicts + result.failed + result.skipped - SHOWN_MAX
    if len(result.findings) > SHOWN_MAX:
        out.line(f"  ... and {count_text(max(more, 1))} more: see --json")
    for warning in result.warnings:
        out.warn(warning)
    if result.conflicts:
        out.note("conflicts: both sides are as they were; --on-conflict local|remote|both decides")
    show_receipt(out, synced.receipt)
    if not request.dry_run:
        out.note("")
        out.note(f"next: stocktake manifest show {spec.id}")


def _done(result: SyncResult) -> list[str]:
    """What was done, a line for each kind; one line if it was nothing."""
    counts = (
        (result.uploaded, f"uploaded {plural(result.uploaded, 'file')}", result.uploaded_bytes),
        (
            result.downloaded,
            f"downloaded {plural(result.downloaded, 'file')}",
            result.downloaded_bytes,
        ),
        (result.deleted, f"deleted {plural(result.deleted, 'object')}", None),
        (result.deleted_locally, f"deleted {plural(result.deleted_locally, 'local file')}", None),
        (result.recorded, f"recorded {plural(result.recorded, 'entry')} without a transfer", None),
        (result.conflicts, f"left {plural(result.conflicts, 'conflict')} as they are", None),
        (result.failed, f"failed at {plural(result.failed, 'file')}", None),
        (result.not_done, "ended early: run it again, it goes on from here", None),
        (
            result.skipped,
            f"skipped {count_text(result.skipped)}: links, markers and the like",
            None,
        ),
    )
    lines = [
        text if size_bytes is None else f"{text}, {size_text(size_bytes)}"
        for count, text, size_bytes in counts
        if count
    ]
    if not any(count for count, _, _ in counts[:5]):
        lines.insert(0, "nothing to transfer")
    lines.append(f"manifest version {result.version}")
    return lines


def _planned(synced: _Synced) -> list[str]:
    """What would be done, with the first keys."""
    lines = [
        f"would {_WORDS[SyncAction(name)]}: {count_text(count)}"
        for name, count in sorted(synced.result.planned.items())
    ]
    if synced.result.uploaded_bytes:
        lines.append(f"would send {size_text(synced.result.uploaded_bytes)}")
    lines += [
        f"  {_WORDS[one.action]}: {display_key(one.key)}"
        for one in synced.actions
        if one.action is not SyncAction.ASK
    ]
    total = sum(synced.result.planned.values())
    if total > len(synced.actions):
        lines.append(f"  ... and {count_text(total - len(synced.actions))} more: see --json")
    return lines or ["nothing to do"]
