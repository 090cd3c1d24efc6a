"""The processes that the crash suite kills: each synchronises or restores a dataset once.

Loading the program takes longer than a run. So one process loads it and then forks for each line
that it reads: {"start": {...}, "kill_at": ..., "output": ..., "errors": ...} answers with a process
id, {"wait": id} with its exit status.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

from stocktake import faults
from stocktake.clock import SystemClock
from stocktake.errors import DatasetBusyError
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    RestoreOptions,
    SyncOptions,
    create_dataset,
    restore_dataset,
    sync_folder,
)
from stocktake.state import open_state
from stocktake.store import S3StoreOptions, Store, open_store
from stocktake.testing import Credentials

MIB = 1 << 20
BUSY = 9
CLOCK = SystemClock()


def serve() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if not answer:
                be_the_child(asked)
        print(answer, flush=True)


def be_the_child(asked: dict[str, Any]) -> None:
    """Never returns."""
    status = 1
    try:
        for number, path in ((1, asked["output"]), (2, asked["errors"])):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, number)
            os.close(opened)
        name, _, turn = (asked["kill_at"] or "").partition(":")
        faults._NAME, faults._TURN = name, turn
        status = run(asked["start"])
    except BaseException:  # noqa: BLE001 - boundary: a forked process must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run(wanted: dict[str, Any]) -> int:
    identity = Credentials()
    options = S3StoreOptions(
        endpoint_url=wanted["endpoint_url"],
        region="us-east-1",
        access_key_id=identity.access_key_id,
        secret_access_key=identity.secret_access_key,
    )
    with open_state(wanted["state"], clock=CLOCK) as state, closing(open_store(options)) as store:
        state.upgrade()
        spec = DatasetSpec("16", "Sixteen", wanted["bucket"], wanted["prefix"])
        dataset = create_dataset(state, spec)
        work = restore if wanted["what"] == "restore" else sync
        try:
            said = work(dataset, store, wanted)
        except DatasetBusyError as error:
            print(error, file=sys.stderr)
            return BUSY
    print(json.dumps(said, default=str))
    return 0


def sync(dataset: Dataset, store: Store, wanted: dict[str, Any]) -> Any:
    options = SyncOptions(
        delete=wanted["delete"],
        accept_deletions=wanted["delete"],
        two_way=wanted["two_way"],
        workers=4,
        multipart_bytes_min=5 * MIB,
        part_bytes_min=5 * MIB,
        manifest_folder=Path(wanted["manifests"]),
    )
    return sync_folder(dataset, store, Path(wanted["folder"]), options, clock=CLOCK).to_dict()


def restore(dataset: Dataset, store: Store, wanted: dict[str, Any]) -> Any:
    options = RestoreOptions(workers=4)
    result = restore_dataset(dataset, store, Path(wanted["folder"]), options, clock=CLOCK)
    return result.to_dict()


if __name__ == "__main__":
    serve()
