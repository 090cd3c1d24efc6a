"""The real command as a subprocess, or the same command lines within this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from stocktake.cli._main import run
from stocktake.cli._output import Output

PROGRAM = Path(sys.executable).with_name("stocktake")
SOURCE = "acceptance-photos"
REPORTS = "acceptance-reports"
FIRST = {
    "2025/spring/a.jpg": b"a" * 3000,
    "2025/spring/copy of a.jpg": b"a" * 3000,
    "2025/autumn/b.jpg": b"b" * 50_000,
    "2026/c.cr3": b"c" * 120_000,
    "2026/right\u202eto left.txt": b"x",
    "notes/100% + more.txt": b"n" * 10,
    "notes//double.txt": b"d" * 20,
    "top.txt": b"t",
}
ADDRESS = f"s3://{REPORTS}/one/{SOURCE}/stocktake"
GONE, CHANGED, MOVED, ADDED = "top.txt", "2026/c.cr3", "2025/autumn/b.jpg", "2026/new.jpg"


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs `stocktake` in a directory of its own, with nobody's settings."""

    def __init__(self, home: Path, server_environment: dict[str, str]) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "COLUMNS": "80",
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **server_environment,
        }

    def __call__(self, *args: str, stdin: str = "", **environment: str) -> Answer:
        done = subprocess.run(
            [PROGRAM, *args],
            cwd=self.home,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PROGRAM, *args],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def interrupt(process: subprocess.Popen[str]) -> Answer:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return Answer(process.returncode, out, err)


class Inside(Shell):
    """The same command lines within this process: a start-up less per question."""

    def __call__(self, *args: str, stdin: str = "", **environment: str) -> Answer:
        out = Output(io.StringIO(), io.StringIO())
        with (
            mock.patch.dict(os.environ, {**self.environment, **environment}, clear=True),
            mock.patch("sys.stdin", io.StringIO(stdin)),
            contextlib.chdir(self.home),
        ):
            code = run(args, out)
        return Answer(code, out.stdout.getvalue(), out.stderr.getvalue())


def help_of(inside: Inside, *words: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        inside(*words, "--help")
    return printed.getvalue()


def members_in(text: str) -> set[str]:
    """Top-level names in the first `{...}` after `JSON`."""
    start = text.index("{", text.index("JSON"))
    depth, names, word = 0, set(), ""
    for char in text[start:]:
        if char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
        if depth == 1 and (char.isalnum() or char == "_"):
            word += char
        elif depth <= 1 and word and char in ",:}":
            names.add(word)
            word = ""
        if depth == 0:
            return names
    raise AssertionError("the JSON shape in the help does not end")
