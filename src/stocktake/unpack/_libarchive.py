"""libarchive, strictly: one archive opened from a Python stream, entry by entry.

libarchive delivers bytes it could not verify together with a warning, swallows nothing but says
little, and knows nothing of Python's exceptions. Here every return code is checked, a warning on
data is an error, and an exception of the stream keeps its type.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from ctypes import byref, c_int64, c_size_t, c_void_p, string_at
from datetime import UTC, datetime, timedelta
from typing import Any

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveEncryptedError,
    ArchiveError,
    ArchiveIncompleteError,
    ArchiveUnsupportedError,
)
from stocktake.unpack._entry import Header
from stocktake.unpack._library import READ_CALLBACK, SEEK_CALLBACK, Library
from stocktake.unpack._member import MemberKind
from stocktake.unpack._names import decode_name
from stocktake.unpack._streams import Packed, Span, cut, zeros

FORMATS = ("zip", "7zip", "rar", "rar5")
READ_BYTES = 1 << 17

_END, _OK, _WARN, _FATAL = 1, 0, -20, -30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {0o100000: MemberKind.FILE, 0o040000: MemberKind.FOLDER, 0o120000: MemberKind.LINK}
_SECRET_WORDS = ("encrypt", "passphrase", "password")
_LACKING_WORDS = ("unsupported", "not supported", "unavailable", "not implemented")


class ArchiveHandle:
    """One archive, opened. It belongs to one thread; `close` it in any case."""

    def __init__(
        self,
        library: Library,
        source: Packed,
        formats: tuple[str, ...],
        name: str,
        lacking_hint: str = "a newer libarchive may read it; or make the archive again",
    ) -> None:
        """Open it.

        Args:
            library: libarchive.
            source: Where it is read from; a `Span` is read in any order, others front to end.
            formats: Of `FORMATS`.
            name: For messages.
            lacking_hint: What to do about what libarchive cannot read.
        """
        self._lacking_hint = lacking_hint
        self._c = library.c
        self._source = source
        self._name = name
        self._block = b""
        self._failure: BaseException | None = None
        self._ended = False
        self._archive: int | None = self._c.archive_read_new()
        self._read_callback = READ_CALLBACK(self._on_read)
        self._seek_callback = SEEK_CALLBACK(self._on_seek)
        try:
            self._open(formats)
        except BaseException:
            self.close()
            raise

    def _open(self, formats: tuple[str, ...]) -> None:
        for known in FORMATS:
            if known in formats:
                enable = getattr(self._c, f"archive_read_support_format_{known}")
                self._check(enable(self._archive), warnings=True)
        self._check(self._c.archive_read_set_read_callback(self._archive, self._read_callback))
        if isinstance(self._source, Span):
            self._check(self._c.archive_read_set_seek_callback(self._archive, self._seek_callback))
        # without it archive_read_open1 reads freed memory
        self._check(self._c.archive_read_set_callback_data(self._archive, None))
        self._check(self._c.archive_read_open1(self._archive), warnings=True)

    def close(self) -> None:
        """Free it, once."""
        archive, self._archive = self._archive, None
        if archive is not None:
            self._c.archive_read_free(archive)

    def _open_archive(self) -> int:
        """The archive; libarchive would follow a null pointer after `close`."""
        if self._archive is None:
            raise ValueError(f"{self._name} is closed")
        return self._archive

    def __enter__(self) -> ArchiveHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_read(self, _archive: int, _data: int, place: Any) -> int:
        """The next block; it stays alive until the next call."""
        try:
            self._block = self._source.read(READ_BYTES)
        except BaseException as error:  # noqa: BLE001  # boundary: C above; kept, raised by _check
            self._failure = error
            return _FATAL
        self._ended = not self._block
        place[0] = ctypes.cast(ctypes.c_char_p(self._block), c_void_p)
        return len(self._block)

    def _on_seek(self, _archive: int, _data: int, offset: int, whence: int) -> int:
        try:
            assert isinstance(self._source, Span)
            return self._source.seek(offset, whence)
        except BaseException as error:  # noqa: BLE001  # boundary: C above; kept, raised by _check
            self._failure = error
            return _FATAL

    def _check(self, code: int, *, warnings: bool = False) -> int:
        """The code, if it means success; else the stream's exception, or libarchive's as ours."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if code in (_OK, _END) or (warnings and code == _WARN):
            return code
        raise self._error(code)

    def _error(self, code: int) -> ArchiveError:
        said = self._c.archive_error_string(self._archive) or b""
        text = said.decode("utf-8", "replace") or f"libarchive gives {code} and no reason"
        message = f"{self._name}: {text}"
        lowered = text.lower()
        if any(word in lowered for word in _SECRET_WORDS):
            return ArchiveEncryptedError(message, name=self._name)
        if any(word in lowered for word in _LACKING_WORDS):
            return ArchiveUnsupportedError(message, hint=self._lacking_hint, name=self._name)
        if self._ended and "truncated" in lowered:
            return ArchiveIncompleteError(message, name=self._name)
        return ArchiveCorruptError(message, name=self._name)

    def next_header(self) -> Header | None:
        """The next entry; None at the end. What is unread of the one before is skipped."""
        entry = c_void_p()
        code = self._c.archive_read_next_header(self._open_archive(), byref(entry))
        if self._check(code, warnings=True) == _END:
            return None
        c = self._c
        if c.archive_entry_is_data_encrypted(entry) or c.archive_entry_is_metadata_encrypted(entry):
            raise ArchiveEncryptedError(f"{self._name} has encrypted members", name=self._name)
        return self._header(entry)

    def check_encryption(self) -> None:
        """Ask for the archive as a whole, after its headers were read."""
        if self._c.archive_read_has_encrypted_entries(self._archive) > 0:
            raise ArchiveEncryptedError(f"{self._name} has encrypted members", name=self._name)

    def _header(self, entry: c_void_p) -> Header:
        c = self._c
        raw = self._text(entry, c.archive_entry_pathname_utf8, c.archive_entry_pathname) or b""
        hard = self._text(entry, c.archive_entry_hardlink_utf8, c.archive_entry_hardlink)
        soft = self._text(entry, c.archive_entry_symlink_utf8, c.archive_entry_symlink)
        kind = _KINDS.get(c.archive_entry_filetype(entry), MemberKind.DEVICE)
        target = hard if hard is not None else soft
        if hard is not None:
            kind = MemberKind.LINK
        size_bytes = c.archive_entry_size(entry) if c.archive_entry_size_is_set(entry) else None
        name = decode_name(raw)
        return Header(
            raw,
            name,
            MemberKind.FILE if kind is MemberKind.FOLDER and size_bytes else kind,
            size_bytes,
            self._modified_at(entry),
            None if target is None or kind is not MemberKind.LINK else decode_name(target),
        )

    @staticmethod
    def _text(
        entry: c_void_p,
        as_utf8: Callable[[c_void_p], bytes | None],
        as_is: Callable[[c_void_p], bytes | None],
    ) -> bytes | None:
        """UTF-8 where libarchive can give it; the bytes of the archive where it cannot."""
        found = as_utf8(entry)
        return as_is(entry) if found is None else found

    def _modified_at(self, entry: c_void_p) -> datetime | None:
        if not self._c.archive_entry_mtime_is_set(entry):
            return None
        micros = self._c.archive_entry_mtime_nsec(entry) // 1000
        try:
            return _EPOCH + timedelta(
                seconds=self._c.archive_entry_mtime(entry), microseconds=micros
            )
        except OverflowError:
            return None

    def pieces(self, header: Header) -> Iterator[bytes]:
        """The entry's bytes with its holes as zeros; the end comes after its checksum and size."""
        place, count, offset = c_void_p(), c_size_t(), c_int64()
        at = 0
        while True:
            code = self._c.archive_read_data_block(
                self._open_archive(), byref(place), byref(count), byref(offset)
            )
            if self._check(code) == _END:
                break
            if offset.value < at:
                raise ArchiveCorruptError(f"{self._name}: {header.name} goes back", name=self._name)
            yield from zeros(offset.value - at)
            at = offset.value + count.value
            if count.value and place.value:
                yield from cut(string_at(place.value, count.value))
        declared = header.size_bytes
        if declared is not None and at != declared:
            said = f"{header.name} gives {at:,} bytes and should have {declared:,}"
            raise ArchiveCorruptError(f"{self._name}: {said}", name=self._name)
