"""A validator of bags, written from RFC 8493 and from nothing of ours."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

_MANIFEST = re.compile(r"(tag)?manifest-([a-z0-9]+)\.txt")


@dataclass
class Bag:
    """What a bag says (section 2)."""

    root: Path
    info: dict[str, str] = field(default_factory=dict)
    payload: dict[str, dict[str, str]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    fetch: dict[str, tuple[str, int | None]] = field(default_factory=dict)


def decode(path: str) -> str:
    """Section 2.1.3: LF, CR and `%` are percent-encoded in file paths, nothing else."""
    return re.sub("%(0[AaDd]|25)", lambda match: chr(int(match[1], 16)), path)


def read_bag(root: Path) -> Bag:
    """Parse a bag; raises AssertionError where it breaks the RFC."""
    declaration = (root / "bagit.txt").read_bytes()
    assert declaration == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "2.1.1"
    assert (root / "data").is_dir(), "2.1.2: the payload directory must be there"
    bag = Bag(root)
    for path in sorted(root.iterdir()):
        match = _MANIFEST.fullmatch(path.name)
        if match is not None:
            (bag.tags if match[1] else bag.payload)[match[2]] = read_manifest(path)
    assert bag.payload, "2.1.3: at least one payload manifest"
    listed = [set(one) for one in bag.payload.values()]
    assert all(one == listed[0] for one in listed), "2.1.3: every manifest lists every file"
    assert all(name.startswith("data/") for name in listed[0]), "2.1.3"
    for line in lines(root / "bag-info.txt"):
        label, value = re.fullmatch(r"([^:\s]+): (.*)", line).groups()  # type: ignore[union-attr]
        bag.info[label] = value
    for line in lines(root / "fetch.txt"):
        url, size, name = re.fullmatch(r"(\S+)[ \t]+(\d+|-)[ \t]+(.+)", line).groups()  # type: ignore[union-attr]
        assert decode(name) in listed[0], "2.2.3: every file of fetch.txt is in every manifest"
        bag.fetch[decode(name)] = (url, None if size == "-" else int(size))
    total = sum(size or 0 for _, size in bag.fetch.values())
    assert bag.info["Payload-Oxum"] == f"{total}.{len(listed[0])}", "2.2.2"
    return bag


def lines(path: Path) -> list[str]:
    """Lines of a tag file, of LF, CR or CRLF (2.1)."""
    return [one for one in re.split("\r\n|\r|\n", path.read_bytes().decode("utf-8")) if one]


def read_manifest(path: Path) -> dict[str, str]:
    """Name -> digest; a name is there once."""
    found: dict[str, str] = {}
    for line in lines(path):
        digest, name = re.fullmatch(r"([0-9a-f]+)[ \t]+\*?(.+)", line).groups()  # type: ignore[union-attr]
        name = decode(name)
        assert name not in found, "2.1.3: listed twice"
        assert ".." not in name.split("/"), "5.1: outside the bag"
        found[name] = digest
    return found


def check_tags(bag: Bag) -> None:
    """Section 2.2.1: every tag manifest is right, and no payload is in it."""
    for algorithm, named in bag.tags.items():
        assert not any(name.startswith(("data/", "tagmanifest-")) for name in named)
        for name, digest in named.items():
            assert hashlib.new(algorithm, (bag.root / name).read_bytes()).hexdigest() == digest


def check_complete(bag: Bag) -> None:
    """Section 3: the files are there, no others, and are what the manifests say."""
    there = {
        path.relative_to(bag.root).as_posix()
        for path in (bag.root / "data").rglob("*")
        if path.is_file()
    }
    for algorithm, named in bag.payload.items():
        assert there == set(named)
        for name, digest in named.items():
            assert hashlib.new(algorithm, (bag.root / name).read_bytes()).hexdigest() == digest
