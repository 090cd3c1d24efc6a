"""What a failure means for its file."""

from __future__ import annotations

import pytest

from stocktake import errors
from stocktake.ship._outcome import outcome_of
from stocktake.ship._records import Outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.SourceChangedError("x"), Outcome.CHANGED),
        (errors.SourceVanishedError("x"), Outcome.VANISHED),
        (errors.ArchiveIncompleteError("x"), Outcome.INCOMPLETE),
        (errors.InterruptedRunError("x"), Outcome.STOPPED),
        (errors.StoreUnavailableError("x"), Outcome.OUTAGE),
        (errors.ThrottledError("x"), Outcome.OUTAGE),
        (errors.CredentialsError("expired"), Outcome.OUTAGE),
        (errors.BucketNotFoundError("x"), Outcome.OUTAGE),
        (errors.LedgerError("disk full"), Outcome.OUTAGE),
        (errors.SourceUnreadableError("x"), Outcome.TRANSIENT),
        (errors.UploadMismatchError("x"), Outcome.TRANSIENT),
        (errors.DigestRefusedError("x", retryable=True), Outcome.TRANSIENT),
        (errors.AccessDeniedError("x"), Outcome.FAILED),
        (errors.KeyCollisionError("x"), Outcome.FAILED),
        (errors.ForeignWriterError("x"), Outcome.FAILED),
        (errors.ArchiveCorruptError("x"), Outcome.FAILED),
        (errors.BadRowError("x"), Outcome.FAILED),
        (errors.StoreError("EntityTooLarge"), Outcome.FAILED),
        (FileNotFoundError(2, "No such file"), Outcome.VANISHED),
        (PermissionError(13, "denied"), Outcome.TRANSIENT),
        (OSError(5, "Input/output error"), Outcome.TRANSIENT),
        (OSError(27, "File too large"), Outcome.FAILED),
        (MemoryError(), Outcome.TRANSIENT),
        (KeyError("a bug"), Outcome.FAILED),
    ],
)
def test_fault_60_outcome_of_each_failure(error: BaseException, outcome: Outcome) -> None:
    """SHP-32: an outage burns no attempt, a permanent error fails the file."""
    found, described = outcome_of(error)
    assert found is outcome
    assert described["message"]
    assert set(described) == {"code", "message", "hint", "retryable", "attrs"}
