"""A local folder as a side: its files in key order, and their bytes where rows do not decide."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.errors import ShipError
from stocktake.manifests import (
    DigestCache,
    EtagOutcome,
    FileDigests,
    LocalFile,
    Skipped,
    SkipReason,
    check_etag,
    digest_file,
    find_local,
    is_unfinished,
    md5_of_etag,
    open_local,
    recheck_local,
    walk_folder,
)
from stocktake.reconcile._proof import HEADS_MAX, Heads, KnownDigests, Look, prove_pair
from stocktake.reconcile._side import SIDE_ROW, Pair, Proof, Same, SideFacts, SideKind
from stocktake.reconcile._side_rows import RowCount

BATCH_ROWS = 10_000
_PIECE_BYTES = 1 << 20
READERS = 4
"""Files read, or HEADs awaited, at once."""

_SHOWN_REASONS = {
    SkipReason.SYMLINK: "symbolic links are not followed",
    SkipReason.SPECIAL: "special files are no objects",
    SkipReason.UNREADABLE: "files or folders cannot be read: what is in them is not compared",
    SkipReason.COLLISION: "files would have the key of another file",
    SkipReason.TOO_DEEP: "folders are too deep for keys",
}
_INCOMPLETE = frozenset({SkipReason.UNREADABLE, SkipReason.COLLISION, SkipReason.TOO_DEEP})


class FolderSide:
    """The regular files of a folder. Keys are their paths below it."""

    def __init__(
        self,
        root: Path,
        clock: Clock,
        *,
        cache: DigestCache | None = None,
        look: Look | None = None,
        trust_etags: bool = False,
        heads_max: int = HEADS_MAX,
    ) -> None:
        """Nothing is read yet.

        Args:
            root: The folder.
            clock: For `as_of`.
            cache: Digests that are known from before; without it files are read every time.
            look: HEAD of the other side's object by the key of a file here.
            trust_etags: Nothing there is encrypted by KMS or the customer.
            heads_max: At most so many HEAD requests.
        """
        self._root = root
        self._clock = clock
        self._cache = cache
        self._trust_etags = trust_etags
        self._heads = Heads(look, heads_max)
        self._skipped: Counter[SkipReason] = Counter()
        self._facts = SideFacts(SideKind.FOLDER, str(root), clock.now())

    @property
    def facts(self) -> SideFacts:
        """As of the beginning of the walk; links, special and unreadable files are in the notes."""
        notes = (f"{count:,} {_SHOWN_REASONS[why]}" for why, count in sorted(self._skipped.items()))
        return replace(
            self._facts,
            complete=not _INCOMPLETE & self._skipped.keys(),
            requests={"HEAD": self._heads.asked} if self._heads.asked else None,
            notes=tuple(notes),
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Walk it.

        Raises:
            LocalFolderError: It is not there, no folder, or cannot be read.
        """
        self._facts = replace(self._facts, as_of=self._clock.now())
        self._skipped.clear()
        count, files = RowCount(), list[LocalFile]()
        for file in walk_folder(self._root, skipped=self._skip):
            if is_unfinished(file.path):
                continue
            files.append(file)
            if len(files) >= BATCH_ROWS:
                yield self._rows(files, count)
                files = []
        if files:
            yield self._rows(files, count)

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        """Read the files, or take what the cache has of them, and compare with the objects."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="prove") as pool:
            proofs = list(pool.map(self._prove, pairs))
        if self._cache is not None:
            self._cache.flush()
        return proofs

    def _skip(self, one: Skipped) -> None:
        self._skipped[one.reason] += 1

    def _rows(self, files: Sequence[LocalFile], count: RowCount) -> pa.RecordBatch:
        known = [self._cache.known(file) if self._cache else None for file in files]
        columns = {
            "key": [file.key for file in files],
            "size_bytes": [file.size_bytes for file in files],
            "last_modified": [file.mtime_ns // 1_000_000 for file in files],
            "md5": [one and one.md5 for one in known],
            "sha256": [one and one.sha256 for one in known],
        }
        arrays = [
            pa.array(columns[field.name], pa.int64()).cast(field.type)
            if field.name == "last_modified"
            else pa.array(columns.get(field.name, [None] * len(files)), field.type)
            for field in SIDE_ROW
        ]
        rows = pa.RecordBatch.from_arrays(arrays, schema=SIDE_ROW)
        count.add(rows)
        self._facts = replace(self._facts, objects=count.objects, size_bytes=count.size_bytes)
        return rows

    def _prove(self, pair: Pair) -> Proof:
        file = find_local(self._root, pair.key)
        if file is None or file.size_bytes != pair.size_bytes:
            return Proof(Same.UNKNOWN, "the file changed while it was compared")
        try:
            return self._prove_file(pair, file)
        except (ShipError, OSError) as error:
            code = error.code if isinstance(error, ShipError) else "source-unreadable"
            return Proof(Same.UNKNOWN, f"the file could not be read whole: {code}")

    def _prove_file(self, pair: Pair, file: LocalFile) -> Proof:
        """One reading for all digests; a second one only where nothing but part sizes is left."""
        in_parts = pair.sha256 is None and pair.md5 is None and md5_of_etag(pair.etag) is None
        if in_parts and not self._heads.can_ask:
            return self._by_part_sizes(pair, file, Proof(Same.UNKNOWN, ""))
        found = self._digests(file)
        known = KnownDigests(found.md5, found.sha256, found.crc64nvme, lambda: self._crc32(file))
        proof = prove_pair(pair, known, self._heads, trust_etags=self._trust_etags)
        if proof.same is Same.UNKNOWN and in_parts:
            return self._by_part_sizes(pair, file, proof)
        return proof

    def _by_part_sizes(self, pair: Pair, file: LocalFile, otherwise: Proof) -> Proof:
        encryption = pair.encryption or ("NOT-SSE" if self._trust_etags else None)
        verdict = check_etag(
            lambda: open_local(self._root, file), file.size_bytes, pair.etag, encryption=encryption
        )
        if verdict.outcome is EtagOutcome.SAME:
            return Proof(Same.SAME, verdict.why)
        if verdict.outcome is EtagOutcome.DIFFERENT and verdict.certain:
            return Proof(Same.DIFFERENT, verdict.why)
        return Proof(Same.UNKNOWN, otherwise.why or _open_question(pair, verdict.why))

    def _crc32(self, file: LocalFile) -> str:
        value = 0
        with open_local(self._root, file) as opened:
            while piece := opened.read(_PIECE_BYTES):
                value = zlib.crc32(piece, value)
            recheck_local(self._root, file, opened)
        return b64encode(value.to_bytes(4, "big")).decode()

    def _digests(self, file: LocalFile) -> FileDigests:
        if self._cache is not None:
            return self._cache.digests(file)
        return digest_file(self._root, file)


def _open_question(pair: Pair, why: str) -> str:
    """Short and the same for many objects: these are counted by it."""
    if pair.etag and "-" in pair.etag and not pair.encryption:
        return "the ETag of a multipart upload fits none of the usual part sizes"
    return why
