"""Work of `export`: a view into a file or onto standard output."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from stocktake.catalog import (
    DIFF,
    ExportFormat,
    Origin,
    diff_snapshots,
    find_snapshot,
    folder_batches,
    object_batches,
    use_snapshot,
    write_ncdu,
    write_rows,
)
from stocktake.cli._progress import Watched
from stocktake.cli._run import Run
from stocktake.cli._sources import Place, folder_prefix, open_place, show_source
from stocktake.cli._text import plural, size_text
from stocktake.errors import DiskFullError, InvalidSettingError, UsageError

_STDOUT = "-"
_NCDU = "ncdu"
_VIEWS = ("objects", "folders", "diff")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What `export` was asked for."""

    target: str
    view: str
    file_format: str
    path: str
    snapshot: str
    old: str
    versions: bool
    spreadsheet_safe: bool

    def check(self, *, json: bool, terminal: bool) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        formats = [*(one.value for one in ExportFormat), _NCDU]
        if self.file_format not in formats:
            raise InvalidSettingError(
                f"--format is `{self.file_format}`", hint=f"it can be {', '.join(formats)}"
            )
        if self.view not in _VIEWS:
            raise InvalidSettingError(
                f"--view is `{self.view}`", hint=f"it can be {', '.join(_VIEWS)}"
            )
        if self.file_format == _NCDU and self.view == "diff":
            raise UsageError("ncdu shows objects or folders", hint="leave out --view diff")
        if self.path == _STDOUT and json:
            raise UsageError("--json describes a file", hint="add --out FILE")
        if self.path == _STDOUT and terminal and self.file_format == ExportFormat.PARQUET:
            raise UsageError("Parquet is not for a terminal", hint="add --out FILE")


def write_export(run: Run, request: ExportRequest) -> int:
    """Answer `export`."""
    request.check(json=run.out.json, terminal=run.out.stdout.isatty())
    with open_place(run, request.target, request.snapshot) as place:
        with run.watch() as progress, _sink(request.path) as sink:
            progress.phase("writing", None, "rows")
            rows = _write(place, request, sink, progress)
        if request.path != _STDOUT:
            _report(run, place, request, rows)
        else:
            show_source(run.out, place.snapshot)
    return 0


def _write(place: Place, request: ExportRequest, sink: BinaryIO, progress: Watched) -> int:
    if request.file_format == _NCDU:
        objects = request.view == "objects"
        prefix = folder_prefix(place.prefix)
        return write_ncdu(place.catalog, place.snapshot, sink, prefix, objects=objects)
    return write_rows(
        _counted(_batches(place, request), progress),
        sink,
        ExportFormat(request.file_format),
        spreadsheet_safe=request.spreadsheet_safe,
    )


def _batches(place: Place, request: ExportRequest) -> Iterator[pa.RecordBatch]:
    catalog, snapshot, prefix = place.catalog, place.snapshot, place.prefix
    if request.view == "objects":
        yield from object_batches(catalog, snapshot, prefix, versions=request.versions)
    elif request.view == "folders":
        yield from folder_batches(catalog, snapshot, prefix)
    else:
        found = find_snapshot(catalog, request.old, source=snapshot.source_name)
        with use_snapshot(catalog, found) as old:
            result = diff_snapshots(catalog, old, snapshot, prefix=prefix)
            # no difference is a file with a heading and no rows
            yield from chain([pa.RecordBatch.from_pylist([], schema=DIFF)], result.rows())


def _counted(batches: Iterator[pa.RecordBatch], progress: Watched) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        progress.advance(batch.num_rows)
        yield batch


@contextmanager
def _sink(path: str) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears under its name when it is whole."""
    if path == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    wanted = Path(path)
    unfinished = wanted.with_name(f".{wanted.name}.unfinished")
    try:
        with unfinished.open("wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        unfinished.replace(wanted)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"no space is left for `{path}`", path=path) from error
        raise InvalidSettingError(
            f"cannot write `{path}`: {error.strerror}", hint="name another file with --out"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _report(run: Run, place: Place, request: ExportRequest, rows: int) -> None:
    size_bytes = Path(request.path).stat().st_size
    if run.out.json:
        run.out.document(
            {
                "source": Origin.of(place.snapshot).to_dict(),
                "prefix": place.prefix,
                "view": request.view,
                "format": request.file_format,
                "path": request.path,
                "rows": rows,
                "size_bytes": size_bytes,
            }
        )
        return
    run.out.line(f"wrote {plural(rows, 'row')} to {request.path}, {size_text(size_bytes)}")
    show_source(run.out, place.snapshot)
