"""What comes with `import stocktake.manifests`: shippers have many processes and no database."""

from __future__ import annotations

import subprocess
import sys

import stocktake.manifests as door


def test_a_shipper_does_not_load_the_database() -> None:
    """18 MB in each of its processes."""
    code = "import sys, stocktake.ship; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_public_name_is_behind_the_door() -> None:
    for name in door.__all__:
        assert getattr(door, name) is not None
    assert list(door.__all__) == sorted(set(door.__all__))
