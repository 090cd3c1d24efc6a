"""A folder, a bucket, and daemons that ship from one to the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stocktake.ship import Daemon, EventKind, ShipEvent, ShipSettings, ShipSummary
from stocktake.store import ListQuery, Store, iter_listing, open_store
from stocktake.testing import FakeS3

BUCKET = "landing"


class Watcher:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[ShipEvent] = []
        self.on: Callable[[ShipEvent], None] = lambda _event: None

    def on_event(self, event: ShipEvent) -> None:
        self.events.append(event)
        self.on(event)

    def kinds_of(self, path: bytes) -> list[EventKind]:
        return [event.kind for event in self.events if event.path == path]

    def count(self, kind: EventKind) -> int:
        return Counter(event.kind for event in self.events)[kind]


class Shipyard:
    """A folder, a bucket, and daemons that ship from one to the other."""

    def __init__(self, root: Path, fake: FakeS3) -> None:
        self.fake = fake
        self.folder = root / "in"
        self.folder.mkdir()
        self.watcher = Watcher()
        self.settings = ShipSettings(
            folder=self.folder,
            bucket=BUCKET,
            prefix="in/",
            store=fake.options(),
            state_folder=root / "state",
            error_folder=self.folder / ".stocktake-failed",
            settle_s=0.05,
            settle_unknown_s=0.1,
            scan_interval_s=0.2,
            incomplete_grace_s=0.5,
            retry_cap_s=0.2,
            attempts_max=3,
            small_max_bytes=64 << 10,
            part_bytes_min=5 << 20,
            workers=1,
            manifest_interval_s=60.0,
            stop_grace_s=5.0,
        )

    def put(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def daemon(self, **changes: Any) -> Daemon:
        self.watcher.events.clear()
        return Daemon(replace(self.settings, **changes), listener=self.watcher)

    def once(self, **changes: Any) -> ShipSummary:
        return self.daemon(**changes).run(once=True)

    def store(self) -> Store:
        return open_store(self.fake.options())

    def keys_there(self) -> list[str]:
        pages = iter_listing(self.store(), ListQuery(BUCKET, "in/"))
        keys = [one.key.removeprefix("in/") for page in pages for one in page.objects]
        return [key for key in keys if not key.startswith(".stocktake/")]

    def read(self, name: str) -> bytes:
        with self.store().get(BUCKET, f"in/{name}") as body:
            return body.read()
