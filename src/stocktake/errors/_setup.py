"""Setting inventories up: configurations, policies, prices."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError
from stocktake.errors._usage import UsageError


class SetupError(StocktakeError):
    """An inventory cannot be set up, or its set-up cannot be looked at."""

    code = "setup"


class PolicyFormatError(SetupError):
    """A policy is not one that can be read; it is left as it is."""

    code = "policy-format"


class PolicyChangedError(SetupError):
    """Somebody changed the policy between reading and writing it; nothing was written over."""

    code = "policy-changed"
    default_retryable = True


class ConfigurationExistsError(SetupError):
    """An inventory configuration with this id is there, and says something else."""

    code = "configuration-exists"


class PriceFileError(UsageError):
    """A price file cannot be read or lacks a price."""

    code = "price-file"
