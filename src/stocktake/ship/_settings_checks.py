"""What must hold between settings, and of the folder they name."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from stocktake.errors import ShipSettingError
from stocktake.ship._keys import KEY_BYTES_MAX, RESERVED
from stocktake.ship._scan_names import PARTIAL_SUFFIXES
from stocktake.ship._settings import ShipSettings

_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_PREFIX_BYTES_MAX = KEY_BYTES_MAX // 2
_DEFAULT = "the default"


def check_settings_agree(settings: ShipSettings, origins: dict[str, str]) -> None:
    """Refuse settings that cannot all be meant.

    Raises:
        ShipSettingError: Names the setting, where it comes from, and what to do.
    """
    refusal = _Refusal(origins)
    _check_folders(settings, refusal)
    _check_destination(settings, refusal)
    _check_numbers(settings, refusal)
    _check_texts(settings, refusal)


def check_folder(settings: ShipSettings, origins: dict[str, str]) -> None:
    """Refuse a folder to watch that is not there, is no folder, or cannot be read.

    Raises:
        ShipSettingError: As above.
    """
    refusal = _Refusal(origins)
    folder = settings.folder
    if not folder.exists():
        raise refusal("folder", folder, "there is no such folder", "make it, or mount it")
    if not folder.is_dir():
        raise refusal("folder", folder, "it is not a folder", "name the folder to watch")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise refusal(
            "folder",
            folder,
            "it cannot be read",
            "give the user that runs stocktake the right to read and enter it",
        )


class _Refusal:
    """Makes the errors: which setting, from where, its value, why not, what to do."""

    def __init__(self, origins: dict[str, str]) -> None:
        self._origins = origins

    def __call__(self, name: str, value: object, why: str, hint: str) -> ShipSettingError:
        origin = self._origins.get(name, _DEFAULT)
        return ShipSettingError(f"`{name}` ({origin}) is `{value}`: {why}", hint=hint, setting=name)


def _check_folders(settings: ShipSettings, refusal: _Refusal) -> None:
    folder, state, failed = settings.folder, settings.state_folder, settings.error_folder
    if _within(state, folder):
        raise refusal(
            "state_folder",
            state,
            f"it is inside the watched folder `{folder}`",
            "the ledger must not be shipped: put it elsewhere with --state-folder",
        )
    if _within(folder, failed):
        raise refusal(
            "error_folder",
            failed,
            f"the watched folder `{folder}` is inside it",
            "name a folder of its own: failed files are moved there, and it is not watched",
        )
    if _within(state, failed) or _within(failed, state):
        raise refusal(
            "error_folder",
            failed,
            f"it shares a folder with the ledger (`{state}`)",
            "name another folder for one of them",
        )


def _within(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _check_destination(settings: ShipSettings, refusal: _Refusal) -> None:
    prefix = settings.prefix
    parts = prefix.split("/")[:-1]
    why = None
    if any(part in ("", ".", "..") for part in parts):
        why = "it has an empty part, `.` or `..`"
    elif _CONTROL.search(prefix) or not _is_text(prefix):
        why = "it has characters that are not text"
    elif len(prefix.encode()) > _PREFIX_BYTES_MAX:
        why = f"it has more than {_PREFIX_BYTES_MAX} bytes"
    elif prefix.startswith(RESERVED):
        why = f"`{RESERVED}` is stocktake's own"
    if why is not None:
        raise refusal("prefix", prefix, why, "write it like `incoming/2026/`")
    if not _DATASET.fullmatch(settings.dataset):
        raise refusal(
            "dataset",
            settings.dataset,
            "it is part of a key",
            "use letters, digits, `.`, `_` and `-`, at most 64",
        )


def check_endpoint(url: str, origins: dict[str, str]) -> None:
    """Refuse an address that is none, and one with a password in it without showing it.

    Raises:
        ShipSettingError: As above.
    """
    refusal = _Refusal(origins)
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        whole = False
    if "@" in url:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        raise refusal("endpoint_url", "...", "it has a user or a password in it", hint)
    if not whole:
        raise refusal(
            "endpoint_url",
            url,
            "it is not an http:// or https:// address",
            "write it whole, for example http://127.0.0.1:9000",
        )


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_numbers(settings: ShipSettings, refusal: _Refusal) -> None:
    if settings.settle_unknown_s < settings.settle_s:
        raise refusal(
            "settle_unknown_s",
            f"{settings.settle_unknown_s:g}s",
            f"it is shorter than settle_s ({settings.settle_s:g}s)",
            "where the kernel cannot say that nobody writes, wait at least as long",
        )
    if settings.incomplete_grace_s < settings.settle_s:
        raise refusal(
            "incomplete_grace_s",
            f"{settings.incomplete_grace_s:g}s",
            f"it is shorter than settle_s ({settings.settle_s:g}s)",
            "a file that ends too early needs time to be completed",
        )
    for name in ("small_max_bytes", "part_bytes_min"):
        size_bytes = getattr(settings, name)
        if 2 * size_bytes > settings.worker_memory_bytes:
            raise refusal(
                name,
                size_bytes,
                f"twice of it is more than worker_memory_bytes ({settings.worker_memory_bytes})",
                "lower it, or raise worker_memory_bytes",
            )


def _check_texts(settings: ShipSettings, refusal: _Refusal) -> None:
    marker, options = settings.done_marker, settings.convert
    if marker is not None:
        if "/" in marker or marker.strip(". ") == "":
            raise refusal("done_marker", marker, "it is no suffix", "write it like `.done`")
        if marker.lower() in PARTIAL_SUFFIXES:
            why = "it is a suffix of unfinished files, which are ignored"
            raise refusal("done_marker", marker, why, "write it like `.done`")
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise refusal(
            "delimiter", options.delimiter, "it is not one character", "write it like `;`"
        )
    if options.fallback_encoding is not None:
        try:
            codecs.lookup(options.fallback_encoding)
        except LookupError as error:
            raise refusal(
                "fallback_encoding",
                options.fallback_encoding,
                "there is no such encoding",
                "write it like `cp1252` or `latin-1`",
            ) from error
