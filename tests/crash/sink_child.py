"""The process that crash tests kill: loads one batch into a sink.

python sink_child.py KIND FOLDER ENDPOINT TOKEN KEY...
"""

from __future__ import annotations

import sys
from pathlib import Path

# beside it is not where pytest puts the modules that all tests share
sys.path.insert(0, str(Path(__file__).parents[1]))

from sink_world import FixedBatch, SinkPlace, items_of
from stocktake.store import S3StoreOptions, open_store

if __name__ == "__main__":
    kind, folder, endpoint, token, *keys = sys.argv[1:]
    store = open_store(
        S3StoreOptions(
            endpoint, "us-east-1", access_key_id="stocktake", secret_access_key="stocktake-secret"
        )
    )
    batch = FixedBatch(token, store, items_of(store, keys))
    SinkPlace(kind, Path(folder), store).open().load(batch)
    print("loaded")
