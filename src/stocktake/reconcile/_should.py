"""Opens SHOULD: a folder, a dataset's manifest, another bucket, a snapshot."""

from __future__ import annotations

from pathlib import Path

from stocktake.catalog import find_snapshot
from stocktake.errors import SideUnavailableError
from stocktake.manifests import DigestCache, open_dataset
from stocktake.model import S3Url
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._have import listing_side
from stocktake.reconcile._proof import Look
from stocktake.reconcile._request import ReconcileConfig, ShouldKind
from stocktake.reconcile._side import Side
from stocktake.reconcile._side_folder import FolderSide
from stocktake.reconcile._side_manifest import ManifestSide
from stocktake.reconcile._side_snapshot import SnapshotSide, check_covers
from stocktake.store import ObjectHead


def open_should(desk: Desk, config: ReconcileConfig) -> Side:
    """SHOULD, of any kind but rules.

    Raises:
        LocalFolderError: The folder is not there.
        DatasetNotFoundError: There is no such dataset.
        SnapshotNotFoundError: There is no such snapshot.
        SideUnavailableError: It cannot be read.
    """
    spec, state = config.should, desk.catalog.state
    if spec.kind is ShouldKind.FOLDER:
        root = Path(spec.place)
        return FolderSide(
            root,
            desk.clock,
            # the cache believes the times of files, which are the machine's
            cache=DigestCache(state, root) if config.checks.checksums else None,
            look=_look(desk, config),
            trust_etags=config.checks.trust_etags,
            heads_max=config.checks.heads_max,
        )
    if spec.kind is ShouldKind.MANIFEST:
        return ManifestSide(
            open_dataset(state, spec.place),
            look=_look(desk, config),
            trust_etags=config.checks.trust_etags,
            heads_max=config.checks.heads_max,
        )
    if spec.kind is ShouldKind.BUCKET:
        store = desk.store_at(spec.endpoint_url)
        return listing_side(desk, store, S3Url.parse(spec.place), config.have.workers)
    if spec.kind is ShouldKind.SNAPSHOT:
        snapshot = find_snapshot(desk.catalog, spec.place)
        prefix = config.have.source.key if spec.prefix is None else spec.prefix
        check_covers(snapshot, S3Url(snapshot.bucket, prefix))
        return SnapshotSide(desk.catalog, snapshot, prefix)
    raise SideUnavailableError(f"{spec.kind} has no rows", kind=str(spec.kind))


def _look(desk: Desk, config: ReconcileConfig) -> Look:
    """HEAD of HAVE's object by the name that SHOULD has for it."""
    source, names = config.have.source, config.names

    def look(own_name: str) -> ObjectHead:
        shared = names.add + own_name.removeprefix(names.strip)
        return desk.store.head(source.bucket, source.key + shared)

    return look
