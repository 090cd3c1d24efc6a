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
from stocktake.setup._cost import LEFT_OUT, CostQuestion, CostReport, Way, compare_costs
from stocktake.setup._create import CreateRequest, SetupPlan, apply_setup, plan_setup
from stocktake.setup._prices import KEYS_PER_LIST, Prices, kind_of, listing_calls

__all__ = [
    "DEFAULT_FIELDS",
    "FIELDS",
    "FORMATS",
    "KEYS_PER_LIST",
    "LEFT_OUT",
    "Check",
    "CheckRequest",
    "CheckState",
    "Configuration",
    "CostQuestion",
    "CostReport",
    "CreateRequest",
    "Fix",
    "Prices",
    "SetupPlan",
    "SetupReport",
    "Way",
    "apply_setup",
    "check_setup",
    "compare_costs",
    "kind_of",
    "list_configurations",
    "listing_calls",
    "plan_setup",
]
