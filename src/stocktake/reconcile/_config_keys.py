"""Every name of a configuration file, as the parser and the reference page see it."""

from __future__ import annotations

from stocktake.reconcile._config_section import Key

WHERE = (
    Key("bucket", "text", "The bucket: its name, or its ARN. Required."),
    Key("prefix", "text", "Only keys that start with it.", "the whole bucket"),
    Key(
        "scan_mode",
        "full, sample, aws_inventory, catalog",
        "How it is found out what is there.",
        "full",
    ),
    Key(
        "use_aws_inventory",
        "true or false",
        "The same as `scan_mode: aws_inventory`; must not contradict it.",
    ),
    Key("inventory_bucket", "text", "Where the reports are delivered; its name, or its ARN."),
    Key("inventory_prefix", "text", "Prefix of the reports there.", "none"),
    Key(
        "inventory_id",
        "text",
        "The inventory configuration, if there are several of the bucket.",
    ),
    Key(
        "fallback_to_sample",
        "true or false",
        "Take a sample if the mode is unavailable, or older than `max_age`.",
        "false",
    ),
    Key(
        "max_age",
        "time",
        "A report or a snapshot may be so old; else it is a finding, or sampled.",
        "any age",
    ),
    Key("snapshot", "text", "For `catalog`: which one.", "the newest that covers"),
    Key("workers", "number", "Most requests at once.", "64"),
)
"""Stand below `s3:` or at the top, each in one place."""

SAMPLE = (
    Key("probes", "number", "About so many LIST requests (for each rule).", "64"),
    Key("seed", "number", "The same number takes the same places again.", "0"),
    Key("confidence", "share", "Share of such intervals that hold the truth.", "95%"),
)

EXPECT = (
    Key("folder", "text", "A local folder; relative to this file."),
    Key("manifest", "text", "Id of a dataset (`stocktake manifest list`)."),
    Key("bucket", "text", "Another bucket or prefix: `s3://bucket/prefix`."),
    Key("endpoint_url", "text", "For `bucket`: the store it is in.", "the same store"),
    Key("snapshot", "text", "A snapshot of the catalog: `bucket@2026-11-01`."),
    Key("prefix", "text", "For `snapshot`: only these keys, without it.", "that of `s3`"),
)

NAMES = (
    Key("strip", "text", "Taken off the front of an expected name; others are not compared."),
    Key("add", "text", "Then put in front of it."),
)

STALE = (
    Key("check", "true or false", "Report objects older than what they are made of.", "true"),
    Key("tolerance", "time", "They may be so much older.", "2s"),
)

BOUNDS = (
    Key("min", "number or size", "No fewer."),
    Key("max", "number or size", "No more."),
)

RULE = (
    Key("name", "text", "For findings.", "the prefix"),
    Key("prefix", "text", "Relative to that of `s3`.", "everything"),
    Key("objects", "number, or `min` and `max`", "How many objects."),
    Key("bytes", "size, or `min` and `max`", "How many bytes together."),
    Key("max_age", "time", "The newest object may be so old."),
    Key("patterns", "texts", "Globs; the rest of each key must match one of them."),
    Key("required", "texts", "Globs; each must be matched by some object."),
    Key("storage_class", "texts", "Allowed storage classes.", "any"),
    Key("allow_empty", "true or false", "Objects of no bytes are fine.", "true"),
    Key("severity", "severity", "Of whatever violates the rule.", "by kind"),
)

TOP = (
    Key("s3", "section", "What is there: the names below, which may also stand at the top."),
    *WHERE,
    Key("sample", "section", "How a sample is taken."),
    Key("expect", "section", "What should be there: one of them. Or only `rules`."),
    Key("rules", "list of sections", "What is expected below prefixes."),
    Key("names", "section", "How expected names become keys."),
    Key("exclude", "texts", "Globs of names that are left out on both sides.", "none"),
    Key("checksums", "true or false", "Compare checksums, and read a folder's files.", "true"),
    Key(
        "trust_etags",
        "true or false",
        "ETags without `-` are MD5s: right for buckets without KMS keys.",
        "false",
    ),
    Key(
        "heads_max",
        "number",
        "Most HEAD requests about objects whose checksums a listing leaves open.",
        "10000",
    ),
    Key("storage_class", "texts", "Allowed storage classes.", "any"),
    Key("stale", "section", "What counts as stale."),
    Key("allow_extra", "true or false", "Objects that nobody expects are fine.", "false"),
    Key("severity", "section", "Severity by kind of finding, where it is not the default."),
    Key("fail_on", "severity", "From here on the exit code is 4.", "LOW"),
    Key("coverage_depth", "number", "Coverage is told by folders of so many levels.", "1"),
    Key("findings_max", "number", "So many findings stand in the report.", "10000"),
    Key("findings_file", "text", "All findings go there, one JSON object per line.", "none"),
)

ELSEWHERE = {
    **{key.name: "`expect`" for key in EXPECT},
    **{key.name: "`sample`" for key in SAMPLE},
    **{key.name: "`names`" for key in NAMES},
    **{key.name: "a rule below `rules`" for key in RULE},
    "tolerance": "`stale`",
    "expected": "`expect` or `rules`",
    "should": "`expect` or `rules`",
    "source": "`s3` as `bucket` and `prefix`",
    "endpoint_url": "the settings of stocktake (--endpoint-url, stocktake.toml), or `expect`",
    "region": "the settings of stocktake (--region, stocktake.toml)",
    "profile": "the settings of stocktake (--profile, stocktake.toml)",
}
"""Names that are right elsewhere: for the hint."""

SYNONYMS = {
    "minobjects": "objects: {min: ...}",
    "mincount": "objects: {min: ...}",
    "count": "objects: ...",
    "expectedcount": "objects: ...",
    "expectedobjects": "objects: ...",
    "maxobjects": "objects: {max: ...}",
    "maxcount": "objects: {max: ...}",
    "minsize": "bytes: {min: ...}",
    "maxsize": "bytes: {max: ...}",
    "minbytes": "bytes: {min: ...}",
    "maxbytes": "bytes: {max: ...}",
    "size": "bytes: ...",
    "freshness": "max_age: ...",
    "pattern": "patterns: ...",
    "glob": "patterns: ...",
    "noempty": "allow_empty: false",
    "files": "objects: ...",
}
"""What people call the names of a rule, spelt plainly."""

CONFIG_SECTIONS: tuple[tuple[str, str, tuple[Key, ...]], ...] = (
    ("`s3`, or at the top", "What is there, and how it is found out.", WHERE),
    ("`sample`", "For `scan_mode: sample`, and for a fallback to it.", SAMPLE),
    (
        "`expect`",
        "What should be there: one of `folder`, `manifest`, `bucket`, `snapshot`.",
        EXPECT,
    ),
    ("`rules`", "A list; each says what is expected below a prefix.", RULE),
    ("`objects` and `bytes` of a rule", "A number alone means exactly that many.", BOUNDS),
    ("`names`", "How expected names become keys: first strip, then add.", NAMES),
    ("`stale`", "What counts as stale.", STALE),
    (
        "At the top",
        "Everything else.",
        tuple(key for key in TOP if key not in WHERE and key.kind != "section"),
    ),
)
"""The names by where they stand: heading, one sentence, names."""
