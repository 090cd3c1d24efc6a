"""The process that crash tests kill: receives events from a queue, or serves a webhook.

python events_child.py STATE_URL queue QUEUE_URL
python events_child.py STATE_URL webhook
"""

from __future__ import annotations

import sys

from stocktake.clock import SystemClock
from stocktake.events import EventMetrics, EventQueue, Intake, Webhook, pump
from stocktake.state import State, open_state
from stocktake.store import S3StoreOptions

BATCH_MESSAGES = 3


def empty(state: State, url: str) -> EventMetrics:
    """Move everything that is in the queue."""
    options = S3StoreOptions(
        region="us-east-1", access_key_id="stocktake", secret_access_key="stocktake-secret"
    )
    queue = EventQueue(url, options)
    intake = Intake(state, url, SystemClock())
    return pump(intake, queue, until_empty=True, wait_s=0, batch_messages=BATCH_MESSAGES)


if __name__ == "__main__":
    with open_state(sys.argv[1], clock=SystemClock()) as opened:
        if sys.argv[2] == "queue":
            print("ready", flush=True)
            empty(opened, sys.argv[3])
        else:
            with Webhook(opened) as webhook:
                print(webhook.url, flush=True)
                sys.stdin.read()
    print("done")
