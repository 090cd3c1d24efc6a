"""`stocktake ingest`: each new object version into a sink, once."""

from __future__ import annotations

from stocktake.cli import (
    _ingest_create,
    _ingest_load,
    _ingest_look,
    _ingest_mend,
    _ingest_metrics,
)
from stocktake.cli._ingest_app import app

__all__ = ["app"]

_COMMANDS = (_ingest_create, _ingest_load, _ingest_look, _ingest_mend, _ingest_metrics)
"""Importing them puts their commands into the group, in this order."""
