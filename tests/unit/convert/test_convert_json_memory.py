"""Memory does not grow with the document (SHP-13): a gigabyte passes in 320 MB."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

RSS_MB_MAX = 320

CHILD = """
import json, sys
from stocktake.convert import ConvertOptions, TableKind, plan_conversion, write_parquet

kind, form, wanted_bytes = TableKind(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rows = 5_000

def some(number):
    if kind is TableKind.XML:
        return (f'<i id="{number}"><name>customer {number % 977}</name><at>2024-01-01</at>'
                f"<tag>a</tag><tag>b</tag></i>")
    return json.dumps({"id": number, "name": f"customer {number % 977}", "v": number / 8,
        "at": "2024-01-01T00:00:00Z", "tags": ["a", "b"], "place": {"lat": 1.5, "lon": None}})

between = b"" if kind is TableKind.XML else b"\\n" if kind is TableKind.JSONL else b","
piece = between.join(some(number).encode() for number in range(rows))
times = wanted_bytes // len(piece)
head, tail = {"array": (b"[", b"]"), "lines": (b"", b""),
    "member": (b'{"count":1,"items":[', b'],"next":null}'), "xml": (b"<r>", b"</r>")}[form]

class Stream:
    def __init__(self):
        self.pieces = self.made()
        self.left = memoryview(b"")
    def made(self):
        yield head
        for number in range(times):
            yield piece
            if number < times - 1:
                yield between
        yield tail
    def read(self, size_bytes=-1):
        while not self.left:
            following = next(self.pieces, None)
            if following is None:
                return b""
            self.left = memoryview(following)
        part, self.left = self.left[:size_bytes], self.left[size_bytes:]
        return bytes(part)

class Nowhere:
    def write(self, data):
        pass

options = ConvertOptions()
plan = plan_conversion(Stream(), kind, options, name="large")
assert plan.rows == rows * times, plan.rows
result = write_parquet(plan, Stream(), Nowhere(), options)
assert result.rows == plan.rows
# not ru_maxrss: that of a child begins with what its parent had
status = open("/proc/self/status").read().split()
peak_mb = int(status[status.index("VmHWM:") + 1]) / 1024
print(json.dumps({"peak_mb": peak_mb, "size_bytes": plan.size_bytes}))
"""


def peak_mb(kind: str, form: str, size_bytes: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind, form, str(size_bytes)],
        env={"MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["size_bytes"] > 0.9 * size_bytes
    return float(answer["peak_mb"])


@pytest.mark.parametrize(
    ("kind", "form"), [("json", "array"), ("jsonl", "lines"), ("json", "member"), ("xml", "xml")]
)
def test_sixteen_megabytes_pass_in_bounded_memory(kind: str, form: str) -> None:
    assert peak_mb(kind, form, 16 << 20 if kind != "xml" else 4 << 20) < RSS_MB_MAX


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kind", "form"), [("json", "array"), ("jsonl", "lines"), ("json", "member"), ("xml", "xml")]
)
def test_a_gigabyte_passes_in_bounded_memory(kind: str, form: str) -> None:
    assert peak_mb(kind, form, 1 << 30 if kind != "xml" else 200 << 20) < RSS_MB_MAX
