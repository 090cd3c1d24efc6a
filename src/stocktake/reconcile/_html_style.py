"""The style of the HTML report, `report.css`: light and dark, narrow and wide, screen and paper."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources


@cache
def style() -> str:
    """The style sheet, as it stands in the page."""
    file = resources.files("stocktake.reconcile") / "report.css"
    return file.read_text(encoding="utf-8").strip()


@cache
def content_policy() -> str:
    """What the page may load: nothing but its own style, which is named by its hash."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
