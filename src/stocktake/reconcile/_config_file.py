"""Reading a configuration file: which format it is, and that it is no larger than one can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from stocktake.errors import ReconcileConfigError
from stocktake.reconcile._config_json import parse_json
from stocktake.reconcile._config_toml import parse_toml
from stocktake.reconcile._config_tree import (
    CONFIG_BYTES_MAX,
    CONFIG_DEPTH_MAX,
    CONFIG_VALUES_MAX,
    Node,
)
from stocktake.reconcile._config_yaml import parse_yaml

_PARSERS = {".json": parse_json, ".toml": parse_toml, ".yaml": parse_yaml, ".yml": parse_yaml}


def read_config_tree(path: Path) -> Node:
    """The tree of the file at a path.

    Raises:
        ReconcileConfigError: Not there, not readable, or not of its format.
        MissingExtraError: YAML, and PyYAML is not installed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise ReconcileConfigError(
            f"the configuration `{path}` cannot be read: {error.strerror}",
            hint="name the file after --config",
            path=str(path),
        ) from error
    return parse_config_tree(data, str(path))


def parse_config_tree(data: bytes, name: str) -> Node:
    """The tree of a file; its ending says the format, YAML if it is none of `.json` and `.toml`.

    Raises:
        ReconcileConfigError: Not readable as its format; says where.
        MissingExtraError: YAML, and PyYAML is not installed.
    """
    if len(data) > CONFIG_BYTES_MAX:
        raise ReconcileConfigError(
            f"the configuration `{name}` has {len(data):,} bytes, more than {CONFIG_BYTES_MAX:,}",
            hint="is it the right file?",
            path=name,
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ReconcileConfigError(
            f"the configuration `{name}`, line {line}, is not UTF-8",
            hint="save the file as UTF-8",
            path=name,
            line=line,
        ) from error
    tree = _parse(text, name)
    _check_extent(tree, name)
    if not isinstance(tree.value, dict) or not tree.value:
        found = "empty" if not tree.value else f"{tree.kind}, not names and values"
        raise ReconcileConfigError(
            f"the configuration `{name}` is {found}",
            hint="begin with `bucket: my-bucket` and `expect:`",
            path=name,
        )
    return tree


def _parse(text: str, name: str) -> Node:
    parse = _PARSERS.get(Path(name).suffix.lower(), parse_yaml)
    return parse(text, name)


def _check_extent(tree: Node, name: str) -> None:
    """Refuse what is deeper or larger than any configuration: aliases can multiply a few lines."""
    seen = 0
    waiting: list[tuple[Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if seen > CONFIG_VALUES_MAX or depth > CONFIG_DEPTH_MAX:
            much = (
                f"more than {CONFIG_VALUES_MAX:,} values"
                if depth <= CONFIG_DEPTH_MAX
                else (f"more than {CONFIG_DEPTH_MAX} levels")
            )
            raise ReconcileConfigError(
                f"the configuration `{name}` has {much}",
                hint="aliases (`*name`) count as often as they are used; a loop never ends",
                path=name,
            )
        waiting.extend((child, depth + 1) for child in _children(node))


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node.value, Mapping):
        yield from node.value.values()
    elif isinstance(node.value, list):
        yield from node.value
