r"""What a local path is called in a bucket, and which paths are left out.

Every name of a path is escaped by itself, so a folder's files have keys that all begin alike and a
sorted walk gives sorted keys. Bytes that are no UTF-8 and control characters become `%XX`, and a
name that has any has `%25` for its own `%`.

>>> local_key("Mürz/50 %.csv".encode()), local_key(b"100 %/caf\xe9 7%.csv"), local_key(b"a\nb")
('Mürz/50 %.csv', '100 %/caf%E9 7%25.csv', 'a%0Ab')

Two paths have the same key in one case only: a name that has `%E9` itself beside one that has the
byte. A walk reports the second of them.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

from stocktake.errors import InvalidSettingError

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\udc80-\udcff\ufffe\uffff]")
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")
_GLOB_MAX = 500
_DEEP = "**"


def local_key(path: bytes) -> str:
    """The key of a path below the folder, without the prefix of the dataset."""
    text = path.decode("utf-8", "surrogateescape")
    if text.isprintable() or not _UNSAFE.search(text):
        return text
    return "/".join(map(_escaped, text.split("/")))


def local_name_key(name: bytes) -> bytes:
    """One name of a path as its key has it, in UTF-8."""
    return name if name.isascii() and name.isalnum() else local_key(name).encode()


def unescaped_name(name: bytes) -> bytes:
    """The name that was escaped to this one, if one was."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), name)


def _escaped(name: str) -> str:
    if not _UNSAFE.search(name):
        return name
    return _UNSAFE.sub(_percent, name.replace("%", "%25"))


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Paths that are left out.

    A glob without `/` is about one name in any folder (`*.tmp`, `.git`), one with `/` about the
    path from the top (`raw/*.csv`, `**/cache/x`, `/top.txt`). A folder that matches is left out
    with all that is in it. `*` and `?` stop at `/`, `**` does not; case matters.
    """

    globs: tuple[tuple[re.Pattern[str] | None, ...], ...]

    @classmethod
    def of(cls, globs: Sequence[str]) -> Exclusions:
        """Those of these globs.

        Raises:
            InvalidSettingError: One is empty or too long.
        """
        return cls(tuple(map(_compiled, globs)))

    def matches(self, key: str) -> bool:
        """Whether this path (as its key) itself is left out."""
        names = key.split("/")
        return any(_matches(names, glob) for glob in self.globs)


def _compiled(glob: str) -> tuple[re.Pattern[str] | None, ...]:
    wanted = glob.rstrip("/")
    if not wanted or len(glob) > _GLOB_MAX:
        raise InvalidSettingError(f"a glob has 1 to {_GLOB_MAX} characters: `{glob[:40]}`")
    names = wanted.lstrip("/").split("/")
    if "/" not in wanted:
        names.insert(0, _DEEP)
    if names[-1] == _DEEP:
        names.append("*")
    return tuple(None if name == _DEEP else re.compile(fnmatch.translate(name)) for name in names)


def _matches(names: Sequence[str], glob: Sequence[re.Pattern[str] | None]) -> bool:
    """By positions of the glob that the names so far lead to: no way is gone twice."""
    at = _with_deeper({0}, glob)
    for name in names:
        ahead: set[int] = set()
        for place in at:
            if place < len(glob):
                pattern = glob[place]
                if pattern is None:
                    ahead.add(place)
                elif pattern.match(name):
                    ahead.add(place + 1)
        at = _with_deeper(ahead, glob)
    return len(glob) in at


def _with_deeper(places: set[int], glob: Sequence[re.Pattern[str] | None]) -> set[int]:
    """Also where `**` stands for no name at all."""
    found = set(places)
    for place in sorted(places):
        step = place
        while step < len(glob) and glob[step] is None:
            step += 1
            found.add(step)
    return found
