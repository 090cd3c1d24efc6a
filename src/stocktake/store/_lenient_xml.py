"""XML from stores, also if it holds characters that XML cannot hold.

Keys may contain control characters, and some stores put them into their answers as they are (Ceph
into continuation tokens, emulators into version listings), which no XML parser accepts. They are
carried through the parser as private-use characters.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_REFERENCE = re.compile("&#(?:x0*(1?[0-9a-f])|0*([12]?[0-9]|3[01]));", re.IGNORECASE)
_CARRIERS = re.compile("[\ue000-\ue01f]")
_FIRST_CARRIER = 0xE000


def parse_lenient(body: bytes) -> ET.Element:
    """The root element, tags without namespaces, texts as the store meant them.

    Raises:
        ValueError: Not XML even so (`ParseError`, `UnicodeDecodeError`), or it holds both the odd
            characters and those that would carry them.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - callers refuse documents with a DOCTYPE
    except ET.ParseError:
        root = _parse_carried(body)
    except LookupError as error:
        raise ValueError(str(error)) from error  # an encoding nobody knows
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _parse_carried(body: bytes) -> ET.Element:
    text = body.decode()
    if _CARRIERS.search(text):
        raise ValueError("not well-formed XML")
    carried = _REFERENCE.sub(_carry_reference, text)
    carried = _ILLEGAL.sub(lambda match: chr(_FIRST_CARRIER + ord(match[0])), carried)
    try:
        root = ET.fromstring(carried)  # noqa: S314 - as above
    except ET.ParseError as error:
        raise ValueError(f"not well-formed XML: {error}") from error
    for element in root.iter():
        if element.text:
            element.text = _CARRIERS.sub(
                lambda match: chr(ord(match[0]) - _FIRST_CARRIER), element.text
            )
    return root


def _carry_reference(match: re.Match[str]) -> str:
    point = int(match[1], 16) if match[1] else int(match[2])
    legal = point in {9, 10, 13} or point > 31
    return match[0] if legal else chr(_FIRST_CARRIER + point)
