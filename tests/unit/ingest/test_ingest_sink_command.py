"""`--exec`: what a command is given, what its end means, and that it always ends (ING-4)."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sink_world import FixedBatch, bucket_of, items_of
from stocktake.clock import Clock, SystemClock
from stocktake.errors import InvalidSettingError, LeaseLostError, SinkError, StoreUnavailableError
from stocktake.ingest import CommandInput, CommandSink, Item, SinkCommand
from stocktake.store import ObjectBody

NASTY = ["a b.txt", "-rf", "$(touch oops); `id`", "q'\"\\", "é\n", "{key}"]


@pytest.fixture
def batch() -> FixedBatch:
    store = bucket_of({key: f"body of {key}".encode() for key in NASTY})
    return FixedBatch("clm_1", store, items_of(store, NASTY))


def sink(*code: str, clock: Clock | None = None, **settings: Any) -> CommandSink:
    """Runs Python code; further texts are its arguments."""
    argv = (sys.executable, "-c", *code)
    return CommandSink(SinkCommand(argv, **settings), clock or SystemClock())


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_batch_is_json_lines_on_standard_input(batch: FixedBatch, tmp_path: Path) -> None:
    code = """
import json, os, sys
rows = [json.loads(line) for line in sys.stdin]
json.dump([rows, {k: v for k, v in os.environ.items() if "STOCKTAKE" in k}], open(sys.argv[1], "w"))
"""
    out = tmp_path / "out"
    batch.items[1] = replace(batch.items[1], deleted=True, etag=None)
    command = sink(code, str(out))
    assert not command.keeps_tokens
    command.load(batch)
    rows, environment = json.loads(out.read_text())
    assert [row["key"] for row in rows] == NASTY
    assert rows[0] == {
        "seq": 1,
        "key": "a b.txt",
        "bucket": "lake",
        "url": "s3://lake/a b.txt",
        "version_id": None,
        "etag": batch.items[0].etag,
        "size_bytes": 15,
        "last_modified": "2026-11-20T12:00:00Z",
        "deleted": False,
        "attempt": 1,
    }
    assert rows[1]["deleted"]
    assert environment == {
        "STOCKTAKE_TOKEN": "clm_1",
        "STOCKTAKE_CONSUMER": "photos",
        "STOCKTAKE_BUCKET": "lake",
    }
    assert command.landed("photos", ["clm_1"]) == {}


def test_placeholders_run_it_per_object_without_a_shell(batch: FixedBatch, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = "import sys, json; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + '\\n')"
    sink(code, str(out), "{key}", "x={url}", "{etag}{version_id}", "{awk}").load(batch)
    lines = read_lines(out)
    assert [line[0] for line in lines] == NASTY
    assert [line[1] for line in lines] == [f"x=s3://lake/{key}" for key in NASTY]
    assert lines[0][2:] == [batch.items[0].etag, "{awk}"]
    assert batch.failed == {}


def test_an_object_that_fails_does_not_stop_the_others(batch: FixedBatch) -> None:
    code = "import sys; 'q' in sys.argv[1] and sys.exit('no\\n q')"
    sink(code, "{key}").load(batch)
    assert list(batch.failed) == [4]
    error = batch.failed[4]
    assert isinstance(error, SinkError)
    assert error.message.endswith("ended with status 1: no q")


def test_the_content_of_exactly_this_version_is_piped(batch: FixedBatch, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch.store.put("lake", NASTY[2], b"replaced")
    batch.items[3] = replace(batch.items[3], deleted=True)
    code = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'|')"
    sink(code, str(out), content=CommandInput.CONTENT).load(batch)
    loaded = [key for key in NASTY if key not in (NASTY[2], NASTY[3])]
    assert out.read_bytes() == b"".join(f"body of {key}|".encode() for key in loaded)
    assert batch.gone == {3}


def test_content_that_breaks_off_is_never_taken_for_the_whole(tmp_path: Path) -> None:
    class Broken(FixedBatch):
        @contextmanager
        def open(self, item: Item) -> Iterator[ObjectBody | None]:
            with super().open(item) as body:
                assert body is not None
                pieces = iter([b"first half"])

                def read(_size: int = -1) -> bytes:
                    piece = next(pieces, None)
                    if piece is None:
                        raise StoreUnavailableError("the store is away")
                    return piece

                body.read = read  # type: ignore[method-assign]
                yield body

    out = tmp_path / "out"
    store = bucket_of({"a": b"x"})
    code = "import sys; data = sys.stdin.buffer.read(); open(sys.argv[1], 'wb').write(data)"
    with pytest.raises(StoreUnavailableError):
        sink(code, str(out), content=CommandInput.CONTENT).load(
            Broken("clm_1", store, items_of(store, ["a"]))
        )
    assert not out.exists()


def test_a_batch_that_fails_says_what_the_command_said(batch: FixedBatch) -> None:
    code = "import sys; sys.stderr.write('x' * 100_000 + ' disk full\\n'); sys.exit(3)"
    with pytest.raises(SinkError, match=r"ended with status 3: x+ disk full$") as caught:
        sink(code).load(batch)
    assert len(caught.value.message) < 2500
    assert not caught.value.retryable
    assert batch.failed == {}


def test_single_objects_of_a_batch_may_fail(batch: FixedBatch) -> None:
    code = """
print("loading...")
print('{"seq": 2, "ok": false, "error": "no such column"}')
print('{"seq": 3, "ok": false}')
print('{"seq": 3, "ok": true}')
print('{"seq": 99, "ok": false}'); print('[1]'); print('{"seq": [], "ok": 0}')
print('{"seq": 5, "ok": false}')
"""
    sink(code).load(batch)
    assert {seq: str(error) for seq, error in batch.failed.items()} == {
        2: "no such column",
        5: "the command did not load it",
    }


def test_a_command_that_reads_nothing_and_writes_much_is_no_trouble() -> None:
    store = bucket_of({"a": b""})
    [item] = items_of(store, ["a"])
    items = [replace(item, seq=n) for n in range(1, 5001)]
    code = "import os, sys; [os.write(n, b'x' * 1000 + b'\\n') for n in (1, 2) for _ in range(500)]"
    sink(code).load(FixedBatch("clm_1", store, items))


class Hurrying:
    """A clock on which an hour passes at every look."""

    def __init__(self) -> None:
        self._hours = 0

    def now(self) -> Any:
        raise AssertionError("not asked")

    def monotonic_s(self) -> float:
        self._hours += 1
        return self._hours * 3600.0

    def sleep(self, duration_s: float) -> None:
        raise AssertionError("not asked")


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


ENDLESS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
open(sys.argv[1] + ".new", "w").write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(100)
"""


def check_gone(path: Path) -> None:
    """The command and its child are gone, or are about to: whoever waits here for ever has them."""
    for pid in path.read_text().split():
        while alive(int(pid)):
            threading.Event().wait(0.01)


def wait_for(path: Path) -> None:
    while not path.exists():
        threading.Event().wait(0.01)


def test_a_command_that_takes_too_long_is_ended_with_its_children(
    batch: FixedBatch, tmp_path: Path
) -> None:
    out = tmp_path / "pids"

    class Patient(Hurrying):
        def monotonic_s(self) -> float:
            if self._hours == 2:  # it has been started, and the deadline is set
                wait_for(out)
            return super().monotonic_s()

    with pytest.raises(SinkError, match="took too long and was stopped"):
        sink(ENDLESS, str(out), clock=Patient(), timeout_s=10).load(batch)
    check_gone(out)


def test_a_lost_lease_ends_the_command(batch: FixedBatch, tmp_path: Path) -> None:
    out = tmp_path / "pids"

    def lost() -> None:
        wait_for(out)
        raise LeaseLostError("another worker took it over")

    batch.renew = lost  # type: ignore[method-assign]
    with pytest.raises(LeaseLostError):
        sink(ENDLESS, str(out), clock=Hurrying(), timeout_s=None).load(batch)
    check_gone(out)


def test_a_command_that_was_killed_says_so(batch: FixedBatch) -> None:
    with pytest.raises(SinkError, match="was killed by signal 9"):
        sink("import os; os.kill(os.getpid(), 9)").load(batch)


def test_a_program_that_is_not_there_is_a_wrong_setting(batch: FixedBatch) -> None:
    command = CommandSink(SinkCommand(("no-such-program-here",)), SystemClock())
    with pytest.raises(InvalidSettingError, match="no-such-program-here"):
        command.load(batch)


def test_a_key_with_a_nul_fails_alone() -> None:
    store = bucket_of({"a\0b": b"", "c": b""})
    batch = FixedBatch("clm_1", store, items_of(store, ["a\0b", "c"]))
    sink("", "{key}").load(batch)
    assert list(batch.failed) == [1]
    assert "null byte" in str(batch.failed[1])


def test_an_empty_batch_runs_nothing() -> None:
    command = CommandSink(SinkCommand(("no-such-program-here",)), SystemClock())
    command.load(FixedBatch("clm_1", bucket_of({}), []))
    command.close()


@pytest.mark.parametrize("wrong", [{"argv": ()}, {"argv": ("",)}, {"argv": ("a",), "timeout_s": 0}])
def test_commands_that_cannot_be_meant(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError):
        SinkCommand(**wrong)
