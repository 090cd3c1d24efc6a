"""`stocktake convert`: tables to Parquet."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Convert tables to Parquet.")

_Sources = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="CSV, TSV, JSON, JSON lines or XML files."),
]
_Out = Annotated[
    str | None, typer.Option("--out", "-o", metavar="PLACE", help="File, or directory for many.")
]
_Types = Annotated[
    str, typer.Option("--types", metavar="HOW", help="auto, strings, or a file: {column: type}.")
]


@command(
    app,
    "convert",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake convert orders.csv -o orders.parquet",
        "stocktake convert *.csv *.jsonl -o parquet/",
        "stocktake convert orders.csv --dry-run --json",
        "stocktake convert old.csv --fallback-encoding cp1252 --types schema.json",
    ),
)
def convert(  # noqa: PLR0913 - one parameter per option
    run: Run,
    sources: _Sources,
    *,
    out: _Out = None,
    types: _Types = "auto",
    compression: Annotated[
        str, typer.Option("--compression", metavar="NAME", help="zstd or snappy.")
    ] = "zstd",
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", metavar="CHAR", help="Of CSV; else it is found.")
    ] = None,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="CSV: the first line is data, not names.")
    ] = False,
    fallback_encoding: Annotated[
        str | None,
        typer.Option("--fallback-encoding", metavar="NAME", help="For text that is not UTF-8."),
    ] = None,
    bad_rows: Annotated[
        str,
        typer.Option("--bad-rows", metavar="HOW", help="fail, or reject:N to put N rows aside."),
    ] = "fail",
    records_path: Annotated[
        str | None,
        typer.Option("--records-path", metavar="A/B", help="JSON, XML: where the records are."),
    ] = None,
    field_bytes_max: Annotated[
        int | None,
        typer.Option("--field-bytes-max", metavar="N", min=1024, help="Longest value; 16 MiB."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Find the types, write nothing.")
    ] = False,
) -> int:
    """Convert tables to Parquet without changing a value.

    A file is read twice: first to find the narrowest type of each column that gives every value
    back as it was written, then to write. A result is there whole or not at all. Without --out it
    stands beside its source.

    One file that cannot be converted does not stop the others: the exit code is then 3.

    JSON: {files: [{source, kind, state, target, source_bytes, size_bytes, rows, row_groups,
    columns: [{name, source_name, type, why}], warnings, rejected, error}], converted, failed,
    source_bytes, size_bytes}.
    """
    from stocktake.cli._convert_work import ConvertRequest, convert_files

    request = ConvertRequest(
        sources=tuple(sources),
        out=out,
        types=types,
        bad_rows=bad_rows,
        options={
            "compression": compression,
            "delimiter": delimiter,
            "header": not no_header,
            "fallback_encoding": fallback_encoding,
            "records_path": records_path,
            **({"field_bytes_max": field_bytes_max} if field_bytes_max else {}),
        },
        overwrite=overwrite,
        dry_run=dry_run,
    )
    return convert_files(run, request)
