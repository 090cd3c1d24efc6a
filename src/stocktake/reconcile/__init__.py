"""Reconciliation: what is there against what should be there.

In: two sides (a listing, a sample, a report, a snapshot; a folder, a manifest, rules). Out:
findings with severities, coverage per prefix, a task list, a report to read.
Never: a change to either side, a finding without what it is known by, a sample sold as certainty.
"""

__all__ = ()
