"""The page server as a program of its own, for benchmarks of listers.

    python -m stocktake.testing.page_server --shape cloudtrail --keys 1000000 --page-delay-ms 82

It says its address on the first line of its output, as soon as its keys are made, and serves until
it is ended. `GET /_counts` tells how many pages were asked for, and how many at once at most.
"""

from __future__ import annotations

import argparse
import sys

from stocktake.testing._key_shapes import KEY_SHAPES, key_shape
from stocktake.testing._page_server import KeyPages, PageDelays, PageServer


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stocktake.testing.page_server")
    parser.add_argument("--shape", choices=KEY_SHAPES, default=KEY_SHAPES[0])
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip-every", type=int, default=0, help="leave out every n-th key")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page-delay-ms", type=float, default=0.0, help="of a full page")
    parser.add_argument("--least-delay-ms", type=float, default=0.0, help="of an empty page")
    parser.add_argument("--in-flight-max", type=int, default=0, help="more get 503 SlowDown")
    parser.add_argument("--chunk-bytes", type=int, default=0, help="8192 is about what S3 sends")
    chosen = parser.parse_args(arguments)
    keys = key_shape(chosen.shape, chosen.keys, chosen.seed)
    if chosen.skip_every:
        del keys[:: chosen.skip_every]
    pages = KeyPages(keys, chosen.seed)
    delays = PageDelays(
        chosen.page_delay_ms / 1000,
        chosen.least_delay_ms / 1000,
        chosen.in_flight_max,
        chosen.chunk_bytes,
    )
    server = PageServer(pages, delays, port=chosen.port)
    sys.stdout.write(f"{server.endpoint_url}\n")
    sys.stdout.flush()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
