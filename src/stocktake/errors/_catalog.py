"""The catalog or its control database cannot do it."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError


class CatalogError(StocktakeError):
    """The catalog cannot do what was asked."""

    code = "catalog"


class CatalogNotFoundError(CatalogError):
    """There is no catalog at this place."""

    code = "catalog-not-found"
    default_hint = "import something first (stocktake inventory import ...), or pass --catalog"


class CatalogVersionError(CatalogError):
    """The catalog or snapshot was written by a newer stocktake."""

    code = "catalog-version"
    default_hint = "upgrade: pip install --upgrade stocktake"


class CatalogCorruptError(CatalogError):
    """A catalog file is missing or is not what the snapshot says it is."""

    code = "catalog-corrupt"


class SnapshotNotFoundError(CatalogError):
    """No snapshot matches the reference."""

    code = "snapshot-not-found"
    default_hint = "stocktake snapshots lists what there is"


class NotInSnapshotError(CatalogError):
    """No such folder or object in the snapshot."""

    code = "not-in-snapshot"
    default_hint = "it may be newer than the snapshot; folders end in `/`"


class SnapshotInUseError(CatalogError):
    """The snapshot is pinned, or something is reading it."""

    code = "snapshot-in-use"


class ImportRunningError(CatalogError):
    """Another import of the same source is at work."""

    code = "import-running"
    default_retryable = True


class CoverageMismatchError(CatalogError):
    """Two snapshots do not cover the same thing and cannot be compared."""

    code = "coverage-mismatch"


class ConfirmationNeededError(CatalogError):
    """A change that looks like a mistake: an empty report or a mass deletion."""

    code = "confirmation-needed"
    exit_code = 3
    default_hint = "if it is right, run it again with --accept-deletions"


class QueryLimitError(CatalogError):
    """A row, time or memory limit stopped the query."""

    code = "query-limit"


class DiskFullError(CatalogError):
    """No space is left where the catalog lives."""

    code = "disk-full"
    default_hint = "free space or move the catalog; finished parts are kept, run it again"


class StateError(StocktakeError):
    """The control database cannot be opened, migrated or written."""

    code = "state"


class StateLockedError(StateError):
    """Another process holds the control database, longer than we waited."""

    code = "state-locked"
    default_retryable = True
    default_hint = "run it again when the other stocktake has finished"
