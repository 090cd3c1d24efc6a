"""The root of the tree."""

from __future__ import annotations

from typing import Any, ClassVar


class StocktakeError(Exception):
    """Base of all errors: what failed, which thing, what to do about it.

    Attributes:
        message: What failed + which object + cause, one line, no final period.
        code: Stable machine name, also the heading in the error reference.
        hint: The command or setting that helps, or None.
        retryable: True if the same call may succeed later without any change.
        attrs: The values the message was made of, for `--json`.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str | None] = None
    default_retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str | None = None, retryable: bool | None = None, **attrs: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        self.retryable = self.default_retryable if retryable is None else retryable
        self.attrs = attrs

    def to_dict(self) -> dict[str, Any]:
        """The error as the JSON object that `--json` prints and the API returns."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "attrs": {
                k: str(v) if not isinstance(v, int | float | bool | type(None)) else v
                for k, v in self.attrs.items()
            },
        }
