"""Work of `ingest metrics`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from stocktake.cli._run import Run
from stocktake.errors import InvalidSettingError
from stocktake.ingest import figures, prometheus_text


def show_metrics(run: Run, out: str | None) -> int:
    """Answer `ingest metrics`."""
    with run.open_catalog() as catalog:
        samples = figures(catalog)
    if run.out.json:
        run.out.rows_document({}, map(asdict, samples), "metrics")
        return 0
    text = prometheus_text(samples)
    if out is None:
        run.out.stdout.write(text)
    else:
        _replace(Path(out), text)
    return 0


def _replace(path: Path, text: str) -> None:
    """A collector that reads meanwhile sees the old file or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise InvalidSettingError(
            f"cannot write `{path}`: {error.strerror}", hint="name another file with --out"
        ) from error
