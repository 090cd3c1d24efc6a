"""The table of commands: what `stocktake --help` shows without loading any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of the top level.

    Attributes:
        name: What the user types.
        module: Module of `stocktake.cli` that declares it.
        help: One line for the overview; also the first line of its own help.
        section: Heading in the overview.
        group: True if it has subcommands.
    """

    name: str
    module: str
    help: str
    section: str
    group: bool = False


_TAKE = "Take stock"
_LOOK = "Look around"
_COMPARE = "Compare and query"
_FEED = "Load what is new"
_SHIP = "Ship and convert"
_DATA = "Datasets"
_KEEP = "Keep house"
_TRY = "Try it"

COMMANDS: tuple[Entry, ...] = (
    Entry("inventory", "_inventory", "Find, import, verify and write reports", _TAKE, group=True),
    Entry("scan", "_scan", "List a bucket and keep it as a snapshot", _TAKE),
    Entry("setup", "_setup", "Check and make what an inventory needs", _TAKE, group=True),
    Entry("cost", "_cost", "Compare what the ways to know a bucket cost", _TAKE),
    Entry("ls", "_browse", "Show what a folder holds", _LOOK),
    Entry("tree", "_browse", "Draw the folders with objects and bytes", _LOOK),
    Entry("du", "_browse", "Sum up objects and bytes below a prefix", _LOOK),
    Entry("find", "_search", "Find objects by name, size, date or class", _LOOK),
    Entry("top", "_search", "Show the largest, oldest or newest objects", _LOOK),
    Entry("dupes", "_search", "Find objects that are there more than once", _LOOK),
    Entry("diff", "_diff", "Show what changed between two snapshots", _COMPARE),
    Entry("reconcile", "_reconcile", "Compare what is there with what should be", _COMPARE),
    Entry("sql", "_sql", "Ask a question in SQL", _COMPARE),
    Entry("export", "_export", "Write objects, folders or changes to a file", _COMPARE),
    Entry("plan", "_plan", "Recommend how to find new objects", _FEED),
    Entry("ingest", "_ingest", "Load each new object version once", _FEED, group=True),
    Entry("events", "_events", "Take events from a queue or a webhook", _FEED, group=True),
    Entry("ship", "_ship", "Put what arrives in a folder into a bucket", _SHIP, group=True),
    Entry("convert", "_convert", "Convert CSV, JSON and XML files to Parquet", _SHIP),
    Entry("unpack", "_unpack", "Verify an archive and unpack or list it", _SHIP),
    Entry("sync", "_sync", "Put a folder into a bucket, and keep a manifest", _DATA),
    Entry("manifest", "_manifest", "Show what was uploaded to datasets", _DATA, group=True),
    Entry("snapshots", "_snapshots", "List, pin, delete and thin out snapshots", _KEEP, group=True),
    Entry("catalog", "_publish", "Publish, compact and upgrade the catalog", _KEEP, group=True),
    Entry("version", "_version", "Print the version and what it runs on", _KEEP),
    Entry("demo", "_demo", "See it all on a local store, in half a minute", _TRY),
    Entry("bench", "_bench", "Measure an import on this machine", _TRY),
)

BY_NAME = {entry.name: entry for entry in COMMANDS}

EXIT_CODES = {
    0: "done",
    1: "failed",
    2: "usage: an option, address or setting is wrong",
    3: "partial, or a confirmation is needed",
    4: "differences found",
    130: "interrupted; everything finished is kept",
}
"""What an exit code means, in every command."""
