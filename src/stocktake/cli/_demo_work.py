"""Work of `demo`: a bucket, two reports, two snapshots, and what changed between them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from stocktake.catalog import DiffSummary, list_snapshots
from stocktake.cli._browse_work import TreeRequest, show_tree
from stocktake.cli._demo_bucket import BUCKET, Changes, body_of, changes, first_state
from stocktake.cli._diff_work import DiffRequest, show_diff
from stocktake.cli._output import Output
from stocktake.cli._progress import Watched
from stocktake.cli._receipt import show_receipt
from stocktake.cli._report_import import ImportRequest, open_requested, run_import, show_import
from stocktake.cli._report_write import WriteRequest, write_inventory
from stocktake.cli._run import Run
from stocktake.cli._sources import about
from stocktake.cli._text import duration_text, plural, size_text, time_text
from stocktake.clock import Clock
from stocktake.errors import InvalidSettingError
from stocktake.store import S3StoreOptions, Store, open_store
from stocktake.testing import start_ministack

REPORTS = "demo-reports"
_CONFIG = "stocktake"
_MARKER = "demo.json"
_LOG = "ministack.log"
_ADDRESS = f"s3://{REPORTS}/{BUCKET}/{_CONFIG}"
_THREADS = 4


class _DemoClock:
    """The real clock, with `now` moved so that each report has a minute of its own."""

    def __init__(self, real: Clock) -> None:
        self._real = real
        self.moved = timedelta()

    def now(self) -> datetime:
        return self._real.now() + self.moved

    def monotonic_s(self) -> float:
        return self._real.monotonic_s()

    def sleep(self, duration_s: float) -> None:
        self._real.sleep(duration_s)


class _DemoRun(Run):
    """A run whose store is the demo's server."""

    server: S3StoreOptions

    @classmethod
    def on(cls, run: Run, server: S3StoreOptions, clock: Clock, out: Output) -> _DemoRun:
        one = cls(run.settings, out, {}, clock)
        one.server = server
        one._stores = run._stores
        return one

    def open_store(self) -> Store:
        return self._keep(open_store(self.server, meter=self.meter, clock=self.clock))


def run_demo(run: Run, directory: str, *, keep: bool) -> int:
    """Answer `demo`."""
    root = Path(directory)
    _make_room(root, keep=keep)
    started_s = run.clock.monotonic_s()
    here = run.with_options(catalog=str(root))
    with here.open_catalog(create=True):
        (root / _MARKER).write_text(json.dumps({"bucket": BUCKET}))
    out = Output(io.StringIO(), io.StringIO()) if run.out.json else run.out
    out.json = False
    out.quiet = run.out.quiet
    story = _Story(here, out, root)
    with _server(root) as server:
        story.tell(server)
    (root / _LOG).unlink(missing_ok=True)
    elapsed_s = run.clock.monotonic_s() - started_s
    if run.out is not out:
        run.out.document({**story.facts(), "elapsed_s": round(elapsed_s, 1)})
        return 0
    _say_what_next(run, root, elapsed_s)
    return 0


class _Story:
    """The steps, each announced with the command that does the same."""

    def __init__(self, run: Run, out: Output, root: Path) -> None:
        self._run = run
        self._out = out
        self._root = root
        self._clock = _DemoClock(run.clock)
        self._receipts: list[dict[str, object]] = []
        self._changes: DiffSummary | None = None

    def tell(self, server: S3StoreOptions) -> None:
        """Run every step against the server."""
        self._skip_known_minutes()
        before, then = first_state(), changes()
        self._title("A bucket with a photo archive, a small data lake and some awkward keys")
        with self._step(server) as step:
            store = step.open_store()
            for bucket in (BUCKET, REPORTS):
                store.describe("CreateBucket", bucket)
            with step.watch() as progress:
                _put_all(store, {key: (key, size) for key, size in before.items()}, progress)
            self._out.line(
                f"{plural(len(before), 'object')}, {size_text(sum(before.values()))} in s3://{BUCKET}"
            )
        self._report(server)
        self._title("Its folders", f"stocktake tree s3://{BUCKET}/ --depth 2")
        with self._step(server) as step:
            show_tree(step, TreeRequest(f"s3://{BUCKET}/", "latest", depth=2, width=8))
        self._title("A day passes")
        with self._step(server) as step:
            store = step.open_store()
            with step.watch() as progress:
                _put_all(store, then.puts, progress)
            store.delete(BUCKET, list(then.deletes))
            self._out.line(_what_happened(then))
        self._clock.moved += timedelta(minutes=1)
        self._report(server)
        self._title("What changed", "stocktake diff previous latest --folders")
        with self._step(server) as step:
            show_diff(step, DiffRequest(f"s3://{BUCKET}/", "previous", "latest", view="folders"))

    def facts(self) -> dict[str, object]:
        """What `--json` says."""
        with self._run.open_catalog() as catalog:
            snapshots = [about(one) for one in list_snapshots(catalog)]
        return {
            "catalog": str(self._root),
            "bucket": BUCKET,
            "snapshots": snapshots,
            "changes": self._changes.to_dict() if self._changes else None,
            "receipts": self._receipts,
        }

    def _report(self, server: S3StoreOptions) -> None:
        self._title(
            "An inventory report of it",
            f"stocktake inventory write s3://{BUCKET} --to s3://{REPORTS}",
        )
        request = WriteRequest(f"s3://{BUCKET}", f"s3://{REPORTS}")
        with self._step(server) as step:
            write_inventory(step, request, show_cost=False)
        self._title("The report becomes a snapshot", f"stocktake inventory import {_ADDRESS}")
        with self._step(server) as step, step.open_catalog() as catalog:
            # a listing is exact: there is no delivery lag to be careful about
            wanted = ImportRequest(_ADDRESS, deletion_margin=timedelta())
            report = open_requested(step, step.open_store(), wanted)
            result, receipt = run_import(step, catalog, report, wanted)
            title = f"{BUCKET}/{_CONFIG} of {time_text(report.header.as_of)} UTC"
            show_import(step, result, title, report.warnings)
            show_receipt(self._out, receipt)
        self._receipts.append(receipt)
        self._changes = result.diff

    @contextmanager
    def _step(self, server: S3StoreOptions) -> Iterator[_DemoRun]:
        yield _DemoRun.on(self._run, server, self._clock, self._out)

    def _skip_known_minutes(self) -> None:
        """With --keep, the first report has to be later than the last one of the demo before."""
        with self._run.open_catalog() as catalog:
            newest = max((one.as_of for one in list_snapshots(catalog)), default=None)
        while newest is not None and self._clock.now().replace(second=0, microsecond=0) <= newest:
            self._clock.moved += timedelta(minutes=1)

    def _title(self, text: str, command: str | None = None) -> None:
        self._out.line()
        self._out.line(self._out.styled(text, "bold"))
        if command:
            self._out.line(self._out.styled(f"$ {command}", "cyan"))


@contextmanager
def _server(root: Path) -> Iterator[S3StoreOptions]:
    with start_ministack(root) as server:
        yield server.options()


def _make_room(root: Path, *, keep: bool) -> None:
    """Remove the catalog of an earlier demo; nothing else is ever removed."""
    if not root.exists() or not any(root.iterdir()):
        return
    if not (root / _MARKER).is_file():
        raise InvalidSettingError(
            f"`{root}` is there and no demo made it",
            hint="name another directory with --dir",
            path=str(root),
        )
    if not keep:
        shutil.rmtree(root)


def _put_all(store: Store, puts: Mapping[str, tuple[str, int]], progress: Watched) -> None:
    progress.phase("putting objects", len(puts), "objects")

    def put(key: str) -> None:
        store.put(BUCKET, key, body_of(*puts[key]))
        progress.advance(1)

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(put, puts):
            pass


def _what_happened(then: Changes) -> str:
    return (
        f"{plural(then.new, 'object')} added, {then.modified} overwritten, {then.deleted} deleted, "
        f"{then.renamed} renamed"
    )


def _say_what_next(run: Run, root: Path, elapsed_s: float) -> None:
    place = f"--catalog {root}"
    run.out.line()
    run.out.line(run.out.styled("What to try next", "bold"))
    for command in (
        f"stocktake ls photos/2026/ {place}",
        f"stocktake dupes {place}",
        f"stocktake find --name '*.parquet' --min-size 20KiB {place}",
        f"stocktake diff previous latest --kind renamed {place}",
        f"stocktake top --by extension {place}",
        f"stocktake du photos/2025/ --snapshot previous {place}",
    ):
        run.out.line(f"  {command}")
    run.out.line()
    run.out.line("and with your own bucket:")
    run.out.line("  stocktake inventory import s3://my-reports/my-bucket/my-configuration")
    run.out.note("")
    run.out.note(
        f"took {duration_text(elapsed_s)}; the catalog stays in {root}, the server is gone"
    )
