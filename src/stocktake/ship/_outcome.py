"""What a failure means for the file it happened to: try again, wait, or give up."""

from __future__ import annotations

import errno
from typing import Any

from stocktake.errors import (
    ArchiveIncompleteError,
    BucketNotFoundError,
    CredentialsError,
    InterruptedRunError,
    LedgerError,
    ShipError,
    SourceChangedError,
    SourceUnreadableError,
    SourceVanishedError,
    StocktakeError,
    StoreUnavailableError,
    ThrottledError,
    WatchedFolderError,
)
from stocktake.ship._records import Outcome

_OUTCOMES: tuple[tuple[type[StocktakeError], Outcome], ...] = (
    (SourceChangedError, Outcome.CHANGED),
    (SourceVanishedError, Outcome.VANISHED),
    (ArchiveIncompleteError, Outcome.INCOMPLETE),
    (InterruptedRunError, Outcome.STOPPED),
    (StoreUnavailableError, Outcome.OUTAGE),
    (ThrottledError, Outcome.OUTAGE),
    # nothing of any file can be shipped then: it is not this file's fault
    (CredentialsError, Outcome.OUTAGE),
    (BucketNotFoundError, Outcome.OUTAGE),
    (LedgerError, Outcome.OUTAGE),
    (WatchedFolderError, Outcome.OUTAGE),
    # its rights may be set in a moment; it must not be moved meanwhile
    (SourceUnreadableError, Outcome.TRANSIENT),
)
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


def outcome_of(error: BaseException) -> tuple[Outcome, dict[str, Any]]:
    """What follows from an error, and the error as it is recorded and shown.

    A store that is away, credentials that expired and a bucket that is gone are no fault of the
    file: no attempt is counted. What may pass by itself is tried again, a bounded number of times.
    """
    known = _as_stocktake_error(error)
    for kind, outcome in _OUTCOMES:
        if isinstance(known, kind):
            return outcome, known.to_dict()
    return (Outcome.TRANSIENT if known.retryable else Outcome.FAILED), known.to_dict()


def _as_stocktake_error(error: BaseException) -> StocktakeError:
    if isinstance(error, StocktakeError):
        return error
    if isinstance(error, MemoryError):
        return ShipError(
            "there is not enough memory for this file",
            hint="run fewer workers, or give the process more memory",
            retryable=True,
        )
    if isinstance(error, OSError):
        return _of_system(error)
    return ShipError(f"unexpected: {type(error).__name__}: {error}".replace("\n", " "))


def _of_system(error: OSError) -> StocktakeError:
    said = error.strerror or type(error).__name__
    if error.errno in _GONE:
        return SourceVanishedError(f"the file is not there any more: {said}")
    if error.errno == errno.EFBIG:
        return ShipError(
            f"a worker tried to write a file: {said}",
            hint="a library wants temporary files, which workers may not have; please report it",
        )
    return SourceUnreadableError(f"the file cannot be read: {said}")
