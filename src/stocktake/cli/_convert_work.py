"""Work of `convert`: each file planned, written beside its name, and put in place when whole."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, plural, size_text
from stocktake.convert import (
    ConversionPlan,
    ConversionResult,
    ConvertOptions,
    TableKind,
    plan_conversion,
    table_kind,
    write_parquet,
)
from stocktake.errors import DiskFullError, InvalidSettingError, StocktakeError, UsageError

_PARTIAL = 3
_COLUMNS_SHOWN_MAX = 60


@dataclass(frozen=True, slots=True)
class ConvertRequest:
    """What `convert` was asked for, as typed; `options` are fields of `ConvertOptions`."""

    sources: tuple[str, ...]
    out: str | None
    types: str
    bad_rows: str
    options: Mapping[str, Any]
    overwrite: bool
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Job:
    source: Path
    kind: TableKind
    target: Path


def convert_files(run: Run, request: ConvertRequest) -> int:
    """Answer `convert`."""
    options = read_options(request)
    jobs = _jobs(request)
    answers: list[dict[str, Any]] = []
    with run.watch() as progress:
        for job in jobs:
            progress.phase(job.source.name, None, "bytes")
            answers.append(_convert_one(job, options, request))
            progress.advance(answers[-1]["source_bytes"] or 0)
    failed = sum(answer["state"] == "failed" for answer in answers)
    if run.out.json:
        run.out.document(_document(answers, failed))
    elif len(answers) == 1 and failed:
        raise answers[0]["raised"]
    else:
        _show(run, answers, failed)
    if not failed:
        return 0
    return 1 if failed == len(answers) else _PARTIAL


def read_options(request: ConvertRequest) -> ConvertOptions:
    """The options, with a schema read from its file.

    Raises:
        InvalidSettingError: One of them cannot be.
    """
    types, schema = request.types, {}
    if types not in ("auto", "strings"):
        types, schema = "auto", _read_schema(Path(types))
    return ConvertOptions(
        types=types, schema=schema, bad_rows_max=_bad_rows(request.bad_rows), **request.options
    )


def _read_schema(path: Path) -> dict[str, str]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSettingError(
            f"--types is `{path}`, which is no JSON file",
            hint='auto, strings, or a file like {"id": "int64", "price": "decimal128(10, 2)"}',
        ) from error
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InvalidSettingError(
            f"--types: `{path}` is not an object of column names and types",
            hint='for example {"id": "int64", "price": "decimal128(10, 2)"}',
        )
    return value


def _bad_rows(text: str) -> int:
    if text == "fail":
        return 0
    word, _, number = text.partition(":")
    if word != "reject" or not number.isascii() or not number.isdigit():
        raise InvalidSettingError(f"--bad-rows is `{text}`", hint="it can be fail or reject:100")
    return int(number)


def _jobs(request: ConvertRequest) -> list[_Job]:
    out = Path(request.out) if request.out else None
    folder = out if out is not None and (out.is_dir() or request.out.endswith("/")) else None  # type: ignore[union-attr]
    if out is not None and folder is None and len(request.sources) > 1:
        raise UsageError("many files cannot become one", hint=f"name a directory: -o {out}/")
    jobs: list[_Job] = []
    for text in request.sources:
        source = Path(text)
        kind = table_kind(source.name)
        if kind is None:
            raise UsageError(
                f"`{text}` is not called like a table",
                hint="names end in .csv, .tsv, .json, .jsonl, .ndjson or .xml",
            )
        beside = (folder or source.parent) / f"{source.stem}.parquet"
        jobs.append(_Job(source, kind, beside if folder or out is None else out))
    targets = [job.target for job in jobs]
    twice = next((one for one in targets if targets.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"two files would become `{twice}`", hint="convert them one by one")
    return jobs


def _convert_one(job: _Job, options: ConvertOptions, request: ConvertRequest) -> dict[str, Any]:
    """One file; a failure is part of the answer."""
    answer: dict[str, Any] = {"source": str(job.source), "kind": str(job.kind), "state": "failed"}
    answer |= dict.fromkeys(("target", "source_bytes", "size_bytes", "rows", "row_groups"))
    answer |= {"columns": [], "warnings": [], "rejected": [], "error": None}
    try:
        plan, result = _both_passes(job, options, request)
    except StocktakeError as error:
        return answer | {"error": error.to_dict(), "raised": error}
    answer |= {
        "state": "planned" if request.dry_run else "converted",
        "source_bytes": plan.size_bytes,
        "rows": plan.rows,
        "columns": [asdict(one) for one in plan.columns],
        "warnings": list(plan.warnings),
    }
    if plan.rows is None:
        return answer | {"state": "skipped-empty"}
    if result is not None:
        answer |= {"target": str(job.target), "rejected": list(result.rejected)}
        answer |= {"size_bytes": result.size_bytes, "row_groups": result.row_groups}
    return answer


def _both_passes(
    job: _Job, options: ConvertOptions, request: ConvertRequest
) -> tuple[ConversionPlan, ConversionResult | None]:
    if not (request.overwrite or request.dry_run) and job.target.exists():
        raise UsageError(f"`{job.target}` is there already", hint="--overwrite replaces it")
    try:
        with job.source.open("rb", buffering=0) as stream:
            plan = plan_conversion(stream, job.kind, options, name=job.source.name)
            if request.dry_run or plan.rows is None:
                return plan, None
            stream.seek(0)
            with _whole_file(job.target) as sink:
                return plan, write_parquet(plan, stream, sink, options)
    except OSError as error:
        raise _explained(error, job) from error


@contextmanager
def _whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with unfinished.open("wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _explained(error: OSError, job: _Job) -> StocktakeError:
    if error.errno == errno.ENOSPC:
        return DiskFullError(f"no space is left for `{job.target}`", path=str(job.target))
    path = error.filename or job.target
    return UsageError(f"cannot convert `{job.source}`: {path}: {error.strerror}")


def _document(answers: list[dict[str, Any]], failed: int) -> dict[str, Any]:
    for answer in answers:
        answer.pop("raised", None)
    return {
        "files": answers,
        "converted": sum(answer["state"] == "converted" for answer in answers),
        "failed": failed,
        "source_bytes": sum(answer["source_bytes"] or 0 for answer in answers),
        "size_bytes": sum(answer["size_bytes"] or 0 for answer in answers),
    }


def _show(run: Run, answers: list[dict[str, Any]], failed: int) -> None:
    for answer in answers:
        _show_one(run, answer)
    if failed:
        run.out.warn(f"{failed} of {plural(len(answers), 'file')} failed")


def _show_one(run: Run, answer: dict[str, Any]) -> None:
    out = run.out
    if answer["state"] == "failed":
        out.warn(f"{answer['source']}: {answer['error']['message']}")
        return
    if answer["state"] == "skipped-empty":
        out.line(f"{answer['source']}: empty, nothing to convert")
        return
    head = (
        f"{answer['source']}: {plural(answer['rows'], 'row')}, {size_text(answer['source_bytes'])}"
    )
    if answer["target"]:
        saved = 100 - 100 * answer["size_bytes"] / max(1, answer["source_bytes"])
        groups = plural(answer["row_groups"], "row group")
        head += f" -> {answer['target']}, {size_text(answer['size_bytes'])} in {groups}"
        head += f" ({saved:.0f} % smaller)" if saved > 0 else ""
    out.line(head)
    shown = answer["columns"][:_COLUMNS_SHOWN_MAX]
    columns = (Column("column"), Column("type"), Column("why", flexible=True))
    out.table(columns, [(one["name"], one["type"], one["why"]) for one in shown])
    if len(answer["columns"]) > len(shown):
        left_out = count_text(len(answer["columns"]) - len(shown))
        out.note(f"{left_out} more columns; --json shows all")
    for warning in answer["warnings"]:
        out.warn(warning)
    for one in answer["rejected"][:10]:
        out.warn(f"row {one['row']} (line {one['line']}) put aside: {one['reason']}")
