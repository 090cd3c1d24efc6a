"""The fake S3 as a program of its own, for benchmarks and for trying things out.

    python -m stocktake.testing.fake_s3 --root DIR [--port N] [--keys BUCKET=FILE]

Every folder directly below DIR is a bucket, every file in it an object (read from the file, never
held in memory). What is written to the server lives in its memory. It says its address on the first
line of its output and serves until it is ended.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from stocktake.testing._blobs import BytesBlob, md5_hex
from stocktake.testing._fake_s3 import FakeS3
from stocktake.testing._object_table import Version


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stocktake.testing.fake_s3")
    parser.add_argument("--root", type=Path, help="directory whose folders are the buckets")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--keys", action="append", default=[], metavar="BUCKET=FILE")
    parser.add_argument("--page-delay-s", type=float, default=0.0)
    chosen = parser.parse_args(arguments)
    fake = FakeS3(port=chosen.port)
    fake.behaviour.page_delay_s = chosen.page_delay_s
    if chosen.root is not None:
        for folder in sorted(path for path in chosen.root.iterdir() if path.is_dir()):
            fake.put_directory(folder.name, folder)
    for spec in chosen.keys:
        bucket, _, file = spec.partition("=")
        fake.create_bucket(bucket).table.load(_one_byte_objects(Path(file)))
    sys.stdout.write(f"{fake.endpoint_url}\n")
    sys.stdout.flush()
    fake.serve()
    return 0


def _one_byte_objects(path: Path) -> Iterator[Version]:
    """An object of one byte for each line of a file of keys."""
    blob, etag = BytesBlob(b"x"), md5_hex(b"x")
    modified = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield Version(line.rstrip("\n"), blob, etag, modified)


if __name__ == "__main__":
    sys.exit(main())
