"""A door in front of a server that can be shut: connections are cut and refused until it opens."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from urllib.parse import urlsplit

_HOST = "127.0.0.1"
_ABORT = struct.pack("ii", 1, 0)


class TcpGate:
    """Forwards a port of its own to a server, while it is open."""

    def __init__(self, upstream_url: str) -> None:
        address = urlsplit(upstream_url)
        self._upstream = (address.hostname, address.port)
        self._lock = threading.Lock()
        self._pairs: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        with socket.create_server((_HOST, 0)) as free:
            self._port = free.getsockname()[1]

    @property
    def endpoint_url(self) -> str:
        return f"http://{_HOST}:{self._port}"

    def open(self) -> None:
        """Let connections through from now on."""
        self._listener = socket.create_server((_HOST, self._port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut every connection, refuse new ones."""
        assert self._listener is not None
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for end in self._pairs:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                    end.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def __enter__(self) -> TcpGate:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shut()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self._upstream)
            except OSError:
                return
            with self._lock:
                self._pairs |= {client, server}
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            with self._lock:
                self._pairs.discard(end)
