"""Installs the real storage servers that the tests run against.

    python -m stocktake.testing.servers setup [--into .servers] [--requirements FILE] [--rgw]

Swift comes from the package index (10 s, 80 MB); Ceph's gateway, with `--rgw`, from the Debian
archive (62 MB, unpacked, nothing is installed in the system).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stocktake.errors import StocktakeError
from stocktake.testing._rgw import install_rgw
from stocktake.testing._swift import install_swift


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stocktake.testing.servers")
    actions = parser.add_subparsers(dest="action", required=True)
    setup = actions.add_parser("setup", help="install the servers unless they are there")
    setup.add_argument("--into", type=Path, default=Path(".servers"))
    setup.add_argument("--rgw", action="store_true", help="also the Ceph gateway")
    setup.add_argument("--requirements", type=Path, default=Path("requirements/swift.txt"))
    chosen = parser.parse_args(arguments)
    requirements = chosen.requirements if chosen.requirements.exists() else None
    try:
        sys.stdout.write(f"swift: {install_swift(chosen.into, requirements)}\n")
        if chosen.rgw:
            sys.stdout.write(f"rgw: {install_rgw(chosen.into)}\n")
    except StocktakeError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
