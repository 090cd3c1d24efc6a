"""What unpacking can do on this machine, for `ship check` and `version`."""

from __future__ import annotations

import importlib.util

from stocktake.unpack._library import INSTALL_HINT, LibraryStatus, load_library

_EXTRA_HINT = "pip install 'stocktake[unpack]'"


def library_status() -> LibraryStatus:
    """Which libarchive there is, what can be read, and what to install for the rest."""
    library = load_library()
    formats = ["zip", "tar", "gz", "bz2", "xz"]
    hints = []
    if library is None:
        hints.append(INSTALL_HINT)
    else:
        formats += ["7z", "rar"]
    for module, gives in (("zstandard", "zst"), ("inflate64", "deflate64")):
        if importlib.util.find_spec(module) is None:
            hints.append(_EXTRA_HINT)
        else:
            formats.append(gives)
    return LibraryStatus(
        None if library is None else library.version_text,
        None if library is None else library.found_as,
        tuple(formats),
        "; ".join(dict.fromkeys(hints)) or None,
    )
