"""The process that the crash suite kills: restores dataset 16.

python restore_child.py ENDPOINT STATE_URL TARGET [OVERWRITE]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stocktake.clock import SystemClock
from stocktake.manifests import Overwrite, RestoreOptions, open_dataset, restore_dataset
from stocktake.state import open_state
from stocktake.store import S3StoreOptions, open_store
from stocktake.telemetry import Meter
from stocktake.testing import Credentials


def main() -> int:
    endpoint, state_url, target = sys.argv[1:4]
    overwrite = Overwrite(sys.argv[4]) if len(sys.argv) > 4 else Overwrite.NEVER
    identity = Credentials()
    meter, clock = Meter(), SystemClock()
    options = S3StoreOptions(
        endpoint_url=endpoint,
        region="us-east-1",
        access_key_id=identity.access_key_id,
        secret_access_key=identity.secret_access_key,
    )
    store = open_store(options, meter=meter)
    with open_state(state_url, clock=clock) as state:
        result = restore_dataset(
            open_dataset(state, "16"),
            store,
            Path(target),
            RestoreOptions(overwrite=overwrite, workers=3),
            clock=clock,
            meter=meter,
        )
    store.close()
    print(json.dumps(result.to_dict()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
