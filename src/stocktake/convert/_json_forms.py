"""Where the records of a document are: an array, lines, an array in an object, or all of it.

What stands beside the records in an object is kept too, as JSON text in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from stocktake.convert._json_blocks import Block, array_blocks, line_blocks, single_block
from stocktake.convert._json_text import JsonText
from stocktake.convert._json_values import decode
from stocktake.convert._plan import ConvertOptions, TableKind
from stocktake.errors import BadDocumentError

ARRAY, LINES, MEMBER, WHOLE = "array", "lines", "member", "whole"
BESIDE_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class Form:
    """How a document holds its records.

    Attributes:
        name: `array` (elements), `lines` (a record each), `member` (an array below `path`),
            `whole` (the document is the one record).
        path: Of `member`; None until it is known.
    """

    name: str
    path: tuple[str, ...] | None = None


class OtherFormError(ValueError):
    """It has another form than was thought: begin again."""

    def __init__(self, form: Form, why: str) -> None:
        super().__init__(why)
        self.form = form
        self.why = why


@dataclass
class Beside:
    """What stands beside the records.

    Attributes:
        members: Their JSON text, by path.
        left_out: Paths and lengths of what was too long.
        path: Where the records are.
    """

    members: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    path: tuple[str, ...] | None = None
    _size_bytes: int = 0

    def keep(self, path: tuple[str, ...], raw: bytes) -> None:
        """Take a member that is no record."""
        name = "/".join(path)
        self._size_bytes += len(raw)
        if self._size_bytes > BESIDE_BYTES_MAX:
            self.left_out[name] = len(raw)
        else:
            self.members[name] = raw.decode(errors="backslashreplace")


def first_form(text: JsonText, kind: TableKind, options: ConvertOptions) -> Form | None:
    """The form as the first byte shows it; None: there is nothing."""
    first = text.next_byte()
    if not first:
        return None
    if kind is TableKind.JSONL:
        return Form(LINES)
    if options.records_path is not None:
        path = tuple(part for part in options.records_path.split("/") if part)
        if first == b"[" and not path:
            return Form(ARRAY)
        if first != b"{" or not path:
            raise BadDocumentError(
                f"there is no {options.records_path!r} in it: it is no object",
                hint="leave --records-path away",
            )
        return Form(MEMBER, path)
    return Form({b"[": ARRAY, b"{": MEMBER}.get(first, WHOLE))


def blocks(text: JsonText, form: Form, options: ConvertOptions, beside: Beside) -> Iterator[Block]:
    """The records, block by block, and then the proof that nothing follows.

    Raises:
        OtherFormError: Begin again with this form.
        BadDocumentError: With the line.
    """
    if form.name == LINES:
        yield from line_blocks(text, options)
        return
    if form.name == ARRAY:
        text.expect(b"[", "an opening bracket")
        yield from array_blocks(text, options)
    elif form.name == MEMBER:
        yield from _members(text, form.path, options, beside)
    else:
        text.next_byte()
        line = text.line
        yield single_block(text.value(), line)
    follows = text.next_byte()
    if follows == b"{" and form == Form(MEMBER):
        raise OtherFormError(Form(LINES), "another object follows the first one")
    if follows:
        raise text.broken("there is more after the end of the document")


def _members(
    text: JsonText, path: tuple[str, ...] | None, options: ConvertOptions, beside: Beside
) -> Iterator[Block]:
    yield from _Members(text, path, options, beside).object_blocks(())
    if text.next_byte() == b"{" and path is None:
        raise OtherFormError(Form(LINES), "another object follows the first one")
    if path is not None:
        if beside.path is None:
            raise BadDocumentError(f"there is no {'/'.join(path)!r} in it")
    elif beside.path is None:
        raise OtherFormError(Form(WHOLE), "no member is an array of objects")
    elif beside.left_out:
        raise OtherFormError(Form(WHOLE), "more stands beside the records than metadata can hold")


@dataclass(frozen=True)
class _Members:
    """The members of an object, and of the objects on the way to the records."""

    text: JsonText
    path: tuple[str, ...] | None
    options: ConvertOptions
    beside: Beside

    def object_blocks(self, above: tuple[str, ...]) -> Iterator[Block]:
        text = self.text
        text.expect(b"{", "an opening brace")
        if text.next_byte() == b"}":
            text.at += 1
            return
        while True:
            yield from self._member_blocks((*above, self._key()))
            follows = text.next_byte()
            if follows not in (b",", b"}"):
                raise text.broken("a comma or a closing brace is missing")
            text.at += 1
            if follows == b"}":
                return

    def _key(self) -> str:
        text = self.text
        if text.next_byte() != b'"':
            raise text.broken("a key is missing")
        raw = text.string()
        try:
            key = json.loads(raw)
        except ValueError:
            raise text.broken("a key that is no JSON string") from None
        text.expect(b":", "a colon")
        return str(key)

    def _member_blocks(self, here: tuple[str, ...]) -> Iterator[Block]:
        text, path = self.text, self.path
        first = text.next_byte()
        if path is None:
            if first == b"[" and text.begins_objects():
                yield from self._records(here)
            else:
                self._keep(here)
        elif here == path:
            if first == b"{":
                self._found(here)
                line = text.line
                yield single_block(text.value(), line)
            elif first == b"[":
                yield from self._records(here)
            else:
                raise text.broken(f"{'/'.join(path)!r} is neither an array nor an object")
        elif here == path[: len(here)] and first == b"{":
            yield from self.object_blocks(here)
        else:
            self._step_over(here)

    def _keep(self, here: tuple[str, ...]) -> None:
        """Keep what stands beside; as soon as it cannot end well, say so."""
        self._step_over(here)
        if not self.text.can_rewind and (self.beside.path is None or self.beside.left_out):
            raise OtherFormError(Form(WHOLE), "no array of objects, or much beside it")

    def _step_over(self, here: tuple[str, ...]) -> None:
        raw = self.text.value()
        if len(raw) <= BESIDE_BYTES_MAX:
            try:
                decode(raw)
            except (ValueError, RecursionError) as error:
                where = "/".join(here)[:80]
                raise self.text.broken(f"{where!r} is no JSON that can be kept: {error}") from error
        self.beside.keep(here, raw)

    def _records(self, here: tuple[str, ...]) -> Iterator[Block]:
        self._found(here)
        self.text.expect(b"[", "an opening bracket")
        yield from array_blocks(self.text, self.options)

    def _found(self, here: tuple[str, ...]) -> None:
        before = self.beside.path
        if before is not None:
            if self.path is not None:
                raise self.text.broken(f"{'/'.join(here)!r} is there twice")
            why = f"{before[0]!r} and {here[0]!r} are both arrays of objects"
            raise OtherFormError(Form(WHOLE), why)
        self.beside.path = here
