"""REC-3: a reconciliation's configuration, the names users have, and what every mistake says."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import MissingExtraError, ReconcileConfigError, StocktakeError
from stocktake.model import S3Url
from stocktake.reconcile import Bounds, FindingKind, ScanMode, Severity, ShouldKind
from stocktake.reconcile._config import load_config, parse_config
from stocktake.reconcile._config_keys import EXPECT, NAMES, RULE, SAMPLE, STALE, TOP, WHERE

HERE = Path("/etc/stocktake")
MINIMAL = "bucket: my-bucket\nexpect: {folder: ./photos}\n"


def parsed(text: str, name: str = "reconcile.yaml"):
    return parse_config(text.encode(), name, HERE)


def refused(text: str | bytes, name: str = "reconcile.yaml") -> ReconcileConfigError:
    with pytest.raises(ReconcileConfigError) as caught:
        parse_config(text.encode() if isinstance(text, str) else text, name, HERE)
    assert caught.value.exit_code == 2
    assert name in caught.value.message
    return caught.value


def test_the_smallest_configuration_is_a_bucket_and_a_folder_beside_the_file():
    """REC-3"""
    config = parsed(MINIMAL)
    assert config.have.source == S3Url("my-bucket", "")
    assert config.have.mode is ScanMode.FULL
    assert (config.should.kind, config.should.place) == (
        ShouldKind.FOLDER,
        "/etc/stocktake/photos",
    )


def test_the_names_that_users_have_are_read_below_s3_and_at_the_top_alike():
    """REC-3"""
    below = """
    s3:
      bucket: my-bucket
      prefix: styles/
      scan_mode: aws_inventory
      inventory_bucket: my-reports
      inventory_prefix: inventories
      fallback_to_sample: true
    expect: {manifest: 16}
    """
    at_top = """
    s3: {bucket: my-bucket, prefix: styles/, inventory_bucket: "arn:aws:s3:::my-reports"}
    use_aws_inventory: true
    inventory_prefix: /inventories/
    fallback_to_sample: true
    expect: {manifest: "16"}
    """
    first, second = parsed(below), parsed(at_top)
    assert first == second
    assert first.have.mode is ScanMode.AWS_INVENTORY
    assert first.have.inventory == "s3://my-reports/inventories"
    assert first.have.fallback_to_sample
    assert first.should.place == "16"


def test_the_same_configuration_in_yaml_json_and_toml_is_the_same():
    """REC-3"""
    yaml = """
bucket: my-bucket
max_age: 1d12h
rules:
  - prefix: logs/
    objects: {min: 10}
    bytes: {max: 1.5GiB}
    max_age: 26h
    patterns: ["*.json"]
    severity: critical
severity: {empty: LOW}
fail_on: HIGH
"""
    as_json = {
        "bucket": "my-bucket",
        "max_age": "1d12h",
        "rules": [
            {
                "prefix": "logs/",
                "objects": {"min": 10},
                "bytes": {"max": "1.5GiB"},
                "max_age": "26h",
                "patterns": "*.json",
                "severity": "CRITICAL",
            }
        ],
        "severity": {"empty": "LOW"},
        "fail_on": "HIGH",
    }
    toml = """
bucket = "my-bucket"
max_age = "1d12h"
fail_on = "HIGH"
severity = { empty = "LOW" }
[[rules]]
prefix = "logs/"
objects.min = 10
bytes.max = "1.5GiB"
max_age = "26h"
patterns = ["*.json"]
severity = "Critical"
"""
    config = parsed(yaml)
    assert parsed(json.dumps(as_json), "reconcile.json") == config
    assert parsed(toml, "reconcile.toml") == config
    (rule,) = config.should.rules
    assert (rule.name, rule.objects, rule.bytes) == (
        "logs/",
        Bounds(10, None),
        Bounds(None, 3 << 29),
    )
    assert (rule.max_age_s, rule.severity) == (93_600, Severity.CRITICAL)
    assert config.have.max_age_s == 36 * 3600
    assert config.severities == {FindingKind.EMPTY: Severity.LOW}


def test_a_number_alone_is_exactly_that_many():
    (rule,) = parsed("bucket: my-bucket\nrules: [{objects: 10, bytes: 1MB}]").should.rules
    assert (rule.objects, rule.bytes) == (Bounds(10, 10), Bounds(1_000_000, 1_000_000))
    assert rule.name == "everything"


def test_every_name_that_the_tables_have_is_read():
    """A name that is in the tables but not taken by the reader would be ignored without a word."""
    text = f"""
    s3: {{bucket: my-bucket, prefix: p/, scan_mode: catalog, inventory_bucket: reports,
          inventory_prefix: i, inventory_id: daily, fallback_to_sample: yes, max_age: 1d,
          snapshot: latest, workers: 9, use_aws_inventory: false}}
    sample: {{probes: 10, seed: 3, confidence: 90%}}
    expect: {{snapshot: other@latest, prefix: q/}}
    rules: [{{name: n, prefix: r/, objects: 1, bytes: 1, max_age: 1h, patterns: "*", required: "a",
              storage_class: STANDARD, allow_empty: no, severity: LOW}}]
    names: {{strip: a/, add: b/}}
    exclude: "*.tmp"
    checksums: true
    trust_etags: true
    heads_max: 7
    storage_class: [STANDARD, GLACIER]
    stale: {{check: true, tolerance: 5m}}
    allow_extra: true
    severity: {{{", ".join(f"{kind}: CRITICAL" for kind in FindingKind)}}}
    fail_on: HIGH
    coverage_depth: 2
    findings_max: 5
    findings_file: all.jsonl
    """
    config = parsed(text)
    have, checks = config.have, config.checks
    assert (have.snapshot, have.max_age_s, have.workers) == ("latest", 86_400, 9)
    assert have.inventory == "s3://reports/i/my-bucket/daily"
    assert (have.probes, have.seed, have.confidence) == (10, 3, 0.9)
    assert (config.should.place, config.should.prefix) == ("other@latest", "q/")
    assert (config.names.strip, config.names.add) == ("a/", "b/")
    assert (checks.exclude, checks.trust_etags, checks.allow_extra) == (("*.tmp",), True, True)
    assert checks.storage_classes == ("STANDARD", "GLACIER")
    assert (checks.stale_tolerance_s, checks.heads_max) == (300, 7)
    assert set(config.severities.values()) == {Severity.CRITICAL}
    assert (config.fail_on, config.coverage_depth) == (Severity.HIGH, 2)
    assert (config.findings_max, config.findings_file) == (5, HERE / "all.jsonl")
    (rule,) = config.should.rules
    assert (rule.required, rule.allow_empty, rule.storage_classes) == (("a",), False, ("STANDARD",))


@pytest.mark.parametrize(
    ("added", "line", "key", "said", "hint"),
    [
        ("scan_mod: full", 3, "scan_mod", "not a setting", "did you mean `scan_mode`?"),
        ("scanMode: full", 3, "scanMode", "not a setting", "did you mean `scan_mode`?"),
        ("scan_mode: inventory", 3, "scan_mode", "`inventory`", "did you mean `aws_inventory`?"),
        ("folder: x", 3, "folder", "not a setting", "`expect`"),
        ("region: eu-west-1", 3, "region", "not a setting", "--region"),
        ("s3:\n  bucket: other", 4, "s3.bucket", "also stands at the top", "keep one"),
        ("s3:\n  expect: x", 4, "s3.expect", "not a setting", "the top, beside `s3`"),
        ("s3: other", 3, "s3", "`other`, not a section", "indented"),
        ("prefix: no", 3, "prefix", "`no` (true or false), not text", 'quotes: "no"'),
        ("prefix: 2026-11-20", 3, "prefix", "(a date), not text", 'quotes: "2026-11-20"'),
        ("prefix: ''", 3, "prefix", "is empty", "remove the line"),
        ("fallback_to_sample: 'yes'", 3, "fallback_to_sample", "not true or false", "quotes"),
        ("max_age: 24", 3, "max_age", "not a length of time", "1h"),
        ("max_age: 99999999999w", 3, "max_age", "too long", "1h"),
        ("workers: many", 3, "workers", "not a whole number", "digits"),
        ("workers: 0", 3, "workers", "the smallest is 1", ""),
        ("workers: 100000", 3, "workers", "the largest is", ""),
        ("use_aws_inventory: true", 3, "inventory_bucket", "missing", "setup list s3://my-bucket"),
        (
            "scan_mode: full\nuse_aws_inventory: true",
            4,
            "use_aws_inventory",
            "`scan_mode` is `full`",
            "remove",
        ),
        ("inventory_prefix: x", 3, "inventory_prefix", "needs `inventory_bucket`", "name the"),
        ("inventory_bucket: s3://x/y", 3, "inventory_bucket", "not a bucket name", "my-bucket"),
        ("inventory_bucket: rep/x", 3, "inventory_bucket", "more than a bucket", "prefix"),
        ("snapshot: latest", 3, "snapshot", "`scan_mode: catalog`", "keep one"),
        ("sample: {confidence: 12}", 3, "sample.confidence", "not a share", "5%"),
        ("sample: {confidence: 10%}", 3, "sample.confidence", "is 0.1", "95%"),
        ("severity: {mising: LOW}", 3, "severity.mising", "not a", "did you mean `severity.miss"),
        ("severity: {missing: hihg}", 3, "severity.missing", "`hihg`", "did you mean `HIGH`?"),
        ("fail_on: [LOW]", 3, "fail_on", "a list", "choose one of"),
        ("exclude: [a, 3]", 3, "exclude[2]", "(a whole number), not text", 'quotes: "3"'),
        ("exclude: {a: b}", 3, "exclude", "a section, not text", ""),
        ("checksums: no\ntrust_etags: yes", 4, "trust_etags", "means nothing", "keep one"),
        ("stale: {check: no, tolerance: 1h}", 3, "stale.tolerance", "means nothing", "keep"),
        ("rules: []", 3, "rules", "an empty list", "- prefix"),
        ("rules: {prefix: a}", 3, "rules", "a list", ""),
        ("rules:\n - prefix: a\n", 4, "rules[1]", "expects nothing", "`objects`"),
        ("rules: [{min_objects: 3}]", 3, "rules[1].min_objects", "not a", "objects: {min: ...}"),
        ("rules: [{objects: {min: 3, max: 1}}]", 3, "rules[1].objects.min", "more than", "swap"),
        ("rules: [{objects: {}}]", 3, "rules[1].objects", "neither", "number alone"),
        ("rules: [{bytes: 3 apples}]", 3, "rules[1].bytes", "not a size", "1.5GiB"),
        ("rules: [{objects: -1}]", 3, "rules[1].objects", "the smallest is 0", ""),
        ("rules: [{objects: 1}, {objects: 2}]", 3, "rules[2].prefix", "as rule 1", "`name`"),
        ("prefix: a\nprefix: b", 4, "prefix", "stands in line 3 already", "keep one"),
        ("s3:\n\tworkers: 3", 4, None, "not YAML", "never with tabs"),
        ("a: b: c", 3, None, "not YAML", "quotes"),
        ("exclude: !!python/object/apply:os.system [x]", 3, None, "means nothing", "plain values"),
        ("exclude: !secret x", 3, None, "could not determine a constructor", "plain values"),
        ("<<: {workers: 3}", 3, None, "`<<` merges", "write the keys out"),
        ("prefix: 2026-02-31", 3, None, "`2026-02-31` cannot be read", "quotes"),
        ("---\nprefix: x", 3, None, "not YAML", "one document"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(added, line, key, said, hint):
    """REC-3"""
    error = refused(MINIMAL + added)
    if "line" in error.message or "missing" not in error.message:
        assert error.attrs["line"] == line, error
        assert f"line {line}" in error.message
    if key is not None:
        assert error.attrs["key"] == key
        assert f"`{key}`" in error.message
    assert said in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("bucket: my-bucket", "`expect` is missing", "`folder`"),
        ("bucket: my-bucket\nexpect:", "`expect` is missing", "`rules:`"),
        ("bucket: my-bucket\nexpect: {}", "`expect` names no place", "`manifest`"),
        ("expect: {folder: x}", "`bucket` is missing", "my-bucket"),
        ("bucket: s3://b\nexpect: {folder: x}", "not a bucket name", "the name alone"),
        ("bucket: a/b\nexpect: {folder: x}", "not a bucket name", "the name alone"),
        ("bucket: bbb\nexpect: {folder: x, manifest: y}", "beside `folder`", "one place"),
        ("bucket: bbb\nexpect: {folder: x, prefix: y}", "goes with `snapshot`", "remove"),
        ("bucket: bbb\nexpect: {bucket: other}", "not an address", "s3://bucket/prefix"),
        ("bucket: bbb\nexpect: {bucket: s3://bbb}", "compared with itself", "another place"),
        ("bucket: bbb\nexpect: ./photos", "not a section", "indented"),
        ("", "is empty", "bucket: my-bucket"),
        ("# only a comment", "is empty", "bucket: my-bucket"),
        ("- a", "is a list", "bucket: my-bucket"),
        ("just text", "is text", "bucket: my-bucket"),
        ("a: \x00", "not YAML", ""),
        (b"bucket: caf\xe9", "line 1, is not UTF-8", "save the file"),
        (b"x" * (1 << 20) + b"y", "1,048,577 bytes", "the right file"),
        ("a: &a [*a]", "levels", "aliases"),
        ("[" * 100_000, "levels", ""),
        ("? [a]\n: b", "a name is not text", "name: value"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, said, hint):
    """REC-3"""
    error = refused(text)
    assert said in error.message
    assert hint in (error.hint or "")


def test_aliases_cannot_multiply_a_few_lines_into_a_bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases" in (refused("\n".join(lines)).hint or "")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"bucket": "b",\n "bucket": "c"}', 2, "stands in line 1 already"),
        ('{"bucket": "b",}', 1, "comma before"),
        ('{"bucket"\n "b"}', 2, "a colon is missing"),
        ('{"bucket": "b"\n "x": 1}', 2, "a comma or `}` is missing"),
        ("{bucket: 1}", 1, "double quotes"),
        ('{"a": 1} x', 1, "after its end"),
        ('{"a": tru}', 1, "Expecting value"),
        ('{"a": "\\q"}', 1, "escape"),
        ('{"a\\q": 1}', 1, "escape"),
        ('{"a": ' + "9" * 5000 + "}", 1, "too long"),
        ("[" * 100, 1, "levels"),
        ("", None, "is empty"),
        ('{"bucket": "bbb",\n\n"prefix": 3}', 3, "`prefix` is `3`, not text"),
    ],
)
def test_json_mistakes_have_a_line_too(text, line, said):
    error = refused(text, "reconcile.json")
    assert error.attrs.get("line") == line, error
    assert said in error.message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("bucket = 'b'\nbucket = 'c'\n", 2, "not TOML"),
        ("bucket = b", 1, "not TOML"),
        ("bucket = 'bbb'\n[s3]\nprefix = 3", 3, "`s3.prefix` is `3`"),
        ("bucket = 'bbb'\n[[rules]]\nobjects=1\n[[rules]]\n min_objects = 3", 5, "rules[2].min_o"),
        ("bucket = 'bbb'\nexpect.folde = 'x'", 2, "`expect.folde` is not a setting"),
    ],
)
def test_toml_mistakes_have_a_line_too(text, line, said):
    error = refused(text, "reconcile.toml")
    assert error.attrs.get("line") == line, error
    assert said in error.message


def test_a_file_that_is_not_there_or_is_a_folder_is_said(tmp_path):
    for path, said in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ReconcileConfigError, match=said):
            load_config(path)


def test_a_file_written_by_notepad_is_read(tmp_path):
    path = tmp_path / "reconcile.yaml"
    path.write_bytes("\ufeff".encode() + MINIMAL.replace("\n", "\r\n").encode())
    assert load_config(path).should.place == str(tmp_path / "photos")


def test_a_relative_folder_is_beside_the_file_wherever_the_command_runs(tmp_path, monkeypatch):
    """Commands of tasks run anywhere."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "r.yaml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("etc/r.yaml")).should.place == str(tmp_path / "etc" / "photos")


def test_without_pyyaml_the_pip_command_is_named_and_toml_still_works(monkeypatch):
    """REC-3"""
    real = builtins.__import__

    def without_yaml(name, *args, **kwargs):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    with pytest.raises(MissingExtraError) as caught:
        parsed(MINIMAL)
    assert "pip install 'stocktake[reconcile]'" in (caught.value.hint or "")
    assert parsed("bucket='bbb'\nexpect.folder='x'", "a.toml").have.source.bucket == "bbb"


def outcome(data: bytes, name: str) -> StocktakeError | None:
    try:
        parse_config(data, name, HERE)
    except StocktakeError as error:
        return error
    return None


NAMES_KNOWN = sorted(
    {key.name for part in (TOP, WHERE, SAMPLE, EXPECT, NAMES, STALE, RULE) for key in part}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES_KNOWN) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(NAMES_KNOWN), VALUES, max_size=6))
def test_any_values_are_a_configuration_or_an_error_that_says_so(values):
    for name in ("c.json", "c.yaml"):  # JSON is YAML, but for what only one of them refuses
        error = outcome(json.dumps(values).encode(), name)
        assert error is None or (error.exit_code == 2 and "\n" not in error.message)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_any_bytes_are_a_configuration_or_an_error_that_says_so(data):
    for name in ("c.json", "c.yaml", "c.toml"):
        error = outcome(data, name)
        assert error is None or "\n" not in error.message
