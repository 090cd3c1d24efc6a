"""One way to keep "what was processed", as a process of its own: prints JSON. For `seen_state`."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

BATCH = 10_000
BLOOM_FALSE = 0.001


def listed(folder: str) -> Iterator[list[str]]:
    """The keys of the listing, 10,000 at a time, as Python texts."""
    yield from _keys(Path(folder) / "listed.parquet")


def processed(folder: str) -> Iterator[list[str]]:
    """The keys that were processed."""
    yield from _keys(Path(folder) / "processed.parquet")


def _keys(path: Path) -> Iterator[list[str]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=False) as file:
        for batch in file.iter_batches(BATCH, columns=["key"], use_threads=False):
            yield batch.column(0).to_pylist()


def _pairs(name: str, folder: str) -> Iterator[list[tuple[str, str]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(Path(folder) / f"{name}.parquet") as file:
        for batch in file.iter_batches(BATCH, columns=["key", "etag"], use_threads=False):
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _count_new(folder: str, known: Callable[[list[str]], Iterable[str]]) -> dict[str, object]:
    new = 0
    for keys in listed(folder):
        new += len(keys) - len(set(known(keys)))
    return {"new": new}


# what everything is measured against


def make_keys(folder: str, count: str) -> dict[str, int]:
    """The listing and what was processed; returns what differs."""
    from bench.seen_state_source import make_keys as make

    return make(Path(folder), int(count))


def import_only(folder: str) -> dict[str, object]:
    """The start of a process that uses the catalog."""
    from stocktake.catalog import open_catalog

    return {"folder": folder, "name": open_catalog.__name__}


def read_only(folder: str) -> dict[str, object]:
    """The listing read, and nothing asked."""
    return {"listed": sum(len(keys) for keys in listed(folder))}


# ours


def make_catalog(folder: str) -> dict[str, object]:
    """Both states as snapshots."""
    from bench.seen_state_source import TableSource
    from stocktake.catalog import ImportOptions, import_snapshot, open_catalog

    with open_catalog(str(Path(folder) / "catalog"), create=True) as catalog:
        for day, name in enumerate(("processed", "listed"), 1):
            source = TableSource(Path(folder) / f"{name}.parquet", day)
            import_snapshot(catalog, source, ImportOptions(accept_deletions=True, force=True))
    return {}


def roaring(folder: str, count: str) -> dict[str, object]:
    """A consumer that has settled all but one number in a hundred, at random: what is left."""
    import random

    from pyroaring import BitMap64

    from stocktake.ingest._seqs import SeqState, pack, unpack

    total = int(count)
    path = Path(folder) / "roaring"
    if not path.exists():
        chance = random.Random(1)
        holes = BitMap64(chance.sample(range(1, total + 1), total // 100))
        state = SeqState()
        state.settle(BitMap64(range(1, total + 1)) - holes)
        path.write_bytes(pack(state.settled))
        (Path(folder) / "roaring-low").write_text(str(state.low))
    started, cpu_s = time.perf_counter(), time.process_time()
    state = SeqState(int((Path(folder) / "roaring-low").read_text()), unpack(path.read_bytes()))
    free = state.free(0, total)
    return {
        "left": len(free),
        "state_bytes": path.stat().st_size,
        "task_s": _since(started),
        "task_cpu_s": time.process_time() - cpu_s,
    }


# Bloom filter


def _bloom_hash(key: object) -> int:
    # rbloom's filters can be kept in a file only with a hash that is the same in every process
    digest = hashlib.blake2b(str(key).encode(), digest_size=16).digest()
    return int.from_bytes(digest, "big", signed=True)


def make_bloom(folder: str, count: str) -> dict[str, object]:
    from rbloom import Bloom

    bloom = Bloom(int(count), BLOOM_FALSE, _bloom_hash)
    for keys in processed(folder):
        bloom.update(keys)
    bloom.save(str(Path(folder) / "bloom"))
    return {"state_bytes": (Path(folder) / "bloom").stat().st_size}


def bloom_and_sqlite(folder: str) -> dict[str, object]:
    """What the filter does not know is new; what it may know is looked up."""
    from rbloom import Bloom

    bloom = Bloom.load(str(Path(folder) / "bloom"), _bloom_hash)
    connection = _sqlite(folder)
    total = maybe = new = 0
    for keys in listed(folder):
        asked = [key for key in keys if key in bloom]
        total += len(keys)
        maybe += len(asked)
        new += len(keys) - len(_sqlite_known(connection, asked))
    return {"new": new, "maybe_share": maybe / total}


# SQLite


def _sqlite(folder: str) -> Any:
    import sqlite3

    return sqlite3.connect(Path(folder) / "processed.db")


def make_sqlite(folder: str) -> dict[str, object]:
    connection = _sqlite(folder)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE processed (key TEXT PRIMARY KEY, etag TEXT) WITHOUT ROWID")
    for rows in _pairs("processed", folder):
        connection.executemany("INSERT INTO processed VALUES (?, ?)", rows)
    connection.commit()
    connection.close()
    return {"state_bytes": (Path(folder) / "processed.db").stat().st_size}


def _sqlite_known(connection: Any, keys: list[str]) -> set[str]:
    marks = ",".join("?" * len(keys))
    sql = f"SELECT key FROM processed WHERE key IN ({marks})"
    return {row[0] for row in connection.execute(sql, keys)}


def sqlite_in_list(folder: str) -> dict[str, object]:
    connection = _sqlite(folder)
    return _count_new(folder, lambda keys: _sqlite_known(connection, keys))


# a pickled dict


def make_pickle(folder: str) -> dict[str, object]:
    import pickle

    known = dict(pair for rows in _pairs("processed", folder) for pair in rows)
    path = Path(folder) / "processed.pickle"
    with path.open("wb") as file:
        pickle.dump(known, file, protocol=5)
    return {"state_bytes": path.stat().st_size}


def pickle_dict(folder: str) -> dict[str, object]:
    import pickle

    with (Path(folder) / "processed.pickle").open("rb") as file:
        known = pickle.load(file)
    new = changed = 0
    for rows in _pairs("listed", folder):
        for key, etag in rows:
            before = known.get(key)
            new += before is None
            changed += before is not None and before != etag
    return {"new": new, "changed": changed}


# Redis


def make_redis(folder: str, url: str) -> dict[str, object]:
    client = _redis(url)
    before = client.info("memory")["used_memory"]
    for keys in processed(folder):
        client.sadd("processed", *keys)
    return {"state_bytes": client.info("memory")["used_memory"] - before}


def redis_set(folder: str, url: str) -> dict[str, object]:
    client = _redis(url)
    new = 0
    for keys in listed(folder):
        new += client.smismember("processed", keys).count(0)
    return {"new": new}


def _redis(url: str) -> Any:
    from redis import Redis

    return Redis.from_url(url)


# PostgreSQL


def _postgres(dsn: str) -> Any:
    import psycopg

    return psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor)


def make_postgres(folder: str, dsn: str) -> dict[str, object]:
    with _postgres(dsn) as connection:
        connection.execute('CREATE TABLE processed (key text COLLATE "C" PRIMARY KEY, etag text)')
        with connection.cursor().copy("COPY processed FROM STDIN") as copy:
            for rows in _pairs("processed", folder):
                for row in rows:
                    copy.write_row(row)
        connection.execute("VACUUM ANALYZE processed")
        return {"state_bytes": _postgres_bytes(connection)}


def _postgres_bytes(connection: Any) -> int:
    row = connection.execute("SELECT pg_total_relation_size('processed')").fetchone()
    return int(row[0])


def postgres_in_list(folder: str, dsn: str) -> dict[str, object]:
    """A list of 10,000 literals per statement."""
    with _postgres(dsn) as connection:

        def known(keys: list[str]) -> list[str]:
            marks = ",".join(["%s"] * len(keys))
            sql = f"SELECT key FROM processed WHERE key IN ({marks})"
            return [row[0] for row in connection.execute(sql, keys)]

        return _count_new(folder, known)


def postgres_any(folder: str, dsn: str) -> dict[str, object]:
    """One array of 10,000 keys per statement."""
    with _postgres(dsn) as connection:

        def known(keys: list[str]) -> list[str]:
            sql = "SELECT key FROM processed WHERE key = ANY(%s)"
            return [row[0] for row in connection.execute(sql, [keys])]

        return _count_new(folder, known)


def postgres_inserts(dsn: str, salt: str) -> dict[str, object]:
    """20,000 more keys, as a batch that was processed is written."""
    rows = [
        (f"more/{salt}/{n:08}/{hashlib.md5(str(n).encode()).hexdigest()}", "e")
        for n in range(20_000)
    ]
    with _postgres(dsn) as connection:
        started = time.perf_counter()
        with connection.cursor().copy("COPY processed FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return {"new": len(rows), "task_s": _since(started)}


def make_trigrams(dsn: str) -> dict[str, object]:
    """A trigram index on the keys, beside the B-tree."""
    with _postgres(dsn) as connection:
        before = _postgres_bytes(connection)
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.execute("CREATE INDEX trigrams ON processed USING gin (key gin_trgm_ops)")
        return {"state_bytes": _postgres_bytes(connection) - before}


def _since(started: float) -> float:
    return time.perf_counter() - started


TASKS = {
    task.__name__: task
    for task in (
        make_keys,
        import_only,
        read_only,
        make_catalog,
        roaring,
        make_bloom,
        bloom_and_sqlite,
        make_sqlite,
        sqlite_in_list,
        make_pickle,
        pickle_dict,
        make_redis,
        redis_set,
        make_postgres,
        postgres_in_list,
        postgres_any,
        postgres_inserts,
        make_trigrams,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("arguments", nargs="*")
    chosen = parser.parse_args()
    print(json.dumps(TASKS[chosen.task](*chosen.arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
