"""Listing pages: the parser alone, then requests and parser together against a page server.

The parser's pages are in memory; the fastest of several interleaved rounds counts, because machines
are noisy. The page server runs in a process of its own, without delay, and its CPU time does not
count; its answers come in chunks of 8 KiB, as S3 sends them.
"""

from __future__ import annotations

import argparse
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import botocore.parsers
import botocore.session

from bench.measure import RESULTS, keep, table
from stocktake.store import ListQuery, open_store
from stocktake.store._listing_xml import parse_tree_page
from stocktake.store._page_columns import parse_columns, parse_rows
from stocktake.store._span import Span
from stocktake.testing import KEY_SHAPES, KeyPages, PageDelays, key_shape, start_page_server

BUCKET = "bench"
ENTRY = re.compile(
    rb"<Contents><Key>([^<]*)</Key><LastModified>([^<]*)</LastModified><ETag>([^<]*)</ETag>"
    rb"<ChecksumAlgorithm>([^<]*)</ChecksumAlgorithm><ChecksumType>[^<]*</ChecksumType>"
    rb"<Size>(\d+)</Size><StorageClass>([^<]*)</StorageClass></Contents>"
)


@dataclass(frozen=True)
class Result:
    """What some way of listing cost. CPU seconds of this process for each 100,000 keys."""

    shape: str
    way: str
    cpu_s: float
    keys_per_s: float | None = None

    @property
    def per_core(self) -> float:
        return 100_000 / self.cpu_s


def pages_of(shape: str, count: int) -> list[bytes]:
    """Pages from all over a set of keys."""
    keys = key_shape(shape, count * 2000)
    pages = KeyPages(keys)
    marks = [keys[number * 2000] for number in range(count)]
    return [pages.page(BUCKET, {"start-after": mark})[0] for mark in marks]


def botocore_parser() -> Callable[[bytes], object]:
    model = botocore.session.get_session().get_service_model("s3")
    shape = model.operation_model("ListObjectsV2").output_shape
    parser = botocore.parsers.create_parser("rest-xml")
    return lambda body: parser.parse({"status_code": 200, "headers": {}, "body": body}, shape)


def bare_tree(body: bytes) -> list[tuple[str | None, ...]]:
    """ElementTree to texts: nothing decoded, nothing checked."""
    return [
        tuple(child.text for child in element)
        for element in ET.fromstring(body)
        if element.tag.endswith("Contents")
    ]


def parser_alone(shape: str, rounds: int) -> list[Result]:
    pages = pages_of(shape, 10)
    query = ListQuery(BUCKET)
    ways: dict[str, Callable[[bytes], object]] = {
        "botocore, to dicts": botocore_parser(),
        "ElementTree, texts only": bare_tree,
        "ours, tree to rows": lambda body: parse_tree_page(body, query),
        "re.findall, texts only": ENTRY.findall,
        "ours, to rows": lambda body: parse_rows(Span.of(body), query),
        "ours, to columns": lambda body: parse_columns(Span.of(body), query),
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for way, parse in ways.items():
            for body in pages[: 2 if "botocore" in way else None]:
                started = time.process_time()
                parse(body)
                least[way] = min(least[way], time.process_time() - started)
    return [Result(shape, way, cpu_s * 100) for way, cpu_s in least.items()]


class Walk:
    """Pages from marks, taken by any number of threads."""

    def __init__(self, list_page: Callable[[str], int], marks: list[str]) -> None:
        self._list = list_page
        self._marks = iter(marks)
        self._lock = threading.Lock()
        self.keys = 0

    def run(self, threads: int) -> tuple[float, float]:
        """CPU and wall seconds."""
        workers = [threading.Thread(target=self._work) for _ in range(threads)]
        wall, cpu = time.perf_counter(), time.process_time()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.process_time() - cpu, time.perf_counter() - wall

    def _work(self) -> None:
        while True:
            with self._lock:
                mark = next(self._marks, None)
            if mark is None:
                return
            count = self._list(mark)
            with self._lock:
                self.keys += count


def requests_and_parser(shape: str, pages: int, rounds: int) -> list[Result]:
    keys = key_shape(shape, 200_000)
    step = (len(keys) - 1000) // pages
    marks = [keys[number * step] for number in range(pages)]
    logs = RESULTS.parent / "data"
    logs.mkdir(exist_ok=True)
    results: dict[str, Result] = {}
    delays = PageDelays(chunk_bytes=8192)
    with start_page_server(logs, shape, len(keys), delays=delays) as server:
        store = open_store(server.options(concurrency=64))
        client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name=server.region,
            aws_access_key_id=server.credentials.access_key_id,
            aws_secret_access_key=server.credentials.secret_access_key,
        )

        def by_botocore(mark: str) -> int:
            answer = client.list_objects_v2(Bucket=BUCKET, StartAfter=mark)
            return len(answer["Contents"])

        def by_rows(mark: str) -> int:
            return len(store.list_page(ListQuery(BUCKET, start_after=mark)).objects)

        def by_columns(mark: str) -> int:
            return len(store.list_columns(ListQuery(BUCKET, start_after=mark)).rows)

        ways = [
            ("botocore, 1 thread", by_botocore, 1, 20),
            ("ours by rows, 1 thread", by_rows, 1, 5),
            *(
                (f"ours by columns, {threads} thread{'s'[: threads > 1]}", by_columns, threads, 1)
                for threads in (1, 8, 64)
            ),
        ]
        for _ in range(rounds):
            for way, list_page, threads, every in ways:
                walk = Walk(list_page, marks[::every])
                cpu_s, wall_s = walk.run(threads)
                found = Result(shape, way, cpu_s * 100_000 / walk.keys, walk.keys / wall_s)
                if way not in results or found.cpu_s < results[way].cpu_s:
                    results[way] = found
        store.close()
        client.close()
    return list(results.values())


def show(title: str, results: list[Result]) -> None:
    base = results[0].cpu_s
    rows: list[list[object]] = [
        [
            result.way,
            result.cpu_s,
            f"{result.per_core:,.0f}",
            f"{result.keys_per_s:,.0f}" if result.keys_per_s else "",
            f"{base / result.cpu_s:.1f}x",
        ]
        for result in results
    ]
    head = ["way", "CPU s per 100,000", "keys/s/core", "keys/s", f"beside {results[0].way}"]
    table(title, head, rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench parser", description=__doc__)
    parser.add_argument("--shapes", default="cloudtrail,unicode")
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    shapes = options.shapes.split(",")
    if unknown := set(shapes) - set(KEY_SHAPES):
        parser.error(f"no such shapes: {unknown}")
    results: list[Result] = []
    for shape in shapes:
        alone = parser_alone(shape, options.rounds)
        show(f"parser alone, pages of 1,000, {shape}", alone)
        together = requests_and_parser(shape, options.pages, max(1, options.rounds // 2))
        show(f"requests and parser, {options.pages} pages, {shape}", together)
        results += alone + together
    keep("listing_parser", results)
    return 0
