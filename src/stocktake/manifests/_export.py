"""A dataset's files as lines for other programs: checksum files and CSV.

Each is drawn entry by entry from one version: memory is bounded, commits meanwhile do not show.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from enum import StrEnum

from stocktake.clock import format_utc
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_address import object_url
from stocktake.manifests._dataset_values import DatasetInfo
from stocktake.manifests._export_names import FileNames, LeftOut
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._render import version_info

CSV_COLUMNS = (
    *("name", "s3_key", "s3_url", "size_bytes", "md5", "sha256", "crc64nvme", "etag"),
    *("version_id", "uploaded_at", "verified_by", "source", "rows"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Algorithm(StrEnum):
    """Digests that a manifest may know of a file."""

    MD5 = "md5"
    SHA256 = "sha256"

    def of(self, record: UploadRecord) -> str | None:
        """The digest of an upload's bytes; None if nobody computed it."""
        return record.md5 if self is Algorithm.MD5 else record.sha256


Report = Callable[[LeftOut], None]


def export_sums(
    dataset: Dataset,
    algorithm: Algorithm,
    *,
    version: int | None = None,
    left_out: Report = lambda _: None,
) -> Iterator[str]:
    r"""Lines as `md5sum` and `sha256sum` write and check them, names as `restore` writes the files.

    Run `sha256sum -c` in a folder that has the files. A name with a backslash or a line break is
    escaped as GNU coreutils do; other programs may not know that. Bytes of names that are no UTF-8
    are lone surrogates: encode the lines with `surrogateescape`.

    Args:
        dataset: Whose.
        algorithm: Which digest.
        version: An earlier version.
        left_out: Is told of files whose digest nobody knows, and of what no name of a file can be.
    """
    info = version_info(dataset, version)
    names = FileNames(dataset, info)
    for entry in dataset.entries(version=info.version):
        digest = algorithm.of(entry.record)
        name = names.of(entry.record)
        if isinstance(name, LeftOut):
            left_out(name)
        elif digest is None:
            left_out(LeftOut(entry.record.s3_key, f"its {algorithm} is not known"))
        else:
            yield _sum_line(digest, name)


def _sum_line(digest: str, name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return f"{mark}{digest}  {escaped}\n"


def export_csv(
    dataset: Dataset, *, version: int | None = None, spreadsheet_safe: bool = False
) -> Iterator[str]:
    """One row per file, after a row of names (`CSV_COLUMNS`); what is not known is empty.

    Args:
        dataset: Whose.
        version: An earlier version.
        spreadsheet_safe: Put `'` before what a spreadsheet would run as a formula.
    """
    info = dataset.info()
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # RFC 4180: lines end in CR LF, so that both are quoted in names
    writer.writerow(CSV_COLUMNS)
    for entry in dataset.entries(version=version):
        cells = _cells(info, entry.record)
        writer.writerow([_safe(one) for one in cells] if spreadsheet_safe else cells)
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cells(info: DatasetInfo, record: UploadRecord) -> list[str | int | None]:
    return [
        record.s3_key.removeprefix(info.prefix),
        record.s3_key,
        object_url(info, record.s3_key),
        record.size_bytes,
        record.md5,
        record.sha256,
        record.crc64nvme,
        record.etag,
        record.version_id,
        format_utc(record.uploaded_at),
        record.verified_by,
        record.source,
        record.rows,
    ]


def _safe(cell: str | int | None) -> str | int | None:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
