"""The root command: help, usage errors, exit codes, the error boundary, start-up."""

import io
import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from stocktake import __version__
from stocktake.cli import _main
from stocktake.cli._commands import COMMANDS, EXIT_CODES
from stocktake.cli._main import run
from stocktake.cli._output import Output
from stocktake.errors import ConfirmationNeededError

HEAVY = ("pyarrow", "duckdb", "botocore", "sqlalchemy", "rich", "numpy", "pydantic")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "STOCKTAKE_CATALOG"):
        monkeypatch.delenv(name, raising=False)


def call(capsys, *args):
    code = run(list(args), Output())
    captured = capsys.readouterr()
    return SimpleNamespace(code=code, out=captured.out, err=captured.err)


def test_help_lists_every_command_with_its_line_and_fits_80_columns(capsys):
    answer = call(capsys, "--help")
    assert answer.code == 0
    for entry in COMMANDS:
        assert f"  {entry.name.ljust(9)}  {entry.help}" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_nothing_typed_shows_the_overview(capsys):
    assert call(capsys).out == call(capsys, "--help").out


def test_help_loads_nothing_heavy():
    """`stocktake --help` < 300 ms: what would break that is an import, so that is what is held."""
    script = (
        "import sys\nfrom stocktake.cli._main import run\nrun(['--help'])\n"
        f"sys.exit(str([m for m in {HEAVY!r} if m in sys.modules] or ''))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.stderr.strip() == ""
    assert "Usage: stocktake" in result.stdout


def test_version_option_prints_it(capsys):
    assert call(capsys, "--version").out == f"stocktake {__version__}\n"


def test_version_as_json_names_the_libraries(capsys):
    answer = json.loads(call(capsys, "version", "--json").out)
    assert answer["version"] == __version__
    assert set(answer["libraries"]) == {"duckdb", "pyarrow", "botocore", "sqlalchemy"}


@pytest.mark.parametrize("args", [("--json", "version"), ("version", "--json")])
def test_common_options_stand_before_or_after_the_command(capsys, args):
    assert json.loads(call(capsys, *args).out)["version"] == __version__


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["verison"], "no such command `verison`", "did you mean `version`?"),
        (["zzzzzz"], "no such command `zzzzzz`", "see stocktake --help"),
        (["version", "--jsn"], "no such option: --jsn", "did you mean --json?"),
        (["version", "x"], "got unexpected extra argument(s) (x)", "see stocktake version --help"),
        (["--catalog"], "option `--catalog` requires an argument", "see stocktake --help"),
    ],
)
def test_a_usage_error_says_what_to_type_and_exits_2(capsys, args, message, hint):
    answer = call(capsys, *args)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"error: {message}\n\nhint: {hint}\n"


def test_a_usage_error_with_json_is_the_error_document(capsys):
    answer = call(capsys, "verison", "--json")
    assert answer.code == 2
    assert json.loads(answer.out)["error"]["code"] == "usage"
    assert answer.err == ""


def test_a_broken_configuration_file_is_a_usage_error(capsys, tmp_path):
    (tmp_path / "stocktake.toml").write_text("catalogue = 'x'\n")
    answer = call(capsys, "version")
    assert answer.code == 2
    assert "hint: did you mean `catalog`?" in answer.err


def failing(monkeypatch, error):
    def fail(args, out):
        raise error

    monkeypatch.setattr(_main, "run_command", fail)


def test_the_exit_code_is_that_of_the_error(capsys, monkeypatch):
    failing(monkeypatch, ConfirmationNeededError("12,000 deletions"))
    answer = call(capsys, "version")
    assert answer.code == 3
    assert "hint: if it is right, run it again with --accept-deletions" in answer.err


def test_ctrl_c_exits_130_and_says_that_finished_work_is_kept(capsys, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    answer = call(capsys, "version")
    assert answer.code == 130
    assert answer.err.startswith("error: interrupted; everything finished is kept\n")


def test_a_bug_is_one_line_without_a_traceback_unless_verbose(capsys, monkeypatch):
    failing(monkeypatch, KeyError("boo"))
    answer = call(capsys, "version")
    assert answer.code == 1
    assert answer.err.splitlines()[0] == "error: unexpected KeyError: 'boo'"
    assert "Traceback" not in answer.err
    assert "Traceback" in call(capsys, "version", "-v").err


def test_ctrl_c_inside_a_command_is_not_swallowed_by_the_framework(capsys, monkeypatch):
    from stocktake.cli import _version

    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(_version.importlib.metadata, "version", interrupt)
    assert call(capsys, "version").code == 130


def test_a_reader_that_goes_away_ends_the_command_quietly():
    script = (
        "from stocktake.cli import _main\n"
        "def flood(args, out):\n"
        "    while True: out.line('x' * 1000)\n"
        "_main.run_command = flood\n"
        "import sys; sys.exit(_main.run([]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_exit_codes_are_the_documented_ones():
    assert sorted(EXIT_CODES) == [0, 1, 2, 3, 4, 130]


def test_the_module_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "stocktake", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"stocktake {__version__}\n"


def test_output_goes_to_the_streams_it_was_given():
    out = Output(io.StringIO(), io.StringIO())
    assert run(["--version"], out) == 0
    assert out.stdout.getvalue().startswith("stocktake")
