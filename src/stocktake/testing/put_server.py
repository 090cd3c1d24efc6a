"""The sink of uploads as a program of its own, for benchmarks of uploaders.

    python -m stocktake.testing.put_server --bucket bench

It says its address on the first line of its output and serves until it is ended. `GET /_counts`
tells the requests by operation, the bytes received and the CPU time it took.
"""

from __future__ import annotations

import argparse
import sys

from stocktake.testing._put_server import PutServer


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stocktake.testing.put_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", action="append", default=[], help="made at the start")
    parser.add_argument("--keep-bytes-max", type=int, default=1 << 16)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="every answer comes later")
    chosen = parser.parse_args(arguments)
    server = PutServer(
        chosen.port, keep_bytes_max=chosen.keep_bytes_max, delay_s=chosen.delay_ms / 1000
    )
    for name in chosen.bucket:
        server.create_bucket(name)
    sys.stdout.write(f"{server.endpoint_url}\n")
    sys.stdout.flush()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
