"""`stocktake version`."""

from __future__ import annotations

import importlib.metadata
import platform

from stocktake import __version__
from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Print the version and what it runs on.")
_LIBRARIES = ("duckdb", "pyarrow", "botocore", "sqlalchemy")


@command(app, "version", exits=(0, 2), examples=("stocktake version --json",))
def version(run: Run) -> None:
    """Print the version and what it runs on, for bug reports.

    JSON: {version, python, platform, libraries: {name: version}}.
    """
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    python = platform.python_version()
    if run.out.json:
        run.out.document(
            {
                "version": __version__,
                "python": python,
                "platform": platform.platform(),
                "libraries": libraries,
            }
        )
        return
    run.out.line(f"stocktake {__version__}")
    run.out.line(f"python {python} on {platform.platform()}")
    run.out.line(", ".join(f"{name} {number}" for name, number in libraries.items()))
