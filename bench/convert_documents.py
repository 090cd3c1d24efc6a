"""JSON, JSON lines and XML to Parquet in memory, beside readers that keep less of the values.

CPU seconds of the same bytes in one process; the rounds are interleaved and the fastest counts.
What the others change is said in their names: pyarrow.json alone reads no arrays, takes times for
timestamps and rounds big integers; DuckDB takes times for timestamps; the parsers only parse.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from bench.measure import keep, table
from stocktake.convert import ConvertOptions, TableKind, plan_conversion, write_parquet
from stocktake.convert._json_blocks import array_blocks, line_blocks
from stocktake.convert._json_parse import parse_fast
from stocktake.convert._json_text import JsonText
from stocktake.convert._plan_json import schema_of

OPTIONS = ConvertOptions()


class Nowhere:
    """A sink that counts."""

    size_bytes = 0

    def write(self, data: bytes) -> None:
        self.size_bytes += len(data)


def records(rows: int, form: str) -> list[dict[str, object]]:
    """Made-up orders. `long`: doubles of 17 digits. `mixed`: one member of two types."""
    chance = random.Random(7)
    made = []
    for number in range(rows):
        one: dict[str, object] = {
            "id": number,
            "name": f"customer {number}",
            "price": chance.random() if form == "long" else round(chance.random() * 1000, 2),
            "paid": number % 2 == 0,
            "at": f"2024-01-01T00:00:{number % 60:02d}Z",
            "tags": ["a", "b"],
            "place": {"lat": number % 90 + 0.5, "lon": None},
        }
        if form == "mixed":
            one["code"] = number if number % 2 else str(number)
        made.append(one)
    return made


def xml_of(rows: int) -> bytes:
    items = (
        f'<item id="{n}"><name>customer {n}</name><price cur="EUR">{n % 1000}.{n % 100:02d}</price>'
        f"<at>2024-01-01T00:00:{n % 60:02d}Z</at><tag>a</tag><tag>b</tag>"
        f"<place><lat>{n % 90}.5</lat></place></item>\n"
        for n in range(rows)
    )
    return ("<orders>\n" + "".join(items) + "</orders>").encode()


def convert_works(text: bytes, kind: TableKind, form: str) -> dict[str, Callable[[], object]]:
    plan = plan_conversion(io.BytesIO(text), kind, OPTIONS, name="bench")
    works: dict[str, Callable[[], object]] = {
        "ours, pass 1": lambda: plan_conversion(io.BytesIO(text), kind, OPTIONS, name="bench"),
        "ours, pass 2": lambda: write_parquet(plan, io.BytesIO(text), Nowhere(), OPTIONS),
    }
    if kind is not TableKind.XML:
        schema = schema_of(plan)

        def split(parse: Callable[[object], object]) -> None:
            source = JsonText(io.BytesIO(text), OPTIONS)
            source.next_byte()
            if kind is TableKind.JSON:
                source.at += 1
            cut = array_blocks if kind is TableKind.JSON else line_blocks
            for block in cut(source, OPTIONS):
                parse(block)

        works["ours, split only"] = lambda: split(lambda block: block.objects)
        if form != "mixed":  # there pyarrow has no part in it
            works["ours, split + to Arrow"] = lambda: split(lambda block: parse_fast(block, schema))
    return works


def peer_works(
    text: bytes, kind: TableKind, form: str, folder: Path
) -> dict[str, Callable[[], object]]:
    if kind is TableKind.XML:
        return {
            "xml.etree iterparse": lambda: [e.clear() for _, e in ET.iterparse(io.BytesIO(text))],
        }
    path = folder / f"bench.{kind}"
    path.write_bytes(text)
    layout = "array" if kind is TableKind.JSON else "newline_delimited"
    target = folder / "bench.parquet"
    works: dict[str, Callable[[], object]] = {
        "json.loads": lambda: standard(text, kind),
        "msgspec": lambda: parsed(text, kind),
        "DuckDB to Parquet (whole sample)": lambda: duckdb.sql(
            f"copy (from read_json('{path}', format='{layout}', sample_size=-1)) to '{target}'"
        ),
    }
    if kind is TableKind.JSONL and form != "mixed":  # it refuses two types
        works["pyarrow.json to Parquet"] = lambda: pq.write_table(
            pj.read_json(pa.BufferReader(text), pj.ReadOptions(use_threads=False)), target
        )
    return works


def standard(text: bytes, kind: TableKind) -> object:
    return (
        json.loads(text) if kind is TableKind.JSON else [json.loads(x) for x in text.split(b"\n")]
    )


def parsed(text: bytes, kind: TableKind) -> object:
    if kind is TableKind.JSON:
        return msgspec.json.decode(text)
    return msgspec.json.Decoder().decode_lines(text)


def measure(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least CPU seconds of each work."""
    least = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            started = time.process_time()
            work()
            least[name] = min(least[name], time.process_time() - started)
    return least


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench documents", description=__doc__)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/tmp"))
    options = parser.parse_args(argv)
    duckdb.sql("set threads = 1")
    results = {}
    for form in ("plain", "long", "mixed", "xml"):
        texts: dict[TableKind, bytes] = {}
        if form == "xml":
            texts[TableKind.XML] = xml_of(options.rows)
        else:
            made = records(options.rows, form)
            texts[TableKind.JSON] = json.dumps(made).encode()
            texts[TableKind.JSONL] = "\n".join(map(json.dumps, made)).encode()
        for kind, text in texts.items():
            works = convert_works(text, kind, form) | peer_works(text, kind, form, options.folder)
            least = measure(works, options.rounds)
            size_mb = len(text) / 1e6
            table(
                f"{kind}, {form}: {options.rows} records, {size_mb:.1f} MB",
                ["work", "CPU s", "MB/s per core"],
                [[name, cpu_s, size_mb / cpu_s] for name, cpu_s in least.items()],
            )
            results[f"{kind}-{form}"] = {"size_bytes": len(text), "cpu_s": least}
    keep("documents", results)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
