"""A configuration file as a `ReconcileConfig`: every name known, nothing that contradicts itself.

The names that users of such files have (`s3.bucket`, `scan_mode`, `use_aws_inventory`,
`inventory_bucket`, `inventory_prefix`, `fallback_to_sample`) stand below `s3:` or at the top.
"""

from __future__ import annotations

from pathlib import Path

from stocktake.errors import InvalidUrlError
from stocktake.model import S3Url
from stocktake.reconcile._config_expect import read_expected
from stocktake.reconcile._config_file import parse_config_tree, read_config_tree
from stocktake.reconcile._config_keys import ELSEWHERE, NAMES, SAMPLE, STALE, TOP, WHERE
from stocktake.reconcile._config_section import Key, Section
from stocktake.reconcile._config_tree import Node
from stocktake.reconcile._findings import FindingKind, Severity
from stocktake.reconcile._request import (
    Checks,
    HaveSpec,
    NameMap,
    ReconcileConfig,
    ScanMode,
)

_DEPTH_MAX = 32
_FINDINGS_MAX = 1_000_000
_PROBES_MAX = 100_000
_WORKERS_MAX = 512
_HEADS_MAX = 1_000_000_000


def load_config(path: Path) -> ReconcileConfig:
    """The reconciliation that a YAML, JSON or TOML file describes.

    Relative paths in it are relative to the file.

    Raises:
        ReconcileConfigError: Not readable, an unknown name, a wrong value, a contradiction; names
            file, line and name.
        MissingExtraError: It is YAML and PyYAML is not installed.
    """
    return _config(read_config_tree(path), str(path), path.absolute().parent)


def parse_config(data: bytes, name: str, folder: Path) -> ReconcileConfig:
    """The same of bytes; `name` is for errors and tells the format, relative paths are to `folder`.

    Raises:
        ReconcileConfigError: As above.
        MissingExtraError: As above.
    """
    return _config(parse_config_tree(data, name), name, folder)


def _config(tree: Node, name: str, folder: Path) -> ReconcileConfig:
    top = Section(name, "", tree, TOP, ELSEWHERE)
    have = _have(top)
    findings_file = top.text("findings_file")
    return ReconcileConfig(
        have=have,
        should=read_expected(top, have.source, folder),
        names=_names(top),
        checks=_checks(top),
        severities=_severities(top),
        fail_on=top.choice("fail_on", Severity) or Severity.LOW,
        coverage_depth=_count(top, "coverage_depth", 1, 0, _DEPTH_MAX),
        findings_max=_count(top, "findings_max", 10_000, 0, _FINDINGS_MAX),
        findings_file=folder / findings_file if findings_file else None,
    )


class _Where:
    """The names of `s3`, each from the place that has it."""

    def __init__(self, top: Section) -> None:
        inner = top.section("s3", WHERE, {**ELSEWHERE, **_at_top()})
        self._top = top
        self._inner = inner
        for key in WHERE:
            if inner is not None and key.name in top and key.name in inner:
                raise inner.refuse(
                    key.name, f"also stands at the top as `{key.name}`", "keep one of them"
                )

    def of(self, name: str) -> Section:
        """The section to take a name from."""
        if self._inner is not None and (name in self._inner or name not in self._top):
            return self._inner
        return self._top


def _at_top() -> dict[str, str]:
    inner = {key.name for key in WHERE}
    return {key.name: "the top, beside `s3`" for key in TOP if key.name not in inner}


def _have(top: Section) -> HaveSpec:
    where = _Where(top)
    source = _source(where)
    mode = _mode(where)
    snapshot = where.of("snapshot").text("snapshot")
    if snapshot and mode is not ScanMode.CATALOG:
        raise where.of("snapshot").refuse(
            "snapshot", f"is for `scan_mode: catalog`, and the mode is `{mode}`", "keep one of them"
        )
    age = where.of("max_age").duration("max_age")
    sample = top.section("sample", SAMPLE)
    return HaveSpec(
        source=source,
        mode=mode,
        fallback_to_sample=bool(where.of("fallback_to_sample").flag("fallback_to_sample")),
        max_age_s=age.total_seconds() if age else None,
        inventory=_inventory(where, source, mode),
        snapshot=snapshot,
        probes=_count(sample, "probes", 64, 2, _PROBES_MAX),
        seed=_count(sample, "seed", 0, 0, (1 << 63) - 1),
        confidence=_confidence(sample),
        workers=_count(where.of("workers"), "workers", 64, 1, _WORKERS_MAX),
    )


def _source(where: _Where) -> S3Url:
    section = where.of("bucket")
    bucket = section.text("bucket")
    if bucket is None:
        raise section.refuse("bucket", "is missing", "name the bucket: `bucket: my-bucket`")
    return S3Url(_bucket(section, "bucket"), where.of("prefix").text("prefix") or "")


def _bucket(section: Section, name: str) -> str:
    text = section.text(name) or ""
    bucket = S3Url.bucket_from_arn(text)
    try:
        parsed = S3Url.parse(f"s3://{bucket}")
    except InvalidUrlError as error:
        raise section.refuse(
            name, f"is `{text}`, not a bucket name", "write the name alone: `my-bucket`"
        ) from error
    if parsed.key or parsed.bucket != bucket:
        raise section.refuse(
            name,
            f"is `{text}`, which is more than a bucket name",
            "the rest of an address belongs to the name that ends in `prefix`",
        )
    return bucket


def _mode(where: _Where) -> ScanMode:
    mode = where.of("scan_mode").choice("scan_mode", ScanMode)
    section = where.of("use_aws_inventory")
    wanted = section.flag("use_aws_inventory")
    if wanted is None or mode is None:
        return mode or (ScanMode.AWS_INVENTORY if wanted else ScanMode.FULL)
    if wanted != (mode is ScanMode.AWS_INVENTORY):
        said = "true" if wanted else "false"
        raise section.refuse(
            "use_aws_inventory",
            f"is {said}, and `scan_mode` is `{mode}`",
            "remove `use_aws_inventory`: `scan_mode` says it all",
        )
    return mode


def _inventory(where: _Where, source: S3Url, mode: ScanMode) -> str | None:
    section = where.of("inventory_bucket")
    if "inventory_bucket" not in section:
        for name in ("inventory_prefix", "inventory_id"):
            if name in where.of(name):
                raise where.of(name).refuse(
                    name, "needs `inventory_bucket`", "name the bucket of the reports"
                )
        if mode is ScanMode.AWS_INVENTORY:
            raise section.refuse(
                "inventory_bucket",
                "is missing: where are the reports?",
                f"`stocktake setup list s3://{source.bucket}` shows their destination",
            )
        return None
    place = S3Url(_bucket(section, "inventory_bucket"))
    prefix = (where.of("inventory_prefix").text("inventory_prefix") or "").strip("/")
    identity = where.of("inventory_id").text("inventory_id")
    tail = f"{source.bucket}/{identity}" if identity else ""
    if identity and f"/{prefix}/".endswith(f"/{tail}/"):
        tail = ""
    return str(place.join(*[part for part in (prefix, tail) if part]))


def _confidence(sample: Section | None) -> float:
    share = sample.share("confidence") if sample else None
    if sample and share is not None and not 0.5 <= share <= 0.999:
        raise sample.refuse("confidence", f"is {share:g}", "choose one from 50% to 99.9%, as 95%")
    return share if share is not None else 0.95


def _count(section: Section | None, name: str, default: int, low: int, high: int) -> int:
    count = section.count(name, minimum=low) if section else None
    if section and count is not None and count > high:
        raise section.refuse(name, f"is {count}, the largest is {high}", None)
    return default if count is None else count


def _names(top: Section) -> NameMap:
    section = top.section("names", NAMES)
    if section is None:
        return NameMap()
    return NameMap(strip=section.text("strip") or "", add=section.text("add") or "")


def _checks(top: Section) -> Checks:
    plain = Checks()
    stale = top.section("stale", STALE)
    check = stale.flag("check") if stale else None
    tolerance = stale.duration("tolerance") if stale else None
    if stale and check is False and tolerance is not None:
        raise stale.refuse("tolerance", "means nothing with `check: false`", "keep one of them")
    checksums = _flag(top, "checksums", default=plain.checksums)
    trust = _flag(top, "trust_etags", default=plain.trust_etags)
    if trust and not checksums:
        raise top.refuse("trust_etags", "means nothing with `checksums: false`", "keep one of them")
    return Checks(
        exclude=top.texts("exclude") or (),
        checksums=checksums,
        trust_etags=trust,
        storage_classes=top.texts("storage_class") or (),
        check_stale=plain.check_stale if check is None else check,
        stale_tolerance_s=(
            plain.stale_tolerance_s if tolerance is None else tolerance.total_seconds()
        ),
        heads_max=_count(top, "heads_max", plain.heads_max, 0, _HEADS_MAX),
        allow_extra=_flag(top, "allow_extra", default=plain.allow_extra),
    )


def _flag(section: Section, name: str, *, default: bool) -> bool:
    found = section.flag(name)
    return default if found is None else found


def _severities(top: Section) -> dict[FindingKind, Severity]:
    keys = [Key(str(kind), "severity", "") for kind in FindingKind]
    section = top.section("severity", keys)
    if section is None:
        return {}
    chosen = {kind: section.choice(str(kind), Severity) for kind in FindingKind}
    return {kind: severity for kind, severity in chosen.items() if severity is not None}
