"""Ceph's RADOS gateway: the other genuine server, from Debian packages unpacked into a folder.

One monitor, one storage daemon in memory and the gateway, all on 127.0.0.1; nothing is installed in
the system. It takes 60 MB and some 15 seconds to start, so only `make test-all` uses it.
"""

from __future__ import annotations

import platform
import subprocess
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from stocktake.clock import Clock, SystemClock
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

RGW_VERSION = "16.2.15"
_START_S = 60.0
_ADMIN_TIMEOUT_S = 10.0
_PACKAGES = (
    *("radosgw", "ceph-mon", "ceph-osd", "ceph-base", "ceph-common", "librados2"),
    *("libradosstriper1", "libcephfs2", "librgw2", "python3-rados", "python3-ceph-argparse"),
    *("python3-ceph-common", "python3-prettytable", "python3-wcwidth", "libgoogle-perftools4"),
    *("libtcmalloc-minimal4", "liboath0", "libaio1", "libbabeltrace1", "libboost-context1.74.0"),
    *("libboost-filesystem1.74.0", "libboost-iostreams1.74.0", "libboost-program-options1.74.0"),
    *("libboost-thread1.74.0", "libdaxctl1", "libfmt9", "libfuse2", "libibverbs1"),
    *("libleveldb1d", "liblua5.3-0", "libndctl6", "libnl-3-200", "libnl-route-3-200"),
    *("libpmem1", "librabbitmq4", "librdmacm1", "libsnappy1v5", "librdkafka1", "libnuma1"),
)


def rgw_home(servers: Path) -> Path:
    """Where this version of the gateway is unpacked below a directory of servers."""
    return servers / f"rgw-{RGW_VERSION}"


def install_rgw(servers: Path) -> Path:
    """Download and unpack the packages unless they are there; returns the home.

    Raises:
        ServerStartError: Not Debian 12 on x86-64, or the archive cannot be reached.
    """
    home = rgw_home(servers).resolve()
    if (home / "ready").exists():
        return home
    packages = home / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    _run(["apt-get", "download", "-qq", *_PACKAGES], cwd=packages)
    for package in sorted(packages.glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(home / "root")], cwd=home)
        package.unlink()
    (home / "ready").write_text(RGW_VERSION + "\n", encoding="utf-8")
    return home


def start_rgw(root: Path, servers: Path, *, clock: Clock | None = None) -> Server:
    """A fresh gateway whose configuration and logs are below `root`; objects live in memory.

    Raises:
        ServerStartError: Not installed, or one of its daemons does not come up.
    """
    home = rgw_home(servers).resolve()
    if not (home / "ready").exists():
        raise ServerStartError(
            f"the RADOS gateway is not installed in {servers}",
            hint=f"python -m stocktake.testing.servers setup --rgw --into {servers}",
        )
    cluster = _Cluster(root.resolve(), home / "root", clock or SystemClock())
    try:
        return cluster.start()
    except ServerStartError:
        cluster.server.stop()
        raise


class _Cluster:
    """The daemons of one gateway, started in order."""

    def __init__(self, root: Path, packages: Path, clock: Clock) -> None:
        self._root = root
        self._packages = packages
        self._clock = clock
        self._libraries = packages / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
        self._monitor = f"v1:{HOST}:{free_port()}"
        self._cluster_id = str(uuid.uuid4())
        port = free_port()
        self.server = Server(
            "rgw",
            f"http://{HOST}:{port}",
            Credentials("rgwkey", "rgw-secret"),
            root / "log" / "rgw.out",
        )
        self._environment = plain_environment(
            LD_LIBRARY_PATH=":".join(
                str(path)
                for path in (
                    self._libraries,
                    packages / "lib" / self._libraries.name,
                    self._libraries / "ceph",
                )
            ),
            CEPH_CONF=str(root / "ceph.conf"),
            PYTHONPATH=str(packages / "usr" / "lib" / "python3" / "dist-packages"),
        )
        self._gateway_port = port

    def start(self) -> Server:
        """Bring up monitor, storage daemon and gateway, and make the user."""
        for name in ("run/rgw", "log", "mon", "osd/0"):
            (self._root / name).mkdir(parents=True)
        (self._root / "ceph.conf").write_text(self._configuration(), encoding="utf-8")
        monmap = str(self._root / "monmap")
        self._tool(
            "monmaptool",
            *("--create", "--clobber", "--addv", "a", f"[{self._monitor}]"),
            *("--fsid", self._cluster_id, monmap),
        )
        self._tool("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._daemon("ceph-mon", "-f", "-i", "a")
        self._until(lambda: self._admin("-s") is not None, "the monitor")
        storage_id = str(uuid.uuid4())
        self._until(lambda: self._admin("osd", "new", storage_id) is not None, "the monitor")
        self._tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", storage_id)
        self._daemon("ceph-osd", "-f", "-i", "0")
        self._until(lambda: "1 up" in (self._admin("osd", "stat") or ""), "the storage daemon")
        self._daemon("radosgw", "-f", "-n", "client.rgw.a")
        wait_until_up(self.server)
        keys = self.server.credentials
        self._tool(
            "radosgw-admin",
            *("user", "create", "--uid=stocktake", "--display-name=stocktake"),
            *(f"--access-key={keys.access_key_id}", f"--secret={keys.secret_access_key}"),
        )
        return self.server

    def _daemon(self, name: str, *arguments: str) -> None:
        log = self._root / "log" / f"{name}.out"
        command = [str(self._packages / "usr" / "bin" / name), *arguments]
        self.server.processes.append(spawn(command, log, self._environment))

    def _tool(self, name: str, *arguments: str) -> None:
        path = self._packages / "usr" / "bin" / name
        _run([str(path), *arguments], cwd=self._root, environment=self._environment)

    def _admin(self, *arguments: str) -> str | None:
        """What the cluster answers; None if it does not."""
        command = ["/usr/bin/python3", str(self._packages / "usr" / "bin" / "ceph"), *arguments]
        try:
            done = subprocess.run(
                command,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=_ADMIN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    def _until(self, is_up: Callable[[], bool], what: str) -> None:
        deadline_s = self._clock.monotonic_s() + _START_S
        while not is_up():
            if self._clock.monotonic_s() > deadline_s:
                raise ServerStartError(f"{what} did not start; see {self._root / 'log'}")
            self._clock.sleep(0.3)

    def _configuration(self) -> str:
        run, logs = self._root / "run", self._root / "log"
        sections: dict[str, Mapping[str, object]] = {
            "global": {
                "fsid": self._cluster_id,
                "mon host": self._monitor,
                "auth cluster required": "none",
                "auth service required": "none",
                "auth client required": "none",
                "osd pool default size": 1,
                "osd pool default min size": 1,
                "osd pool default pg num": 8,
                "osd pool default pg autoscale mode": "off",
                "osd crush chooseleaf type": 0,
                "mon allow pool size one": "true",
                "mon max pg per osd": 2000,
                "run dir": run,
                "admin socket": f"{run}/$name.asok",
                "log file": f"{logs}/$name.log",
                "ms bind ipv6": "false",
                "public addr": HOST,
                "cluster addr": HOST,
                "plugin dir": self._libraries,
                "erasure code dir": self._libraries / "ceph" / "erasure-code",
                "osd class dir": self._libraries / "rados-classes",
                "osd class load list": "*",
                "osd class default list": "*",
            },
            "mon": {"mon data": f"{self._root}/mon/$id"},
            "osd": {
                "osd data": f"{self._root}/osd/$id",
                "osd objectstore": "memstore",
                "memstore device bytes": 4 << 30,
            },
            # without tcp_nodelay each small answer waits 40 ms for a delayed acknowledgement
            "client.rgw.a": {
                "rgw frontends": f"beast endpoint={HOST}:{self._gateway_port} tcp_nodelay=1",
                "rgw data": run / "rgw",
            },
        }
        lines = []
        for name, values in sections.items():
            lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
        return "\n".join(lines) + "\n"


def _run(command: list[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ServerStartError(
            f"{' '.join(command[:3])} ... failed: {(done.stderr or done.stdout)[-1000:].strip()}"
        )
