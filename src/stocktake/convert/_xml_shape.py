"""What the elements at one place of XML records have been, and the type that holds them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from stocktake.convert._lattice import ColumnLattice
from stocktake.convert._xml_document import Names, undefined_entity

FORM = b"stocktake.form"
XML_FORM = b"xml"
TEXT = "#text"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class XmlShape:
    """One place in the records: an element of this name below elements of these names.

    Attributes:
        members: Shapes of child elements and attributes (`@name`) and, if it has any of them and
            text as well, `#text`; in the order they were met.
        repeats: Row in which it stood more than once in one parent.
        xml_because: Why it is kept as XML text.
    """

    __slots__ = (
        "_text_rows",
        "_texts",
        "empty_row",
        "has_text",
        "lattice",
        "members",
        "repeats",
        "xml_because",
    )

    def __init__(self) -> None:
        self.members: dict[str, XmlShape] = {}
        self.repeats: int | None = None
        self.xml_because: str | None = None
        self.lattice = ColumnLattice()
        self.has_text = False
        self.empty_row: int | None = None
        self._texts: list[str] = []
        self._text_rows: list[int] = []

    def observe(self, element: Any, row: int, names: Names, levels_left: int) -> None:
        """Take one element of this row."""
        if self.xml_because is not None:
            refuse_entities(element)
            return
        attributes = element.items()
        if attributes:
            self._observe_attributes(element, attributes, row, names)
        if not len(element):
            text = element.text
            if text:
                self.has_text = True
                if self.lattice.open:
                    self._texts.append(text)
                    self._text_rows.append(row)
            elif not attributes and self.empty_row is None:
                self.empty_row = row
        else:
            if levels_left == 0:
                refuse_entities(element)
                self.xml_because = f"nested too deeply for columns in row {row}"
                return
            if self._is_mixed(element, row, names, levels_left - 1):
                refuse_entities(element)
                self.xml_because = f"text between elements in row {row}"

    def _observe_attributes(
        self, element: Any, attributes: list[tuple[str, str]], row: int, names: Names
    ) -> None:
        nil = is_nil(element) and not len(element) and not element.text
        for name, value in attributes:
            if nil and name == _NIL:
                continue
            member = self._member("@" + (names.known.get(name) or names.of(name, element)))
            if value:
                member.add_text(value, row)
            elif member.empty_row is None:
                member.empty_row = row

    def _is_mixed(self, element: Any, row: int, names: Names, levels_left: int) -> bool:
        """Take the children; True if there is text, not only blanks, beside them."""
        text = element.text
        if text and not text.isspace():
            return True
        met: set[str] = set()
        known, members = names.known, self.members
        for child in element:
            tag = child.tag
            if not isinstance(tag, str):
                raise undefined_entity(child)
            tail = child.tail
            if tail and not tail.isspace():
                return True
            name = known.get(tag) or names.of(tag, child)
            shape = members.get(name) or self._member(name)
            if name not in met:
                met.add(name)
            elif shape.repeats is None:
                shape.repeats = row
            shape.observe(child, row, names, levels_left)
        return False

    def _member(self, name: str) -> XmlShape:
        shape = self.members.get(name)
        if shape is None:
            shape = self.members[name] = XmlShape()
        return shape

    def add_text(self, text: str, row: int) -> None:
        """Take one text that is not empty."""
        self.has_text = True
        if self.lattice.open:
            self._texts.append(text)
            self._text_rows.append(row)

    def settle(self) -> None:
        """Give the texts since the last call to the lattice, here and below."""
        if self._texts:
            rows = self._text_rows
            self.lattice.add(pa.array(self._texts, pa.string()), rows[0], _row_of(rows))
            self._texts, self._text_rows = [], []
        for member in self.members.values():
            member.settle()

    def leaves(self) -> int:
        """Columns that Parquet needs for it."""
        if self.xml_because is not None or not self.members:
            return 1
        return sum(member.leaves() for member in self.members.values()) + self.has_text

    def to_field(self, name: str) -> tuple[pa.Field, str]:
        """The Arrow field, and for people why it has its type."""
        one, why = self._single(name)
        if self.repeats is None:
            return one, why
        return pa.field(name, pa.list_(one.with_name("item"))), (
            f"there more than once in row {self.repeats}; {why}"
        )

    def _single(self, name: str) -> tuple[pa.Field, str]:
        if self.xml_because is not None:
            return pa.field(name, pa.string(), metadata={FORM: XML_FORM}), self.xml_because
        if not self.members:
            return self._text_field(name, self.empty_row)
        fields = [one for one, _ in self.fields().values()]
        return pa.field(name, pa.struct(fields)), "elements with elements or attributes in them"

    def fields(self) -> dict[str, tuple[pa.Field, str]]:
        """Fields of what is in it, and why; `#text` last."""
        found = {name: shape.to_field(name) for name, shape in self.members.items()}
        if self.has_text:
            found[TEXT] = self._text_field(TEXT, None)
        return found

    def _text_field(self, name: str, empty_row: int | None) -> tuple[pa.Field, str]:
        if empty_row is not None:
            return pa.field(name, pa.string()), f"row {empty_row} has an empty text"
        decision = self.lattice.decide()
        return decision.field(name), decision.why


def _row_of(rows: list[int]) -> Callable[[int], int]:
    return lambda place: rows[place]


def is_nil(element: Any) -> bool:
    """True if it says `xsi:nil="true"`."""
    return element.get(_NIL) in ("true", "1")


def refuse_entities(element: Any) -> None:
    """Refuse an element with a reference in it that was not resolved."""
    for inner in element.iter():
        if not isinstance(inner.tag, str):
            raise undefined_entity(inner)
