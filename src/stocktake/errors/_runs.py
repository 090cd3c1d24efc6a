"""A run that ended before it was done."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError


class ServerStartError(StocktakeError):
    """A local demo or test server does not come up."""

    code = "server-start"
    default_hint = "its log says why; the path is in the message"


class InterruptedRunError(StocktakeError):
    """Stopped by the user; everything finished is kept."""

    code = "interrupted"
    exit_code = 130
    default_hint = "run the same command again to go on where it stopped"
