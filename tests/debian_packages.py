"""Programs of the system that tests need: found, or unpacked from Debian's packages."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVERS = Path(__file__).parents[1] / ".servers"


@dataclass(frozen=True)
class Program:
    """How to call a program, and what its libraries need in the environment."""

    path: str
    environment: dict[str, str]


def unpacked(name: str, *packages: str) -> Path:
    """A folder below `.servers` with the content of these packages; nothing is installed."""
    home = SERVERS.resolve() / name
    if (home / "ready").exists():
        return home / "root"
    (home / "root").mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "-qq", *packages], cwd=home, check=True)
    for package in sorted(home.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(home / "root")], check=True)
        package.unlink()
    (home / "ready").touch()
    return home / "root"


def libraries(root: Path) -> str:
    """What LD_LIBRARY_PATH has to be for programs below such a folder."""
    triple = f"{platform.machine()}-linux-gnu"
    return f"{root}/usr/lib/{triple}:{root}/lib/{triple}"


def strace() -> Program:
    """The system's, or our own."""
    found = shutil.which("strace")
    if found:
        return Program(found, {})
    root = unpacked("strace", "strace", "libunwind8")
    return Program(str(root / "usr" / "bin" / "strace"), {"LD_LIBRARY_PATH": libraries(root)})
