"""Fault 61: no space for the ledger. Nothing is recorded by half, and it is told by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from stocktake.clock import SystemClock
from stocktake.ship import SourceState
from stocktake.ship._ledger import Ledger

CHILD = """
import json, resource, signal, sys
from pathlib import Path
from stocktake.clock import SystemClock
from stocktake.errors import DiskFullError
from stocktake.ship import *
from stocktake.ship._ledger import Ledger

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
place = Path(sys.argv[1])
ledger = Ledger.open(place, clock=SystemClock())
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))

def source(number):
    return ReadySource(b"%060d" % number, Identity(1, number, 1, 1, 1), SourceKind.PLAIN)

def attempt(work):
    try:
        work()
    except DiskFullError as error:
        return error.to_dict()

recorded, failure = 0, None
while failure is None and recorded < 10**6:
    some = [source(number) for number in range(recorded, recorded + 100)]
    failure = attempt(lambda: ledger.add_sources(some))
    recorded += 0 if failure else 100
again = attempt(lambda: ledger.add_sources([source(10**7)]))
claim = attempt(lambda: ledger.claim_files(
    files_max=100, bytes_max=1, small_max_bytes=1000, key_of=lambda path: path.decode()))
reading = ledger.counts()[SourceState.PENDING]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
after = attempt(lambda: ledger.add_sources([source(10**8)]))
ledger.close()
print(json.dumps([recorded, failure, again, claim, reading, after]))
"""


def test_fault_61_full_disk_records_nothing_by_half_and_is_typed(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(place), str(1 << 20)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    recorded, failure, again, claim, reading, after = json.loads(done.stdout)
    assert failure["code"] == "disk-full"
    assert "state" in failure["hint"]
    assert claim["code"] == "disk-full"
    more = recorded + (again is None)
    assert reading == more > 1000
    assert after is None
    ledger = Ledger.open(place, clock=SystemClock())
    assert ledger.counts() == {SourceState.PENDING: more + 1}
    ledger.close()
