"""The open-upload watermark on real servers: uploads are listed, by pages where there are pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stocktake.listing import open_upload_watermark
from stocktake.model import S3Url
from stocktake.store import open_store

STAMPED_2010 = {"moto"}
"""This emulator says of every upload that it was begun in November 2010."""

IGNORES_MAX_UPLOADS = {"moto"}


@pytest.mark.parametrize("name", ["ministack", "moto"])
def test_open_uploads_hold_the_watermark(name, request):
    """STR-2 on servers that know ListMultipartUploads."""
    server = request.getfixturevalue(name)
    store = open_store(server.options())
    bucket = f"open-uploads-{name}"
    store.describe("CreateBucket", bucket)
    before = datetime.now(UTC) - timedelta(seconds=2)
    uploads = [store.begin_upload(bucket, f"in/a b+{number}") for number in range(3)]
    store.begin_upload(bucket, "other/x")
    later = datetime.now(UTC) + timedelta(hours=1)
    found = open_upload_watermark(store, S3Url(bucket, "in/"), later, timedelta(minutes=5))
    assert found.open_uploads == 3
    if name in STAMPED_2010:
        assert "open since 2010-11-10" in found.warning
    else:
        assert found.warning is None
        assert before <= found.at + timedelta(minutes=5) < later
    paged = open_upload_watermark(
        store, S3Url(bucket, "in/"), later, timedelta(minutes=5), uploads_per_page=1
    )
    assert (paged.at, paged.open_uploads) == (found.at, 3)
    assert paged.calls == (1 if name in IGNORES_MAX_UPLOADS else 3)
    for upload in uploads:
        upload.abort()
    found = open_upload_watermark(store, S3Url(bucket, "in/"), later, timedelta(minutes=5))
    assert found.at == later - timedelta(minutes=5)
    store.close()
