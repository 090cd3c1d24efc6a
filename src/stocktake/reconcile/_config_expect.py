"""The part of a configuration that says what should be there: a place, rules, or both."""

from __future__ import annotations

from pathlib import Path

from stocktake.errors import InvalidUrlError
from stocktake.model import S3Url
from stocktake.reconcile._config_keys import BOUNDS, EXPECT, RULE, SYNONYMS
from stocktake.reconcile._config_section import Section
from stocktake.reconcile._findings import Severity
from stocktake.reconcile._request import Bounds, Rule, ShouldKind, ShouldSpec

RULES_MAX = 1_000
_PLACES = (
    ("folder", ShouldKind.FOLDER),
    ("manifest", ShouldKind.MANIFEST),
    ("bucket", ShouldKind.BUCKET),
    ("snapshot", ShouldKind.SNAPSHOT),
)
_CHOICES = ", ".join(f"`{name}`" for name, _kind in _PLACES)


def read_expected(top: Section, source: S3Url, folder: Path) -> ShouldSpec:
    """What the sections `expect` and `rules` ask for.

    Raises:
        ReconcileConfigError: Neither, several places, a rule that expects nothing.
    """
    rules = _rules(top)
    section = top.section("expect", EXPECT)
    if section is None:
        if not rules:
            raise top.refuse(
                "expect",
                "is missing: what should be there?",
                f"add `expect:` with one of {_CHOICES}, or `rules:`",
            )
        return ShouldSpec(ShouldKind.RULES, f"rules for {source}", rules=rules)
    name, kind = _chosen(section)
    place = (section.name_or_number if kind is ShouldKind.MANIFEST else section.text)(name) or ""
    if kind is ShouldKind.FOLDER:
        place = str(folder / Path(place).expanduser())
    if kind is ShouldKind.BUCKET:
        place = _address(section, place)
        if place == str(source) and "endpoint_url" not in section:
            raise section.refuse(
                "bucket", f"is {place}, which is compared with itself", "name another place"
            )
    return ShouldSpec(
        kind,
        place,
        prefix=section.text("prefix"),
        rules=rules,
        endpoint_url=section.text("endpoint_url"),
    )


def _chosen(section: Section) -> tuple[str, ShouldKind]:
    """The one place that is named."""
    there = [(name, kind) for name, kind in _PLACES if name in section]
    if not there:
        raise section.refuse("", "names no place", f"add one of {_CHOICES}")
    if len(there) > 1:
        raise section.refuse(
            there[1][0], f"stands beside `{there[0][0]}`", "name one place to compare with"
        )
    ((name, kind),) = there
    for extra, wanted in (("endpoint_url", "bucket"), ("prefix", "snapshot")):
        if extra in section and name != wanted:
            raise section.refuse(extra, f"goes with `{wanted}`, not with `{name}`", "remove it")
    return name, kind


def _address(section: Section, place: str) -> str:
    try:
        return str(S3Url.parse(place))
    except InvalidUrlError as error:
        raise section.refuse(
            "bucket", f"is `{place}`, not an address", "write it as s3://bucket/prefix"
        ) from error


def _rules(top: Section) -> tuple[Rule, ...]:
    sections = top.sections("rules", RULE, SYNONYMS)
    if "rules" in top and not sections:
        raise top.refuse("rules", "is an empty list", "add a rule: `- prefix: ...`")
    if len(sections) > RULES_MAX:
        raise top.refuse("rules", f"has {len(sections):,} rules, more than {RULES_MAX:,}", None)
    rules = tuple(_rule(section) for section in sections)
    _refuse_same_names(sections, rules)
    return rules


def _refuse_same_names(sections: list[Section], rules: tuple[Rule, ...]) -> None:
    seen: dict[str, int] = {}
    for number, (section, rule) in enumerate(zip(sections, rules, strict=True), 1):
        if rule.name in seen:
            raise section.refuse(
                "name" if "name" in section else "prefix",
                f"gives the name `{rule.name}`, as rule {seen[rule.name]} does",
                "give one of them another `name`, so that findings can be told apart",
            )
        seen[rule.name] = number


def _rule(section: Section) -> Rule:
    prefix = section.text("prefix") or ""
    age = section.duration("max_age")
    allow_empty = section.flag("allow_empty")
    rule = Rule(
        name=section.text("name") or prefix or "everything",
        prefix=prefix,
        objects=_bounds(section, "objects", is_size=False),
        bytes=_bounds(section, "bytes", is_size=True),
        max_age_s=age.total_seconds() if age is not None else None,
        patterns=section.texts("patterns") or (),
        required=section.texts("required") or (),
        storage_classes=section.texts("storage_class") or (),
        allow_empty=True if allow_empty is None else allow_empty,
        severity=section.choice("severity", Severity),
    )
    if not _expects(rule):
        raise section.refuse("", "expects nothing", "add `objects`, `max_age`, `patterns`, ...")
    return rule


def _expects(rule: Rule) -> bool:
    asked = (rule.patterns, rule.required, rule.storage_classes, not rule.allow_empty)
    bounded = rule.objects != Bounds() or rule.bytes != Bounds() or rule.max_age_s is not None
    return bounded or any(asked)


def _bounds(section: Section, name: str, *, is_size: bool) -> Bounds:
    """A number alone means exactly that many."""
    if name not in section:
        return Bounds()
    if not section.is_section(name):
        exact = section.size_bytes(name) if is_size else section.count(name)
        return Bounds(exact, exact)
    inner = section.section(name, BOUNDS)
    if inner is None:
        return Bounds()
    low = inner.size_bytes("min") if is_size else inner.count("min")
    high = inner.size_bytes("max") if is_size else inner.count("max")
    if low is None and high is None:
        raise inner.refuse("", "has neither `min` nor `max`", "add one, or write the number alone")
    if low is not None and high is not None and low > high:
        raise inner.refuse("min", f"is {low:,}, more than `max`, {high:,}", "swap them?")
    return Bounds(low, high)
