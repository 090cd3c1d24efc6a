"""Work of `setup create`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stocktake.cli._output import Output
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._setup_work import show_fix, source_of
from stocktake.errors import InvalidSettingError
from stocktake.model import S3Url
from stocktake.setup import (
    DEFAULT_FIELDS,
    FORMATS,
    Configuration,
    CreateRequest,
    SetupPlan,
    apply_setup,
    plan_setup,
)
from stocktake.store import open_account

_WIDTH = 78


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What `setup create` was asked for, as typed."""

    to: str
    config_id: str = "stocktake"
    report_format: str = "parquet"
    weekly: bool = False
    versions: bool = False
    fields: tuple[str, ...] = ()
    kms_key: str | None = None
    account_id: str | None = None
    no_policy: bool = False
    replace: bool = False
    dry_run: bool = False


def create_setup(run: Run, bucket: str, options: CreateOptions) -> int:
    """Answer `setup create`."""
    source, place = source_of(bucket), S3Url.parse(options.to)
    started_s = run.clock.monotonic_s()
    store = run.open_store()
    account = open_account(run.store_options(), meter=run.meter, clock=run.clock)
    try:
        wanted = _wanted(source, place, options)
        request = CreateRequest(
            wanted, options.account_id, policy=not options.no_policy, replace=options.replace
        )
        plan = plan_setup(store, account, request)
        if not options.dry_run:
            apply_setup(store, plan, replace=options.replace, clock=run.clock)
    finally:
        account.close()
    elapsed_s = run.clock.monotonic_s() - started_s
    receipt = Receipt.of("create", run.meter, elapsed_s, 0, from_report=False)
    told = receipt.to_dict(Prices.load())
    if run.out.json:
        run.out.document({**plan.to_dict(), "dry_run": options.dry_run, "receipt": told})
        return 0
    _show(run.out, plan, dry_run=options.dry_run)
    if options.dry_run and plan.differences and not options.replace:
        run.out.warn("this needs --replace: the configuration that is there says something else")
    show_receipt(run.out, told)
    return 0


def _wanted(source: S3Url, place: S3Url, options: CreateOptions) -> Configuration:
    formats = {name.lower(): name for name in FORMATS}
    found = formats.get(options.report_format.lower())
    if found is None:
        raise InvalidSettingError(
            f"--format is `{options.report_format}`", hint=f"S3 writes {', '.join(formats)}"
        )
    return Configuration(
        id=options.config_id,
        bucket=source.bucket,
        destination_arn=f"arn:aws:s3:::{place.bucket}",
        prefix=place.key,
        format=found,
        frequency="Weekly" if options.weekly else "Daily",
        versions="All" if options.versions else "Current",
        fields=options.fields or DEFAULT_FIELDS,
        filter_prefix=source.key,
        encryption="SSE-KMS" if options.kms_key else None,
        kms_key=options.kms_key,
    )


def _show(out: Output, plan: SetupPlan, *, dry_run: bool) -> None:
    would = "would write" if dry_run else "wrote"
    name = f"inventory configuration `{plan.wanted.id}` of bucket {plan.wanted.bucket}"
    if plan.writes_configuration:
        verb = would if plan.existing is None else f"{would} over"
        out.line(f"{verb} {name}")
        for one in plan.differences:
            out.line(f"  {one}")
    else:
        out.line(f"{name} is there already")
    if dry_run and plan.writes_configuration:
        _document(out, plan.wanted.to_document())
    _show_policy(out, plan, would, dry_run=dry_run)
    for note in plan.notes:
        for line in textwrap.wrap(note, _WIDTH, subsequent_indent="  ", break_on_hyphens=False):
            out.line(line)
    for check in plan.checks:
        if check.id == "kms" and check.fix is not None:
            show_fix(out, check.fix)
    if dry_run:
        out.note("nothing was written: leave out --dry-run")
    else:
        out.note("the first report comes within 48 hours; then:")
        out.note(f"next: stocktake setup check s3://{plan.wanted.bucket} --id {plan.wanted.id}")


def _show_policy(out: Output, plan: SetupPlan, would: str, *, dry_run: bool) -> None:
    bucket = plan.wanted.destination_bucket
    if plan.merged is None:
        out.line(f"the policy of bucket {bucket} is left alone")
        return
    if not plan.writes_policy:
        out.line(f"the policy of bucket {bucket} has statement `{plan.grant.sid}` already")
        return
    others = len(plan.policy_before.statements) if plan.policy_before else 0
    beside = f", beside {others} that stay as they are" if others else ""
    out.line(f"{would} a statement into the policy of bucket {bucket}{beside}")
    out.line(f"  `{plan.grant.sid}`: S3 may put inventories of {plan.wanted.bucket} there")
    if dry_run:
        _document(out, plan.merged.document)


def _document(out: Output, document: Mapping[str, Any]) -> None:
    for line in json.dumps(document, indent=2).splitlines():
        out.line(f"  {line}")
