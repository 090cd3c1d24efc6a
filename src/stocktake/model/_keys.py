"""Rules of object keys: a flat string of UTF-8 bytes in which `/` makes folders.

Nothing here normalises: `a//b`, `/a`, `../x` and NFC/NFD spellings are distinct, legal keys.
"""

from __future__ import annotations

import re
import unicodedata

_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")
_ESCAPED = re.compile(r"[\x00-\x1f\x7f%]")
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})


def folder_of(key: str) -> str:
    """The folder that directly holds an object: the key up to its last `/`; `''` is the root.

    An object with data whose key ends in `/` lies, nameless, in the folder of that name, as a
    delimiter listing shows it.

    >>> folder_of("a//b"), folder_of("/x"), folder_of("x"), folder_of("a/b/")
    ('a//', '/', '', 'a/b/')
    """
    return key[: key.rfind("/") + 1]


def parent_folder(folder: str) -> str:
    """The folder one level up; the root is its own parent.

    >>> parent_folder("a/b/"), parent_folder("a//"), parent_folder("/"), parent_folder("")
    ('a/', 'a/', '', '')
    """
    return folder[: folder.rfind("/", 0, max(len(folder) - 1, 0)) + 1]


def successor(prefix: str) -> str | None:
    """The smallest string greater than every string that starts with `prefix`, in UTF-8 order.

    None if there is none (empty prefix, or only U+10FFFF): then there is no upper bound.
    Code-point order and UTF-8 byte order are the same order.
    """
    for cut in range(len(prefix), 0, -1):
        point = ord(prefix[cut - 1])
        if point == 0x10FFFF:
            continue
        following = 0xE000 if point == 0xD7FF else point + 1
        return prefix[: cut - 1] + chr(following)
    return None


def display_key(key: str) -> str:
    r"""The key for a terminal or log line: control, line-break and bidi characters escaped.

    >>> display_key("a\nb")
    'a\\nb'
    """
    if key.isprintable() and not (_BIDI & set(key)):
        return key
    return "".join(_escape(char) for char in key)


def escape_key(key: str) -> str:
    r"""A key as text that every database column can hold (PostgreSQL has no NUL); reversible.

    Control characters and `%` become `%XX`; everything else stays, so ordinary keys read as they
    are and order by prefix is kept.

    >>> escape_key("a%b\x00c"), escape_key("img 1.jpg")
    ('a%25b%00c', 'img 1.jpg')
    """
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", key)


def unescape_key(text: str) -> str:
    """The key that `escape_key` made this of."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _escape(char: str) -> str:
    if char in _BIDI or unicodedata.category(char) in _HIDDEN_CATEGORIES:
        return char.encode("unicode_escape", "surrogatepass").decode("ascii")
    return char
