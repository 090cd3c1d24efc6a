"""Says what a refused request was needed for; which permission is missing the store says itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stocktake.errors import AccessDeniedError


@contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Add the purpose to a refusal that is raised inside; S3 and KMS refusals keep their class.

    Raises:
        AccessDeniedError: In place of the one that was raised inside, with its hint.
    """
    try:
        yield
    except AccessDeniedError as refusal:
        raise type(refusal)(
            f"{refusal.message}; it is needed {purpose}", hint=refusal.hint, **refusal.attrs
        ) from refusal
