"""What a reconciliation is asked for: HAVE, SHOULD, how names meet, rules, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from stocktake.model import S3Url
from stocktake.reconcile._findings import FindingKind, Severity


class ScanMode(StrEnum):
    """Where HAVE comes from."""

    SAMPLE = "sample"
    FULL = "full"
    AWS_INVENTORY = "aws_inventory"
    CATALOG = "catalog"


class ShouldKind(StrEnum):
    """What SHOULD is."""

    FOLDER = "folder"
    MANIFEST = "manifest"
    BUCKET = "bucket"
    SNAPSHOT = "snapshot"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class HaveSpec:
    """What is there, and how it is found out.

    Attributes:
        source: Bucket and prefix.
        mode: How.
        fallback_to_sample: Take a sample if the mode is unavailable, or older than `max_age_s`.
        max_age_s: What HAVE knows may be so old (inventory, catalog).
        inventory: Where reports are: `s3://destination/[prefix/]source-bucket/configuration-id`,
            or without the last one or two names if there is only one to find.
        snapshot: For `catalog`: a reference (`bucket@latest`); None is the newest that covers.
        probes: For `sample`: about so many LIST requests (for each rule).
        seed: For `sample`.
        confidence: For `sample`: share of intervals that hold the truth.
        workers: For listings: most requests at once.
    """

    source: S3Url
    mode: ScanMode = ScanMode.FULL
    fallback_to_sample: bool = False
    max_age_s: float | None = None
    inventory: str | None = None
    snapshot: str | None = None
    probes: int = 64
    seed: int = 0
    confidence: float = 0.95
    workers: int = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `low` to `high`, both included; None is no bound."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is expected below a prefix.

    Attributes:
        name: For findings; the prefix if the file gives none.
        prefix: Relative to HAVE's; empty is everything.
        objects: How many.
        bytes: How much.
        max_age_s: The newest object may be so old.
        patterns: Globs (`*.parquet`, `year=*/**`) for the rest of the key after the prefix; each
            object must match one. Empty: any. Globs are case-sensitive; `*` stops at `/`, `**` not.
        required: Globs, each of which some object must match.
        storage_classes: Allowed ones. Empty: any.
        allow_empty: Objects of no bytes are fine.
        severity: Of whatever violates it; None is by kind.
    """

    name: str
    prefix: str
    objects: Bounds = Bounds()
    bytes: Bounds = Bounds()
    max_age_s: float | None = None
    patterns: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    storage_classes: tuple[str, ...] = ()
    allow_empty: bool = True
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class ShouldSpec:
    """What should be there.

    Attributes:
        kind: What it is.
        place: A folder's path, a dataset's id, `s3://bucket/prefix`, a snapshot's reference; for
            rules the file's name, for people.
        prefix: For `snapshot`: only keys that start with it, and without it. None: HAVE's.
        rules: For `rules`; with another kind they are checked as well.
        endpoint_url: For `bucket`: of another store; None is the same store.
    """

    kind: ShouldKind
    place: str
    prefix: str | None = None
    rules: tuple[Rule, ...] = ()
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True)
class NameMap:
    """How names of SHOULD become names of HAVE: first strip, then add.

    Names of both sides are relative to their prefix or folder already. A name of SHOULD that does
    not begin with `strip` is outside of what is compared, and counted.
    """

    strip: str = ""
    add: str = ""


@dataclass(frozen=True, slots=True)
class Checks:
    """What is compared, and what is left out.

    Attributes:
        exclude: Globs for names that are outside, on both sides; `.stocktake/` always is.
        checksums: Compare checksums where they can be; a folder's files are read for it.
        trust_etags: Take ETags without `-N` for MD5s: right for buckets without KMS keys.
        heads_max: Most HEAD requests about objects whose checksums the rows leave open.
        storage_classes: HAVE's objects must be of one of these. Empty: any.
        check_stale: Report objects that are older than what they should be made of.
        stale_tolerance_s: How much older they may be.
        allow_extra: Objects that SHOULD does not know are fine.
    """

    exclude: tuple[str, ...] = ()
    checksums: bool = True
    trust_etags: bool = False
    heads_max: int = 10_000
    storage_classes: tuple[str, ...] = ()
    check_stale: bool = True
    stale_tolerance_s: float = 2.0
    allow_extra: bool = False


@dataclass(frozen=True, slots=True)
class ReconcileConfig:
    """One reconciliation.

    Attributes:
        have: What is there.
        should: What should be.
        names: How names of SHOULD become names of HAVE.
        checks: What is compared.
        severities: By kind, where they are not the default.
        fail_on: Findings of this severity and worse make the exit code 4.
        coverage_depth: Coverage is given per folder of so many levels.
        findings_max: So many findings are kept in the report; the rest is counted, and written to
            `findings_file`.
        findings_file: All findings, one JSON object per line; None writes none.
    """

    have: HaveSpec
    should: ShouldSpec
    names: NameMap = NameMap()
    checks: Checks = Checks()
    severities: Mapping[FindingKind, Severity] = field(default_factory=dict)
    fail_on: Severity = Severity.LOW
    coverage_depth: int = 1
    findings_max: int = 10_000
    findings_file: Path | None = None
