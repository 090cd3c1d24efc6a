"""The binding keeps its rules: errors keep their type, nothing leaks, nothing extra is enabled."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archive_world import TREE, files, seven_zip_of, tar_of, walk_bytes, zip_of
from stocktake.errors import ArchiveCorruptError, ArchiveIncompleteError
from stocktake.unpack import library_status
from stocktake.unpack._libarchive import FORMATS, ArchiveHandle
from stocktake.unpack._library import Library, load_library
from stocktake.unpack._streams import Pieces, Span


@pytest.fixture
def library() -> Library:
    found = load_library()
    assert found is not None, "apt-get install libarchive13"
    return found


class Broken(Span):
    """A file that fails after some reads, or some seeks."""

    def __init__(self, data: bytes, error: BaseException, reads: int) -> None:
        super().__init__(io.BytesIO(data))
        self._error = error
        self._reads = reads

    def read(self, size_bytes: int = -1, /) -> bytes:
        self._reads -= 1
        if self._reads < 0:
            raise self._error
        return super().read(size_bytes)


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), KeyboardInterrupt(), ArchiveCorruptError("limit")]
)
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_exception_of_the_stream_keeps_its_type(
    library: Library, error: BaseException, reads: int
) -> None:
    """Trap: ctypes prints "Exception ignored", and libarchive says something misleading."""
    source = Broken(seven_zip_of({"a": os.urandom(400_000)}), error, reads)
    with pytest.raises(type(error)) as caught:
        read_all(library, source, ("7zip",))
    assert caught.value is error


def read_all(library: Library, source: Span, formats: tuple[str, ...]) -> dict[str, bytes]:
    found = {}
    with ArchiveHandle(library, source, formats, "x") as handle:
        while (header := handle.next_header()) is not None:
            found[header.name] = b"".join(handle.pieces(header))
    return found


def test_callbacks_and_buffers_outlive_the_garbage_collector(library: Library) -> None:
    data = seven_zip_of(TREE)
    with ArchiveHandle(library, Span(io.BytesIO(data)), ("7zip",), "x") as handle:
        found = {}
        gc.collect()
        while (header := handle.next_header()) is not None:
            gc.collect()
            found[header.name] = b"".join(handle.pieces(header))
            gc.collect()
    assert found == TREE


def test_handle_is_freed_once_also_when_left_early(library: Library) -> None:
    freed = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            function = getattr(library.c, name)
            if name == "archive_read_free":
                return lambda archive: freed.append(archive) or function(archive)
            return function

    counting = Library(Counting(), library.version, library.found_as)
    handle = ArchiveHandle(counting, Span(io.BytesIO(seven_zip_of(TREE))), ("7zip",), "x")
    handle.next_header()
    handle.close()
    handle.close()
    assert len(freed) == 1
    with pytest.raises(ArchiveCorruptError):
        ArchiveHandle(counting, Span(io.BytesIO(b"nothing" * 99)), ("7zip",), "x").next_header()
    gc.collect()


def test_formats_nobody_asked_for_are_not_enabled(library: Library) -> None:
    assert FORMATS == ("zip", "7zip", "rar", "rar5")
    for data in (b"#mtree\n./a type=file\n", b"070707" + b"0" * 300, tar_of(TREE)):
        with pytest.raises(ArchiveCorruptError):
            read_all(library, Span(io.BytesIO(data)), FORMATS)


def test_filters_are_not_enabled(library: Library) -> None:
    """Trap: some of libarchive's filters start programs."""
    import gzip

    with pytest.raises(ArchiveCorruptError):
        read_all(library, Span(io.BytesIO(gzip.compress(zip_of(TREE)))), FORMATS)


def test_declared_size_must_be_delivered(library: Library) -> None:
    from dataclasses import replace

    data = seven_zip_of({"a": b"12345"})
    with ArchiveHandle(library, Span(io.BytesIO(data)), ("7zip",), "x") as handle:
        header = handle.next_header()
        assert header is not None
        with pytest.raises(ArchiveCorruptError, match="gives 5 bytes and should have 6"):
            list(handle.pieces(replace(header, size_bytes=6)))


def test_stream_that_cannot_seek_is_read_front_to_end(library: Library) -> None:
    pieces = Pieces(iter([zip_of({"a": b"1" * 999})]))
    with ArchiveHandle(library, pieces, ("zip",), "x") as handle:
        header = handle.next_header()
        assert header is not None
        assert b"".join(handle.pieces(header)) == b"1" * 999


def test_end_of_the_stream_is_told_from_damage(library: Library) -> None:
    cut = Pieces(iter([zip_of({"a": bytes(9999)}, 0)[:5000]]))
    with ArchiveHandle(library, cut, ("zip",), "x") as handle:
        header = handle.next_header()
        assert header is not None
        with pytest.raises(ArchiveIncompleteError):
            list(handle.pieces(header))


def test_library_is_found_by_override_only_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, library: Library, tmp_path: Path
) -> None:
    assert library.version >= 3_006_000
    for nothing in ("none", "", str(tmp_path / "libarchive.so")):
        monkeypatch.setenv("STOCKTAKE_LIBARCHIVE", nothing)
        assert load_library() is None
        assert "7z" not in library_status().formats
        assert "libarchive13" in str(library_status().hint)
    monkeypatch.setenv("STOCKTAKE_LIBARCHIVE", library.found_as)
    assert getattr(load_library(), "version", None) == library.version
    status = library_status()
    assert (status.version, status.hint) == (library.version_text, None)
    assert {"zip", "tar", "7z", "rar", "gz", "bz2", "xz", "zst", "deflate64"} == set(status.formats)


CHILD = """
import ctypes.util, sys
ctypes.util.find_library = None  # it would call gcc, which writes a temporary file
from stocktake.clock import SystemClock
from stocktake.unpack import walk
for name in ("x.tar", "x.7z"):
    with open(name, "rb") as file, walk(file, name, clock=SystemClock()) as members:
        for opened in members:
            print(name, ascii(opened.member.path), len(opened.read()))
"""


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_names_do_not_depend_on_the_locale(locale: str, tmp_path: Path) -> None:
    tree = {"umläut.txt": b"1", "e\u0301": b"22"}
    (tmp_path / "x.tar").write_bytes(tar_of(tree))
    (tmp_path / "x.7z").write_bytes(seven_zip_of(tree))
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0"}
    output = subprocess.run(
        [sys.executable, "-c", CHILD],
        check=True,
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    lines = [f"{name} {path!a} {len(tree[path])}" for name in ("x.tar", "x.7z") for path in tree]
    assert output.splitlines() == lines


def test_many_archives_leave_no_memory_behind(library: Library) -> None:
    data = seven_zip_of(TREE)
    import resource

    files(data, "x.7z")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(150):
        read_all(library, Span(io.BytesIO(data)), ("7zip",))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert grown_kb < 40_000


@pytest.mark.parametrize("name", ["x.7z", "x.zip", "x.tar"])
def test_member_of_a_closed_walk_gives_an_error_and_no_crash(name: str) -> None:
    data = {"x.7z": seven_zip_of, "x.zip": zip_of, "x.tar": tar_of}[name](TREE)
    members = walk_bytes(data, name)
    opened = next(members)
    members.close()
    with pytest.raises(ValueError, match="was left"):
        opened.read()


def test_member_keeps_its_walk_alive() -> None:
    opened = next(walk_bytes(seven_zip_of(TREE), "x.7z"))
    gc.collect()
    assert opened.read() == TREE[opened.member.path]


def test_closed_handle_gives_an_error_and_no_crash(library: Library) -> None:
    handle = ArchiveHandle(library, Span(io.BytesIO(seven_zip_of(TREE))), ("7zip",), "x")
    header = handle.next_header()
    assert header is not None
    pieces = handle.pieces(header)
    handle.close()
    with pytest.raises(ValueError, match="closed"):
        next(pieces)
    with pytest.raises(ValueError, match="closed"):
        handle.next_header()
