"""Every setting of shipping, as the reader, the reference page and the command's options see it."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from stocktake.convert import ConvertOptions
from stocktake.ship._settings import ShipSettings
from stocktake.ship._settings_values import Form, show_bytes
from stocktake.store import S3StoreOptions
from stocktake.unpack import UnpackLimits

ENV_PREFIX = "STOCKTAKE_SHIP_"
TABLE = "ship"
"""The table of `stocktake.toml`."""

_MIB = 1 << 20
_GIB = 1 << 30
_OWNERS = {
    "ship": ShipSettings,
    "store": S3StoreOptions,
    "limits": UnpackLimits,
    "convert": ConvertOptions,
}


@dataclass(frozen=True, slots=True)
class ShipSetting:
    """One setting.

    Attributes:
        name: In `[ship]`, as an option (`--settle-s`), as a variable (`STOCKTAKE_SHIP_SETTLE_S`).
        form: How its value is written.
        help: What it does, for people.
        target: Where it goes, as `owner.field`; the field of `ShipSettings` with its name if empty.
        minimum: Smallest value of numbers.
        maximum: Largest value of numbers.
        choices: What a text may be.
        also: Further variables that say the same, in this order, after its own.
    """

    name: str
    form: Form
    help: str
    target: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def env(self) -> str:
        """Its own environment variable."""
        return ENV_PREFIX + self.name.upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables that set it; the first one that has a value counts."""
        return (self.env, *self.also)

    @property
    def option(self) -> str:
        """Its command option."""
        return "--" + self.name.replace("_", "-")

    @property
    def owner(self) -> str:
        """`ship`, `store`, `limits` or `convert`."""
        return self.target.partition(".")[0] or "ship"

    @property
    def field(self) -> str:
        """The field of its owner."""
        return self.target.partition(".")[2] or self.name

    @property
    def default(self) -> Any:
        """The value if nobody says anything; None is "not set", or made of other settings."""
        for one in fields(_OWNERS[self.owner]):
            if one.name == self.field:
                return None if one.default is MISSING else one.default
        return None

    @property
    def default_text(self) -> str | None:
        """The default as it would be written; None if there is none to write."""
        if self.name == "archive_root":
            return "stem"
        unset = self.form is Form.FOLDER or self.default in (None, "", {})
        return None if unset else self.text_of(self.default)

    @property
    def minimum_text(self) -> str | None:
        """The smallest value as it would be written."""
        return None if self.minimum is None else self.text_of(self.minimum)

    @property
    def maximum_text(self) -> str | None:
        """The largest value as it would be written."""
        return None if self.maximum is None else self.text_of(self.maximum)

    def text_of(self, value: Any) -> str:
        """A value of this setting as it would be written."""
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, int | float):
            return str(value)
        if self.form is Form.BYTES:
            return show_bytes(int(value))
        return f"{value:.10g}s" if self.form is Form.DURATION else f"{value:.10g}"


def _store(name: str, form: Form, text: str, *aws: str, least: float | None = None) -> ShipSetting:
    """A setting that all of stocktake has, under its own name."""
    also = ("STOCKTAKE_" + name.upper(), *aws)
    return ShipSetting(name, form, text, f"store.{name}", least, also=also)


_PLACES = (
    ShipSetting("folder", Form.FOLDER, "The folder to watch, with all below it. Needed."),
    ShipSetting("bucket", Form.TEXT, "Where to: a bucket, or `s3://bucket/prefix`. Needed."),
    ShipSetting("prefix", Form.TEXT, "In front of every key; a `/` is added at its end."),
    ShipSetting("dataset", Form.TEXT, "Name of the upload manifest in the bucket."),
    ShipSetting(
        "state_folder",
        Form.FOLDER,
        "Where the ledger lies; outside of `folder`. Default: a folder of its own for each folder "
        "and destination, below `~/.local/share/stocktake/ship` (XDG_DATA_HOME).",
    ),
    ShipSetting(
        "error_folder",
        Form.FOLDER,
        "Where failed files are moved, on the same file system as `folder`. Default: "
        "`.stocktake-failed` in `folder`, which is not watched.",
    ),
)
_STORE = (
    _store(
        "endpoint_url",
        Form.TEXT,
        "Address of the object store; not set: Amazon's.",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
    ),
    _store("region", Form.TEXT, "Region of the object store.", "AWS_REGION", "AWS_DEFAULT_REGION"),
    _store("profile", Form.TEXT, "Profile of the AWS configuration files.", "AWS_PROFILE"),
    _store("role_arn", Form.TEXT, "Role to assume."),
    _store("connect_timeout_s", Form.DURATION, "Longest wait for a connection.", least=0.1),
    _store("read_timeout_s", Form.DURATION, "Longest silence on a connection.", least=0.1),
)
_WORK = (
    ShipSetting("workers", Form.COUNT, "Worker processes.", minimum=1, maximum=256),
    ShipSetting(
        "uploads",
        Form.COUNT,
        "Requests that one worker has in flight at most.",
        minimum=1,
        maximum=256,
    ),
    ShipSetting(
        "worker_memory_bytes",
        Form.BYTES,
        "Memory that one worker is expected to need at most.",
        minimum=64 * _MIB,
    ),
    ShipSetting(
        "attempts_max",
        Form.COUNT,
        "Times a file is tried when its failure may pass; time without the store does not count.",
        minimum=1,
        maximum=1000,
    ),
    ShipSetting(
        "retry_cap_s",
        Form.DURATION,
        "Longest wait between two tries.",
        minimum=0.1,
        maximum=3600,
    ),
    ShipSetting(
        "stop_grace_s",
        Form.DURATION,
        "How long a stop waits for work that is under way.",
        minimum=0,
        maximum=3600,
    ),
    ShipSetting(
        "manifest_interval_s",
        Form.DURATION,
        "Longest time until completed uploads are in the bucket's manifest.",
        minimum=0.1,
        maximum=86_400,
    ),
    ShipSetting(
        "log_level", Form.TEXT, "What is logged.", choices=("debug", "info", "warning", "error")
    ),
    ShipSetting(
        "log_format",
        Form.TEXT,
        "How it is logged; `auto` is human on a terminal.",
        choices=("auto", "human", "json"),
    ),
)
_ARRIVAL = (
    ShipSetting(
        "settle_s",
        Form.DURATION,
        "How long a file must be unchanged when the kernel says that nobody writes to it.",
        minimum=0,
        maximum=86_400,
    ),
    ShipSetting(
        "settle_unknown_s",
        Form.DURATION,
        "The same where the kernel cannot say: network file systems, files of other users.",
        minimum=0,
        maximum=86_400,
    ),
    ShipSetting(
        "scan_interval_s",
        Form.DURATION,
        "Longest time between two scans of the folder.",
        minimum=0.05,
        maximum=3600,
    ),
    ShipSetting(
        "incomplete_grace_s",
        Form.DURATION,
        "How long a file that ends too early may still be on its way before it counts as corrupt.",
        minimum=0,
        maximum=7 * 86_400,
    ),
    ShipSetting(
        "done_marker",
        Form.TEXT,
        "Suffix of a marker: `a.csv` is shipped when `a.csv.done` is there. Not set: no markers.",
    ),
    ShipSetting(
        "checksum",
        Form.FLAG,
        "Read shipped files again, to find changes that keep size and times.",
    ),
    ShipSetting("follow_links", Form.FLAG, "Follow symbolic links that stay inside the folder."),
)
_UPLOAD = (
    ShipSetting(
        "small_max_bytes",
        Form.BYTES,
        "Files up to this size go by one request.",
        minimum=0,
        maximum=5 * _GIB,
    ),
    ShipSetting(
        "part_bytes_min",
        Form.BYTES,
        "Smallest part of a multipart upload.",
        minimum=5 * _MIB,
        maximum=5 * _GIB,
    ),
    ShipSetting(
        "file_bytes_max",
        Form.BYTES,
        "Larger files fail. Not set: what S3 can hold.",
        minimum=1,
    ),
    ShipSetting(
        "on_collision",
        Form.TEXT,
        "When `a.csv` and `a.json` would both be `a.parquet`: `fail` the second, or `suffix` all "
        "(`a.csv.parquet`, `x.zip/member`).",
        choices=("fail", "suffix"),
    ),
)
_ARCHIVES = (
    ShipSetting(
        "archive_root",
        Form.TEXT,
        "`stem` puts the members of `x.zip` into `x/`, `flat` beside it.",
        "ship.nested_folder",
        choices=("stem", "flat"),
    ),
    ShipSetting(
        "archive_members_max",
        Form.COUNT,
        "Members that an archive may have.",
        "limits.members_max",
        minimum=1,
    ),
    ShipSetting(
        "archive_bytes_max",
        Form.BYTES,
        "Bytes that an archive may unpack to.",
        "limits.total_bytes_max",
        minimum=1,
    ),
    ShipSetting(
        "archive_ratio_max",
        Form.NUMBER,
        "How many times its packed size a member may have.",
        "limits.member_ratio_max",
        minimum=1,
    ),
    ShipSetting(
        "archive_ratio_free_bytes",
        Form.BYTES,
        "A member may unpack to this size whatever its ratio.",
        "limits.ratio_free_bytes",
        minimum=0,
    ),
    ShipSetting(
        "archive_depth_max",
        Form.COUNT,
        "Levels of archives inside archives; 0 leaves them as they are.",
        "limits.depth_max",
        minimum=0,
        maximum=16,
    ),
    ShipSetting(
        "archive_nested_memory_bytes",
        Form.BYTES,
        "Memory that an inner archive may take which must be read in any order.",
        "limits.nested_memory_bytes",
        minimum=0,
    ),
    ShipSetting(
        "archive_decoder_memory_bytes",
        Form.BYTES,
        "Memory that a decoder may ask for.",
        "limits.decoder_memory_bytes",
        minimum=_MIB,
    ),
    ShipSetting(
        "archive_duration_max_s",
        Form.DURATION,
        "How long one reading of an archive may take.",
        "limits.duration_s_max",
        minimum=1,
    ),
)


def _convert(
    name: str, form: Form, text: str, *choices: str, least: float | None = None
) -> ShipSetting:
    return ShipSetting(name, form, text, f"convert.{name}", least, choices=choices)


_TABLES = (
    ShipSetting("convert_tables", Form.FLAG, "`false` ships data files as they are."),
    _convert(
        "types",
        Form.TEXT,
        "`auto` finds lossless types, `strings` keeps every value as text.",
        "auto",
        "strings",
    ),
    _convert(
        "schema",
        Form.SCHEMA,
        "Types by column name, as Arrow writes them; a JSON object in a variable.",
    ),
    _convert("compression", Form.TEXT, "Of Parquet.", "zstd", "snappy"),
    _convert("delimiter", Form.TEXT, "Of CSV, one character. Not set: found."),
    _convert("header", Form.FLAG, "`false`: the first line of CSV is data."),
    _convert(
        "fallback_encoding",
        Form.TEXT,
        "Of text that is not UTF-8 and has no byte order mark. Not set: such a file fails.",
    ),
    _convert(
        "bad_rows_max",
        Form.COUNT,
        "So many rows of another width are put aside instead of failing the file.",
        least=0,
    ),
    _convert(
        "records_path",
        Form.TEXT,
        "Where the records of a JSON or XML document are, parts by `/`. Not set: found.",
    ),
    _convert("row_group_rows", Form.COUNT, "Rows of a row group.", least=1),
    _convert("row_group_bytes", Form.BYTES, "Bytes in memory of a row group.", least=_MIB),
    _convert("field_bytes_max", Form.BYTES, "Size that a single value may have.", least=1),
    _convert("columns_max", Form.COUNT, "Columns that a table may have.", least=1),
    _convert("depth_max", Form.COUNT, "Levels of nested JSON or XML.", least=1),
)
SHIP_SETTINGS = (*_PLACES, *_STORE, *_WORK, *_ARRIVAL, *_UPLOAD, *_ARCHIVES, *_TABLES)
"""Every setting, in the order of the reference page."""
