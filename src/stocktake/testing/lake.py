"""A bucket of small JSON files to try ingest on: served by the fake S3, and changed through it.

    python -m stocktake.testing.lake serve [--files 100000] [--port 9000]
    python -m stocktake.testing.lake change

`serve` says its address on the first line of its output and serves until it is ended: the bucket
`lake`, 4,000 files a day below `readings/dt=2026-11-01/` and on, one reading in each. `change` acts
as a writer of the bucket that the AWS_ variables and STOCKTAKE_ENDPOINT_URL name: three new files,
one of them below a day that is over, and one file with new content.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from stocktake.store import S3StoreOptions, open_store
from stocktake.testing._blobs import BytesBlob, md5_hex
from stocktake.testing._fake_s3 import FakeS3
from stocktake.testing._object_table import Version

BUCKET = "lake"
FILES_PER_DAY = 4_000
_FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
_LATE = ("readings/dt=2026-11-01/late.jsonl", 1_000_001)
_NEW = (
    ("readings/dt=2026-11-26/part-0000.jsonl", 1_000_002),
    ("readings/dt=2026-11-26/part-0001.jsonl", 1_000_003),
)
_CHANGED = ("readings/dt=2026-11-02/part-0007.jsonl", 1_000_004)


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted, or change the bucket; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stocktake.testing.lake")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("--files", type=int, default=100_000)
    serving.add_argument("--port", type=int, default=9000)
    commands.add_parser("change")
    chosen = parser.parse_args(arguments)
    if chosen.command == "serve":
        serve(chosen.files, chosen.port)
    else:
        change()
    return 0


def serve(files: int, port: int) -> None:
    """Serve a lake of that many files until the process is ended."""
    fake = FakeS3(port=port)
    fake.create_bucket(BUCKET).table.load(_versions(files))
    sys.stdout.write(f"{fake.endpoint_url}\n")
    sys.stdout.flush()
    fake.serve()


def change() -> None:
    """Write what a writer writes after the first discovery."""
    store = open_store(S3StoreOptions(endpoint_url=os.environ.get("STOCKTAKE_ENDPOINT_URL")))
    for key, number in (_LATE, *_NEW, _CHANGED):
        store.put(BUCKET, key, reading(number))
        sys.stdout.write(f"wrote s3://{BUCKET}/{key}\n")
    store.close()


def lake_key(number: int) -> str:
    """The key of a file, by its number from 0."""
    day, part = divmod(number, FILES_PER_DAY)
    return f"readings/dt={_FIRST_DAY + timedelta(days=day):%Y-%m-%d}/part-{part:04d}.jsonl"


def reading(number: int) -> bytes:
    """The content of a file: one line of JSON."""
    return json.dumps({"sensor": number % 97, "reading": number}).encode() + b"\n"


def _versions(files: int) -> Iterator[Version]:
    for number in range(files):
        body = reading(number)
        day = _FIRST_DAY + timedelta(days=number // FILES_PER_DAY, hours=6)
        yield Version(lake_key(number), BytesBlob(body), md5_hex(body), day)


if __name__ == "__main__":
    sys.exit(main())
