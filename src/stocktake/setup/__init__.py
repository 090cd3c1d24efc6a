"""Setting inventories up: what is missing, the exact fix, and what each way costs.

In: a bucket and what AWS says about it. Out: checks with fixes, configurations, merged policies,
costs from a dated price file.
Never: a policy statement of somebody else touched, a setting guessed, a price without its date.
"""

from stocktake.setup._check import CheckRequest, SetupReport, check_setup
from stocktake.setup._checks import Check, CheckState, Fix
from stocktake.setup._configuration import (
    DEFAULT_FIELDS,
    FIELDS,
    FORMATS,
    Configuration,
    list_configurations,
)

__all__ = [
    "DEFAULT_FIELDS",
    "FIELDS",
    "FORMATS",
    "Check",
    "CheckRequest",
    "CheckState",
    "Configuration",
    "Fix",
    "SetupReport",
    "check_setup",
    "list_configurations",
]
