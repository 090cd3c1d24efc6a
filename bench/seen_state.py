"""Which of the listed objects are new? Ways to keep what was processed, side by side (ING-6).

1,010 objects are listed for every 1,000 that were processed; ten of them are new, two have changed,
and one that was processed is gone. Every way is a process of its own that reads the same listing
and the state it has made before; servers' CPU time is added to the client's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import Cost, keep, python, table

DATA = Path(__file__).parent / "data"
TASKS = "bench.seen_state_tasks"
_HEAD = ["way", "wall s", "CPU s", "extra MB", "state MB", "made in s", "tells changed, deleted"]


@dataclass
class Way:
    """One row of the result."""

    name: str
    wall_s: float
    cpu_s: float
    extra_mb: float
    state_mb: float
    made_s: float
    tells: str
    found: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> list[object]:
        return [
            self.name,
            self.wall_s,
            self.cpu_s,
            f"{self.extra_mb:.0f}",
            f"{self.state_mb:.2f}",
            f"{self.made_s:.1f}",
            self.tells,
        ]


class Contest:
    """Measures the ways at one number of keys."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.folder = DATA / f"seen-{count}"
        shutil.rmtree(self.folder, ignore_errors=True)
        # not in this process: a child's peak memory begins with its parent's
        self.expected: dict[str, int] = json.loads(self.run("", "make_keys", str(count)).output)
        self.alone = self.run("the listing read, nothing asked", "read_only")
        imported = self.run("stocktake imported, nothing done", "import_only")
        self.ways: list[Way] = [
            Way(cost.name, cost.wall_s, cost.cpu_s, cost.rss_mb - self.alone.rss_mb, 0, 0, "")
            for cost in (self.alone, imported)
        ]

    def run(self, name: str, task: str, *arguments: str, server: Any = None) -> Cost:
        """One task in a process; the first argument is the folder."""
        before = _cpu_s(server)
        cost = python(name, TASKS, task, str(self.folder), *arguments)
        return Cost(
            name, cost.wall_s, cost.cpu_s + _cpu_s(server) - before, cost.rss_mb, cost.output
        )

    def measure(
        self, name: str, made: Cost, task: str, *arguments: str, tells: str, server: Any = None
    ) -> None:
        """Run a way's task against the state that was made."""
        cost = self.run(name, task, *arguments, server=server)
        found = json.loads(cost.output)
        for what in ("new", "changed"):
            if what in found and found[what] != self.expected[what]:
                raise SystemExit(f"{name} finds {found[what]} {what}, not {self.expected[what]}")
        state_mb = json.loads(made.output)["state_bytes"] / 1e6
        extra_mb = max(0.0, cost.rss_mb - self.alone.rss_mb)
        self.ways.append(
            Way(name, cost.wall_s, cost.cpu_s, extra_mb, state_mb, made.wall_s, tells, found)
        )
        print(f"  {name}: {cost.wall_s:.2f} s", flush=True)


def ours(contest: Contest) -> None:
    made = contest.run("make", "make_catalog")
    catalog = contest.folder / "catalog"
    first = min(
        catalog.glob("snapshots/*/*/*/snapshot.json"), key=lambda path: path.stat().st_mtime
    )
    cost = python("stocktake: sorted merge of snapshots", "bench.tasks", "diff", str(catalog))
    found = json.loads(cost.output)
    got = {"new": found["new"], "changed": found["modified"], "deleted": found["deleted"]}
    if got != contest.expected:
        raise SystemExit(f"the comparison finds {got}, not {contest.expected}")
    state_mb = sum(f.stat().st_size for f in first.parent.rglob("*.parquet")) / 1e6
    extra_mb = max(0.0, cost.rss_mb - contest.alone.rss_mb)
    contest.ways.append(
        Way(cost.name, cost.wall_s, cost.cpu_s, extra_mb, state_mb, made.wall_s / 2, "both", got)
    )
    contest.run("make", "roaring", str(contest.count))
    cost = contest.run("stocktake: a consumer's Roaring state", "roaring", str(contest.count))
    found = json.loads(cost.output)
    extra_mb = max(0.0, cost.rss_mb - contest.alone.rss_mb)
    bytes_mb = found["state_bytes"] / 1e6
    contest.ways.append(
        # without the start of the process: it has no listing to read
        Way(
            cost.name,
            found["task_s"],
            found["task_cpu_s"],
            extra_mb,
            bytes_mb,
            0,
            "by number",
            found,
        )
    )


def files(contest: Contest) -> None:
    sqlite = contest.run("make", "make_sqlite")
    contest.measure("SQLite, IN-lists of 10,000", sqlite, "sqlite_in_list", tells="neither")
    bloom = contest.run("make", "make_bloom", str(contest.count))
    both = json.loads(bloom.output)["state_bytes"] + json.loads(sqlite.output)["state_bytes"]
    made = Cost("", bloom.wall_s + sqlite.wall_s, 0, 0, json.dumps({"state_bytes": both}))
    name = "Bloom filter 0.1 %, then SQLite"
    contest.measure(name, made, "bloom_and_sqlite", tells="neither")
    pickled = contest.run("make", "make_pickle")
    contest.measure("pickled dict", pickled, "pickle_dict", tells="changed")


def redis(contest: Contest) -> None:
    import psutil

    from stocktake.testing import start_redis

    logs = contest.folder / "redis"
    with start_redis(logs) as server:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        made = contest.run("make", "make_redis", server.url)
        name = "Redis set, SMISMEMBER of 10,000"
        contest.measure(name, made, "redis_set", server.url, tells="neither", server=process)


def postgres(contest: Contest, *, literals: bool) -> None:
    with _postgres() as (dsn, process):
        made = contest.run("make", "make_postgres", dsn)
        name = "PostgreSQL, = ANY of 10,000"
        contest.measure(name, made, "postgres_any", dsn, tells="neither", server=process)
        if literals:
            name = "PostgreSQL, IN-lists of 10,000"
            contest.measure(name, made, "postgres_in_list", dsn, tells="neither", server=process)
        inserts = [python("", TASKS, "postgres_inserts", dsn, "plain")]
        index = python("make", TASKS, "make_trigrams", dsn)
        inserts.append(python("", TASKS, "postgres_inserts", dsn, "trigrams"))
        plain_s, slow_s = (json.loads(cost.output)["task_s"] for cost in inserts)
        contest.ways.append(
            Way(
                "PostgreSQL, trigram index (GIN, pg_trgm) beside it",
                0,
                0,
                0,
                json.loads(index.output)["state_bytes"] / 1e6,
                index.wall_s,
                f"nothing; 20,000 inserts {plain_s:.2f} s without, {slow_s:.2f} s with it",
                {"insert_s": plain_s, "insert_with_index_s": slow_s},
            )
        )


@contextmanager
def _postgres() -> Iterator[tuple[str, Any]]:
    import psutil

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres_server import running_postgres

    with running_postgres() as server:
        address = server.new_database()
        name, _, socket = address.removeprefix("postgresql://postgres@/").partition("?host=")
        dsn = f"host={socket} user=postgres dbname={name}"
        pid = int((Path(socket) / "postmaster.pid").read_text().split()[0])
        yield dsn, psutil.Process(pid)


def _cpu_s(process: Any) -> float:
    """CPU seconds of a server and of all the children that it ever had."""
    if process is None:
        return 0.0
    everybody = [process, *process.children(recursive=True)]
    times = [one.cpu_times() for one in everybody]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench seen", description=__doc__)
    parser.add_argument("--keys", default="1000000", help="comma-separated")
    parser.add_argument("--no-literals", action="store_true", help="without PostgreSQL's IN-lists")
    parser.add_argument("--no-servers", action="store_true", help="without Redis and PostgreSQL")
    parser.add_argument("--keep-data", action="store_true")
    chosen, _ = parser.parse_known_args(argv)
    results = []
    for count in (int(text) for text in chosen.keys.split(",")):
        contest = Contest(count)
        with ExitStack() as cleaning:
            if not chosen.keep_data:
                cleaning.callback(shutil.rmtree, contest.folder, ignore_errors=True)
            ours(contest)
            files(contest)
            if not chosen.no_servers:
                redis(contest)
                postgres(contest, literals=not chosen.no_literals)
        title = f"{count:,} processed, {count // 1000 * 1010:,} known or listed"
        table(title, _HEAD, [way.cells() for way in contest.ways])
        results.extend({"keys": count, **vars(way)} for way in contest.ways)
    keep(f"seen-{chosen.keys.replace(',', '-')}", results)
    return 0
