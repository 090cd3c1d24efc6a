"""An XML document as a stream of records: flat memory, nothing resolved, nothing fetched.

Entities that a document declares are refused whatever they hold, so that no bomb is unpacked and no
file is read; a DTD elsewhere is never asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stocktake.convert._plan import ByteStream, ConvertOptions
from stocktake.errors import BadDocumentError, ConvertLimitError, MissingExtraError

PIECE_BYTES = 64 << 10
HEAD_BYTES = 1 << 20
BESIDE_BYTES_MAX = 64 << 10
TAGS_MAX = 600_000
"""Of one record: a short element takes far more memory than text."""
_MANY = 2


def xml_library() -> Any:
    """The library that reads XML.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingExtraError(
            "XML needs lxml", hint="pip install 'stocktake[convert]'"
        ) from error
    return etree


def new_parser(etree: Any, events: tuple[str, ...], tag: str | None = None) -> Any:
    """A parser that is fed, and neither resolves nor fetches anything."""
    return etree.XMLPullParser(
        events=events,
        tag=tag,
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )


def local_name(tag: str) -> str:
    """A tag without its namespace."""
    return tag.rpartition("}")[2]


@dataclass
class Names:
    """What elements and attributes are called in columns: `p:local` as the document writes it.

    Attributes:
        prefixes: Prefix to namespace; two namespaces never share one.
        known: Tag to name, of those that were asked for.
    """

    prefixes: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    _of_namespace: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._of_namespace = {namespace: prefix for prefix, namespace in self.prefixes.items()}

    def of(self, tag: str, element: Any) -> str:
        """The name of a tag or attribute of this element."""
        known = self.known.get(tag)
        if known is not None:
            return known
        name = tag
        if tag.startswith("{"):
            namespace, _, local = tag[1:].rpartition("}")
            prefix = self._prefix(namespace, element)
            name = f"{prefix}:{local}" if prefix else local
        self.known[tag] = name
        return name

    def _prefix(self, namespace: str, element: Any) -> str:
        if namespace in self._of_namespace:
            return self._of_namespace[namespace]
        written = next((p for p, uri in element.nsmap.items() if uri == namespace), None)
        stem = prefix = written or ("" if not self.prefixes.get("") else "ns")
        if namespace == "http://www.w3.org/XML/1998/namespace":
            stem = prefix = "xml"
        number = 1
        while prefix in self.prefixes:
            number += 1
            prefix = f"{stem or 'ns'}{number}"
        self.prefixes[prefix] = namespace
        self._of_namespace[namespace] = prefix
        return prefix


@dataclass
class XmlBeside:
    """What stands outside the records: attributes and elements, as text, by path."""

    members: dict[str, list[str]] = field(default_factory=dict)
    left_out_bytes: int = 0
    _size_bytes: int = 0

    def keep(self, path: str, text: str) -> None:
        """Take one piece."""
        self._size_bytes += len(text) + len(path)
        if self._size_bytes > BESIDE_BYTES_MAX:
            self.left_out_bytes += len(text)
        else:
            self.members.setdefault(path, []).append(text)


def refuse_dtd(root: Any, head: bytes) -> None:
    """Refuse a document whose own DTD declares anything that changes values."""
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is None:
        return
    if any(True for _ in dtd.iterentities()):
        raise BadDocumentError("its DTD declares entities: refused, whatever they are", line=1)
    if b"<!ATTLIST" in head.replace(b"\0", b""):  # of UTF-16 and UTF-32
        raise BadDocumentError("its DTD declares values of attributes: refused", line=1)


class XmlText:
    """The document's bytes, the first of them twice: once to look, once to read."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._head: list[bytes] = []
        self.read_bytes = 0

    def head(self) -> list[bytes]:
        """The first pieces, which `pieces` gives again."""
        size_bytes = 0
        while size_bytes < HEAD_BYTES and (piece := self._read()):
            self._head.append(piece)
            size_bytes += len(piece)
        return self._head

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        yield from self._head
        self._head = []
        while piece := self._read():
            yield piece

    def _read(self) -> bytes:
        parts = []
        size_bytes = 0
        while size_bytes < PIECE_BYTES and (part := self._stream.read(PIECE_BYTES - size_bytes)):
            parts.append(part)
            size_bytes += len(part)
        self.read_bytes += size_bytes
        return b"".join(parts)


def refusal(error: Any, parser: Any) -> BadDocumentError | ConvertLimitError:
    """What lxml says about a document that it cannot read, with the line."""
    line, message = error.lineno, str(error.msg).split(", line ")[0]
    if not line and len(parser.feed_error_log):
        first = parser.feed_error_log[0]
        line, message = first.line, first.message.strip()
    if "Excessive depth" in message or "huge" in message.lower():
        return ConvertLimitError(
            f"line {line}: beyond what a reader of XML allows: {message}", line=line
        )
    return BadDocumentError(f"line {line}: {message}", line=line)


def find_records(etree: Any, head: list[bytes]) -> tuple[str, ...]:
    """Tags from below the root to the records, as far as the head shows; empty: root is the record.

    A record is the one child that is there more than once, of the root or of what alone leads to
    it.
    """
    parser = new_parser(etree, ("start",))
    root = None
    try:
        for piece in head:
            parser.feed(piece)
            if root is None and (first := next(iter(parser.read_events()), None)):
                root = first[1]
                refuse_dtd(root, b"".join(head))
    except etree.XMLSyntaxError as error:
        if root is None:
            raise refusal(error, parser) from error
    path: list[str] = []
    element = root
    while element is not None:
        counts: dict[str, int] = {}
        for child in element:
            if isinstance(child.tag, str):
                counts[child.tag] = counts.get(child.tag, 0) + 1
        several = [tag for tag, count in counts.items() if count >= _MANY]
        if several:
            return (*path, several[0]) if len(several) == 1 else ()
        inner = [child for child in element if isinstance(child.tag, str) and len(child)]
        element = inner[0] if len(inner) == 1 else None
        if element is not None:
            path.append(element.tag)
    return ()


class XmlRecords:
    """The records of a document, one after the other; what is done with is taken off the tree."""

    def __init__(
        self, text: XmlText, path: tuple[str, ...], options: ConvertOptions, names: Names
    ) -> None:
        self._etree = xml_library()
        self._text = text
        self._path = path
        self._options = options
        self._names = names
        self._depth = len(path)
        self._container: Any = None
        self._root: Any = None
        self._since_record_bytes = 0
        self._since_record_tags = 0
        self.beside = XmlBeside()

    def __iter__(self) -> Iterator[Any]:
        """Elements; each is valid until the next one is asked for.

        Raises:
            BadDocumentError: Not well-formed, or refused; with the line.
            ConvertLimitError: A record that is too long, or too deep.
        """
        tag = "{*}" + local_name(self._path[-1]) if self._path else None
        parser = new_parser(self._etree, ("end",) if tag else ("start",), tag)
        try:
            for piece in self._text.pieces():
                parser.feed(piece)
                self._since_record_bytes += len(piece)
                self._since_record_tags += piece.count(b"<")
                yield from self._found(parser)
                self._check_length()
            root = parser.close()
        except self._etree.XMLSyntaxError as error:
            raise refusal(error, parser) from error
        yield from self._found(parser)
        if not self._path:
            yield root
        else:
            self._keep_rest(root, 0)

    def _found(self, parser: Any) -> Iterator[Any]:
        if not self._path:
            for _ in parser.read_events():
                pass
            return
        for _, element in parser.read_events():
            if not self._is_record(element):
                continue
            self._since_record_bytes = self._since_record_tags = 0
            yield element
            self._drop(element)

    def _is_record(self, element: Any) -> bool:
        parent = element.getparent()
        if parent is not None and parent is self._container:
            return bool(_same(element.tag, self._path[-1]))
        above = [ancestor.tag for ancestor in element.iterancestors()]
        if len(above) != self._depth:
            return False
        tags = [*reversed(above[:-1]), element.tag]
        if not all(_same(tag, wanted) for tag, wanted in zip(tags, self._path, strict=True)):
            return False
        self._container = parent
        return True

    def _drop(self, record: Any) -> None:
        """Empty the record, and take away what stands before it on every level."""
        record.clear(keep_tail=True)
        element, level = record, self._depth
        while (parent := element.getparent()) is not None:
            while (before := element.getprevious()) is not None:
                self._keep_rest(before, level)
                parent.remove(before)
            element, level = parent, level - 1

    def _keep_rest(self, element: Any, level: int) -> None:
        """Keep what is no record of an element, and of the elements in it."""
        if not isinstance(element.tag, str):
            raise undefined_entity(element)
        tail = element.tail
        on_path = level == 0 or (level <= self._depth and _same(element.tag, self._path[level - 1]))
        is_done = on_path and level == self._depth
        if is_done and (not tail or tail.isspace()):
            return
        where = "/".join(self._where(element)) or "."
        if tail and not tail.isspace():
            self.beside.keep(f"{where}/#text", tail.strip())
        if is_done:
            return
        if not on_path:
            for _ in element.iter(self._etree.Entity):
                raise undefined_entity(element)
            text = self._etree.tostring(element, encoding="unicode", with_tail=False)
            self.beside.keep(where, text)
            return
        for name, value in element.items():
            self.beside.keep(f"{where}/@{self._names.of(name, element)}", value)
        if (element.text or "").strip():
            self.beside.keep(f"{where}/#text", element.text.strip())
        for child in element:
            self._keep_rest(child, level + 1)

    def _where(self, element: Any) -> list[str]:
        chain = [element, *element.iterancestors()][:-1]
        return [self._names.of(one.tag, one) for one in reversed(chain)]

    def _check_length(self) -> None:
        bytes_max = self._options.field_bytes_max + HEAD_BYTES
        if self._since_record_bytes > bytes_max or self._since_record_tags > TAGS_MAX:
            raise ConvertLimitError(
                f"more than {bytes_max:,} bytes or {TAGS_MAX:,} tags without the end of a record",
                hint="name where the records are: --records-path, parts by /, without the root",
            )


def _same(tag: str, wanted: str) -> bool:
    """A tag as it is, or by its local name if no namespace was asked for."""
    return tag == wanted or (not wanted.startswith("{") and local_name(tag) == wanted)


def undefined_entity(element: Any) -> BadDocumentError:
    """The error for a reference that was not resolved."""
    line = element.sourceline
    return BadDocumentError(f"line {line}: the entity {element.text} is not defined", line=line)
