"""Faults 48 to 55 and 59, and what libraries do wrong that we must not (SHP-13, SHP-20, SHP-22)."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import weakref
from collections.abc import Iterator
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.convert import (
    ConversionPlan,
    ConvertOptions,
    TableKind,
    plan_conversion,
    plan_from_json,
    plan_to_json,
    to_text,
    write_parquet,
)
from stocktake.convert import _csv_text as csv_text
from stocktake.convert._csv_parse import BlockParser
from stocktake.convert._csv_records import Dialect
from stocktake.convert._parquet_out import ParquetOut
from stocktake.errors import (
    ArchiveCorruptError,
    BadRowError,
    ConvertError,
    ConvertLimitError,
    InvalidSettingError,
    SourceChangedError,
    TextEncodingError,
)

PLAIN = ConvertOptions()


def _plan(
    source: bytes, options: ConvertOptions = PLAIN, kind: TableKind = TableKind.CSV
) -> ConversionPlan:
    return plan_conversion(io.BytesIO(source), kind, options, name="in.csv")


def _table(
    source: bytes, options: ConvertOptions = PLAIN, kind: TableKind = TableKind.CSV
) -> pa.Table:
    plan = plan_from_json(plan_to_json(_plan(source, options, kind)))
    sink = io.BytesIO()
    write_parquet(plan, io.BytesIO(source), sink, options)
    return pq.read_table(io.BytesIO(sink.getvalue()))


class _Rows:
    """A long CSV, made while it is read; a socket could not be less seekable."""

    def __init__(self, front: bytes, row: bytes, count: int, back: bytes = b"") -> None:
        self._pieces = self._all(front, row, count, back)
        self._rest = b""

    @staticmethod
    def _all(front: bytes, row: bytes, count: int, back: bytes) -> Iterator[bytes]:
        yield front
        while count:
            some = min(count, 50_000)
            yield row * some
            count -= some
        yield back

    def read(self, size_bytes: int = -1, /) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        data, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return data


def _plan_rows(*args: object) -> ConversionPlan:
    return plan_conversion(_Rows(*args), TableKind.CSV, PLAIN, name="in.csv")  # type: ignore[arg-type]


class TestFaults:
    def test_fault_48_no_bytes_no_rows_or_names_that_are_no_names(self) -> None:
        assert _plan(b"").rows is None
        assert _plan(b"\xef\xbb\xbf").rows is None
        assert _plan(b"a,b").rows == 0
        assert _table(b"a,b\r\n").schema.types == [pa.string(), pa.string()]
        columns = _plan(b"a,,a,a_2,a,_c2\n1,2,3,4,5,6\n").columns
        assert [one.name for one in columns] == ["a", "_c3", "a_3", "a_2", "a_4", "_c2"]
        assert [one.source_name for one in columns] == [None, "", "a", None, "a", None]

    def test_fault_49_ragged_row_a_million_rows_in(self) -> None:
        with pytest.raises(BadRowError) as caught:
            _plan_rows(b"a,b\n", b"1,x\n", 1_000_000, b"1,2,3\n4,y\n")
        assert caught.value.attrs == {
            "row": 1_000_002,
            "line": 1_000_002,
            "expected": 2,
            "actual": 3,
        }

    def test_fault_49_ragged_rows_are_put_aside_up_to_a_limit(self) -> None:
        source = b'a,b\n1,"x\ny"\n2\n3,z\n4,5,6\n7,w\n'
        options = ConvertOptions(bad_rows_max=2)
        plan = _plan(source, options)
        sink = io.BytesIO()
        result = write_parquet(plan, io.BytesIO(source), sink, options)
        assert list(result.rejected) == [
            {"row": 3, "line": 4, "reason": "1 fields, not 2"},
            {"row": 5, "line": 6, "reason": "3 fields, not 2"},
        ]
        assert result.rows == plan.rows == 3
        assert "2 rows of another width" in plan.warnings[0]
        with pytest.raises(BadRowError, match=r"row 5 \(line 6\)"):
            _plan(source, ConvertOptions(bad_rows_max=1))

    def test_fault_50_type_change_at_the_last_row_widens(self) -> None:
        front, row = b"n,d,t,k\n", b"12,1.50,2024-01-01,7\n"
        same = _plan_rows(front, row, 300_000)
        assert [one.type for one in same.columns] == [
            "int64",
            "decimal128(3, 2)",
            "date32[day]",
            "int64",
        ]
        late = _plan_rows(front, row, 300_000, b"x,1.5,2024-02-30,7.5\n")
        assert [one.type for one in late.columns] == ["string", "string", "string", "double"]
        assert all("row 300002" in one.why for one in late.columns[:3])

    def test_fault_51_nul_is_kept(self) -> None:
        assert _table(b"a\x00b,c\n\x00,1\n").to_pylist() == [{"a\x00b": "\x00", "c": 1}]

    def test_fault_52_unclosed_quote_does_not_swallow_the_rest(self) -> None:
        with pytest.raises(BadRowError, match=r"row 3 \(line 3\).*inside quotes"):
            _plan(b'a,b\n1,x\n2,"y\n3,z\n' + b"4,w\n" * 1000)
        with pytest.raises(BadRowError, match=r"row 3 \(line 3\).*after a closing quote"):
            _plan(b'a,b\n1,x\n2,"y\n3,z\n4,w"q\n')
        with pytest.raises(ConvertLimitError, match=r"row 3 \(line 3\): a quoted field is longer"):
            _plan(b'a,b\n1,x\n2,"y\n' + b"4,w\n" * 50_000, ConvertOptions(field_bytes_max=100_000))

    def test_fault_53_field_of_three_megabytes_straddles_no_block(self) -> None:
        long = b"x" * 3_000_000
        source = b"a,b\n" + b"1,y\n" * 1000 + b"2," + long + b'\n3,"' + long + b'\n"\n' + b"4,z\n"
        with patch.object(csv_text, "PIECE_BYTES", 1 << 20):
            table = _table(source)
        assert table.num_rows == 1003
        assert table.column("b")[1000].as_py() == long.decode()
        assert table.column("b")[1001].as_py() == long.decode() + "\n"

    def test_fault_53_field_beyond_the_limit(self) -> None:
        options = ConvertOptions(field_bytes_max=10_000)
        with pytest.raises(ConvertLimitError, match="column 'b' has a field of 20000 bytes"):
            _plan(b"a,b\n1," + b"x" * 20_000 + b"\n", options)

    def test_fault_54_invalid_utf8_in_row_400_002(self) -> None:
        with pytest.raises(TextEncodingError, match=r"row 400002 \(line 400002\)"):
            _plan_rows(b"a,b\n", b"1,x\n", 400_000, b"2,\xff\n3,y\n")

    def test_fault_55_wide_encodings_and_where_they_break(self) -> None:
        text = 'a,b\n1,"x\né😀"\n2,z\n'
        for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8"):
            source = ("\ufeff" + text).encode(encoding)
            assert _table(source).column("b").to_pylist() == ["x\né😀", "z"]
        cut = ("\ufeff" + text).encode("utf-16-le")[:-3]
        with pytest.raises(TextEncodingError, match=r"row 3 \(line 4\)"):
            _plan(cut)
        inside = '\ufeffa,b\n1,"x\ny"\n2,"z\n'.encode("utf-16-le") + b"\x00\xd8\x00\x00"
        with pytest.raises(TextEncodingError, match=r"row 3 \(line 5\)"):
            _plan(inside)
        lone = "\ufeffa,b\n1,x\n2,".encode("utf-16-le") + b"\x00\xd8" + "z\n".encode("utf-16-le")
        with pytest.raises(TextEncodingError, match=r"row 3 \(line 3\)"):
            _plan(lone)

    def test_fault_59_five_thousand_columns(self) -> None:
        names = ",".join(f"c{n}" for n in range(5000))
        row = ",".join(str(n % 7) for n in range(5000))
        table = _table((names + "\n" + (row + "\n") * 20).encode())
        assert table.shape == (20, 5000)
        assert table.column("c13").to_pylist() == [6] * 20
        with pytest.raises(ConvertLimitError, match="5000 columns are more than 4999"):
            _plan(names.encode(), ConvertOptions(columns_max=4999))


class TestWhatLibrariesDo:
    def test_tsv_quotes_are_text_and_swallow_no_rows(self) -> None:
        source = b'a\tb\n"big" pipe\t1\n"\t2\nx\t"3\n'
        table = _table(source, kind=TableKind.TSV)
        assert table.to_pylist() == [
            {"a": '"big" pipe', "b": "1"},
            {"a": '"', "b": "2"},
            {"a": "x", "b": '"3'},
        ]

    def test_tsv_with_real_quoting_is_read_as_such(self) -> None:
        quoted_tab = b'a\tb\n"x\ty"\t1\nz\t2\n'
        assert _table(quoted_tab, kind=TableKind.TSV).column("a").to_pylist() == ["x\ty", "z"]
        escaped = b'a\tb\n"say ""hi"""\t1\n'
        plan = _plan(escaped, kind=TableKind.TSV)
        assert _table(escaped, kind=TableKind.TSV).column("a").to_pylist() == ['say "hi"']
        assert "they could also be text" in plan.warnings[-1]

    def test_tsv_that_reads_both_ways_keeps_the_quotes(self) -> None:
        source = b'a\tb\n"Giliap"\t1\n'
        assert _table(source, kind=TableKind.TSV).column("a").to_pylist() == ['"Giliap"']
        assert "could also be quoting" in _plan(source, kind=TableKind.TSV).warnings[-1]

    def test_csv_with_tabs_prefers_quoting(self) -> None:
        assert _table(b'a\tb\n"x"\t1\ny\t2\n').column("a").to_pylist() == ["x", "y"]
        assert _table(b'a\tb\n"x" y\t1\ny\t2\n').column("a").to_pylist() == ['"x" y', "y"]

    def test_fallback_encoding_is_taken_only_where_utf8_fails(self) -> None:
        options = ConvertOptions(fallback_encoding="cp1252")
        utf8 = "a,b\n1,é\n".encode()
        assert _table(utf8, options).column("b").to_pylist() == ["é"]
        late = b"a,b\n" + "1,Ã©\n".encode("cp1252") * 3 + b"2,\xe9\n"
        assert _table(late, options).column("b").to_pylist() == ["Ã©"] * 3 + ["é"]
        with pytest.raises(TextEncodingError, match=r"row 3 \(line 3\): not cp1252"):
            _plan(b"a,b\n1,\xe9\n2,\x81\n", options)

    @pytest.mark.parametrize("encoding", ["utf-16", "no-such", "cp037"])
    def test_fallback_that_cannot_be_one(self, encoding: str) -> None:
        with pytest.raises(InvalidSettingError):
            _plan(b"a\n", ConvertOptions(fallback_encoding=encoding))

    def test_byte_order_mark_in_mid_file_is_text(self) -> None:
        """A parser drops one in front of every block."""
        source = "a,b\n\ufeffx,1\n\ufeffy,2\n".encode()
        with patch.object(csv_text, "PIECE_BYTES", 5):
            assert _table(source).column("a").to_pylist() == ["\ufeffx", "\ufeffy"]

    def test_empty_last_field_behind_a_quoted_one_is_null(self) -> None:
        assert _table(b'a,b\n"x",').to_pylist() == [{"a": "x", "b": None}]

    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    def test_blank_lines_are_rows_of_nulls(self, end: bytes) -> None:
        source = end.join([b"a,b", b"", b"1,2", b"", b'"', b"", b'",3', b"", b""])
        text = (end + end).decode()
        none = {"a": None, "b": None}
        assert _table(source).to_pylist() == [
            none,
            {"a": "1", "b": 2},
            none,
            {"a": text, "b": 3},
            none,
        ]

    def test_schema_is_obeyed_and_a_value_that_does_not_fit_has_its_row(self) -> None:
        options = ConvertOptions(schema={"a": "decimal128(10, 2)", "t": "timestamp[us, tz=UTC]"})
        source = b"a,t,c\n1.5,2024-01-01T00:00:00Z,007\n,,\n"
        table = _table(source, options)
        assert [str(one) for one in table.schema.types] == [
            "decimal128(10, 2)",
            "timestamp[us, tz=UTC]",
            "string",
        ]
        with pytest.raises(BadRowError, match=r"row 3 \(line 4\), column 'a'.*'x'"):
            _plan(b'a,t,c\n1,,"\n"\nx,,2\n', options)
        with pytest.raises(BadRowError, match=r"row 2 \(line 2\), column 'c': int64: invalid"):
            _plan(b"a,t,c\n1,,x\n", ConvertOptions(schema={"c": "int64"}))
        with pytest.raises(ConvertError, match="schema's column 't'"):
            _plan(b"a\n1\n", options)
        with pytest.raises(InvalidSettingError, match="type 'number'"):
            _plan(b"a\n1\n", ConvertOptions(schema={"a": "number"}))

    def test_floats_as_python_prints_them_are_doubles(self) -> None:
        source = b"a,b\n0.5,1e-05\n1e-05,1e-5\n1.5e+300,2\n-0.0,3\n"
        plan = _plan(source)
        assert [one.type for one in plan.columns] == ["double", "string"]
        table = _table(source)
        assert table.column("a").to_pylist() == [0.5, 1e-05, 1.5e300, 0.0]
        texts = to_text(table.column("a"), table.schema.field("a")).to_pylist()
        assert texts == ["0.5", "1e-05", "1.5e+300", "-0.0"]

    def test_types_strings_keeps_all_as_text(self) -> None:
        table = _table(b"a,b\n1,2024-01-01\n", ConvertOptions(types="strings"))
        assert table.to_pylist() == [{"a": "1", "b": "2024-01-01"}]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_delimiter_is_found_though_others_are_in_the_text(self, delimiter: str) -> None:
        rest = "".join(one for one in ",;|" if one != delimiter)
        rows = [["id", "remark", "price"], ["1", f"a{rest}b", "2,5"], ["2", "c", "3,75"]]
        quoted = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in rows]
        source = "\n".join(delimiter.join(row) for row in quoted).encode()
        assert _plan(source).details["csv"]["delimiter"] == delimiter

    @pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "é"])
    def test_delimiter_that_cannot_be_one(self, delimiter: str) -> None:
        with pytest.raises(InvalidSettingError):
            _plan(b"a\n", ConvertOptions(delimiter=delimiter))


class TestParquet:
    def test_row_groups_hold_a_million_rows_not_one_batch(self) -> None:
        """SHP-22: `write_batch` of pyarrow makes one row group of each batch."""
        source = b"a,b\n" + b"1,x\n" * 2_400_000
        with patch.object(csv_text, "PIECE_BYTES", 1 << 20):
            sink = io.BytesIO()
            result = write_parquet(_plan(source), io.BytesIO(source), sink, PLAIN)
        meta = pq.ParquetFile(io.BytesIO(sink.getvalue())).metadata
        rows = [meta.row_group(n).num_rows for n in range(meta.num_row_groups)]
        assert result.row_groups == len(rows) == 3
        assert min(rows[:-1]) >= 1_000_000

    def test_row_groups_end_at_64_megabytes(self) -> None:
        options = ConvertOptions(row_group_bytes=1 << 20)
        source = b"a\n" + (b"x" * 999 + b"\n") * 5000
        sink = io.BytesIO()
        with patch.object(csv_text, "PIECE_BYTES", 1 << 18):
            result = write_parquet(_plan(source), io.BytesIO(source), sink, options)
        assert result.row_groups == 5

    def test_metadata_says_where_it_comes_from_and_why(self) -> None:
        """SHP-22: source, digest, size, dialect, encoding and each column's decision."""
        source = "a;a\n1;x\n".encode("utf-16")
        plan = _plan(source)
        sink = io.BytesIO()
        write_parquet(plan, io.BytesIO(source), sink, PLAIN)
        kept = pq.read_schema(io.BytesIO(sink.getvalue())).metadata
        assert kept[b"stocktake.source"] == b"in.csv"
        assert kept[b"stocktake.sha256"].decode() == plan.sha256
        assert kept[b"stocktake.size_bytes"] == str(len(source)).encode()
        assert kept[b"stocktake.encoding"] == b"utf-16-le"
        assert json.loads(kept[b"stocktake.dialect"]) == {
            "delimiter": ";",
            "quoting": True,
            "header": True,
        }
        columns = json.loads(kept[b"stocktake.columns"])
        assert columns[1] == {
            "name": "a_2",
            "source_name": "a",
            "type": "string",
            "why": "row 2 is text",
        }

    def test_source_that_changed_between_the_passes_gives_no_file(self) -> None:
        plan = _plan(b"a\n1\n")
        for other in (b"a\n2\n", b"a\nx\n", b"a\n1\n1\n", b"a,b\n1,2\n", b"", b'a\n"'):
            sink = io.BytesIO()
            with pytest.raises(SourceChangedError):
                write_parquet(plan, io.BytesIO(other), sink, PLAIN)
            assert b"PAR1" not in sink.getvalue()[4:]

    def test_error_of_the_source_itself_comes_through(self) -> None:
        """A broken archive says that it is broken, in both passes, and is not read any further."""

        class Broken(io.BytesIO):
            asked = 0

            def read(self, size_bytes: int | None = -1, /) -> bytes:
                self.asked += 1
                if self.asked > 1:
                    raise ArchiveCorruptError("CRC is wrong")
                return super().read(size_bytes)

        source = b"a,b\n" + b"1,2\n" * 1000
        with pytest.raises(ArchiveCorruptError):
            plan_conversion(Broken(source), TableKind.CSV, PLAIN, name="x.csv")
        broken = Broken(source)
        with pytest.raises(ArchiveCorruptError):
            write_parquet(_plan(source), broken, io.BytesIO(), PLAIN)
        assert broken.asked == 2

    def test_sink_that_fails_gets_no_footer_afterwards(self) -> None:
        """The destructor of pyarrow's writer would write one."""

        class Full(io.BytesIO):
            left = 2

            def write(self, data: bytes, /) -> int:  # type: ignore[override]
                self.left -= 1
                if self.left < 0:
                    raise OSError(28, "No space left on device")
                return super().write(data)

        sink = Full()
        options = ConvertOptions(row_group_rows=1000)
        source = b"a\n" + b"1\n" * 5000
        with pytest.raises(OSError, match="No space"):
            write_parquet(_plan(source), io.BytesIO(source), sink, options)
        sink.left = 100
        assert not sink.getvalue().endswith(b"PAR1")

    def test_abandoned_file_writes_nothing_more(self) -> None:
        sink = io.BytesIO()
        schema = pa.schema([("a", pa.int64())])
        out = ParquetOut(sink, schema, {}, PLAIN)
        out.write(pa.record_batch({"a": [1, 2]}, schema=schema))
        out.abandon()
        before = sink.getvalue()
        del out
        assert sink.getvalue() == before

    def test_snappy_on_request(self) -> None:
        options = ConvertOptions(compression="snappy")
        sink = io.BytesIO()
        write_parquet(_plan(b"a\n1\n"), io.BytesIO(b"a\n1\n"), sink, options)
        meta = pq.ParquetFile(io.BytesIO(sink.getvalue())).metadata
        assert meta.row_group(0).column(0).compression == "SNAPPY"
        with pytest.raises(InvalidSettingError):
            _plan(b"", ConvertOptions(compression="gzip"))


_BOMB = """
from stocktake.convert import *
ROW = b"one value, over and over;" * 3 + b"\\n"
class Bomb:
    def __init__(self): self.left = {size}
    def read(self, n=-1, /):
        rows = min(n, self.left) // len(ROW); self.left -= rows * len(ROW)
        return ROW * rows
class Nothing:
    def write(self, data, /): pass
options = ConvertOptions(delimiter=";")
plan = plan_conversion(Bomb(), TableKind.CSV, options, name="bomb.csv")
write_parquet(plan, Bomb(), Nothing(), options)
# not ru_maxrss: that of a child begins with what its parent had
status = open("/proc/self/status").read().split()
print(plan.size_bytes, int(status[status.index("VmHWM:") + 1]) // 1024)
"""


@pytest.mark.parametrize(
    "size_bytes", [200 << 20, pytest.param(2 << 30, marks=pytest.mark.slow)], ids=str
)
def test_memory_does_not_grow_with_the_file(size_bytes: int) -> None:
    """SHP-13: 320 MB at most, imports included, for any number of bytes of one value."""
    done = subprocess.run(
        [sys.executable, "-c", _BOMB.format(size=size_bytes)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    read_bytes, peak_mb = map(int, done.stdout.split())
    assert read_bytes > size_bytes - 100
    assert peak_mb < 320


def test_parsers_of_files_that_are_done_are_gone() -> None:
    """SHP-52: Arrow keeps what its row handler refers to, out of the collector's sight."""
    parser = BlockParser("x", ["a"], Dialect(","))
    gone = weakref.ref(parser)
    del parser
    assert gone() is None


def test_unbroken_line_ends_at_the_limit_not_in_memory() -> None:
    """SHP-13: a gigabyte without a line end is refused early."""
    with pytest.raises(ConvertLimitError, match=r"row 2 \(line 2\) is longer than"):
        _plan_rows(b"a\n", b"x" * 1000, 1_000_000)
