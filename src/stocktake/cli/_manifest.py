"""`stocktake manifest`: the manifests of datasets."""

from __future__ import annotations

from stocktake.cli import (
    _manifest_look,
    _manifest_make,
    _manifest_restore,
    _manifest_transfer,
    _manifest_verify,
)
from stocktake.cli._manifest_app import app

__all__ = ["app"]

_COMMANDS = (
    _manifest_look,
    _manifest_make,
    _manifest_verify,
    _manifest_restore,
    _manifest_transfer,
)
"""Importing them puts their commands into the group, in this order."""
