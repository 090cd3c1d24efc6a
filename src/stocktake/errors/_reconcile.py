"""Reconciliation: what is there against what should be."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError
from stocktake.errors._usage import UsageError


class ReconcileError(StocktakeError):
    """What is there cannot be compared with what should be."""

    code = "reconcile"


class ReconcileConfigError(UsageError):
    """The configuration of a reconciliation is wrong; `where` says at which key."""

    code = "reconcile-config"


class SideUnavailableError(ReconcileError):
    """One of the two sides cannot be read, or is not the kind that was asked for."""

    code = "side-unavailable"
