"""Streams of a run: the JSON contract, tables, errors."""

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from stocktake.cli._output import Column, Output, portable
from stocktake.errors import AccessDeniedError, StocktakeError

NAIVE = datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def out():
    return Output(io.StringIO(), io.StringIO())


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    return Output(Terminal(), Terminal())


def test_integers_that_a_double_would_round_become_strings():
    assert portable(2**53 - 1) == 2**53 - 1
    assert portable(2**53) == "9007199254740992"
    assert portable(-(2**60)) == str(-(2**60))


def test_values_of_sql_answers_become_json_values():
    assert portable(
        {
            "t": datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None),
            "d": date(2026, 1, 2),
            "n": Decimal("1.50"),
            "b": b"\x00\xff",
        }
    ) == {"t": "2026-01-02T00:00:00Z", "d": "2026-01-02", "n": "1.50", "b": "00ff"}
    assert portable(float("nan")) is None
    assert portable(float("inf")) is None
    assert portable(True) is True
    assert portable((1, [datetime(2026, 1, 2, tzinfo=UTC)])) == [1, ["2026-01-02T00:00:00Z"]]


def test_a_document_is_ascii_so_that_no_key_can_move_the_cursor(out):
    out.document({"key": "a\u202eb\u009b\ud800"})
    text = out.stdout.getvalue()
    assert text.isascii()
    assert json.loads(text) == {"key": "a\u202eb\u009b\ud800"}


def test_rows_are_one_document_with_a_row_per_line(out):
    assert out.rows_document({"source": None}, ({"n": n} for n in range(3)), "objects") == 3
    text = out.stdout.getvalue()
    assert json.loads(text) == {"source": None, "objects": [{"n": 0}, {"n": 1}, {"n": 2}]}
    assert '\n    {"n": 1},\n' in text


@pytest.mark.parametrize("head", [{}, {"a": {"b": 1}}, {"a": [1]}])
def test_no_rows_is_still_a_document(out, head):
    assert out.rows_document(head, []) == 0
    assert json.loads(out.stdout.getvalue()) == {**head, "rows": []}


def test_a_failure_in_the_middle_of_the_rows_ends_the_document(out):
    def rows():
        yield {"n": 1}
        raise StocktakeError("the disk went away")

    out.json = True
    try:
        out.rows_document({"source": "x"}, rows())
    except StocktakeError as error:
        out.error(error)
    answer = json.loads(out.stdout.getvalue())
    assert answer["rows"] == [{"n": 1}]
    assert answer["error"]["message"] == "the disk went away"


def test_an_error_for_people_is_message_blank_line_hint_on_stderr(out):
    out.error(AccessDeniedError("denied", hint="grant s3:GetObject"))
    assert out.stderr.getvalue() == "error: denied\n\nhint: grant s3:GetObject\n"
    assert out.stdout.getvalue() == ""


def test_an_error_for_programs_is_one_shape_on_stdout(out):
    out.json = True
    out.error(AccessDeniedError("denied", hint="h", bucket="b", status=403))
    assert json.loads(out.stdout.getvalue()) == {
        "error": {
            "code": "access-denied",
            "message": "denied",
            "hint": "h",
            "retryable": False,
            "attrs": {"bucket": "b", "status": 403},
        }
    }
    assert out.stderr.getvalue() == ""


def test_a_traceback_is_shown_with_verbose_only(out):
    with pytest.raises(StocktakeError) as caught:
        list(broken())
    out.error(caught.value)
    assert "Traceback" not in out.stderr.getvalue()
    out.verbose = True
    out.error(caught.value)
    assert "Traceback" in out.stderr.getvalue()


def broken():
    yield
    raise StocktakeError("broken")


COLUMNS = [Column("SIZE", right=True), Column("KEY", flexible=True)]


def test_a_table_in_a_pipe_cuts_nothing(out):
    out.table(COLUMNS, [("1 B", "k" * 300)])
    assert "k" * 300 in out.stdout.getvalue()
    assert out.stdout.getvalue().splitlines()[0] == "SIZE  KEY"


def test_a_table_on_a_terminal_fits_its_width(terminal):
    terminal.no_color = True
    terminal.table(COLUMNS, [("1 B", "start-" + "k" * 300 + "-end"), ("10.5 KiB", "short")])
    lines = terminal.stdout.getvalue().splitlines()
    assert [len(line) for line in lines] == [13, 40, 15]
    assert lines[1].startswith("     1 B  start-")
    assert lines[1].endswith("-end")


def test_a_long_table_is_written_in_pieces(out):
    assert out.table(COLUMNS, ((f"{n} B", "k") for n in range(2500))) == 2500
    assert len(out.stdout.getvalue().splitlines()) == 2501


def test_no_rows_is_no_heading(out):
    assert out.table(COLUMNS, []) == 0
    assert out.stdout.getvalue() == ""


def test_colour_only_on_a_terminal_that_wants_it(out, terminal):
    assert out.styled("x", "red") == "x"
    assert terminal.styled("x", "red") == "\x1b[31mx\x1b[0m"
    terminal.no_color = True
    assert terminal.styled("x", "red") == "x"


def test_no_color_variable_and_dumb_terminals_mean_plain(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert Output(Terminal(), Terminal()).styled("x", "dim") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert Output(Terminal(), Terminal()).styled("x", "dim") == "x"


def test_quiet_silences_notes_but_not_warnings(out):
    out.quiet = True
    out.note("as of")
    out.warn("careful")
    assert out.stderr.getvalue() == "warning: careful\n"


def test_an_ascii_terminal_gets_escapes_instead_of_an_encoding_error():
    raw = io.BytesIO()
    out = Output(io.TextIOWrapper(raw, encoding="ascii"), io.StringIO())
    out.line("naïve")
    out.stdout.flush()
    assert raw.getvalue() == b"na\\xefve\n"
