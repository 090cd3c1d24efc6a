"""Setting up fails with one line that helps, and finds the interpreter it should."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

SHELL = shutil.which("sh") or "/bin/sh"


def find_python(root: Path, path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run tools/find-python with only `path` to look for interpreters in."""
    return subprocess.run(
        [SHELL, str(root / "tools" / "find-python")],
        env={"PATH": str(path), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!{SHELL}\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def real_python(folder: Path, name: str) -> Path:
    return program(folder, name, f'exec "{sys.executable}" "$@"')


def with_cat(folder: Path) -> Path:
    """The script prints its message with cat."""
    cat = shutil.which("cat")
    assert cat
    (folder / "cat").symlink_to(cat)
    return folder


def test_no_interpreter_gives_a_message_with_a_hint(root: Path, tmp_path: Path) -> None:
    done = find_python(root, with_cat(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "stocktake needs Python 3.11 or newer" in done.stderr
    assert "hint:" in done.stderr


def test_an_old_interpreter_is_passed_over(root: Path, tmp_path: Path) -> None:
    program(tmp_path, "python3.11", "exit 1")
    real_python(tmp_path, "python3")
    assert find_python(root, tmp_path).stdout == "python3\n"


def test_the_version_of_the_locks_comes_first(root: Path, tmp_path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        real_python(tmp_path, name)
    assert find_python(root, tmp_path).stdout == "python3.11\n"


def test_the_users_choice_wins(root: Path, tmp_path: Path) -> None:
    real_python(tmp_path, "python3.11")
    chosen = str(real_python(tmp_path, "mine"))
    assert find_python(root, tmp_path, PYTHON=chosen).stdout == f"{chosen}\n"


def test_a_wrong_choice_is_not_replaced_silently(root: Path, tmp_path: Path) -> None:
    real_python(tmp_path, "python3.11")
    bad = str(program(tmp_path, "bad", "exit 1"))
    done = find_python(root, tmp_path, PYTHON=bad)
    assert done.returncode == 1
    assert bad in done.stderr


def test_scripts_are_executable_and_valid(root: Path) -> None:
    for script in (root / ".ci" / "run", root / "tools" / "lock", root / "tools" / "find-python"):
        assert os.access(script, os.X_OK), script
        interpreter = "bash" if script.name == "run" else SHELL
        subprocess.run([interpreter, "-n", str(script)], check=True)
