"""What the user typed or configured is wrong."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError


class UsageError(StocktakeError):
    """What the user typed or configured is wrong."""

    code = "usage"
    exit_code = 2


class InvalidUrlError(UsageError):
    """Not an `s3://bucket/key` address."""

    code = "invalid-url"
    default_hint = "write it as s3://bucket/key, for example s3://my-bucket/photos/2020/"


class InvalidSettingError(UsageError):
    """A setting or option has a value it cannot have."""

    code = "invalid-setting"


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    code = "missing-extra"


class AmbiguousSnapshotError(UsageError):
    """A reference that means several snapshots; `candidates` lists their ids."""

    code = "ambiguous-snapshot"
    default_hint = "name the source (bucket/config-id@latest), the full stamp or the id"


class InvalidQueryError(UsageError):
    """A query, pattern or SQL statement that cannot run."""

    code = "invalid-query"
