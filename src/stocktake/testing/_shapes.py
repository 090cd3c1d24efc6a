"""Keys of synthetic buckets: a photo archive, a hash-named store, a data lake.

Each shape gives the key of any position without the ones before it, and keys grow with the
position in UTF-8 byte order. So a sorted bucket of any size needs no sorting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.testing._chance import Ints, below, draw, hex_text

RAW, JPEG, SIDECAR, MARKER, TABLE_PART, BLOB = range(6)
"""What an object is; decides its size."""

_PLACES = ("Lake", "Harbour", "Garden", "Old Town", "Castle", "Beach", "Vineyard", "Studio")
_TOPICS = ("Wedding", "Portraits", "Regatta", "Concert", "Family", "Press Day", "Hike", "Birthday")
_TABLES = ("clicks", "invoices", "orders", "payments", "sensors", "sessions", "shipments", "users")
_FIRST_YEAR, _YEARS = 1998, 28
_EPOCH_DAY = date(1970, 1, 1)
_LAKE_START = date(2016, 1, 1)
_TABLE_DAYS = 3600


def _pattern(sizes: tuple[int, ...]) -> tuple[int, Ints, Ints]:
    """Length of a repeated pattern of groups; for each place in it, its group and first place."""
    group = np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
    first = np.repeat(np.cumsum((0, *sizes[:-1])), sizes).astype(np.int64)
    return int(sum(sizes)), group, first


_EVENT_SIZES = (34, 9, 85, 21, 58, 3, 72, 45, 14, 80, 30, 61)
_EVENT_ROWS, _EVENT_AT, _EVENT_START = _pattern(_EVENT_SIZES)
_DAY_SIZES = (8, 4, 16, 8, 6, 12, 4, 6)
_DAY_ROWS, _DAY_AT, _DAY_START = _pattern(_DAY_SIZES)

_IMAGES = pa.array([*(f"IMG_{number:04d}" for number in range(10_000)), ""])
_EXTENSIONS = pa.array([".CR3", ".jpg", ".xmp", ""])
_SUBFOLDERS = pa.array(["", "edited/"])
_PARTS = pa.array([f"part-{number:05d}-" for number in range(max(_DAY_SIZES))])
_NO_IMAGE = 10_000


@dataclass(frozen=True, slots=True)
class ShapedRows:
    """Keys of some positions, what each is, the folder it shares, and its day since 1970."""

    keys: pa.Array
    kinds: npt.NDArray[np.int8]
    groups: Ints
    days: Ints

    def take(self, order: Ints) -> ShapedRows:
        """The same rows in another order."""
        return ShapedRows(
            self.keys.take(pa.array(order)), self.kinds[order], self.groups[order], self.days[order]
        )


Shape = Callable[[int, int, Ints], ShapedRows]


def photo_rows(seed: int, total: int, positions: Ints) -> ShapedRows:
    """`archive/2011/06-14 0003 Lake Wedding/[edited/]IMG_0412.CR3|jpg|xmp` and folder markers."""
    block, place = positions // _EVENT_ROWS, positions % _EVENT_ROWS
    kind_of_event = _EVENT_AT[place]
    events = block * len(_EVENT_SIZES) + kind_of_event
    events_total = -(-total // _EVENT_ROWS) * len(_EVENT_SIZES)
    distinct, back = np.unique(events, return_inverse=True)
    folders, first_days = _event_folders(seed, events_total, distinct)

    size = np.array(_EVENT_SIZES)[kind_of_event]
    offset = place - _EVENT_START[place]
    has_marker = kind_of_event % 2 == 0
    marker = has_marker & (offset == 0)
    edited = (size >= 58) & (offset >= 2 * size // 3)
    image = np.where(edited, offset - 2 * size // 3, offset - has_marker)
    start = below(draw(seed, 11, distinct), 9_000)[back]
    number = np.where(marker, _NO_IMAGE, start + image // 3)
    extension = np.where(marker, 3, image % 3)
    keys = pc.binary_join_element_wise(
        folders.take(pa.array(back)),
        _SUBFOLDERS.take(pa.array(edited.astype(np.int8))),
        _IMAGES.take(pa.array(number)),
        _EXTENSIONS.take(pa.array(extension)),
        "",
    )
    return ShapedRows(keys, extension.astype(np.int8), events, first_days[back])


def hashed_rows(seed: int, total: int, positions: Ints) -> ShapedRows:
    """`blobs/<32 hex digits>`: one flat folder of evenly spread names."""
    cell = ((1 << 64) - 1) // max(total, 1)
    high = positions.astype(np.uint64) * np.uint64(cell)
    high += draw(seed, 21, positions) % np.uint64(cell)
    digits = hex_text(high, draw(seed, 22, positions))
    keys = pc.binary_join_element_wise("blobs/", text_array(digits), "")
    days = below(draw(seed, 23, positions), 4_000) + (date(2014, 6, 1) - _EPOCH_DAY).days
    kinds = np.full(len(positions), BLOB, np.int8)
    return ShapedRows(keys, kinds, positions // 5_000 + (1 << 40), days)


def lake_rows(seed: int, total: int, positions: Ints) -> ShapedRows:
    """`lake/t0003_orders/year=2019/month=07/day=02/part-00004-<uuid>.snappy.parquet`."""
    block, place = positions // _DAY_ROWS, positions % _DAY_ROWS
    partitions = block * len(_DAY_SIZES) + _DAY_AT[place]
    distinct, back = np.unique(partitions, return_inverse=True)
    words = below(draw(seed, 33, distinct // _TABLE_DAYS), len(_TABLES))
    folders = pa.array(
        [_partition_folder(*pair) for pair in zip(distinct.tolist(), words.tolist(), strict=True)],
        pa.string(),
    )
    digits = hex_text(draw(seed, 31, positions), draw(seed, 32, positions))
    keys = pc.binary_join_element_wise(
        folders.take(pa.array(back)),
        _PARTS.take(pa.array(place - _DAY_START[place])),
        text_array(_as_uuid(digits)),
        ".snappy.parquet",
        "",
    )
    days = partitions % _TABLE_DAYS + (_LAKE_START - _EPOCH_DAY).days
    kinds = np.full(len(positions), TABLE_PART, np.int8)
    return ShapedRows(keys, kinds, partitions + (1 << 41), days)


def text_array(cells: npt.NDArray[np.uint8]) -> pa.Array:
    """A byte matrix of ASCII as strings, one for each row."""
    count, width = cells.shape
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    data = np.ascontiguousarray(cells)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(data))


def _event_folders(seed: int, total: int, events: Ints) -> tuple[pa.Array, Ints]:
    """Folder and day of each event: years, days and the number within the day all ascend."""
    year = events * _YEARS // total
    first = -(-year * total // _YEARS)
    in_year = -(-(year + 1) * total // _YEARS) - first
    within = events - first
    day = within * 365 // in_year
    number = within - -(-day * in_year // 365)
    starts = np.array([date(_FIRST_YEAR + y, 1, 1).toordinal() for y in range(_YEARS)])
    days = starts[year] + day - _EPOCH_DAY.toordinal()
    words = below(draw(seed, 12, events), len(_PLACES) * len(_TOPICS))
    folders = [
        _event_folder(day_number, day_count, word)
        for day_number, day_count, word in zip(
            days.tolist(), number.tolist(), words.tolist(), strict=True
        )
    ]
    return pa.array(folders, pa.string()), days


def _event_folder(day_number: int, day_count: int, word: int) -> str:
    when = date.fromordinal(_EPOCH_DAY.toordinal() + day_number)
    place, topic = _PLACES[word % len(_PLACES)], _TOPICS[word // len(_PLACES)]
    return f"archive/{when.year}/{when:%m-%d} {day_count:04d} {place} {topic}/"


def _partition_folder(partition: int, word: int) -> str:
    table, day = divmod(partition, _TABLE_DAYS)
    when = _LAKE_START + timedelta(days=day)
    return f"lake/t{table:04d}_{_TABLES[word]}/year={when.year}/month={when:%m}/day={when:%d}/"


def _as_uuid(digits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    cells = np.full((len(digits), 36), ord("-"), np.uint8)
    for start, stop, shift in ((0, 8, 0), (8, 12, 1), (12, 16, 2), (16, 20, 3), (20, 32, 4)):
        cells[:, start + shift : stop + shift] = digits[:, start:stop]
    return cells
