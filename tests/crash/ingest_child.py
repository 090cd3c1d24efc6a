"""The process that crash tests kill: loads a feed's changes into a folder that keeps tokens.

python ingest_child.py CATALOG STATE_URL FOLDER WORKERS
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pyroaring import BitMap64

from stocktake.catalog import Catalog, open_catalog, open_feed
from stocktake.ingest import (
    IngestionSpec,
    IngestResult,
    Landed,
    OpenItems,
    create_ingestion,
    open_ingestion,
)
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import S3Url, object_schema

NAME = "crashed"
SOURCE = S3Url("lake", "in/")
BAD = "in/0/!bad"  # sorts before all others: change 1


class FolderSink:
    """A file per token, made whole or not at all; its content are the numbers that were loaded."""

    keeps_tokens = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def load(self, batch: OpenItems) -> None:
        for item in list(batch.items):
            if item.key == BAD:
                batch.fail(item, ValueError("unreadable"))
        name = f"{os.getpid()}-{threading.get_ident()}-{batch.token}"
        draft = self._folder / f".{name}"
        draft.write_text(json.dumps([item.seq for item in batch.items]))
        try:
            os.link(draft, self._folder / batch.token)
        except FileExistsError:
            pass
        finally:
            draft.unlink()

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        found = {token: self._folder / token for token in tokens}
        return {
            token: Landed(token, BitMap64(json.loads(path.read_text())))
            for token, path in found.items()
            if path.exists()
        }

    def close(self) -> None:
        pass


def effects(folder: Path) -> list[int]:
    """Every number that was loaded, as often as it was."""
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return sorted(seq for path in files for seq in json.loads(path.read_text()))


def make_ingestion(catalog: Catalog, files: int, files_max: int = 7) -> None:
    """A feed of that many changes in five folders, and a consumer of it."""
    keys = [BAD, *(f"in/{n % 5}/{n:06}" for n in range(1, files))]
    schema = object_schema(["size_bytes", "etag"])
    rows = pa.RecordBatch.from_pydict(
        {"key": keys, "size_bytes": [1] * files, "etag": ["e"] * files}, schema
    )
    with open_feed(catalog, SOURCE).discovering(StrategyName.INCREMENTAL_LEXICAL) as writer:
        writer.absorb([rows], cursor={}, metrics=ListingMetrics())
    create_ingestion(catalog, IngestionSpec(NAME, SOURCE, files_max=files_max, attempts_max=1))


def run(place: str, state_url: str, folder: Path, workers: int) -> IngestResult:
    """Load all there is."""
    with open_catalog(place, state_url=state_url or None, threads=1) as catalog:
        ingestion = open_ingestion(catalog, None, NAME)
        return ingestion.run(FolderSink(folder), workers=workers, discover_first=False)


if __name__ == "__main__":
    print("ready", flush=True)
    print(run(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])).to_dict())
