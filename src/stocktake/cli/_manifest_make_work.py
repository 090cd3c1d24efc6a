"""Work of `manifest create`, `write` and `forget`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stocktake.cli._dataset_address import note_address
from stocktake.cli._manifest_sets import chosen, heading, info_json, place_of
from stocktake.cli._run import Run
from stocktake.cli._text import plural, size_text
from stocktake.errors import StocktakeError
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    create_dataset,
    forget_dataset,
    write_manifest_file,
)
from stocktake.model import S3Url

EXIT_PARTIAL = 3


def make(run: Run, dataset_id: str, target: str, title: str) -> int:
    """Answer `manifest create`."""
    place = S3Url.parse(target)
    prefix = place.key if not place.key or place.key.endswith("/") else place.key + "/"
    with run.open_catalog(create=True) as catalog:
        spec = DatasetSpec(dataset_id, title or dataset_id, place.bucket, prefix)
        dataset = create_dataset(catalog.state, spec)
        note_address(run, dataset)
        info = dataset.info()
    if run.out.json:
        run.out.document({"dataset": info_json(info)})
    else:
        run.out.line(f"dataset {heading(info)} at {place_of(info)}")
        run.out.note(f"fill it: stocktake sync FOLDER {place_of(info)} --dataset {info.id}")
    return 0


def write_files(run: Run, ids: Sequence[str], folder: Path, *, every: bool) -> int:
    """Answer `manifest write`."""
    results = []
    with run.open_catalog() as catalog:
        results = [_write(one, folder) for one in chosen(catalog.state, ids, every=every)]
    failed = [one for one in results if one["error"]]
    if run.out.json:
        run.out.document({"files": results})
    else:
        for one in results:
            run.out.line(f"failed   {one['id']}: {one['error']}" if one["error"] else one["file"])
        if not results:
            run.out.line("no datasets yet")
    return EXIT_PARTIAL if failed else 0


def _write(dataset: Dataset, folder: Path) -> dict[str, Any]:
    try:
        path = write_manifest_file(dataset, folder)
    except StocktakeError as error:
        return {"id": dataset.id, "file": None, "error": error.message}
    return {"id": dataset.id, "file": str(path), "error": None}


def forget_them(run: Run, ids: Sequence[str], *, yes: bool) -> int:
    """Answer `manifest forget`."""
    with run.open_catalog() as catalog:
        infos = [one.info() for one in chosen(catalog.state, ids, every=False)]
        for info in infos if yes else ():
            forget_dataset(catalog.state, info.id)
    if run.out.json:
        run.out.document({"forgotten": [info_json(one) for one in infos], "applied": yes})
    else:
        for info in infos:
            what = f"{plural(info.total_files, 'file')}, {size_text(info.total_size_bytes)}"
            done = "forgot" if yes else "would forget"
            run.out.line(f"{done} {info.id} ({what}, {plural(info.version, 'version')})")
        if not yes:
            run.out.note("nothing was forgotten: add --yes; the objects stay in any case")
    return 0 if yes else EXIT_PARTIAL
