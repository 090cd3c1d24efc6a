"""Work of `manifest push` and `manifest pull`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from stocktake.cli._dataset_address import note_address
from stocktake.cli._manifest_sets import chosen
from stocktake.cli._run import Run
from stocktake.cli._text import plural
from stocktake.errors import ObjectNotFoundError, StocktakeError, UsageError
from stocktake.manifests import (
    CopyOptions,
    CopyResult,
    Dataset,
    copy_place,
    create_dataset,
    file_values,
    parse_manifest,
    pull_copy,
    push_copy,
)
from stocktake.model import S3Url, display_key
from stocktake.state import State
from stocktake.store import ListQuery, Store, iter_listing

_EXIT_PARTIAL = 3
_COPIES = ".stocktake/manifests/"
_NAME_END = "_s3_manifest.json"
_LOST_SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """What `manifest push` or `pull` is asked for."""

    names: tuple[str, ...]
    every: bool
    place: str
    accept_deletions: bool
    conditional: bool = True

    def options(self, at: S3Url | None = None) -> CopyOptions:
        """As the library takes them."""
        if self.place:
            at = S3Url.parse(self.place)
            if not at.key or at.key.endswith("/"):
                raise UsageError(
                    f"`{self.place}` is no address of a file",
                    hint=f"name the file: {self.place.rstrip('/')}/ID{_NAME_END}",
                )
            if self.every or len(self.names) != 1:
                raise UsageError("one place is for one dataset", hint="name one dataset")
        return CopyOptions(at, conditional=self.conditional, accept_deletions=self.accept_deletions)


_Exchange = Callable[[Dataset, Store, CopyOptions], CopyResult]


def push_copies(run: Run, request: CopyRequest) -> int:
    """Answer `manifest push`."""
    options = request.options()
    with run.open_catalog() as catalog:
        datasets = chosen(catalog.state, request.names, every=request.every)
        store = run.open_store()
        for one in datasets:
            note_address(run, one)
        return _exchange(run, store, [(one, options) for one in datasets], push_copy)


def pull_copies(run: Run, request: CopyRequest) -> int:
    """Answer `manifest pull`."""
    addresses = [one for one in request.names if one.startswith("s3://")]
    ids = [one for one in request.names if one not in addresses]
    if addresses and (request.every or request.place):
        raise UsageError(
            "an address of a copy and --all or --from contradict each other",
            hint="name the copy, or the dataset",
        )
    options = request.options()
    with run.open_catalog(create=bool(addresses)) as catalog:
        store = run.open_store()
        named = chosen(catalog.state, ids, every=request.every) if ids or not addresses else []
        work = [(one, options) for one in named]
        places = (one for text in addresses for one in _copies_at(store, S3Url.parse(text)))
        work.extend(_made(run, catalog.state, store, one, request) for one in places)
        return _exchange(run, store, work, pull_copy)


def _copies_at(store: Store, place: S3Url) -> list[S3Url]:
    """The copy that an address names, or all that are kept below a prefix."""
    if place.key.endswith(".json"):
        return [place]
    prefix = place.key if not place.key or place.key.endswith("/") else place.key + "/"
    query = ListQuery(place.bucket, prefix + _COPIES, delimiter="/")
    found = [
        S3Url(place.bucket, one.key)
        for page in iter_listing(store, query)
        for one in page.objects
        if one.key.endswith(_NAME_END)
    ]
    if not found:
        raise ObjectNotFoundError(
            f"no copy of a manifest is kept below {display_key(str(place))}",
            hint="the host that has the dataset makes it: stocktake manifest push",
            bucket=place.bucket,
            key=query.prefix,
        )
    return found


def _made(
    run: Run, state: State, store: Store, place: S3Url, request: CopyRequest
) -> tuple[Dataset, CopyOptions]:
    """The dataset that a copy is about, made if it is not there."""
    with store.get(place.bucket, place.key) as body:
        spec = parse_manifest(body).spec
    dataset = create_dataset(state, spec)
    note_address(run, dataset)
    usual = copy_place(dataset.info()) == place
    return dataset, request.options(None if usual else place)


def _exchange(
    run: Run, store: Store, work: Iterable[tuple[Dataset, CopyOptions]], exchange: _Exchange
) -> int:
    answers = []
    failures: list[StocktakeError] = []
    for dataset, options in work:
        try:
            result = exchange(dataset, store, options)
        except StocktakeError as error:  # one that fails does not stop the others
            failures.append(error)
            answers.append(_failed(dataset, error))
        else:
            answers.append(_answer(dataset, result))
            if not run.out.json:
                _say(run, dataset, result)
    if len(failures) == len(answers) == 1:
        raise failures[0]
    if run.out.json:
        run.out.document({"copies": answers})
    else:
        for one in answers:
            if one["error"]:
                run.out.line(f"failed   {one['id']}: {one['error']}")
        if not answers:
            run.out.line("no datasets yet")
    return _EXIT_PARTIAL if failures else 0


def _failed(dataset: Dataset, error: StocktakeError) -> dict[str, Any]:
    return {"id": dataset.id, "error": error.message, "code": error.code}


def _answer(dataset: Dataset, result: CopyResult) -> dict[str, Any]:
    info = dataset.info()
    names = ("version", "etag", "written", "added", "replaced", "deleted", "ahead", "conflicts")
    return {
        "id": dataset.id,
        "place": str(result.place),
        **{name: getattr(result, name) for name in names},
        "lost": [file_values(info, one) for one in result.lost],
        "rounds": result.rounds,
        "notes": list(result.notes),
        "error": None,
    }


def _say(run: Run, dataset: Dataset, result: CopyResult) -> None:
    taken = [
        f"{count:,} {what}"
        for count, what in (
            (result.added, "added"),
            (result.replaced, "replaced"),
            (result.deleted, "deleted"),
        )
        if count
    ]
    news = f"took over {', '.join(taken)}" if taken else "nothing new there"
    state = "copy written" if result.written else "copy unchanged"
    run.out.line(f"{dataset.id}  version {result.version}: {news}; {state}")
    run.out.note(f"{display_key(str(result.place))}")
    if result.ahead:
        run.out.note(
            f"{plural(result.ahead, 'change')} here that the copy does not know: "
            f"stocktake manifest push {dataset.id}"
        )
    for note in result.notes:
        run.out.warn(f"the copy: {note}")
    if result.conflicts:
        run.out.warn(f"{plural(result.conflicts, 'file')} had been changed on both sides")
    for one in result.lost[:_LOST_SHOWN_MAX]:
        run.out.warn(f"ours is newer: {display_key(one.s3_key)}")
