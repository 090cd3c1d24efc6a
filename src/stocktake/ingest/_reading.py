"""Reading exactly the version that was discovered, and telling what it means when it is not there.

| the store says | and | then the item is |
| --- | --- | --- |
| 412 on If-Match | | superseded |
| 404 on a version | the key is there | superseded |
| 404 on a version | the key is gone | vanished |
| 404 on the key | | vanished |
"""

from __future__ import annotations

from dataclasses import dataclass

from stocktake.errors import InvalidSettingError, ObjectNotFoundError, PreconditionFailedError
from stocktake.ingest._sink import Item
from stocktake.ingest._spec import ItemState
from stocktake.store import ObjectBody, Store

NULL_VERSION = "null"


@dataclass(frozen=True, slots=True)
class VersionReader:
    """Opens objects of one bucket at the version that an item names.

    Without a store it opens nothing: names and sizes are enough for some consumers.
    """

    store: Store | None
    bucket: str

    def open(self, item: Item) -> ObjectBody:
        """The bytes of this version: by version id where there is a real one, else If-Match.

        An item of which only an event told has no ETag: then a HEAD says what is there now, and
        another size than the event's is another version.

        Raises:
            PreconditionFailedError: The key has other content now.
            ObjectNotFoundError: The version or the key is gone.
            StoreError: Anything else.
        """
        store = self._opened()
        version_id = real_version(item)
        if version_id is not None:
            return store.get(self.bucket, item.key, version_id=version_id)
        etag = item.etag
        if etag is None:
            head = store.head(self.bucket, item.key)
            if item.size_bytes is not None and head.size_bytes != item.size_bytes:
                raise PreconditionFailedError(
                    f"`{item.key}` has {head.size_bytes} bytes, not {item.size_bytes} any more",
                    bucket=self.bucket,
                    key=item.key,
                )
            etag = head.etag
        return store.get(self.bucket, item.key, if_match=etag)

    def classify(self, item: Item, error: BaseException) -> ItemState | None:
        """`superseded` or `vanished` if that is what the error means, else None."""
        if not isinstance(error, PreconditionFailedError | ObjectNotFoundError):
            return None
        if (error.attrs.get("bucket"), error.attrs.get("key")) != (self.bucket, item.key):
            return None  # of another object: the sink's own
        if isinstance(error, PreconditionFailedError):
            return ItemState.SUPERSEDED
        if real_version(item) is None:
            return ItemState.VANISHED
        try:
            self._opened().head(self.bucket, item.key)
        except ObjectNotFoundError:
            return ItemState.VANISHED
        return ItemState.SUPERSEDED

    def _opened(self) -> Store:
        if self.store is None:
            raise InvalidSettingError("an ingestion that reads objects must be opened with a store")
        return self.store


def real_version(item: Item) -> str | None:
    """The version id, unless it is the null version, which can be overwritten."""
    return None if item.version_id in (None, "", NULL_VERSION) else item.version_id
