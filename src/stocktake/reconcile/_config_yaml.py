"""YAML as a configuration tree: safe tags only, no merge keys, every name once.

PyYAML composes; nothing is constructed but plain scalars, so a tag cannot make an object.
"""

from __future__ import annotations

from typing import Any

from stocktake.errors import MissingExtraError, ReconcileConfigError
from stocktake.reconcile._config_tree import CONFIG_DEPTH_MAX, CONFIG_VALUES_MAX, Node, twice

_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TAGS = "write plain values: tags such as `!!python/...` or `!Ref` mean nothing here"
_TABS = "YAML indents with spaces, never with tabs"


def parse_yaml(text: str, name: str) -> Node:
    """The tree of a YAML text.

    Raises:
        ReconcileConfigError: Not YAML, several documents, an unknown tag, a name given twice.
        MissingExtraError: PyYAML is not installed.
    """
    yaml = _load_module(name)
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            return Node(None) if root is None else _Builder(yaml, loader, name).build(root, 0)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _refused(error, text, name) from error
    except RecursionError as error:
        raise ReconcileConfigError(
            f"the configuration `{name}` has more than {CONFIG_DEPTH_MAX} levels",
            hint="is it the right file?",
            path=name,
        ) from error


def _load_module(name: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            f"the configuration `{name}` is YAML, and PyYAML is not installed",
            hint="pip install 'stocktake[reconcile]', or write it as .toml or .json",
            extra="reconcile",
        ) from error
    return yaml


class _Builder:
    """Turns PyYAML's nodes into ours, and stops before aliases multiply."""

    def __init__(self, yaml: Any, loader: Any, name: str) -> None:
        self._yaml = yaml
        self._loader = loader
        self._name = name
        self._built = 0

    def build(self, node: Any, depth: int) -> Node:
        """The tree below one node."""
        line = node.start_mark.line + 1
        self._built += 1
        if depth > CONFIG_DEPTH_MAX or self._built > CONFIG_VALUES_MAX:
            raise ReconcileConfigError(
                f"the configuration `{self._name}`, line {line}: there are more than "
                f"{CONFIG_DEPTH_MAX} levels or {CONFIG_VALUES_MAX:,} values",
                hint="aliases (`*name`) count as often as they are used; a loop never ends",
                path=self._name,
                line=line,
            )
        if not isinstance(node, self._yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise self._refuse(line, f"the tag `{node.tag}` means nothing here", _TAGS)
        if isinstance(node, self._yaml.MappingNode):
            return Node(self._mapping(node, depth), line)
        if isinstance(node, self._yaml.SequenceNode):
            return Node([self.build(child, depth + 1) for child in node.value], line)
        return Node(self._scalar(node), line, node.value)

    def _mapping(self, node: Any, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, line)
            if key in found:
                raise twice(self._name, key, found[key].line, line)
            child = self.build(value_node, depth + 1)
            found[key] = Node(child.value, line, child.written)
        return found

    def _key(self, node: Any, line: int) -> str:
        if not isinstance(node, self._yaml.ScalarNode):
            raise self._refuse(line, "a name is not text", "write `name: value`")
        if node.value == "<<" and node.style is None:
            raise self._refuse(
                line, "`<<` merges another section", "write the keys out, or use a list of rules"
            )
        return str(node.value)

    def _scalar(self, node: Any) -> Any:
        try:
            return self._loader.construct_object(node)
        except (ValueError, OverflowError) as error:  # 2026-02-31, 0b, 1_
            line = node.start_mark.line + 1
            raise self._refuse(
                line, f"`{node.value}` cannot be read: {error}", "put text in quotes"
            ) from error

    def _refuse(self, line: int, why: str, hint: str) -> ReconcileConfigError:
        return ReconcileConfigError(
            f"the configuration `{self._name}`, line {line}: {why}",
            hint=hint,
            path=self._name,
            line=line,
        )


def _refused(error: Any, text: str, name: str) -> ReconcileConfigError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else None
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    problem = " ".join(str(problem).split())
    at = f", line {line}" if line else ""
    lines = text.splitlines()
    tab = line is not None and line <= len(lines) and "\t" in lines[line - 1]
    hint = _TABS if tab else _hint(problem)
    return ReconcileConfigError(
        f"the configuration `{name}`{at} is not YAML: {problem}", hint=hint, path=name, line=line
    )


def _hint(problem: str) -> str:
    if "constructor" in problem or "tag" in problem:
        return _TAGS
    if "document" in problem:
        return "keep one document per file: remove the `---` in between"
    if "mapping values" in problem:
        return "put text that contains `: ` in quotes, and check the indentation"
    return "check quotes, colons and the indentation of this line and the one before"
