"""The sides that we have ourselves, a folder and a manifest, with a way to ask HAVE by HEAD."""

from __future__ import annotations

from pathlib import Path

from stocktake.manifests import DigestCache, open_dataset
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._proof import Look
from stocktake.reconcile._request import ReconcileConfig
from stocktake.reconcile._side_folder import FolderSide
from stocktake.reconcile._side_manifest import ManifestSide
from stocktake.store import ObjectHead


def folder_side(desk: Desk, config: ReconcileConfig) -> FolderSide:
    """SHOULD as a local folder.

    Raises:
        LocalFolderError: It is not there.
    """
    root = Path(config.should.place)
    return FolderSide(
        root,
        desk.clock,
        cache=DigestCache(desk.catalog.state, root) if config.checks.checksums else None,
        look=_look(desk, config),
        trust_etags=config.checks.trust_etags,
    )


def manifest_side(desk: Desk, config: ReconcileConfig) -> ManifestSide:
    """SHOULD as the manifest of a dataset.

    Raises:
        DatasetNotFoundError: There is no such dataset.
    """
    return ManifestSide(
        open_dataset(desk.catalog.state, config.should.place),
        look=_look(desk, config),
        trust_etags=config.checks.trust_etags,
    )


def _look(desk: Desk, config: ReconcileConfig) -> Look:
    source, names = config.have.source, config.names

    def look(key: str) -> ObjectHead:
        shared = names.add + key.removeprefix(names.strip)
        return desk.store.head(source.bucket, source.key + shared)

    return look
