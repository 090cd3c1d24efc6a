"""Writes to one dataset until it is killed or done; two of these are at it at once.

    python dataset_child.py <database> <dataset> <writer> <rounds> <manifest folder>

Each round adds files of its own, replaces files that both writers write, deletes one of its own
earlier ones, and writes the manifest. What a commit has answered is printed, before anything else
happens. A restarted writer goes on where its own files end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from dataset_world import record
from stocktake.clock import SystemClock
from stocktake.manifests import (
    Dataset,
    DeleteEntry,
    Edit,
    Entry,
    PutEntry,
    Reason,
    open_dataset,
    write_manifest_file,
)
from stocktake.state import open_state

OWN_PER_ROUND = 7
SHARED = 3
LATER = 2


class Writer:
    def __init__(self, dataset: Dataset, name: str, folder: Path) -> None:
        self.dataset = dataset
        self.name = name
        self.folder = folder
        self.prefix = dataset.info().prefix

    def next_round(self) -> int:
        """After the last one whose files are there; deletions leave the later files."""
        rounds = [
            int(one.record.s3_key.removeprefix(self.prefix).split("/")[1])
            for one in self.dataset.entries(prefix=f"{self.prefix}{self.name}/")
        ]
        return max(rounds, default=-1) + 1

    def go(self, number: int) -> None:
        edits: list[Edit] = [
            PutEntry(record(f"{self.name}/{number}/{at}", at, prefix=self.prefix), None)
            for at in range(OWN_PER_ROUND)
        ]
        gone = f"{self.prefix}{self.name}/{number - LATER}/0"
        edits.append(DeleteEntry(gone))
        done = self.dataset.commit(edits, Reason.SYNC, synced=True)
        assert not done.conflicts, done
        told = [edit.record.s3_key for edit in edits if isinstance(edit, PutEntry)]
        self.tell(version=done.version, put=told, deleted=gone if done.deleted else None)
        for at in range(SHARED):
            self.shared(f"shared/{at}", number)
        write_manifest_file(self.dataset, self.folder)

    def shared(self, name: str, number: int) -> None:
        """Count up what both writers count: read, add one, commit if nobody was faster."""
        while True:
            seen = self.dataset.find(self.prefix + name)
            before = 0 if seen is None else seen.record.size_bytes
            new = record(name, number, prefix=self.prefix, size_bytes=before + 1, token=self.name)
            edit = PutEntry(new, None if seen is None else seen.since_version)
            done = self.dataset.commit([edit], Reason.SYNC)
            if not done.conflicts:
                self.tell(version=done.version, counted=name)
                return
            (_, there) = done.conflicts[0]
            assert isinstance(there, Entry)

    def tell(self, **what: object) -> None:
        print(json.dumps(what), flush=True)


def main(address: str, dataset_id: str, name: str, rounds: int, folder: Path) -> None:
    with open_state(address, clock=SystemClock()) as state:
        writer = Writer(open_dataset(state, dataset_id), name, folder)
        for number in range(writer.next_round(), rounds):
            writer.go(number)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
