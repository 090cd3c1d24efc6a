"""Options, and what opening a store costs and refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stocktake.errors import InvalidSettingError
from stocktake.store import S3StoreOptions, open_store

LIGHT = """
import sys, stocktake.store, stocktake.listing
heavy = sorted(m for m in sys.modules if m.split(".")[0] in {"botocore", "urllib3", "requests"})
sys.exit(" ".join(heavy[:3]) or 0)
"""


def test_importing_the_room_does_not_import_the_s3_client():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_secrets_are_not_shown():
    options = S3StoreOptions(
        access_key_id="id", secret_access_key="hush-hush", session_token="hush-too"
    )
    assert "hush" not in repr(options)


@pytest.mark.parametrize(
    "bad",
    [
        {"access_key_id": "id"},
        {"anonymous": True, "profile": "p"},
        {"anonymous": True, "role_arn": "arn"},
        {"concurrency": 0},
        {"read_timeout_s": 0},
        {"endpoint_url": "localhost:9000"},
        {"endpoint_url": "s3://bucket"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(bad):
    with pytest.raises(InvalidSettingError):
        S3StoreOptions(**bad)


def test_a_region_that_is_no_region_is_refused():
    with pytest.raises(InvalidSettingError, match="no S3 client"):
        open_store(S3StoreOptions(region="not a region!"))
