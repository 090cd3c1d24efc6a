"""Servers as child processes: they come up, say why they do not, and never outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from stocktake.clock import SystemClock
from stocktake.errors import MissingExtraError, ServerStartError
from stocktake.store import ByteRange, ListQuery, iter_listing, open_store
from stocktake.testing import Credentials, Server, start_fake_s3, start_ministack, start_swift
from stocktake.testing._servers import HOST, free_port, spawn, wait_until_up

PARENT = """
import sys, time
from pathlib import Path
from stocktake.testing import start_ministack
server = start_ministack(Path(sys.argv[1]))
print(server.endpoint_url, flush=True)
time.sleep(60)
"""


def answers(url: str) -> bool:
    try:
        with urlopen(url + "/_ministack/health", timeout=2):
            return True
    except OSError:
        return False


def wait_for(condition, what: str) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def listeners(pid_of_child: int) -> set[str]:
    """Local addresses on which a process group's members listen, from /proc."""
    inodes = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if os.getpgid(int(process.name)) != pid_of_child:
                continue
            links = [str(fd.readlink()) for fd in (process / "fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].partition(":")[0])
    return found


def child_of(process: subprocess.Popen) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0])


def test_a_server_ends_with_its_block(tmp_path):
    with start_ministack(tmp_path) as server:
        assert answers(server.endpoint_url)
    assert not answers(server.endpoint_url)
    server.stop()


def test_the_demo_server_listens_on_this_machine_only(tmp_path):
    with start_ministack(tmp_path) as server:
        assert listeners(child_of(server.processes[0])) == {"0100007F"}


def test_a_server_ends_when_its_parent_is_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    url = parent.stdout.readline().strip()
    assert answers(url)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not answers(url), "the server outlived its parent")


def test_a_server_that_does_not_come_up_says_what_its_log_says(tmp_path):
    log = tmp_path / "broken.log"
    command = [sys.executable, "-c", "import sys; sys.exit('no license found')"]
    server = Server("broken", f"http://{HOST}:{free_port()}", Credentials(), log)
    server.processes.append(spawn(command, log))
    with pytest.raises(ServerStartError, match="no license found") as caught:
        wait_until_up(server, clock=SystemClock())
    assert str(log) in caught.value.message


def test_swift_that_is_not_installed_says_how_to_install_it(tmp_path):
    with pytest.raises(ServerStartError) as caught:
        start_swift(tmp_path / "data", tmp_path / "servers")
    assert "stocktake.testing.servers setup" in caught.value.hint


def test_a_missing_extra_names_the_pip_command(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        start_ministack(tmp_path)
    assert caught.value.hint == "pip install 'stocktake[demo]'"


def test_the_environment_of_a_server_reaches_it(ministack, monkeypatch):
    for name, value in ministack.environment().items():
        monkeypatch.setenv(name, value)
    store = open_store()
    store.describe("CreateBucket", "from-environment")
    assert store.list_page(ListQuery("from-environment")).objects == ()


def test_the_fake_serves_folders_of_files_and_lists_of_keys(tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "files" / "reports" / "2026").mkdir(parents=True)
    (tmp_path / "files" / "reports" / "2026" / "part 1.csv").write_bytes(content)
    keys = sorted(["a\x01b", "é", *(f"k{number:05d}" for number in range(2345))])
    (tmp_path / "keys").write_text("\n".join(keys) + "\n", encoding="utf-8")
    with start_fake_s3(
        tmp_path, files=tmp_path / "files", keys={"many": tmp_path / "keys"}
    ) as server:
        store = open_store(server.options())
        with store.get("reports", "2026/part 1.csv") as body:
            assert body.read() == content
        span = ByteRange(100_000, 200_001)
        with store.get("reports", "2026/part 1.csv", byte_range=span) as body:
            assert body.read() == content[100_000:200_001]
        pages = list(iter_listing(store, ListQuery("many")))
        assert [entry.key for page in pages for entry in page.objects] == keys
        store.put("reports", "new", b"x")
        assert store.head("reports", "new").size_bytes == 1
