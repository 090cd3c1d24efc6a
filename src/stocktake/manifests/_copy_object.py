"""The manifest in the bucket as an object: where it is, read whole, written on a condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stocktake.errors import ManifestFormatError, ObjectNotFoundError, UnsupportedOperationError
from stocktake.manifests._copy_marks import Mark, read_lineage, read_marks
from stocktake.manifests._dataset_values import DatasetInfo
from stocktake.manifests._foreign import ParsedManifest, parse_manifest
from stocktake.manifests._render_file import manifest_file_name
from stocktake.model import S3Url
from stocktake.store import CompleteOptions, ObjectHead, PutOptions, Store

CONTENT_TYPE = "application/json"
_PART_BYTES = 16 << 20
NO_CONDITIONS = "this store has no conditional writes: two writers would overwrite each other"
NO_CONDITIONS_HINT = (
    "if this is the only writer: stocktake manifest push --unconditional; "
    "or keep the datasets in one PostgreSQL database (--state-url)"
)


@dataclass(frozen=True, slots=True)
class RemoteCopy:
    """A copy as it was read: bytes of one moment."""

    etag: str
    marks: list[Mark]
    lineage: str | None
    manifest: ParsedManifest


def copy_place(info: DatasetInfo) -> S3Url:
    """Where the copy of a dataset's manifest is, unless somewhere else is asked for."""
    folder = f"{info.prefix}.stocktake/manifests/"
    return S3Url(info.bucket, folder + manifest_file_name(info.id))


def head_copy(store: Store, place: S3Url) -> ObjectHead | None:
    """What the store says of the copy; None if there is none."""
    try:
        return store.head(place.bucket, place.key)
    except ObjectNotFoundError:
        return None


def read_copy(store: Store, place: S3Url) -> RemoteCopy | None:
    """The copy; None if there is none.

    Raises:
        ManifestFormatError: What is there is no manifest.
        StoreError: It cannot be read.
    """
    try:
        body = store.get(place.bucket, place.key)
    except ObjectNotFoundError:
        return None
    with body:
        try:
            manifest = parse_manifest(body)
        except ManifestFormatError as error:
            raise ManifestFormatError(f"{place}: {error.message}", hint=error.hint) from error
        said = body.head.metadata
        return RemoteCopy(body.head.etag or "", read_marks(said), read_lineage(said), manifest)


def write_copy(
    store: Store,
    place: S3Url,
    pieces: Iterable[bytes],
    *,
    if_match: str | None,
    metadata: Mapping[str, str],
    conditional: bool,
) -> str:
    """Write the copy if it still is the one with this ETag (None: if there is none); its new ETag.

    One PUT, or parts of 16 MiB for what is larger: memory is that of two parts.

    Raises:
        PreconditionFailedError: Somebody else wrote it meanwhile.
        UnsupportedOperationError: The store has no conditional writes, and one is asked for.
    """
    absent = conditional and if_match is None
    matched = if_match if conditional else None
    parts = _parts(pieces)
    first = next(parts)
    second = next(parts, None)
    try:
        if second is None:
            options = PutOptions(CONTENT_TYPE, metadata, if_absent=absent, if_match=matched)
            return store.put(place.bucket, place.key, first, options).etag or ""
        done = CompleteOptions(if_absent=absent, if_match=matched)
        return _write_parts(store, place, _followed(first, second, parts), metadata, done)
    except UnsupportedOperationError as error:
        if not conditional:
            raise
        raise UnsupportedOperationError(
            f"{NO_CONDITIONS} ({place})", hint=NO_CONDITIONS_HINT, **error.attrs
        ) from error


def _write_parts(
    store: Store,
    place: S3Url,
    parts: Iterable[bytes],
    metadata: Mapping[str, str],
    done: CompleteOptions,
) -> str:
    upload = store.begin_upload(place.bucket, place.key, PutOptions(CONTENT_TYPE, metadata))
    finished = False
    try:
        etags = {number: upload.put_part(number, part) for number, part in enumerate(parts, 1)}
        head = upload.complete(etags, done)
        finished = True
    finally:
        if not finished:
            upload.abort()
    return head.etag or ""


def _followed(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces put together to parts; at least one."""
    held = bytearray()
    whole = 0
    for piece in pieces:
        held += piece
        while len(held) >= _PART_BYTES:
            yield bytes(held[:_PART_BYTES])
            del held[:_PART_BYTES]
            whole += 1
    if held or not whole:
        yield bytes(held)
