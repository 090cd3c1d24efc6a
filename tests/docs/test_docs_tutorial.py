"""The tutorials work as they stand: commands are run in order and print what the page shows."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    DOCS / name
    for name in ("tutorial.md", "tutorial-ingest.md", "tutorial-ship.md", "tutorial-datasets.md")
]
PORT = "9000"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"Save this as `([^`]+)`:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PARTIAL = 3
DIFFERENCES_FOUND = 4
KILLED = 137


@dataclass(frozen=True)
class Step:
    """A command and the output that the page shows for it."""

    command: str
    shown: tuple[str, ...]

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the output must match: `...` alone is any lines, within a line any characters."""
        lines = [
            r"(?:.*\n)*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r" *\n"
            for line in self.shown
        ]
        return re.compile("".join(lines))


def steps(page: Path) -> list[Step]:
    found: list[Step] = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line.removeprefix("$ "), ()))
            else:
                last = found[-1]
                found[-1] = Step(last.command, (*last.shown, line))
    return found


def script(page: Path, port: int) -> str:
    """All commands in one shell, with a mark and the exit code after each."""
    # what a shell without a terminal says of that comes before the first mark
    lines = ["trap 'kill $(jobs -p) 2>/dev/null' EXIT", 'echo "=== begin"']
    for number, step in enumerate(steps(page)):
        command = step.command.replace(PORT, str(port))
        if command.endswith("&"):
            command = f"{command.removesuffix('&')} >/dev/null 2>&1 &"
        lines += [command, f'echo "=== end of {number}: $?"']
    return "\n".join(lines)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def allowed_codes(command: str) -> set[int]:
    if command.startswith("STOCKTAKE_KILL_AT="):
        return {KILLED}
    if command.startswith("stocktake ship once"):
        return {0, PARTIAL}
    if command.startswith("stocktake manifest restore"):
        return {0, PARTIAL}
    differs = ("stocktake diff", "stocktake sync", "stocktake manifest")
    return {0, DIFFERENCES_FOUND} if command.startswith(differs) else {0}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_the_tutorial_prints_what_the_page_shows(
    page: Path, tmp_path: Path, free_port: int
) -> None:
    for name, text in FILE.findall(page.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    programs = str(Path(sys.executable).parent)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        ["bash", "-m", "-c", script(page, free_port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    output = done.stdout.partition("=== begin\n")[2]
    answers = re.split(r"^=== end of \d+: (\d+)\n", output, flags=re.MULTILINE)
    printed, codes = answers[0::2], [int(code) for code in answers[1::2]]
    assert len(codes) == len(steps(page)), done.stdout[-3000:]
    for step, output, code in zip(steps(page), printed, codes, strict=False):
        assert code in allowed_codes(step.command), f"{step.command}\n{output}"
        assert step.pattern.fullmatch(output), f"{step.command}\n{output}"
