"""Elements of XML records into Arrow arrays of the types that were decided."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from stocktake.convert._typed_text import to_typed
from stocktake.convert._xml_document import Names, xml_library
from stocktake.convert._xml_shape import FORM, TEXT, XML_FORM, is_nil


class XmlColumn:
    """The values of one field, collected row by row."""

    def __init__(self, field: pa.Field, names: Names) -> None:
        self._field = field
        self._names = names
        self._is_list = pa.types.is_list(field.type)
        inner = field.type.value_field if self._is_list else field
        self._is_xml = bool(inner.metadata) and inner.metadata.get(FORM) == XML_FORM
        self._inner = inner
        self._offsets = [0]
        self._missing: list[bool] = []
        self._texts: list[str | None] = []
        self._present: list[bool] = []
        self._members: dict[str, XmlColumn] = {}
        if pa.types.is_struct(inner.type):
            kind = inner.type
            fields = (kind.field(index) for index in range(kind.num_fields))
            self._members = {one.name: XmlColumn(one, names) for one in fields}
        self.is_nested = self._is_list or self._is_xml or bool(self._members)
        """False: the texts of single elements, or of an attribute."""

    def append(self, elements: list[Any] | None) -> None:
        """Take all elements of this name in one parent; None if there is none."""
        if not self._is_list:
            self._append_one(None if elements is None else elements[0])
            return
        for element in elements or ():
            self._append_one(element)
        self._offsets.append(self._offsets[-1] + len(elements or ()))
        self._missing.append(elements is None)

    def append_text(self, text: str | None) -> None:
        """Take the text of an attribute, or the text beside attributes."""
        self._texts.append(text)

    def _append_one(self, element: Any) -> None:
        if not self._members:
            self._texts.append(self._text(element))
            return
        self._present.append(element is not None)
        children: dict[str, list[Any]] = {}
        if element is not None:
            known, of = self._names.known, self._names.of
            for child in element:
                tag = child.tag
                name = known.get(tag) or of(tag, child)
                if name in children:
                    children[name].append(child)
                else:
                    children[name] = [child]
            for tag, value in element.items():
                children["@" + (known.get(tag) or of(tag, element))] = [value]
            if TEXT in self._members:
                children[TEXT] = [own_text(element)]
        for name, column in self._members.items():
            found = children.get(name)
            if found is None and not column.is_nested:
                column.append_text(None)
            elif name[0] in "@#":
                column.append_text(found[0] if found else None)
            elif not column.is_nested and found:
                column.append_text(plain_text(found[0]))
            else:
                column.append(found)

    def _text(self, element: Any) -> str | None:
        if element is None:
            return None
        if self._is_xml:
            text = xml_library().tostring(element, encoding="unicode", with_tail=False)
            return str(text)
        return plain_text(element)

    def take(self) -> pa.Array:
        """All values as an array; the column is empty then."""
        inner = self._inner.type
        if self._members:
            arrays = [column.take() for column in self._members.values()]
            fields = [inner.field(index) for index in range(inner.num_fields)]
            absent = pa.array([not one for one in self._present], pa.bool_())
            values = pa.StructArray.from_arrays(arrays, fields=fields, mask=absent)
        else:
            values = to_typed(pa.array(self._texts, pa.string()), inner)
        self._texts, self._present = [], []
        if not self._is_list:
            return values
        offsets, missing = self._offsets, self._missing
        self._offsets, self._missing = [0], []
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()),
            values,
            type=self._field.type,
            mask=pa.array(missing, pa.bool_()),
        )


def plain_text(element: Any) -> str | None:
    """The text of an element that has only text; None if it says that it is null."""
    text = element.text
    if text is None:
        return None if is_nil(element) else ""
    return str(text)


def own_text(element: Any) -> str | None:
    """The text of an element that has attributes or elements: None if it is empty or blanks."""
    text = element.text
    if not text or (len(element) and text.isspace()):
        return None
    return str(text)
