"""Work of `manifest restore`: which version, the restore, what came of it and what it cost."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from stocktake.cli._manifest_sets import heading
from stocktake.cli._output import Output
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, size_text
from stocktake.errors import UsageError
from stocktake.manifests import (
    Overwrite,
    RestoreFinding,
    RestoreOptions,
    RestoreResult,
    find_version,
    open_dataset,
    restore_dataset,
)
from stocktake.model import display_key

EXIT_PARTIAL = 3
_WIDTH = 78


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What `restore` was asked for, as typed."""

    dataset_id: str
    target: Path
    version: str
    include: tuple[str, ...]
    overwrite: str
    verify: bool
    dry_run: bool
    shown_max: int
    workers: int

    def options(self, version: int) -> RestoreOptions:
        """Its options."""
        return RestoreOptions(
            version=version,
            include=self.include,
            overwrite=self.checked_overwrite(),
            read_back=self.verify,
            dry_run=self.dry_run,
            workers=self.workers,
        )

    def checked_overwrite(self) -> Overwrite:
        """What becomes of files that are there. Raises `UsageError`."""
        try:
            return Overwrite(self.overwrite)
        except ValueError:
            raise UsageError(
                f"--overwrite cannot be `{self.overwrite}`",
                hint="one of never, different, always",
            ) from None


def restore_files(run: Run, request: RestoreRequest) -> int:
    """Answer `manifest restore`."""
    request.checked_overwrite()
    if str(request.target).startswith("s3:/"):
        raise UsageError("--to is a local folder", hint="copy within S3: aws s3 sync")
    began_s = run.clock.monotonic_s()
    with run.open_catalog() as catalog:
        dataset = open_dataset(catalog.state, request.dataset_id)
        version = find_version(dataset, request.version)
        store = run.open_store()
        with run.watch() as progress:
            result = restore_dataset(
                dataset,
                store,
                request.target,
                request.options(version),
                clock=run.clock,
                meter=run.meter,
                progress=progress,
            )
        title = heading(dataset.info())
    elapsed_s = run.clock.monotonic_s() - began_s
    files = result.files + result.identical
    receipt = Receipt.of("restore", run.meter, elapsed_s, files, from_report=False)
    told = receipt.to_dict(Prices.load())
    if run.out.json:
        run.out.document({**result.to_dict(), "dry_run": request.dry_run, "receipt": told})
    else:
        _show(run.out, request, title, result)
        if not request.dry_run:
            show_receipt(run.out, told)
    return 0 if result.is_complete else EXIT_PARTIAL


def _show(out: Output, request: RestoreRequest, title: str, result: RestoreResult) -> None:
    out.line(f"{title}  version {result.version} to {request.target}")
    for line in _summary(result, request):
        out.line(f"  {line}")
    if result.findings:
        out.line()
        shown = result.findings[: request.shown_max]
        for one in shown:
            _show_problem(out, one)
        total = sum(result.problems.values())
        if total > len(shown):
            out.note(f"the first {count_text(len(shown))} of {count_text(total)}; --limit, --json")
        for hint in dict.fromkeys(one.hint for one in result.findings if one.hint):
            for line in textwrap.wrap(f"hint: {hint}", _WIDTH, break_on_hyphens=False):
                out.note(line)
    if "exists" in result.problems:
        out.note("files that are there stayed as they are; --overwrite different replaces them")
    if result.interrupted is not None:
        out.warn(f"ended early, run it again: {result.interrupted}")


def _show_problem(out: Output, one: RestoreFinding) -> None:
    text = f"{one.problem}: {one.path or display_key(one.key)}: {one.why}"
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
    for line in lines:
        out.line(line)


def _summary(result: RestoreResult, request: RestoreRequest) -> list[str]:
    verb = "would restore" if request.dry_run else "restored"
    first = f"{verb} {plural(result.files, 'file')}, {size_text(result.size_bytes)}"
    if result.replaced:
        first += f"; {count_text(result.replaced)} in place of another"
    lines = [first]
    counts = (
        (result.identical, "were there already, with the right bytes"),
        (result.unproven, "of these have no digest to compare with"),
        (result.folders, "empty folders"),
        (result.excluded, "not asked for"),
        (result.leftovers, "unfinished files of an earlier run removed"),
    )
    lines += [f"{count_text(count)} {text}" for count, text in counts if count]
    problems = sum(result.problems.values())
    if problems:
        kinds = ", ".join(f"{count_text(count)} {name}" for name, count in result.problems.items())
        lines.append(f"{count_text(problems)} not restored: {kinds}")
    return lines
