"""What `bench.uploads` times in processes of their own: uploading by the store alone."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stocktake.store import (
    CompleteOptions,
    PutOptions,
    S3StoreOptions,
    Store,
    combine_crc64nvme,
    crc64nvme,
    encode_crc64nvme,
    open_store,
)

SMALL_THREADS = 8
LARGE_THREADS = 4
PART_BYTES = 16 << 20
METADATA = {
    "stocktake-token": "0" * 32,
    "stocktake-ship": "1" * 16,
    "stocktake-sha256": "2" * 64,
    "stocktake-mtime": "1700000000000000000",
    "stocktake-version": "1",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["small", "large", "each"])
    parser.add_argument("endpoint")
    parser.add_argument("bucket")
    parser.add_argument("source")
    chosen = parser.parse_args()
    store = open_store(
        S3StoreOptions(
            endpoint_url=chosen.endpoint,
            region="us-east-1",
            access_key_id="stocktake",
            secret_access_key="stocktake-secret",
        )
    )
    tasks = {"small": small, "large": large, "each": each}
    print(json.dumps(tasks[chosen.task](store, chosen.bucket, chosen.source)))


def small(store: Store, bucket: str, source: str) -> dict[str, float]:
    """Every file below a folder: read whole, summed, one conditional PUT with metadata."""
    paths = sorted(path for path in Path(source).iterdir() if path.is_file())

    def put(path: Path) -> None:
        data = path.read_bytes()
        options = PutOptions(
            "application/octet-stream",
            METADATA | {"stocktake-size": str(len(data)), "stocktake-source": path.name},
            if_absent=True,
            crc64nvme=encode_crc64nvme(crc64nvme(data)),
        )
        store.put(bucket, path.name, data, options)

    put(paths[0])
    with ThreadPoolExecutor(SMALL_THREADS) as pool:
        list(pool.map(put, paths[1:]))
    return {"files": len(paths)}


def large(store: Store, bucket: str, source: str) -> dict[str, float]:
    """One file in parts, each read once into memory that is used again, the whole summed."""
    size_bytes = Path(source).stat().st_size
    options = PutOptions(metadata=METADATA, full_object_crc64nvme=True)
    upload = store.begin_upload(bucket, "large", options)
    local = threading.local()
    file = os.open(source, os.O_RDONLY)

    def send(number: int) -> tuple[int, str, int, int]:
        if not hasattr(local, "memory"):
            local.memory = memoryview(bytearray(PART_BYTES))
        count = os.preadv(file, [local.memory], (number - 1) * PART_BYTES)
        part = local.memory[:count]
        return number, upload.put_part(number, part), crc64nvme(part), count

    parts = -(-size_bytes // PART_BYTES)
    with ThreadPoolExecutor(LARGE_THREADS) as pool:
        sent = list(pool.map(send, range(1, parts + 1)))
    whole = 0
    for _, _, crc, count in sent:
        whole = combine_crc64nvme(whole, crc, count)
    etags = {number: etag for number, etag, _, _ in sent}
    crc = encode_crc64nvme(whole)
    done = upload.complete(
        etags, CompleteOptions(if_absent=True, crc64nvme=crc, size_bytes=size_bytes)
    )
    if done.checksums["crc64nvme"] != crc or done.size_bytes != size_bytes:
        raise SystemExit("what is there is not what was sent")
    return {"parts": parts}


def each(store: Store, bucket: str, source: str) -> dict[str, float]:
    """CPU milliseconds of one request of every kind, by our own requests or by botocore's."""
    data = bytes(4096)
    options = PutOptions(
        metadata=METADATA, if_absent=True, crc64nvme=encode_crc64nvme(crc64nvme(data))
    )
    numbers = itertools.count()
    store.put(bucket, f"{source}-read", data)
    if source == "botocore":
        store._calls._objects.routes.ban(bucket)  # type: ignore[attr-defined]

    def put() -> None:
        store.put(bucket, f"{source}-{next(numbers)}", data, options)

    def head() -> None:
        store.head(bucket, f"{source}-read")

    def get() -> None:
        with store.get(bucket, f"{source}-read") as body:
            body.read()

    def upload() -> None:
        begun = store.begin_upload(bucket, f"{source}-upload")
        etags = {1: begun.put_part(1, data)}
        begun.complete(etags, CompleteOptions(settle=False, size_bytes=len(data)))

    kinds = {"put": put, "head": head, "get": get, "upload of one part": upload}
    return {name: _cpu_ms(action) for name, action in kinds.items()}


def _cpu_ms(action) -> float:
    """The least of several rounds: the machine is shared."""
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(100):
            action()
        rounds.append((time.process_time() - started) * 10)
    return min(rounds)


if __name__ == "__main__":
    main()
