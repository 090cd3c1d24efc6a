"""Work of `manifest export`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stocktake.cli._run import Run
from stocktake.cli._text import plural, size_text
from stocktake.cli._whole_file import check_writable, whole_file
from stocktake.errors import InvalidSettingError, UsageError
from stocktake.manifests import (
    Algorithm,
    Dataset,
    DatasetInfo,
    LeftOut,
    export_bag,
    export_csv,
    export_sums,
    find_version,
    open_dataset,
    render_manifest,
    version_info,
)
from stocktake.model import display_key

_FORMATS = ("json", "csv", "md5sum", "sha256sum", "bagit")
_STDOUT = "-"
_EXIT_PARTIAL = 3
_SHOWN_MAX = 10
_KEPT_MAX = 1000


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What `manifest export` is asked for."""

    dataset_id: str
    file_format: str
    path: str
    version: str
    urls: str
    spreadsheet_safe: bool

    def check(self, *, json: bool) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        for name, value, legal in (
            ("format", self.file_format, _FORMATS),
            ("urls", self.urls, ("https", "s3")),
        ):
            if value not in legal:
                raise InvalidSettingError(
                    f"--{name} is `{value}`", hint=f"it can be {', '.join(legal)}"
                )
        if self.path == _STDOUT and self.file_format == "bagit":
            raise UsageError("a bag is a folder", hint="add --out FOLDER")
        if self.path == _STDOUT and json:
            raise UsageError("--json describes a file", hint="add --out FILE")
        if self.path != _STDOUT and self.file_format != "bagit":
            check_writable(Path(self.path))


@dataclass(slots=True)
class _Left:
    """Files that the format cannot have."""

    files: int
    some: list[LeftOut]

    def add(self, one: LeftOut) -> None:
        """One more."""
        self.files += 1
        if len(self.some) < _KEPT_MAX:
            self.some.append(one)


def write_export(run: Run, request: ExportRequest) -> int:
    """Answer `manifest export`."""
    request.check(json=run.out.json)
    left = _Left(0, [])
    with run.open_catalog() as catalog:
        dataset = open_dataset(catalog.state, request.dataset_id)
        info = version_info(dataset, find_version(dataset, request.version))
        if request.file_format == "bagit":
            result = export_bag(
                dataset, Path(request.path), version=info.version, s3_urls=request.urls == "s3"
            )
            left = _Left(result.left_out_files, list(result.left_out))
        else:
            pieces = _pieces(dataset, info, request, left)
            _write(request.path, pieces)
    _say(run, request, info, left)
    return _EXIT_PARTIAL if left.files else 0


def _pieces(
    dataset: Dataset, info: DatasetInfo, request: ExportRequest, left: _Left
) -> Iterator[bytes]:
    version = info.version
    if request.file_format == "json":
        yield from render_manifest(dataset, version=version)
    elif request.file_format == "csv":
        safe = request.spreadsheet_safe
        for text in export_csv(dataset, version=version, spreadsheet_safe=safe):
            yield text.encode("utf-8", "backslashreplace")
    else:
        algorithm = Algorithm(request.file_format.removesuffix("sum"))
        for text in export_sums(dataset, algorithm, version=version, left_out=left.add):
            yield text.encode("utf-8", "surrogateescape")


def _write(path: str, pieces: Iterable[bytes]) -> None:
    if path == _STDOUT:
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    with whole_file(Path(path)) as file:
        file.writelines(pieces)


def _say(run: Run, request: ExportRequest, info: DatasetInfo, left: _Left) -> None:
    files = info.total_files - left.files if request.file_format != "json" else info.total_files
    if run.out.json:
        run.out.document(_answer(request, info, left, files))
        return
    for one in left.some[:_SHOWN_MAX]:
        run.out.warn(f"left out {display_key(one.s3_key)}: {one.why}")
    if left.files > _SHOWN_MAX:
        run.out.warn(f"left out {plural(left.files - _SHOWN_MAX, 'file')} more")
    what = f"{plural(files, 'file')} of version {info.version} of dataset {info.id}"
    if request.path == _STDOUT:
        run.out.note(what)
    else:
        run.out.line(f"{request.path}: {what}, {size_text(_size_bytes(Path(request.path)))}")
        if request.file_format == "bagit":
            run.out.note(
                f"make it whole: stocktake manifest restore {info.id} --to "
                f"{Path(request.path) / 'data'}"
            )


def _answer(request: ExportRequest, info: DatasetInfo, left: _Left, files: int) -> dict[str, Any]:
    return {
        "dataset": info.id,
        "version": info.version,
        "format": request.file_format,
        "path": request.path,
        "files": files,
        "size_bytes": _size_bytes(Path(request.path)),
        "left_out_files": left.files,
        "left_out": [{"s3_key": one.s3_key, "why": one.why} for one in left.some],
    }


def _size_bytes(path: Path) -> int:
    """Of a file, or of all files of a folder."""
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in found if one.is_file())
