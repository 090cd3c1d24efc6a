"""OpenStack Swift with its S3 API: a genuine storage server that enforces signatures, from PyPI.

It lives in a virtual environment of its own (it pins an event library that nothing else here
wants). Four processes on 127.0.0.1: account, container, object and proxy server.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from stocktake.clock import SystemClock
from stocktake.errors import ServerStartError
from stocktake.testing._servers import (
    HOST,
    Credentials,
    Server,
    free_port,
    plain_environment,
    spawn,
    wait_until_up,
)

SWIFT_VERSION = "2.38.3"
_XATTR_PROBE = "user.stocktake"
_STORAGE = ("account", "container", "object")
_PIPELINE = (
    "catch_errors gatekeeper listing_formats bulk s3api tempauth copy slo dlo versioned_writes "
    "symlink proxy-server"
)


def swift_home(servers: Path) -> Path:
    """Where this version of Swift is installed below a directory of servers."""
    return servers / f"swift-{SWIFT_VERSION}"


def install_swift(servers: Path, requirements: Path | None = None) -> Path:
    """Make Swift's environment unless it is there; returns its home.

    Args:
        servers: Directory that holds one folder per server.
        requirements: Locked requirements with hashes; None installs the pinned version.

    Raises:
        ServerStartError: The installation failed; says pip's last words.
    """
    home = swift_home(servers)
    ready = home / "ready"
    if ready.exists():
        return home
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes that run side by side install once
        if not ready.exists():
            _install(home, requirements)
            ready.write_text(SWIFT_VERSION + "\n", encoding="utf-8")
    return home


def _install(home: Path, requirements: Path | None) -> None:
    _run([sys.executable, "-m", "venv", "--clear", str(home / "venv")])
    wanted = [f"swift=={SWIFT_VERSION}"]
    if requirements is not None:
        wanted = ["--require-hashes", "-r", str(requirements.resolve())]
    pip = [str(home / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", *wanted])


def start_swift(root: Path, servers: Path) -> Server:
    """A fresh Swift whose data and logs are below `root`.

    Args:
        root: Directory for data, configuration and logs; its file system must keep user xattrs.
        servers: Where `install_swift` put it.

    Raises:
        ServerStartError: Not installed, no xattrs, or it does not come up.
    """
    binaries = swift_home(servers.resolve()) / "venv" / "bin"
    if not (swift_home(servers) / "ready").exists():
        raise ServerStartError(
            f"Swift is not installed in {servers}",
            hint=f"python -m stocktake.testing.servers setup --into {servers}",
        )
    root = root.resolve()
    (root / "etc").mkdir(parents=True)
    (root / "data" / "d1").mkdir(parents=True)
    _check_xattrs(root)
    credentials = Credentials("test:tester", "swift-secret")
    ports = {name: free_port() for name in (*_STORAGE, "proxy")}
    _configure(root, ports, credentials)
    _build_rings(root, binaries, ports)
    log_path = root / "proxy.log"
    server = Server("swift", f"http://{HOST}:{ports['proxy']}", credentials, log_path)
    for name in (*_STORAGE, "proxy"):
        command = [
            binaries / "python",
            binaries / f"swift-{name}-server",
            root / "etc" / f"{name}.conf",
        ]
        server.processes.append(spawn(command, root / f"{name}.log", plain_environment()))
    for name in _STORAGE:
        _wait_for_storage(server, root / f"{name}.log", ports[name])
    return wait_until_up(server, path="/info")


def _wait_for_storage(server: Server, log_path: Path, port: int) -> None:
    address = f"http://{HOST}:{port}"
    probe = Server(
        f"swift ({log_path.stem})",
        address,
        server.credentials,
        log_path,
        processes=server.processes,
    )
    wait_until_up(probe, path="/recon/version", clock=SystemClock())


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerStartError(
            f"{' '.join(command[:4])} ... failed: {(done.stderr or done.stdout)[-1000:].strip()}"
        )


def _check_xattrs(root: Path) -> None:
    try:
        os.setxattr(root, _XATTR_PROBE, b"1")
        os.removexattr(root, _XATTR_PROBE)
    except OSError as error:
        raise ServerStartError(
            f"Swift cannot keep its data in {root}: the file system has no user xattrs ({error})",
            hint="choose a directory on ext4, xfs or btrfs",
        ) from error


def _build_rings(root: Path, binaries: Path, ports: dict[str, int]) -> None:
    builder = [str(binaries / "python"), str(binaries / "swift-ring-builder")]
    for name in _STORAGE:
        ring = str(root / "etc" / f"{name}.builder")
        _run([*builder, ring, "create", "4", "1", "1"])
        _run([*builder, ring, "add", f"r1z1-{HOST}:{ports[name]}/d1", "100"])
        _run([*builder, ring, "rebalance"])


def _configure(root: Path, ports: dict[str, int], credentials: Credentials) -> None:
    etc = root / "etc"
    common = {
        "bind_ip": HOST,
        "workers": "0",
        "user": getpass.getuser(),
        "swift_dir": str(etc),
        "log_to_console": "true",
    }
    policy = {"name": "gold", "policy_type": "replication", "default": "yes"}
    _write(
        etc / "swift.conf",
        {
            "swift-hash": {"swift_hash_path_prefix": "a", "swift_hash_path_suffix": "b"},
            "storage-policy:0": policy,
        },
    )
    for name in _STORAGE:
        storage = {
            "bind_port": str(ports[name]),
            "devices": str(root / "data"),
            "mount_check": "false",
        }
        app = {"use": f"egg:swift#{name}", "fallocate_reserve": "0"}
        _write(
            etc / f"{name}.conf",
            {
                "DEFAULT": common | storage,
                "pipeline:main": {"pipeline": f"recon {name}-server"},
                f"app:{name}-server": app,
                "filter:recon": {"use": "egg:swift#recon", "recon_cache_path": str(root / "data")},
            },
        )
    _write(etc / "proxy.conf", _proxy_sections(common, ports["proxy"], credentials))


def _proxy_sections(
    common: dict[str, str], port: int, credentials: Credentials
) -> dict[str, dict[str, str]]:
    account, _, user = credentials.access_key_id.partition(":")
    settings = {
        "s3api": {"location": "us-east-1", "s3_acl": "no"},
        "tempauth": {f"user_{account}_{user}": f"{credentials.secret_access_key} .admin"},
        "versioned_writes": {"allow_object_versioning": "true"},
    }
    filters = [name for name in _PIPELINE.split() if name != "proxy-server"]
    return {
        "DEFAULT": common | {"bind_port": str(port)},
        "pipeline:main": {"pipeline": _PIPELINE},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true"},
        **{
            f"filter:{name}": {"use": f"egg:swift#{name}"} | settings.get(name, {})
            for name in filters
        },
    }


def _write(path: Path, sections: dict[str, dict[str, str]]) -> None:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    for name, values in sections.items():
        if name == "DEFAULT":
            parser["DEFAULT"] = values
        else:
            parser[name] = values
    with path.open("w", encoding="utf-8") as file:
        parser.write(file)
