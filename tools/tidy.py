"""The house rules that no linter knows, checked on every module of the package.

Prints one line per finding (`path:line: RULE message`) and exits 1 if there is any:

    python tools/tidy.py            checks src/stocktake
    python tools/tidy.py some/dir   checks another package

CONTRIBUTING.md says why each rule is there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "stocktake"

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 8
PROTOCOL_METHODS_MAX = 8
CLASS_METHODS_MAX = 15

FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors faults",
        "clock",
        "model",
        "telemetry",
        "settings",
        "store state",
        "inventory events unpack convert",
        "listing",
        "catalog manifests",
        "collection reconcile ingest ship setup",
        "jobs",
        "agent server",
        "testing",
        "cli",
        "__main__",
    )
)
"""From the ground up. A room imports itself and what is below it, nothing beside or above."""

MEANINGLESS_NAMES = frozenset(
    ["utils", "util", "helpers", "helper", "common", "misc", "shared", "base", "manager"]
)
_UNITLESS = "size timeout interval delay age duration elapsed latency ttl lookback freshness"
UNITLESS_WORDS = frozenset(_UNITLESS.split())
WIRING_ROOMS = frozenset(["agent", "server", "cli"])
SKIPPED_FOLDERS = frozenset(["tests", "migrations", "_migrations", "_vendor", "__pycache__"])
ROOM_SECTIONS = ("In:", "Out:", "Never:")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One breach of one rule."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule} {self.message}"


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed source file.

    Attributes:
        path: Where it is, relative to the package folder.
        text: Its source.
        tree: Its syntax tree.
    """

    path: Path
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The package or module right below `stocktake` that it belongs to; '' for the root."""
        first = self.path.parts[0]
        return "" if first == "__init__.py" else first.removesuffix(".py")

    @property
    def package(self) -> list[str]:
        """The dotted parts of the package it is in, for relative imports."""
        return [PACKAGE, *self.path.parent.parts]


def check(root: Path) -> list[Finding]:
    """All findings in the package at `root`, sorted by place. Each module is parsed once."""
    found: list[Finding] = []
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if SKIPPED_FOLDERS.isdisjoint(inside.parts):
            text = path.read_text(encoding="utf-8")
            module = Module(inside, text, ast.parse(text))
            for rule in _RULES:
                found.extend(
                    Finding(str(path), line, rule.__name__[1:4].upper(), message)
                    for line, message in rule(module)
                )
    return sorted(found)


_Findings = Iterator[tuple[int, str]]


def _t01_file_length(module: Module) -> _Findings:
    lines = len(module.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield 1, f"{lines} lines; the limit is {FILE_LINES_MAX}: split it by what it is about"


def _t02_name_says_something(module: Module) -> _Findings:
    for part in module.path.parts:
        word = part.removesuffix(".py").strip("_")
        if word in MEANINGLESS_NAMES:
            yield 1, f"`{part}` says nothing about its content; name it after what it holds"


def _t03_module_docstring(module: Module) -> _Findings:
    if module.tree.body and not ast.get_docstring(module.tree):
        yield 1, "the module has no docstring: why does it exist?"


def _t04_imports_go_down(module: Module) -> _Findings:
    for node in ast.walk(module.tree):
        for target in _rooms_imported(node, module):
            if module.room == target or not module.room:
                continue
            here, there = _floor(module.room), _floor(target)
            if here is None or there is None:
                unknown = module.room if here is None else target
                yield _line(node), f"room `{unknown}` has no floor; give it one in tools/tidy.py"
            elif there >= here:
                where = "beside" if there == here else "above"
                yield _line(node), f"`{module.room}` imports `{target}`, which is {where} it"


def _t05_no_hidden_imports(module: Module) -> _Findings:
    if module.room in WIRING_ROOMS:
        return
    for function in _functions(module.tree):
        for node in ast.walk(function):
            for target in _rooms_imported(node, module):
                if target != module.room:
                    yield _line(node), f"import of `{target}` inside a function: a hidden cycle"


def _t06_no_catch_all(module: Module) -> _Findings:
    lines = module.text.splitlines()
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler) or not _catches_everything(node):
            continue
        if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
            continue  # it only tidies up and lets the error go on
        if not any("# boundary: " in line for line in lines[node.lineno - 1 : node.lineno + 1]):
            yield node.lineno, "catch-all: name the errors, or say `# boundary: why` here or below"


def _t07_function_length(module: Module) -> _Findings:
    for function in _functions(module.tree):
        lines = _length_without_docstring(function)
        if lines > FUNCTION_LINES_MAX:
            yield (
                function.lineno,
                f"`{function.name}` has {lines} lines, limit {FUNCTION_LINES_MAX}",
            )


def _t08_parameters(module: Module) -> _Findings:
    for function in _functions(module.tree):
        count = len(_parameters(function))
        if count > PARAMETERS_MAX and not _is_command(function):
            yield (
                function.lineno,
                f"`{function.name}` has {count} parameters, limit {PARAMETERS_MAX}: "
                "make them one frozen dataclass",
            )


def _t09_units_in_names(module: Module) -> _Findings:
    for function in _functions(module.tree):
        for argument in _parameters(function):
            if _is_number(argument.annotation) and _lacks_unit(argument.arg):
                yield argument.lineno, f"`{argument.arg}`: in what unit? (`_s`, `_bytes`, ...)"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and _is_number(field.annotation)
                    and _lacks_unit(field.target.id)
                ):
                    yield field.lineno, f"`{field.target.id}`: in what unit? (`_s`, `_bytes`, ...)"


def _t10_public_docstrings(module: Module) -> _Findings:
    for owner, node in _public_definitions(module.tree, ""):
        if ast.get_docstring(node) is None and not _decorated(node, "overload", "abstractmethod"):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield node.lineno, f"public {kind} `{owner}{node.name}` has no docstring"


def _t11_protocol_width(module: Module) -> _Findings:
    yield from _too_wide(module, PROTOCOL_METHODS_MAX, "protocol", protocols=True)


def _t12_class_width(module: Module) -> _Findings:
    yield from _too_wide(module, CLASS_METHODS_MAX, "class", protocols=False)


def _t13_rooms_say_their_purpose(module: Module) -> _Findings:
    if module.path.name != "__init__.py" or len(module.path.parts) != 2:
        return
    docstring = ast.get_docstring(module.tree) or ""
    for section in ROOM_SECTIONS:
        if section not in docstring:
            yield 1, f"the docstring of room `{module.room}` does not say `{section}`"
    if not any(_assigns(node, "__all__") for node in module.tree.body):
        yield 1, f"room `{module.room}` does not name what is public in `__all__`"


def _t14_rooms_are_entered_by_the_door(module: Module) -> _Findings:
    for node in ast.walk(module.tree):
        for dotted in _modules_imported(node, module):
            parts = dotted.split(".")
            if len(parts) < 2 or parts[0] != PACKAGE or parts[1] == module.room:
                continue
            private = [part for part in parts[2:] if _is_private(part)]
            if private:
                yield _line(node), f"`{dotted}` is private to room `{parts[1]}`: import the room"


_RULES: tuple[Callable[[Module], _Findings], ...] = (
    _t01_file_length,
    _t02_name_says_something,
    _t03_module_docstring,
    _t04_imports_go_down,
    _t05_no_hidden_imports,
    _t06_no_catch_all,
    _t07_function_length,
    _t08_parameters,
    _t09_units_in_names,
    _t10_public_docstrings,
    _t11_protocol_width,
    _t12_class_width,
    _t13_rooms_say_their_purpose,
    _t14_rooms_are_entered_by_the_door,
)


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 1))


def _floor(room: str) -> int | None:
    return next((number for number, names in enumerate(FLOORS) if room in names), None)


def _modules_imported(node: ast.AST, module: Module) -> list[str]:
    """Dotted names that an import statement may load; relative ones made absolute."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        start = module.package[: len(module.package) - node.level + 1] if node.level else []
        origin = ".".join([*start, *([node.module] if node.module else [])])
        return [f"{origin}.{alias.name}" for alias in node.names]
    return []


def _rooms_imported(node: ast.AST, module: Module) -> list[str]:
    """Rooms of the package that an import statement names; `__version__` and such are none."""
    rooms = []
    for dotted in _modules_imported(node, module):
        parts = dotted.split(".")
        if parts[0] == PACKAGE and len(parts) > 1 and not parts[1].startswith("_"):
            rooms.append(parts[1])
    return sorted(set(rooms))


def _functions(tree: ast.AST) -> Iterator[_Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(one) in ("Exception", "BaseException") for one in named)


def _length_without_docstring(function: _Function) -> int:
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def _parameters(function: _Function) -> list[ast.arg]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [one for one in named if one.arg not in ("self", "cls")]


def _is_command(function: _Function) -> bool:
    """A command's parameters are its options: Typer needs them one by one."""
    return _decorated(function, "command", "callback")


def _is_number(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    words = {word.strip() for word in ast.unparse(annotation).strip("'\"").split("|")}
    return bool(words & {"int", "float"})


def _lacks_unit(name: str) -> bool:
    return name.rpartition("_")[2] in UNITLESS_WORDS


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _decorated(node: _Function | ast.ClassDef, *names: str) -> bool:
    used = {
        ast.unparse(one.func if isinstance(one, ast.Call) else one).rpartition(".")[2]
        for one in node.decorator_list
    }
    return not used.isdisjoint(names)


def _public_definitions(
    tree: ast.Module | ast.ClassDef, owner: str
) -> Iterator[tuple[str, _Function | ast.ClassDef]]:
    """Public functions, classes and their public methods; nothing inside functions."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_") or _decorated(node, "setter"):
                continue
            yield owner, node
            if isinstance(node, ast.ClassDef):
                yield from _public_definitions(node, f"{owner}{node.name}.")


def _too_wide(module: Module, limit: int, kind: str, *, protocols: bool) -> _Findings:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ClassDef):
            continue
        is_protocol = any(ast.unparse(one).startswith("Protocol") for one in node.bases)
        methods = [
            one
            for one in node.body
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            and not one.name.startswith("_")
            and not _decorated(one, "setter", "overload")
        ]
        if is_protocol is protocols and len(methods) > limit:
            yield node.lineno, f"{kind} `{node.name}` has {len(methods)} methods, limit {limit}"


def _assigns(node: ast.stmt, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(one, ast.Name) and one.id == name for one in targets)


def main(arguments: list[str]) -> int:
    """Check the package; print the findings; return the exit code."""
    root = Path(arguments[0]) if arguments else Path(__file__).parents[1] / "src" / PACKAGE
    found = check(root)
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
