"""Listings as object records: what a bucket holds, asked of the store itself.

In: a store and an address. Out: Arrow batches of the object record in key order, or a source that
becomes a snapshot. Never: reports, state, or a listing that is silently short or out of order.
"""

from stocktake.listing._advice import QUESTIONS, Advice, Answer, Question, advise, guarantee_rows
from stocktake.listing._choose_lister import OrderedLister, choose_lister
from stocktake.listing._evidence import Evidence, History, PastRun, gather_evidence
from stocktake.listing._key_order import OrderVerdict, judge_order
from stocktake.listing._lister import (
    ROWS_PER_BATCH,
    KeySpan,
    Lister,
    PagedLister,
    list_objects,
)
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._open_uploads import UploadWatermark, open_upload_watermark
from stocktake.listing._plan import Candidate, Plan, PlanNeeds, PlanPrices, plan_strategy
from stocktake.listing._profiles import (
    ListingProfile,
    check_listing,
    is_directory_bucket,
    keep_profile,
    known_profile,
)
from stocktake.listing._range_lister import RangeLister, RangeOptions
from stocktake.listing._sample import SampleEstimate, sample_objects
from stocktake.listing._sample_interval import Estimate, interval_of
from stocktake.listing._slots import KeyBounds
from stocktake.listing._source import InterruptedScan, ListSource
from stocktake.listing._start_strategy import start_strategy
from stocktake.listing._strategy import (
    GUARANTEES,
    Guarantees,
    ListingJob,
    Promise,
    StrategyName,
    StrategyRun,
)
from stocktake.listing._strategy_settings import (
    STRATEGY_SETTINGS,
    SettingKind,
    StrategySetting,
    parse_settings,
)
from stocktake.listing._time_filter import TimeBoundary, TimeRules
from stocktake.listing._tree_lister import TreeLister

__all__ = [
    "GUARANTEES",
    "QUESTIONS",
    "ROWS_PER_BATCH",
    "STRATEGY_SETTINGS",
    "Advice",
    "Answer",
    "Candidate",
    "Estimate",
    "Evidence",
    "Guarantees",
    "History",
    "InterruptedScan",
    "KeyBounds",
    "KeySpan",
    "ListSource",
    "Lister",
    "ListingJob",
    "ListingMetrics",
    "ListingProfile",
    "OrderVerdict",
    "OrderedLister",
    "PagedLister",
    "PastRun",
    "Plan",
    "PlanNeeds",
    "PlanPrices",
    "Promise",
    "Question",
    "RangeLister",
    "RangeOptions",
    "SampleEstimate",
    "SettingKind",
    "StrategyName",
    "StrategyRun",
    "StrategySetting",
    "TimeBoundary",
    "TimeRules",
    "TreeLister",
    "UploadWatermark",
    "advise",
    "check_listing",
    "choose_lister",
    "gather_evidence",
    "guarantee_rows",
    "interval_of",
    "is_directory_bucket",
    "judge_order",
    "keep_profile",
    "known_profile",
    "list_objects",
    "open_upload_watermark",
    "parse_settings",
    "plan_strategy",
    "sample_objects",
    "start_strategy",
]
