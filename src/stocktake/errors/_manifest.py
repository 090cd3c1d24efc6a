"""Datasets: their manifests, synchronising, verifying, restoring."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError


class DatasetError(StocktakeError):
    """A dataset, or its manifest, cannot do it."""

    code = "dataset"


class DatasetNotFoundError(DatasetError):
    """No dataset has this id, or it has no such version or file."""

    code = "dataset-not-found"
    default_hint = "see the datasets there are: stocktake manifest list"


class DatasetExistsError(DatasetError):
    """Another dataset has this id, or this place."""

    code = "dataset-exists"


class DatasetChangedError(DatasetError):
    """Somebody else committed meanwhile, and it was asked for that nobody does."""

    code = "dataset-changed"
    default_retryable = True


class DatasetBusyError(DatasetError):
    """Another process synchronises the same dataset from the same folder."""

    code = "dataset-busy"
    default_retryable = True
    default_hint = "wait for it, or stop it"


class ManifestFormatError(DatasetError):
    """A file is no upload manifest, or one from a newer version."""

    code = "manifest-format"


class LocalFolderError(DatasetError):
    """The local folder is not there, is no folder, or cannot be read."""

    code = "local-folder"


class DeletionRefusedError(DatasetError):
    """More would be deleted than is plausible; nothing was."""

    code = "deletion-refused"
    exit_code = 3
    default_hint = "if it is right, run it again with --accept-deletions"


class SyncConflictError(DatasetError):
    """Both sides changed since the last sync, and it was asked to stop then."""

    code = "sync-conflict"


class RestoreTargetError(DatasetError):
    """A file cannot be restored there: it is taken, outside the folder, or not a legal name."""

    code = "restore-target"


class RestoreMismatchError(DatasetError):
    """What the store gives is not what the manifest says."""

    code = "restore-mismatch"
