"""Where a manifest's parts really lie, and which of them may be followed.

A manifest is data that somebody else wrote: a planted one must not make this reader fetch objects
that have nothing to do with the report. So a part counts only below the report's own folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stocktake.errors import ForeignPartError
from stocktake.inventory._address import parse_stamp
from stocktake.inventory._manifest import Manifest
from stocktake.inventory._options import ReadOptions
from stocktake.model import S3Url, display_key


@dataclass(frozen=True, slots=True)
class PartPlace:
    """Where to read one part, and where to look if it is not there."""

    bucket: str
    key: str
    fallback_key: str | None


def report_base(manifest_url: S3Url) -> str:
    """The key prefix of the report that this manifest belongs to; ends with a slash (or is '').

    >>> report_base(S3Url("d", "p/src/cfg/2025-06-02T01-00Z/manifest.json"))
    'p/src/cfg/'
    """
    folder, slash, _ = manifest_url.key.rpartition("/")
    above, above_slash, name = folder.rpartition("/")
    return above + above_slash if parse_stamp(name) else folder + slash


def locate_parts(
    manifest: Manifest, manifest_url: S3Url, base_prefixes: Sequence[str], options: ReadOptions
) -> tuple[tuple[PartPlace, ...], tuple[str, ...]]:
    """The place of every part of the manifest, in its order, and warnings.

    Args:
        manifest: What names the parts.
        manifest_url: Where it lies, which is what counts: a copied report still names its old home.
        base_prefixes: Further spellings of the report's folder that its keys may have.
        options: `allow_foreign_parts` counts here.

    Raises:
        ForeignPartError: A part is outside the report's folder.
    """
    base = report_base(manifest_url)
    insides = tuple(prefix for prefix in dict.fromkeys([base, *base_prefixes]) if prefix)
    moved = manifest.destination_bucket not in ("", manifest_url.bucket)
    places = []
    for part in manifest.files:
        fallback = f"{base}data/{part.key.rpartition('/')[2]}"
        if part.key.startswith(insides) and not _climbs(part.key):
            place = PartPlace(manifest_url.bucket, part.key, fallback)
        elif options.allow_foreign_parts:
            place = _followed(part.key, manifest.destination_bucket or manifest_url.bucket)
        elif moved and "://" not in part.key and not _climbs(part.key):
            place = PartPlace(manifest_url.bucket, _beside(part.key, base), fallback)
        else:
            raise ForeignPartError(
                f"{manifest_url} names a part outside its report: {display_key(part.key)}",
                hint="if the report was moved on purpose, move its data/ folder with it",
                url=str(manifest_url),
                part=part.key,
            )
        places.append(place)
    return tuple(places), (_moved_warning(manifest, manifest_url, options),) if moved else ()


def _climbs(key: str) -> bool:
    """True for `.` and `..` segments: harmless on S3, not on stores that are folders."""
    return not {".", ".."}.isdisjoint(key.split("/"))


def _followed(key: str, bucket: str) -> PartPlace:
    if key.startswith("s3://"):
        url = S3Url.parse(key)
        return PartPlace(url.bucket, url.key, None)
    return PartPlace(bucket, key, None)


def _beside(key: str, base: str) -> str:
    """Where a part of a copied report lies: below the copy's folder, as it lay below the old one.

    >>> _beside("p/src/cfg/data/1.orc", "backup/src/cfg/")
    'backup/src/cfg/data/1.orc'
    """
    own_folder = "/".join(base.rstrip("/").split("/")[-2:]) + "/"
    _, found, tail = key.rpartition(own_folder)
    return base + (tail if found else f"data/{key.rpartition('/')[2]}")


def _moved_warning(manifest: Manifest, manifest_url: S3Url, options: ReadOptions) -> str:
    done = "parts in its own folder are read from here"
    if not options.allow_foreign_parts:
        done = "its parts are read beside it, not from there"
    return f"{manifest_url} was delivered to bucket {manifest.destination_bucket}: {done}"
