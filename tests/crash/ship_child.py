"""The process that the crash suite kills: ships a folder once.

python ship_child.py ENDPOINT FOLDER STATE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stocktake.clock import SystemClock
from stocktake.convert import ConvertOptions
from stocktake.ship import Daemon, ShipSettings
from stocktake.store import S3StoreOptions
from stocktake.testing import Credentials

MIB = 1 << 20


def main() -> int:
    endpoint, folder, state = sys.argv[1:]
    identity = Credentials()
    settings = ShipSettings(
        folder=Path(folder),
        bucket="landing",
        prefix="in/",
        dataset="crash",
        store=S3StoreOptions(
            endpoint_url=endpoint,
            region="us-east-1",
            access_key_id=identity.access_key_id,
            secret_access_key=identity.secret_access_key,
        ),
        state_folder=Path(state),
        error_folder=Path(folder) / ".stocktake-failed",
        workers=2,
        uploads=4,
        settle_s=0.05,
        settle_unknown_s=0.2,
        scan_interval_s=0.2,
        small_max_bytes=64 << 10,
        part_bytes_min=5 * MIB,
        convert=ConvertOptions(row_group_rows=1000, row_group_bytes=MIB),
        manifest_interval_s=0.5,
        stop_grace_s=5.0,
    )
    summary = Daemon(settings, clock=SystemClock()).run(once=True)
    print(json.dumps({"summary": str(summary)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
