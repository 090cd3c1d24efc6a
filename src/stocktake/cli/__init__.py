"""The command line: one module per command group; every capability works here without a server.

In: arguments, environment, configuration files. Out: answers on stdout (tables for people, one JSON
document with `--json`), progress and everything else on stderr, an exit code. Never: logic of its
own; it wires stores, reports and catalogs together and words the result.

Modules are imported when their command runs: `stocktake --help` loads neither Arrow nor DuckDB.
"""

from stocktake.cli._main import main

__all__ = ["main"]
