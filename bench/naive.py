"""The usual way to find new files, as a peer: a sequential SDK listing and a look-up per file.

python -m bench.naive DATABASE ENDPOINT BUCKET
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time

from botocore.session import Session


def main() -> int:
    database, endpoint, bucket = sys.argv[1:]
    print(json.dumps(discover(database, endpoint, bucket)))
    return 0


def discover(database: str, endpoint: str, bucket: str) -> dict[str, float]:
    """List page after page; ask for each file whether it is known; remember those that are not."""
    began_s = time.perf_counter()
    client = Session().create_client("s3", endpoint_url=endpoint)
    known = sqlite3.connect(database)
    known.execute("PRAGMA journal_mode = WAL")
    known.execute("PRAGMA synchronous = NORMAL")
    known.execute(
        "CREATE TABLE IF NOT EXISTS processed_files "
        "(path TEXT PRIMARY KEY, etag TEXT, size INTEGER, modified TEXT) WITHOUT ROWID"
    )
    seen = new = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", ()):
            seen += 1
            path = entry["Key"]
            found = known.execute("SELECT etag FROM processed_files WHERE path = ?", (path,))
            if found.fetchone() is None:
                row = (path, entry["ETag"], entry["Size"], str(entry["LastModified"]))
                known.execute("INSERT INTO processed_files VALUES (?, ?, ?, ?)", row)
                new += 1
        known.commit()
    known.close()
    return {"objects": seen, "new": new, "discovery_s": time.perf_counter() - began_s}


if __name__ == "__main__":
    sys.exit(main())
