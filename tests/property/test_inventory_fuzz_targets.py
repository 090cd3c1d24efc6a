"""The fuzzers' rules hold on whatever ever broke one, and on what Hypothesis thinks of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TESTS = Path(__file__).parents[1]
NAMES = ["csv", "gzip_stream", "manifest", "orc", "parquet"]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_targets", TESTS / "fuzz" / "targets.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_targets"] = module
    spec.loader.exec_module(module)
    return module


targets = load()
KNOWN = sorted((TESTS / "fixtures" / "fuzz").glob("*/*"))


@pytest.mark.parametrize("path", KNOWN, ids=[f"{p.parent.name}-{p.name}" for p in KNOWN])
def test_input_that_once_broke_a_rule_no_longer_does(path) -> None:
    """INV-5, INV-7."""
    getattr(targets, path.parent.name)(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_seeds_keep_the_rules(name, data) -> None:
    """INV-5, INV-7: only our own errors, no silent loss, no dependence on where text is cut."""
    body = bytearray(data.draw(st.sampled_from(targets.seeds(name))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(body)))
        piece = data.draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b'""', b"\n", b"\r", b","])
        )
        body[at : at + data.draw(st.integers(0, 6))] = piece
    getattr(targets, name)(bytes(body))


def test_counter_of_records_knows_quotes_and_line_ends() -> None:
    """The oracle of the CSV fuzzer."""
    count = targets.count_records
    assert count(b'"a\n""b",c\r\n\n\nd\re') == targets.Records(3, odd_quotes=False)
    assert count(b'a"b\n').odd_quotes
    assert count(b'"a"b\n').odd_quotes
    assert count(b'"a\nb\n') == targets.Records(1, odd_quotes=True)
    assert count(b"\xef\xbb\xbf\n") == targets.Records(0, odd_quotes=False)


PIECES = [b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"a", b"\xff", b"%FF", b"5", b"-1", b"0x1"]
PIECES += [b"true", b" ", b"\t", b"Key", b"\xef\xbb\xbf", b"\0", b'"b\nc"', b'"",""', b"\xc3\xa9"]
PIECES += [b"2024-05-06T22:38:00Z", b"src", b"%"]
value = st.lists(st.sampled_from(PIECES), max_size=2).map(b"".join)
field = value | value.map(lambda text: b'"%s"' % text.replace(b'"', b'""'))
line = st.tuples(
    st.lists(field, min_size=1, max_size=9).map(b",".join), st.sampled_from(PIECES[3:6])
)


@settings(deadline=None, max_examples=400)
@given(st.binary(min_size=2, max_size=2), st.lists(line.map(b"".join), max_size=4))
def test_lines_of_odd_pieces_keep_the_rules(choice, lines) -> None:
    """INV-7: found a byte order mark and spaces that depended on where blocks were cut."""
    targets.csv(choice + b"".join(lines))
