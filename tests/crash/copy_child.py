"""A host that shares a dataset by its copy in the bucket, until it is killed or done.

    python copy_child.py <folder> <endpoint> <host> <rounds>

Each round enters a file of its own and one that all hosts write, deletes its third last, then
pushes; every third time it pulls as well. What a commit or push has answered is printed.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from copy_world import PREFIX, SPEC, upload
from stocktake.clock import SystemClock
from stocktake.manifests import (
    CopyOptions,
    Dataset,
    DeleteEntry,
    PutEntry,
    Reason,
    create_dataset,
    pull_copy,
    push_copy,
)
from stocktake.state import open_state
from stocktake.store import S3StoreOptions, open_store

KEPT = 3
HOSTS = ("ada", "bob")


def rounds_of(dataset: Dataset, host: str) -> list[int]:
    """The rounds of a host whose files are there."""
    prefix = f"{PREFIX}{host}/"
    return [int(one.record.s3_key.removeprefix(prefix)) for one in dataset.entries(prefix=prefix)]


def enter(dataset: Dataset, host: str) -> int:
    """One round's files, all or none."""
    number = max(rounds_of(dataset, host), default=0) + 1
    unique = number * len(HOSTS) + HOSTS.index(host)
    dataset.commit(
        [
            PutEntry(upload(f"{host}/{number:06}", unique)),
            PutEntry(upload("shared", unique)),
            DeleteEntry(f"{PREFIX}{host}/{number - KEPT:06}"),
        ],
        Reason.SYNC,
    )
    return number


def main(folder: str, endpoint: str, host: str, rounds: str) -> None:
    """Go on where the last one was killed."""
    options = S3StoreOptions(
        endpoint_url=endpoint,
        region="us-east-1",
        access_key_id="stocktake",
        secret_access_key="stocktake-secret",
    )
    store = open_store(options)
    state = open_state(f"sqlite:///{folder}/state.db", clock=SystemClock())
    dataset = create_dataset(state, SPEC)
    for turn in range(int(rounds)):
        print(json.dumps({"entered": enter(dataset, host)}), flush=True)
        if turn % 3 == 2:
            pull_copy(dataset, store, CopyOptions(accept_deletions=True))
        push_copy(dataset, store, CopyOptions(accept_deletions=True))
        state.clock.sleep(random.uniform(0, 0.1))  # others get their turn, as with real uploads
        print(json.dumps({"pushed": turn}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
