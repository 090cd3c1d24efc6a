"""Reconciliation: what is there against what should be there.

In: two sides (a listing, a sample, a report, a snapshot; a folder, a manifest, rules). Out:
findings with severities, coverage per prefix, a task list, a report to read.
Never: a change to either side, a finding without what it is known by, a sample sold as certainty.
"""

from stocktake.reconcile._config import load_config, parse_config
from stocktake.reconcile._config_keys import CONFIG_SECTIONS
from stocktake.reconcile._config_section import Key
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._findings import (
    DEFAULT_SEVERITIES,
    Finding,
    FindingKind,
    Severity,
    SeverityRule,
)
from stocktake.reconcile._html import render_html
from stocktake.reconcile._reconcile import reconcile
from stocktake.reconcile._report import (
    Bar,
    PrefixCoverage,
    ReconcileReport,
    RuleCheck,
    SampleFigures,
    Totals,
    Verdict,
)
from stocktake.reconcile._report_json import report_to_json
from stocktake.reconcile._request import (
    Bounds,
    Checks,
    HaveSpec,
    NameMap,
    ReconcileConfig,
    Rule,
    ScanMode,
    ShouldKind,
    ShouldSpec,
)
from stocktake.reconcile._side import SIDE_ROW, Pair, Proof, Same, Side, SideFacts, SideKind
from stocktake.reconcile._tasks import Action, Task, tasks_document, tasks_of
from stocktake.reconcile._text import report_lines

__all__ = [
    "CONFIG_SECTIONS",
    "DEFAULT_SEVERITIES",
    "SIDE_ROW",
    "Action",
    "Bar",
    "Bounds",
    "Checks",
    "Desk",
    "Finding",
    "FindingKind",
    "HaveSpec",
    "Key",
    "NameMap",
    "Pair",
    "PrefixCoverage",
    "Proof",
    "ReconcileConfig",
    "ReconcileReport",
    "Rule",
    "RuleCheck",
    "Same",
    "SampleFigures",
    "ScanMode",
    "Severity",
    "SeverityRule",
    "ShouldKind",
    "ShouldSpec",
    "Side",
    "SideFacts",
    "SideKind",
    "Task",
    "Totals",
    "Verdict",
    "load_config",
    "parse_config",
    "reconcile",
    "render_html",
    "report_lines",
    "report_to_json",
    "tasks_document",
    "tasks_of",
]
