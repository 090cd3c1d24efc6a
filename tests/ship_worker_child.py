"""A process that may write no file, and ships one source: `ship_worker_child.py FOLDER URL NAME`.

It says how it ended as one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path


def peak_mb() -> float:
    """Of this program alone: `ru_maxrss` still has what the process was before its exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    from ship_recorder import BUCKET, Desk
    from stocktake.clock import SystemClock
    from stocktake.store import S3StoreOptions, open_store, probe_uploads

    folder, endpoint_url, name = sys.argv[1:]
    store = open_store(
        S3StoreOptions(
            endpoint_url=endpoint_url,
            region="us-east-1",
            access_key_id=os.environ["KEY_ID"],
            secret_access_key=os.environ["KEY_SECRET"],
        )
    )
    clock = SystemClock()
    desk = Desk(Path(folder), store, clock=clock, changes={"part_bytes_min": 5 << 20})
    desk.ledger.clock = clock
    desk.profile = probe_uploads(store, BUCKET)
    job = desk.job(name)
    ends = [desk.plan(job)]
    ends.append(desk.ship(job))
    said = {
        "outcomes": [end.outcome for end in ends],
        "errors": [end.error for end in ends if end.error],
        "steps": [type(step).__name__ for step in desk.ledger.steps],
        "objects": {key: result.verified_by for key, result in desk.ledger.results.items()},
        "rss_mb": peak_mb(),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
