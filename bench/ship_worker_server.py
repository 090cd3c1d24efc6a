"""An S3 that forgets: it takes objects, checks their checksums, and keeps only what HEAD tells.

python -m bench.ship_worker_server      prints its address, serves until it is killed
"""

from __future__ import annotations

import itertools
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from stocktake.store import combine_crc64nvme, crc64nvme, encode_crc64nvme

_PIECE_BYTES = 1 << 20
_LOCK = threading.Lock()
_NUMBERS = itertools.count(1)
OBJECTS: dict[str, dict[str, str]] = {}
UPLOADS: dict[str, tuple[str, dict[str, str], dict[int, tuple[int, int]]]] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        return

    def do_PUT(self) -> None:
        path, query = self._target()
        crc, size = self._body()
        told = self.headers.get("x-amz-checksum-crc64nvme")
        if told is not None and told != encode_crc64nvme(crc):
            self._answer(400, b"<Error><Code>BadDigest</Code></Error>")
        elif "uploadId" in query:
            number = int(query["partNumber"])
            UPLOADS[query["uploadId"]][2][number] = (crc, size)
            self._answer(200, etag=f"{crc:032x}")
        else:
            with _LOCK:
                if self.headers.get("if-none-match") and path in OBJECTS:
                    self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                    return
                OBJECTS[path] = self._facts(self._metadata(), crc, size, "")
            self._answer(200, etag=OBJECTS[path]["etag"])

    def do_POST(self) -> None:
        path, query = self._target()
        self._body()
        if "uploads" in query:
            upload_id = f"u{next(_NUMBERS)}"
            UPLOADS[upload_id] = (path, self._metadata(), {})
            text = f"<UploadId>{upload_id}</UploadId>"
            self._answer(200, _xml("InitiateMultipartUploadResult", text))
            return
        _, metadata, parts = UPLOADS.pop(query["uploadId"])
        crc = total = 0
        for number in sorted(parts):
            crc = combine_crc64nvme(crc, *parts[number])
            total += parts[number][1]
        if self.headers.get("x-amz-checksum-crc64nvme") != encode_crc64nvme(crc):
            self._answer(400, b"<Error><Code>BadDigest</Code></Error>")
            return
        OBJECTS[path] = self._facts(metadata, crc, total, f"-{len(parts)}")
        etag = OBJECTS[path]["etag"]
        self._answer(200, _xml("CompleteMultipartUploadResult", f"<ETag>{etag}</ETag>"))

    def do_HEAD(self) -> None:
        path, _ = self._target()
        found = OBJECTS.get(path)
        if path.count("/") == 1:
            self._answer(200)
            return
        if found is None:
            self._answer(404)
            return
        self.send_response(200)
        for name, value in found.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        _, query = self._target()
        if "uploadId" in query:
            self._answer(404, b"<Error><Code>NoSuchUpload</Code></Error>")
        else:
            self._answer(
                200, _xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
            )

    def do_DELETE(self) -> None:
        UPLOADS.pop(self._target()[1].get("uploadId", ""), None)
        self._answer(204)

    def _target(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        return unquote(parts.path), {name: values[0] for name, values in query.items()}

    def _body(self) -> tuple[int, int]:
        left = size = int(self.headers.get("content-length") or 0)
        crc = 0
        while left:
            piece = self.rfile.read(min(left, _PIECE_BYTES))
            crc = crc64nvme(piece, crc)
            left -= len(piece)
        return crc, size

    def _metadata(self) -> dict[str, str]:
        return {k.lower(): v for k, v in self.headers.items() if re.match("x-amz-meta-", k, re.I)}

    def _facts(self, metadata: dict[str, str], crc: int, size: int, ending: str) -> dict[str, str]:
        return metadata | {
            "etag": f'"{crc:032x}{ending}"',
            "content-length": str(size),
            "last-modified": "Sat, 21 Nov 2026 00:00:00 GMT",
            "x-amz-checksum-crc64nvme": encode_crc64nvme(crc),
            "x-amz-checksum-type": "FULL_OBJECT",
        }

    def _answer(self, status: int, body: bytes = b"", etag: str = "") -> None:
        self.send_response(status)
        if etag:
            self.send_header("etag", etag if etag.startswith('"') else f'"{etag}"')
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _xml(root: str, inner: str) -> bytes:
    return f'<?xml version="1.0"?><{root}>{inner}</{root}>'.encode()


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
