"""Arrays and lines of any length, cut into blocks of whole elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from stocktake.convert._json_scan import (
    SPACE,
    Structure,
    objects_in_lines,
    objects_of,
    scan,
)
from stocktake.convert._json_text import JsonText
from stocktake.convert._plan import ConvertOptions
from stocktake.errors import BadDocumentError, ConvertLimitError

FIRST_BYTES = 64 << 10
BLOCK_BYTES = 2 << 20
LEVELS_MAX = 500
"""Deeper nesting is refused before any parser sees it."""


@dataclass(frozen=True)
class Block:
    """Some whole elements.

    Attributes:
        text: From the first element's begin to the last one's end.
        separator: What stands between them: a comma, or a newline (lines may be empty then).
        row: Elements before it.
        line: Line number of its first byte.
        known: Where its elements are, if it was looked for.
    """

    text: bytes
    separator: bytes
    row: int
    line: int
    known: Structure | None = None

    @cached_property
    def structure(self) -> Structure:
        """Where its elements are."""
        return scan(self.text, self.separator) if self.known is None else self.known

    @cached_property
    def objects(self) -> int | None:
        """How many objects it is; None: there is something else, as far as brackets show."""
        if self.separator == b"\n":
            count = objects_in_lines(self.text)
            if count is not None:
                return count
        return objects_of(self.text, self.structure, self.separator)

    def check_depth(self) -> None:
        """Refuse what is nested too deeply for parsers that recurse.

        Raises:
            ConvertLimitError: With row and line.
        """
        if self.structure.depth > LEVELS_MAX:
            for number, (at, piece) in enumerate(self.pieces()):
                _check_depth(scan(piece), self.row + number, self.place(at))

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Where each element begins, and its text; in lines mode without empty lines."""
        if self.separator == b"\n":
            at = 0
            for line in self.text.split(b"\n"):
                if line.strip(SPACE):
                    yield at, line
                at += len(line) + 1
            return
        begin = 0
        for end in (*self.structure.separators.tolist(), len(self.text)):
            yield begin, self.text[begin:end]
            begin = end + 1

    def place(self, at: int) -> int:
        """The line of the element that begins there: where its first byte stands."""
        blanks = len(self.text) - at - len(self.text[at:].lstrip(SPACE))
        return self.line + self.text.count(b"\n", 0, at + blanks)


def array_blocks(text: JsonText, options: ConvertOptions) -> Iterator[Block]:
    """The elements of an array whose opening bracket was just stepped over, up to its end."""
    row = 0
    wanted_bytes = FIRST_BYTES
    while True:
        if len(text.window) - text.at < wanted_bytes:
            text.grow(wanted_bytes)
        window = text.window[text.at :]
        line = text.line
        structure = scan(window)
        if structure.end >= 0:
            yield from _last_block(text, window, structure, row)
            return
        if not len(structure.separators):
            _check_depth(structure, row, line)
            _check_length(window, options, row, line)
            if not text.grow(max(wanted_bytes, len(window))):
                raise text.broken("the array does not end")
            continue
        cut = int(structure.separators[-1])
        block = _cut(window, structure, cut, row, line)
        text.at += cut + 1
        yield block
        row += len(block.structure.separators) + 1
        wanted_bytes = BLOCK_BYTES


def _cut(window: bytes, structure: Structure, cut: int, row: int, line: int) -> Block:
    _check_depth(structure, row, line)
    kept = Structure(
        opens=structure.opens[structure.opens < cut],
        closes=structure.closes[structure.closes < cut],
        separators=structure.separators[:-1],
        end=-1,
        depth=structure.depth,
        lists=structure.lists,
    )
    return Block(window[:cut], b",", row, line, kept)


def _last_block(text: JsonText, window: bytes, structure: Structure, row: int) -> Iterator[Block]:
    line = text.line
    _check_depth(structure, row, line)
    body = window[: structure.end]
    if window[structure.end : structure.end + 1] != b"]":
        text.at += structure.end
        raise text.broken("a brace closes an array")
    text.at += structure.end + 1
    if body.strip(SPACE) or row:
        yield Block(body, b",", row, line, structure)


def line_blocks(text: JsonText, options: ConvertOptions) -> Iterator[Block]:
    """One element per line, up to the end of the document."""
    row = 0
    wanted_bytes = FIRST_BYTES
    while True:
        waiting = len(text.window) - text.at
        has_ended = waiting < wanted_bytes and not text.grow(wanted_bytes)
        cut = len(text.window) if has_ended else text.window.rfind(b"\n", text.at)
        if cut < text.at:
            waiting = len(text.window) - text.at
            _check_length(text.window[text.at :], options, row, text.line)
            wanted_bytes = max(wanted_bytes, 2 * waiting)
            continue
        body = text.window[text.at : cut]
        block = Block(body, b"\n", row, text.line)
        text.at = min(cut + 1, len(text.window))
        if body.strip(SPACE):
            yield block
            row += block.objects or _count(block)
        if has_ended:
            return
        wanted_bytes = BLOCK_BYTES


def _count(block: Block) -> int:
    return sum(1 for _ in block.pieces())


def _check_depth(structure: Structure, row: int, line: int) -> None:
    if structure.depth > LEVELS_MAX:
        raise ConvertLimitError(
            f"after row {row}, line {line}: nested more than {LEVELS_MAX} levels deep",
            row=row,
            line=line,
        )


def _check_length(window: bytes, options: ConvertOptions, row: int, line: int) -> None:
    if len(window) > options.field_bytes_max:
        raise ConvertLimitError(
            f"row {row + 1}, line {line}: a record of more than {options.field_bytes_max:,} bytes",
            row=row + 1,
            line=line,
        )


def single_block(raw: bytes, line: int) -> Block:
    """A block of one element, which is checked to be one by whoever decodes it."""
    structure = scan(raw)
    _check_depth(structure, 0, line)
    if len(structure.separators) or structure.end >= 0:
        raise BadDocumentError(f"line {line}: one value was expected", line=line)
    return Block(raw, b",", 0, line, structure)
