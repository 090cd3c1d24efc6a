"""`stocktake ingest`: each new object version into a sink, once."""

from __future__ import annotations

from stocktake.cli import _ingest_create, _ingest_load, _ingest_look, _ingest_mend
from stocktake.cli._ingest_app import app

__all__ = ["app"]

_COMMANDS = (_ingest_create, _ingest_load, _ingest_look, _ingest_mend)
"""Importing them puts their commands into the group, in this order."""
