"""Work of `manifest verify`: each dataset by itself, its findings, what it cost."""

from __future__ import annotations

import re
import socket
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stocktake.cli._manifest_sets import chosen, heading, place_of
from stocktake.cli._output import Column
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, size_text
from stocktake.errors import StocktakeError, UsageError
from stocktake.manifests import (
    Dataset,
    RunKind,
    VerifyFinding,
    VerifyLevel,
    VerifyOptions,
    VerifyResult,
    verify_dataset,
)
from stocktake.model import display_key

EXIT_PARTIAL = 3
EXIT_DIFFERENT = 4
_WIDTH = 78
_FOUND_MAX = 40
_DIGEST = re.compile(r"([0-9A-Za-z]{10})[0-9A-Za-z+/=-]{12,}")
_FINDINGS = (
    Column("WHAT"),
    Column("FILE", flexible=True),
    Column("EXPECTED", flexible=True),
    Column("FOUND", flexible=True),
    Column("BY"),
)


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What `verify` was asked for, as typed."""

    ids: tuple[str, ...]
    every: bool
    level: str | None
    folder: Path | None
    sample: int | None
    seed: int
    exclude: tuple[str, ...]
    shown_max: int
    workers: int

    def checked_level(self) -> VerifyLevel:
        """The level. Raises `UsageError` for none that there is."""
        if self.level is None:
            return VerifyLevel.LIST if self.folder is None else VerifyLevel.LOCAL
        try:
            level = VerifyLevel(self.level)
        except ValueError:
            raise UsageError(
                f"--level cannot be `{self.level}`", hint="one of list, head, full, local"
            ) from None
        if self.folder is not None and level is not VerifyLevel.LOCAL:
            raise UsageError(f"--folder goes with level local, not {level}")
        return level

    def options(self, dataset: Dataset, level: VerifyLevel) -> VerifyOptions:
        """What the room is asked for this dataset."""
        folder = self.folder
        if level is VerifyLevel.LOCAL and folder is None:
            folder = _last_folder(dataset)
        return VerifyOptions(
            sample=self.sample,
            seed=self.seed,
            folder=folder,
            exclude=self.exclude,
            workers=self.workers,
        )


def verify_datasets(run: Run, request: VerifyRequest) -> int:
    """Answer `manifest verify`."""
    level = request.checked_level()
    began_s = run.clock.monotonic_s()
    results: list[VerifyResult | tuple[Dataset, StocktakeError]] = []
    with run.open_catalog() as catalog:
        datasets = chosen(catalog.state, request.ids, every=request.every)
        for dataset in datasets:
            try:
                results.append(_verify(run, request, dataset, level))
            except UsageError:
                raise
            except StocktakeError as error:
                if len(datasets) == 1:
                    raise
                results.append((dataset, error))
            if not run.out.json:
                _show(run, request, dataset, results[-1])
    elapsed_s = run.clock.monotonic_s() - began_s
    checked = sum(one.checked for one in results if isinstance(one, VerifyResult))
    receipt = Receipt.of("verify", run.meter, elapsed_s, checked, from_report=False)
    told = receipt.to_dict(Prices.load())
    if run.out.json:
        run.out.document({"datasets": [_json(one) for one in results], "receipt": told})
    elif level is not VerifyLevel.LOCAL:
        show_receipt(run.out, told)
    return _exit_code(results)


def _verify(run: Run, request: VerifyRequest, dataset: Dataset, level: VerifyLevel) -> VerifyResult:
    store = None if level is VerifyLevel.LOCAL else run.open_store()
    with run.watch() as progress:
        return verify_dataset(
            dataset,
            store,
            level,
            request.options(dataset, level),
            clock=run.clock,
            meter=run.meter,
            progress=progress,
        )


def _last_folder(dataset: Dataset) -> Path:
    """The folder of this machine that was synchronised last."""
    host = socket.gethostname()
    for one in dataset.runs(RunKind.SYNC, limit=100):
        if one.place is not None and one.owner_host == host:
            return Path(one.place.removeprefix(f"{host}:"))
    raise UsageError(
        f"dataset `{dataset.id}` was never synchronised from this machine",
        hint=f"name the folder: stocktake manifest verify {dataset.id} --folder DIR",
    )


def _exit_code(results: list[VerifyResult | tuple[Dataset, StocktakeError]]) -> int:
    done = [one for one in results if isinstance(one, VerifyResult)]
    if any(one.differences for one in done):
        return EXIT_DIFFERENT
    whole = len(done) == len(results) and all(one.is_whole for one in done)
    return 0 if whole else EXIT_PARTIAL


def _json(one: VerifyResult | tuple[Dataset, StocktakeError]) -> dict[str, Any]:
    if isinstance(one, VerifyResult):
        return one.to_dict()
    dataset, error = one
    return {"dataset": dataset.id, "error": error.to_dict()}


def _show(
    run: Run,
    request: VerifyRequest,
    dataset: Dataset,
    result: VerifyResult | tuple[Dataset, StocktakeError],
) -> None:
    out, info = run.out, dataset.info()
    out.line(f"{heading(info)}  {place_of(info)}")
    if not isinstance(result, VerifyResult):
        out.warn(f"{display_key(dataset.id)} was not verified: {result[1].message}")
        return
    for line in _summary(result):
        out.line(f"  {line}")
    if result.findings:
        out.line()
        shown = result.findings[: request.shown_max]
        out.table(_FINDINGS, (_row(one, info.prefix) for one in shown))
        total = sum(result.counts.values())
        if total > len(shown):
            out.note(f"the first {count_text(len(shown))} of {count_text(total)}; --limit, --json")
    if result.interrupted is not None:
        out.warn(f"ended early: {result.interrupted}")
    out.note("")
    for number, text in enumerate(result.blind_spots):
        label = f"{result.level} cannot see  " if number == 0 else ""
        indent = " " * len(f"{result.level} cannot see  ")
        for line in textwrap.wrap(
            text, _WIDTH, initial_indent=label or indent, subsequent_indent=indent
        ):
            out.note(line)


def _summary(result: VerifyResult) -> list[str]:
    of = f"version {result.version}, {plural(result.entries, 'entry')}"
    looked = f"{count_text(result.checked)} looked at"
    if result.checked == result.entries:
        looked = "all looked at"
    lines = [f"{of}, {looked} by {result.level}"]
    counts = [f"{count_text(count)} {what}" for what, count in result.counts.items()]
    same = f"{count_text(result.identical)} as they should be"
    lines.append(", ".join([same, *counts]))
    if result.unproven:
        lines.append(f"{count_text(result.unproven)} of these have no digest to compare with")
    if result.meanwhile:
        lines.append(f"{plural(result.meanwhile, 'key')} changed in the manifest meanwhile")
    if result.share is not None:
        one = result.share
        lines.append(
            f"of all entries, {one.low:.2%} to {one.high:.2%} differ, with 95 % confidence "
            f"(drawn: {count_text(one.drawn)} of {count_text(one.of)})"
        )
    calls = ", ".join(f"{count_text(count)} {name}" for name, count in result.calls.items())
    read = f", {size_text(result.received_bytes)} read" if result.level == "full" else ""
    lines.append(f"requests: {calls or 'none'}{read}")
    return lines


def _row(one: VerifyFinding, prefix: str) -> tuple[str, ...]:
    return (
        str(one.what),
        display_key(one.key.removeprefix(prefix)),
        _short(one.expected),
        _short(one.found),
        one.known_by,
    )


def _short(text: str) -> str:
    """A digest by its beginning, everything else whole as far as it goes."""
    shown = _DIGEST.sub(r"\1…", display_key(text))
    return shown if len(shown) <= _FOUND_MAX else shown[: _FOUND_MAX - 1] + "…"
