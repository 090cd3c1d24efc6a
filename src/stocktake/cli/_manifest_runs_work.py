"""Work of `manifest runs`: what was done with a dataset."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from stocktake.cli._run import Run
from stocktake.cli._text import count_text, duration_text, size_text, time_text
from stocktake.errors import UsageError
from stocktake.manifests import RunInfo, RunKind, is_abandoned, open_dataset
from stocktake.model import display_key

_WIDTH = 78


def show_runs(run: Run, dataset_id: str, kind: str | None, limit: int) -> int:
    """Answer `manifest runs`."""
    wanted = _kind(kind)
    with run.open_catalog() as catalog:
        dataset = open_dataset(catalog.state, dataset_id)
        found = dataset.runs(wanted, limit=limit)
    if run.out.json:
        run.out.rows_document({"dataset": dataset_id}, map(_json, found), "runs")
        return 0
    for one in found:
        for line in _lines(one):
            run.out.line(line)
    if not found:
        what = "nothing was done" if wanted is None else f"there was no {wanted}"
        run.out.line(f"{what} with `{dataset_id}` yet")
    return 0


def _kind(kind: str | None) -> RunKind | None:
    if kind is None:
        return None
    try:
        return RunKind(kind)
    except ValueError:
        raise UsageError(
            f"--kind cannot be `{kind}`", hint="one of sync, verify, restore"
        ) from None


def _state(one: RunInfo) -> str:
    return "killed" if is_abandoned(one) else one.state


def _json(one: RunInfo) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": str(one.kind),
        "state": _state(one),
        "started_at": one.started_at,
        "finished_at": one.finished_at,
        "version": one.version,
        "place": one.place,
        "owner_host": one.owner_host,
        "owner_pid": one.owner_pid,
        "result": dict(one.result),
    }


def _lines(one: RunInfo) -> list[str]:
    """A run for people: when and what, then what came of it, then where."""
    facts = [f"{one.kind} {_state(one)}"]
    # a sync begins at one version and makes another
    version = one.result.get("version", one.version) if one.kind is RunKind.SYNC else one.version
    if version is not None:
        facts.append(f"version {version}")
    if one.finished_at is not None:
        facts.append(f"took {duration_text((one.finished_at - one.started_at).total_seconds())}")
    lines = [f"{time_text(one.started_at)}  {', '.join(facts)}"]
    for text in (_result(one), "" if one.place is None else display_key(one.place)):
        if text:
            indent = " " * 18
            lines += textwrap.wrap(
                text,
                _WIDTH,
                initial_indent=indent,
                subsequent_indent=indent,
                break_on_hyphens=False,
                break_long_words=False,
            )
    return lines


def _result(one: RunInfo) -> str:
    """In a few words what came of it."""
    result = one.result
    if not result:
        return ""
    if one.kind is RunKind.RESTORE:
        texts = _counted(result, {"files": "restored", "identical": "there already"})
        texts.append(size_text(int(result.get("size_bytes", 0))))
        return ", ".join(texts + _tallies(result.get("problems")))
    if one.kind is RunKind.VERIFY:
        texts = [f"by {result.get('level', '?')}", *_counted(result, {"identical": "the same"})]
        return ", ".join(texts + _tallies(result.get("counts")))
    named = {
        "uploaded": "uploaded",
        "downloaded": "downloaded",
        "deleted": "deleted",
        "conflicts": "conflicts",
        "failed": "failed",
    }
    return ", ".join(_counted(result, named)) or "nothing to transfer"


def _counted(result: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    return [
        f"{count_text(int(result[name]))} {word}"
        for name, word in names.items()
        if result.get(name)
    ]


def _tallies(counts: Any) -> list[str]:
    if not isinstance(counts, Mapping):
        return []
    return [f"{count_text(int(count))} {what}" for what, count in counts.items()]
