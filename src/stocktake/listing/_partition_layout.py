"""How the partitions below a prefix are named: one template per folder level.

>>> layout = PartitionLayout.parse("*/dt=%Y-%m-%d/hour=%H")
>>> layout.place("eu/dt=2026-01-02/hour=03/part-0").folder
'eu/dt=2026-01-02/hour=03/'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stocktake.errors import InvalidSettingError
from stocktake.listing._calendar import (
    UNITS,
    DateComponent,
    fitting_template,
    span_of,
)

_DEPTH_MAX = 16


@dataclass(frozen=True, slots=True)
class PartitionPlace:
    """Where a key lies.

    Attributes:
        folder: The partition, relative to the prefix, with its `/`.
        chain: The folder with its dates replaced by tokens: partitions that follow each other.
        index: The number of its year, month, day, hour, ...
    """

    folder: str
    chain: str
    index: int


@dataclass(frozen=True, slots=True)
class PartitionLayout:
    """The levels of folders down to the last one that holds a date.

    Attributes:
        components: One template per level.
        unit: The finest date field: `Y`, `m`, `d`, `H`, `M` or `S`.
    """

    components: tuple[DateComponent, ...]
    unit: str

    @classmethod
    def parse(cls, pattern: str) -> PartitionLayout:
        """From `dt=%Y-%m-%d/hour=%H`, `*/%Y/%m/%d`, ...; levels after the last date do not matter.

        Raises:
            InvalidSettingError: Unknown tokens, a field twice, or no year.
        """
        try:
            components = [DateComponent.parse(text) for text in pattern.strip("/").split("/")]
        except ValueError as error:
            raise InvalidSettingError(
                f"`{pattern}` is not a partition pattern: {error}",
                hint="write it like dt=%Y-%m-%d/hour=%H or */%Y/%m/%d",
            ) from error
        while components and not components[-1].fields:
            components.pop()
        fields = [field for component in components for field in component.fields]
        wanted = UNITS[: len(fields)]
        if not fields or sorted(fields, key=UNITS.index) != list(wanted):
            raise InvalidSettingError(
                f"`{pattern}` is not a partition pattern: it must hold the year once, and no finer "
                "field without the coarser ones",
                hint="write it like dt=%Y-%m-%d/hour=%H or */%Y/%m/%d",
            )
        return cls(tuple(components), wanted[-1])

    @property
    def pattern(self) -> str:
        """As `parse` takes it."""
        return "/".join(component.template for component in self.components)

    def place(self, key: str) -> PartitionPlace | None:
        """The partition that a key or folder (relative to the prefix) lies in; None: in none."""
        names = key.split("/", len(self.components))
        if len(names) <= len(self.components):
            return None
        fields: dict[str, int] = {}
        shapes: list[str] = []
        for component, name in zip(self.components, names, strict=False):
            found = component.read(name)
            if found is None:
                return None
            fields |= found
            shapes.append(component.shape(name))
        span = span_of(fields, self.unit)
        if span is None:
            return None
        folder = "/".join(names[: len(self.components)]) + "/"
        return PartitionPlace(folder, "/".join(shapes), span[0])

    def stray_of(self, folder: str) -> str | None:
        """The part of a folder up to the first name that is not of the layout; None: all are."""
        names = folder.split("/")[:-1]
        fields: dict[str, int] = {}
        for depth, (component, name) in enumerate(zip(self.components, names, strict=False)):
            found = component.read(name)
            if found is not None:
                fields |= found
            if found is None or (fields and span_of(fields, self.unit) is None):
                return "/".join(names[: depth + 1]) + "/"
        return None

    def name_in(self, chain: str, when: datetime) -> str | None:
        """The partition of a chain at a local time, without `/`; None if names do not ascend."""
        parts: list[str] = []
        for component, shape in zip(self.components, chain.split("/"), strict=True):
            if not component.fields:
                parts.append(shape)
                continue
            try:
                spelling = DateComponent.parse(shape)
            except ValueError:
                return None
            if not spelling.ascends:
                return None
            parts.append(spelling.format(when))
        return "/".join(parts)


def detect_layout(
    folders: Iterable[str], columns: Sequence[str] | None = None
) -> PartitionLayout | None:
    """The layout that nearly all of these folders follow; None if no level is a date.

    Args:
        folders: Paths relative to the prefix, each once.
        columns: The Hive columns that may hold the time; None: whichever look like it.
    """
    paths = [folder.rstrip("/").split("/") for folder in folders]
    known, templates, deepest = "", [], 0
    for depth in range(_DEPTH_MAX):
        level = [path for path in paths if len(path) > depth]
        if not level or 2 * len(level) < len(paths):
            break
        names = {path[depth] for path in level}
        template = fitting_template(names, known, columns)
        if template is None:
            templates.append("*")
        else:
            templates.append(template)
            known += "".join(sorted(DateComponent.parse(template).fields, key=UNITS.index))
            deepest = depth + 1
    if not deepest or known != UNITS[: len(known)]:
        return None
    return PartitionLayout.parse("/".join(templates[:deepest]))
