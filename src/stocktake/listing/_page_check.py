"""Is a page what was asked for: below the prefix, behind the key, in order, each key once?"""

from __future__ import annotations

from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.errors import UnorderedListingError
from stocktake.model import S3Url, display_key


class PageChecker:
    """Checks the pages of one listing, with no loop over their keys.

    A store that lists in another order, or a key twice, would corrupt every merge that relies on
    the order. Arrow compares text by its bytes, which is the order of S3.
    """

    def __init__(self, source: S3Url, *, versions: bool) -> None:
        self._source = source
        self._versions = versions

    def check(self, rows: pa.RecordBatch, *, after: str, inside_key: bool = False) -> None:
        """Refuse a page that does not follow `after`.

        Args:
            rows: The page.
            after: The key that it was to begin behind; '' is the start.
            inside_key: With versions, more of the key `after` may come.

        Raises:
            UnorderedListingError: It does not; the message names two keys.
        """
        keys = rows.column("key")
        count = len(keys)
        if not count:
            return
        first, last = keys[0].as_py(), keys[-1].as_py()
        if first < after or (first == after and after and not (self._versions and inside_key)):
            self._refuse(after, first)
        if not (first.startswith(self._source.key) and last.startswith(self._source.key)):
            self._refuse(self._source.key, first)
        if count > 1:
            ascending = pc.less_equal if self._versions else pc.less
            rising = ascending(keys.slice(0, count - 1), keys.slice(1))
            if rising.true_count != count - 1:
                place = pc.index(rising, False).as_py()
                self._refuse(keys[place].as_py(), keys[place + 1].as_py())

    def _refuse(self, before: str, key: str) -> NoReturn:
        raise unordered_error(self._source, before, key)


def unordered_error(source: S3Url, before: str, key: str) -> UnorderedListingError:
    """The error for a key that does not come where it must."""
    return UnorderedListingError(
        f"cannot list {source}: `{display_key(key)}` follows "
        f"`{display_key(before)}`, which is not key order",
        bucket=source.bucket,
        key=key,
        operation="list",
    )
