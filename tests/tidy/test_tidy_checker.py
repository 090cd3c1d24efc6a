"""Each house rule catches a bad sample, and lets the good one next to it pass."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidy

DOC = '"""Why."""\n'
ROOM = '"""A room.\n\nIn: x. Out: y. Never: z.\n"""\n\n__all__ = []\n'


def findings(tmp_path: Path, files: dict[str, str]) -> list[str]:
    """The rules broken by a package of these files, once each, in order of place."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [finding.rule for finding in tidy.check(tmp_path)]


def method_list(count: int) -> str:
    return "".join(f'    def m{i}(self) -> None:\n        """Do."""\n' for i in range(count))


BAD: dict[str, tuple[str, dict[str, str]]] = {
    "a file of 501 lines": ("T01", {"model/_a.py": DOC + "\n" * 500}),
    "a module called utils": ("T02", {"model/utils.py": DOC}),
    "a private module called helpers": ("T02", {"model/_helpers.py": DOC}),
    "a folder called common": ("T02", {"model/common/_keys.py": DOC}),
    "a module without docstring": ("T03", {"model/_a.py": "x = 1\n"}),
    "an upward import": ("T04", {"store/_a.py": DOC + "from stocktake.catalog import open\n"}),
    "a sideways import": ("T04", {"store/_a.py": DOC + "from stocktake.state import State\n"}),
    "an upward import of a module": ("T04", {"model/_a.py": DOC + "import stocktake.settings\n"}),
    "an upward import from the root": ("T04", {"model/_a.py": DOC + "from stocktake import cli\n"}),
    "a relative upward import": ("T04", {"store/_a.py": DOC + "from ..catalog import open\n"}),
    "an import of testing below it": ("T04", {"state/_a.py": DOC + "import stocktake.testing\n"}),
    "a room without a floor": ("T04", {"attic/_a.py": DOC + "import stocktake.errors\n"}),
    "a hidden import": (
        "T05",
        {"catalog/_a.py": DOC + "def _f() -> None:\n    from stocktake.store import Store\n"},
    ),
    "a hidden import in a method": (
        "T05",
        {
            "catalog/_a.py": DOC
            + "class _A:\n    def f(self) -> None:\n        import stocktake.store\n"
        },
    ),
    "a bare except": ("T06", {"model/_a.py": DOC + "try:\n    x = 1\nexcept:\n    x = 2\n"}),
    "except Exception": (
        "T06",
        {"model/_a.py": DOC + "try:\n    x = 1\nexcept Exception:\n    x = 2\n"},
    ),
    "BaseException in a tuple": (
        "T06",
        {
            "model/_a.py": DOC
            + "try:\n    x = 1\nexcept (OSError, BaseException) as e:\n    y = e\n"
        },
    ),
    "a boundary without a reason": (
        "T06",
        {"cli/_a.py": DOC + "try:\n    x = 1\nexcept Exception:  # boundary:\n    x = 2\n"},
    ),
    "a function of 61 lines": (
        "T07",
        {"model/_a.py": DOC + "def _f() -> None:\n" + "    x = 1\n" * 60},
    ),
    "nine parameters": (
        "T08",
        {"model/_a.py": DOC + "def _f(a, b, c, d, e, f, g, *, h, i) -> None:\n    pass\n"},
    ),
    "a time-out without unit": (
        "T09",
        {"model/_a.py": DOC + "def _f(timeout: float) -> None:\n    pass\n"},
    ),
    "an optional size without unit": (
        "T09",
        {"model/_a.py": DOC + "def _f(part_size: int | None = None) -> None:\n    pass\n"},
    ),
    "a field without unit": ("T09", {"model/_a.py": DOC + "class _A:\n    max_age: int = 3\n"}),
    "a public function without docstring": (
        "T10",
        {"model/_a.py": DOC + "def f() -> None:\n    pass\n"},
    ),
    "a public class without docstring": ("T10", {"model/_a.py": DOC + "class A:\n    x = 1\n"}),
    "a public method without docstring": (
        "T10",
        {"model/_a.py": DOC + 'class A:\n    """A."""\n    def f(self) -> None:\n        pass\n'},
    ),
    "a protocol of nine methods": (
        "T11",
        {"model/_a.py": DOC + 'class A(Protocol):\n    """A."""\n' + method_list(9)},
    ),
    "a class of sixteen methods": (
        "T12",
        {"model/_a.py": DOC + 'class A:\n    """A."""\n' + method_list(16)},
    ),
    "a room that does not say what it never does": (
        "T13",
        {"model/__init__.py": ROOM.replace("Never", "Sometimes")},
    ),
    "a room without __all__": ("T13", {"model/__init__.py": ROOM.replace("__all__", "names")}),
    "a private module of another room": (
        "T14",
        {"catalog/_a.py": DOC + "from stocktake.store._port import Store\n"},
    ),
    "a private name of another room": (
        "T14",
        {"catalog/_a.py": DOC + "from stocktake.store import _port\n"},
    ),
}

GOOD: dict[str, dict[str, str]] = {
    "a file of 500 lines": {"model/_a.py": DOC + "\n" * 499},
    "an empty file": {"model/_a.py": ""},
    "a name that contains a banned word": {"model/_shared_keys.py": DOC},
    "a downward import": {"catalog/_a.py": DOC + "from stocktake.store import Store\n"},
    "an import within the room": {"store/_a.py": DOC + "from stocktake.store._port import Store\n"},
    "the version": {"store/_a.py": DOC + "from stocktake import __version__\n"},
    "a library imported late": {"catalog/_a.py": DOC + "def _f() -> None:\n    import pyiceberg\n"},
    "a hidden import in cli": {
        "cli/_a.py": DOC + "def _f() -> None:\n    from stocktake.store import Store\n"
    },
    "an error named": {"model/_a.py": DOC + "try:\n    x = 1\nexcept OSError:\n    x = 2\n"},
    "a boundary with its reason": {
        "cli/_a.py": DOC
        + "try:\n    x = 1\nexcept Exception:  # boundary: the user sees one line\n    x = 2\n"
    },
    "a boundary with its reason below": {
        "cli/_a.py": DOC
        + "try:\n    x = 1\nexcept Exception:\n    # boundary: many libraries\n    x = 2\n"
    },
    "tidying up and raising again": {
        "model/_a.py": DOC + "try:\n    x = 1\nexcept BaseException:\n    x = 2\n    raise\n"
    },
    "sixty lines and a long docstring": {
        "model/_a.py": DOC
        + 'def _f() -> None:\n    """One.\n'
        + "    line\n" * 50
        + '    """\n'
        + "    x = 1\n" * 59
    },
    "eight parameters and self": {
        "model/_a.py": DOC + "class _A:\n    def f(self, a, b, c, d, e, f, g, h): ...\n"
    },
    "a command with many options": {
        "cli/_a.py": DOC + "@app.command()\ndef _f(a, b, c, d, e, f, g, h, i) -> None:\n    pass\n"
    },
    "words that only end like a quantity": {
        "model/_a.py": DOC + "def _f(page: int, coverage: float) -> None:\n    pass\n"
    },
    "a quantity with its unit": {
        "model/_a.py": DOC + "def _f(size_bytes: int, timeout_s: float) -> None:\n    pass\n"
    },
    "an overload without docstring": {
        "model/_a.py": DOC + "@overload\ndef f(x: int) -> int: ...\n"
    },
    "a function within a function": {
        "model/_a.py": DOC + "def _f() -> None:\n    def inner() -> None:\n        pass\n"
    },
    "a protocol of eight methods": {
        "model/_a.py": DOC + 'class A(Protocol):\n    """A."""\n' + method_list(8)
    },
    "fifteen methods and a private one": {
        "model/_a.py": DOC
        + 'class A:\n    """A."""\n'
        + method_list(15)
        + "    def _x(self) -> None:\n        pass\n"
    },
    "a room that says it all": {"model/__init__.py": ROOM},
    "a package inside a room": {"catalog/engines/__init__.py": DOC},
    "a public submodule of testing": {
        "cli/_a.py": DOC + "from stocktake.testing.servers import start\n"
    },
    "migrations are left alone": {"state/_migrations/utils.py": "x = 1\n"},
}


@pytest.mark.parametrize(("rule", "files"), BAD.values(), ids=BAD.keys())
def test_bad_sample_is_caught(rule: str, files: dict[str, str], tmp_path: Path) -> None:
    assert findings(tmp_path, files) == [rule]


@pytest.mark.parametrize("files", GOOD.values(), ids=GOOD.keys())
def test_good_sample_passes(files: dict[str, str], tmp_path: Path) -> None:
    assert findings(tmp_path, files) == []


def test_every_rule_has_a_bad_sample() -> None:
    rules = {rule.__name__[1:4].upper() for rule in tidy._RULES}
    assert {rule for rule, _files in BAD.values()} == rules


def test_findings_are_printed_as_places_an_editor_can_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "utils.py").write_text(DOC)
    assert tidy.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path}/model/utils.py:1: T02 ")


def test_a_clean_package_is_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tidy.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_the_checked_package_is_ours_unless_said_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Path] = []
    monkeypatch.setattr(tidy, "check", lambda root: seen.append(root) or [])
    tidy.main([])
    assert (seen[0] / "errors").is_dir()
