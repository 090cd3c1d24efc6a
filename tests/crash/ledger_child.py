"""Ships small files by hand, with a ledger and segments, until it is killed or done.

    python ledger_child.py <ledger> <endpoint> <files>

Prints the key of every upload that the ledger has said is on disk.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stocktake.clock import SystemClock
from stocktake.errors import PreconditionFailedError
from stocktake.manifests import SegmentLog, manifest_prefix
from stocktake.ship import (
    FileJob,
    Identity,
    ObjectJob,
    ObjectResult,
    PlannedObject,
    PlanSummary,
    ReadySource,
    ShipSettings,
    SourceJob,
    SourceKind,
)
from stocktake.ship._ledger import Ledger
from stocktake.ship._ledger_segments import write_segments
from stocktake.ship._metadata import object_metadata
from stocktake.ship._rebuild import rebuild_ledger
from stocktake.store import PutOptions, S3StoreOptions, Store, open_store
from stocktake.testing import Credentials

BUCKET = "photos"
SHA = "ab" * 32
MEMBERS = 12


def store_at(endpoint: str) -> Store:
    keys = Credentials()
    return open_store(
        S3StoreOptions(
            endpoint_url=endpoint,
            region="us-east-1",
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key,
        )
    )


def settings_of(folder: Path) -> ShipSettings:
    return ShipSettings(folder, BUCKET, prefix="in/", dataset="cameras", uploads=4)


def log_of(store: Store) -> SegmentLog:
    return SegmentLog(store, BUCKET, manifest_prefix("in/", "cameras"))


def key_of(path: bytes) -> str:
    return "in/" + path.decode()


def sources(files: int) -> list[ReadySource]:
    plain = [
        ReadySource(b"f%03d" % n, Identity(1, n + 1, 5, n + 1, n + 1), SourceKind.PLAIN)
        for n in range(files)
    ]
    return [*plain, ReadySource(b"x.zip", Identity(1, 999, 5, 5, 5), SourceKind.ARCHIVE)]


class Shipper:
    def __init__(self, ledger: Ledger, store: Store) -> None:
        self.ledger = ledger
        self.store = store
        self.log = log_of(store)

    def run(self) -> None:
        while True:
            jobs, ends = self.ledger.claim_files(
                files_max=4, bytes_max=10**9, small_max_bytes=1000, key_of=key_of
            )
            assert not ends
            for job in jobs:
                self.put(job.source, job, job.key, None)
            if not jobs and not self.archive():
                return
            write_segments(self.ledger, self.log)

    def archive(self) -> bool:
        planning = self.ledger.claim_plan()
        if planning is not None:
            for n in range(0, MEMBERS, 4):
                some = [
                    PlannedObject(m, f"m{m}", f"in/x/m{m}", None, 5, 5, SHA)
                    for m in range(n, n + 4)
                ]
                self.ledger.add_planned(planning.source_id, some)
            self.ledger.end_plan(planning.source_id, PlanSummary(SHA, MEMBERS))
        shipping = self.ledger.claim_ship()
        if shipping is None:
            return False
        while left := self.ledger.next_objects(shipping.source_id, -1, 2):
            for one in left:
                self.put(shipping, one, one.planned.key, one.planned.entry)
        self.ledger.end_source(shipping.source_id)
        return True

    def put(self, source: SourceJob, job: FileJob | ObjectJob, key: str, entry: str | None) -> None:
        metadata = object_metadata(
            source, SHA, token=job.token, ship_id=self.ledger.ship_id, entry=entry
        )
        try:
            head = self.store.put(BUCKET, key, b"bytes", PutOptions(None, metadata, if_absent=True))
        except PreconditionFailedError:
            head = self.store.head(BUCKET, key)
            assert head.metadata["stocktake-token"] == job.token, "another token than before"
        self.ledger.complete(
            [
                ObjectResult(
                    job.object_id, 5, None, head.etag, SHA, head.etag, None, None, None, "checksum"
                )
            ]
        )
        print(key, flush=True)


def main(place: Path, endpoint: str, files: int) -> None:
    store = store_at(endpoint)
    ledger = Ledger.open(place, clock=SystemClock())
    ledger.release_all()
    if not place.with_suffix(".rebuilt").exists():
        rebuild_ledger(ledger, store, settings_of(place.parent))
        place.with_suffix(".rebuilt").touch()
    known = {path for path, _, _ in ledger.identities()}
    ledger.add_sources([one for one in sources(files) if one.path not in known])
    Shipper(ledger, store).run()
    ledger.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
