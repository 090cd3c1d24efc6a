"""Bytes from the front to the end, into one object: by one PUT if they are few, else in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from stocktake import faults
from stocktake.errors import SourceChangedError, SourceTooLargeError
from stocktake.ship._records import ObjectResult
from stocktake.ship._upload import Uploader
from stocktake.ship._upload_parts import PartUpload
from stocktake.ship._upload_target import Target
from stocktake.store import PARTS_MAX, Buffer, Digests, digests_of, part_size_bytes, parts_at_once


class ObjectSink:
    """Takes an object's bytes. Holds at most one part; the others are on their way.

    End it with `finish`, or with `abandon`: what is not finished does not become an object.

    Args:
        uploader: Where to.
        target: What it is.
        bound_bytes: It will not be larger; a tenth more is taken.
        part_bytes_min: Smallest part.
        known: What the bytes must be, if that was found out before: nothing is hashed again then,
            and it does not become an object if the checksum of what came is another one.
    """

    def __init__(
        self,
        uploader: Uploader,
        target: Target,
        *,
        bound_bytes: int,
        part_bytes_min: int,
        known: Digests | None = None,
    ) -> None:
        self._uploader = uploader
        self._target = target
        self.part_bytes = part_size_bytes(bound_bytes, part_bytes_min)
        self._known = known
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._held: Buffer = b""
        self._size_bytes = 0
        self._upload: PartUpload | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._size_bytes

    @property
    def views_kept(self) -> int:
        """Views that may be in use at a time: in flight, held, and the one that is given."""
        return parts_at_once(self.part_bytes) + 2

    def write_part(self, view: memoryview) -> None:
        """Take a whole part, or the last one, without copying. The views of all parts come here.

        It is used until `views_kept` - 1 more were given.
        """
        if self._known is None:
            self._md5.update(view)
        self._size_bytes += len(view)
        if self._held:
            self._send_part()
        self._held = view

    def write(self, data: Buffer) -> int:
        """Take these bytes; waits while enough parts are on their way."""
        if self._known is None:
            self._md5.update(data)
        self._size_bytes += len(data)
        if len(self._held) == self.part_bytes and data:
            self._send_part()
        held = self._held if isinstance(self._held, bytearray) else bytearray(self._held)
        held += data
        while len(held) > self.part_bytes:
            rest = held[self.part_bytes :]
            del held[self.part_bytes :]
            self._held = held
            self._send_part()
            held = rest
        self._held = held
        return len(data)

    def _send_part(self) -> None:
        if self._size_bytes > PARTS_MAX * self.part_bytes:
            raise SourceTooLargeError(
                f"s3://{self._uploader.bucket}/{self._target.key} would be larger than planned: "
                f"more than {PARTS_MAX:,} parts of {self.part_bytes:,} bytes",
                key=self._target.key,
            )
        if self._upload is None:
            upload = PartUpload(self._uploader, self._target, self.part_bytes)
            self._upload = upload
            upload.open()
        body, self._held = self._held, b""
        self._upload.send(body)

    def finish(self, recheck: Callable[[], None], *, rows: int | None = None) -> ObjectResult:
        """Make the object, if `recheck` does not raise. Nothing but the steps is recorded."""
        target = replace(self._target, rows=rows)
        if self._upload is None:
            body, self._held = self._held, b""
            if self._known is not None:
                self._compare(digests_of(body, with_crc=True))
            recheck()
            faults.reached("ship.source-rechecked")
            return self._uploader.put(target, body)
        if self._held:
            self._send_part()
        md5 = self._md5.hexdigest() if self._known is None else self._known.md5
        digests = self._upload.finish_parts(md5)
        self._compare(digests)
        recheck()
        faults.reached("ship.source-rechecked")
        return self._upload.complete(target, digests)

    def _compare(self, digests: Digests) -> None:
        known = self._known
        if known is not None and (known.size_bytes, known.crc64nvme) != (
            digests.size_bytes,
            digests.crc64nvme,
        ):
            raise SourceChangedError(
                f"s3://{self._uploader.bucket}/{self._target.key} would have other bytes than "
                "were planned",
                key=self._target.key,
            )

    def abandon(self) -> None:
        """Drop what was sent."""
        self._held = b""
        if self._upload is not None:
            self._upload.abandon()
