"""Work of `setup check` and `setup list`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable

from stocktake.cli._output import Column, Output
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._text import plural
from stocktake.errors import InvalidSettingError
from stocktake.model import S3Url
from stocktake.setup import (
    Check,
    CheckRequest,
    CheckState,
    Configuration,
    Fix,
    SetupReport,
    check_setup,
    list_configurations,
)
from stocktake.store import open_account

_WIDTH = 80
_WORDS = {
    CheckState.OK: ("ok", "green"),
    CheckState.WARNING: ("warning", "yellow"),
    CheckState.FAILED: ("failed", "red"),
    CheckState.UNKNOWN: ("unknown", "yellow"),
}
_FREQUENCIES = {"daily": "Daily", "weekly": "Weekly"}
_COLUMNS = (
    Column("ID"),
    Column("ON"),
    Column("SCHEDULE"),
    Column("FORMAT"),
    Column("VERSIONS"),
    Column("FILTER", flexible=True),
    Column("DESTINATION", flexible=True),
)


def source_of(text: str) -> S3Url:
    """A bucket, with or without `s3://`."""
    return S3Url.parse(text if text.startswith("s3://") else f"s3://{text}")


def frequency_of(text: str | None) -> str | None:
    """`Daily` or `Weekly`, as S3 spells them.

    Raises:
        InvalidSettingError: Neither.
    """
    if text is None:
        return None
    found = _FREQUENCIES.get(text.lower())
    if found is None:
        raise InvalidSettingError(
            f"--frequency is `{text}`", hint="S3 delivers daily or weekly, nothing between"
        )
    return found


def show_check(run: Run, bucket: str, config_id: str | None, frequency: str | None) -> int:
    """Answer `setup check`."""
    source = source_of(bucket)
    request = CheckRequest(source.bucket, source.key, config_id, frequency_of(frequency))
    started_s = run.clock.monotonic_s()
    account = open_account(run.store_options(), meter=run.meter, clock=run.clock)
    try:
        report = check_setup(run.open_store(), account, request, clock=run.clock)
    finally:
        account.close()
    elapsed_s = run.clock.monotonic_s() - started_s
    receipt = Receipt.of("check", run.meter, elapsed_s, 0, from_report=False)
    if run.out.json:
        run.out.document({**report.to_dict(), "receipt": receipt.to_dict(Prices.load())})
        return report.exit_code
    _show(run.out, report)
    show_receipt(run.out, receipt.to_dict(Prices.load()))
    return report.exit_code


def show_list(run: Run, bucket: str) -> int:
    """Answer `setup list`."""
    source = source_of(bucket)
    found = list_configurations(run.open_store(), source.bucket)
    if run.out.json:
        rows = (one.to_dict() for one in found)
        run.out.rows_document({"bucket": source.bucket}, rows, name="configurations")
        return 0
    shown = run.out.table(_COLUMNS, (_row(one) for one in found))
    if not shown:
        run.out.line(f"no inventory is configured for bucket {source.bucket}")
        run.out.note(
            f"next: stocktake setup create s3://{source.bucket} --to s3://REPORTS --dry-run"
        )
        return 0
    run.out.note(plural(shown, "configuration"))
    return 0


def _row(one: Configuration) -> tuple[str, ...]:
    place = S3Url(one.destination_bucket, one.prefix)
    return (
        one.id,
        "yes" if one.enabled else "no",
        one.frequency.lower(),
        one.format,
        one.versions.lower(),
        one.filter_prefix or "-",
        str(place),
    )


def _show(out: Output, report: SetupReport) -> None:
    here: str | None = None
    for one in report.checks:
        if one.configuration != here:
            here = one.configuration
            out.line()
            out.line(out.styled(f"configuration {here}", "bold"))
        _show_check(out, one)
    out.line()
    out.line(_summary(report.checks))


def _show_check(out: Output, one: Check) -> None:
    word, style = _WORDS[one.state]
    lead = f"{word:<8}{one.title}: "
    text = textwrap.wrap(
        lead + one.why,
        _WIDTH,
        subsequent_indent=" " * 8,
        break_on_hyphens=False,
        break_long_words=False,
    )
    out.line(text[0].replace(word, out.styled(word, style), 1))
    for line in text[1:]:
        out.line(line)
    if one.fix is not None:
        show_fix(out, one.fix)


def show_fix(out: Output, fix: Fix) -> None:
    """How to mend it: what to do, the JSON if it is a file of its own, the command."""
    for line in textwrap.wrap(
        fix.text,
        _WIDTH,
        initial_indent="        fix: ",
        subsequent_indent=" " * 13,
        break_on_hyphens=False,
        break_long_words=False,
    ):
        out.line(line)
    if fix.file and fix.document is not None:
        out.line(f"          {fix.file}:")
    if fix.document is not None and (fix.file or fix.command is None):
        for line in json.dumps(fix.document, indent=2).splitlines():
            out.line(f"          {line}")
    if fix.command is not None:
        out.line(f"          $ {fix.command}")


def _summary(checks: Iterable[Check]) -> str:
    counts = dict.fromkeys(CheckState, 0)
    for one in checks:
        counts[one.state] += 1
    named = [f"{count} {_WORDS[state][0]}" for state, count in counts.items() if count]
    return ", ".join(named)
