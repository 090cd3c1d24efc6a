"""Folders and manifests against a strict S3, whole: REC-1, REC-2, REC-4."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stocktake.catalog import open_catalog
from stocktake.clock import SystemClock
from stocktake.errors import DatasetNotFoundError, LocalFolderError
from stocktake.manifests import DatasetSpec, PutEntry, Reason, UploadRecord, create_dataset
from stocktake.model import S3Url
from stocktake.reconcile import (
    Checks,
    Desk,
    HaveSpec,
    NameMap,
    ReconcileConfig,
    ReconcileReport,
    ScanMode,
    ShouldKind,
    ShouldSpec,
    reconcile,
)
from stocktake.store import (
    CompleteOptions,
    PutOptions,
    Store,
    crc64nvme,
    encode_crc64nvme,
    open_store,
)
from stocktake.testing import FakeS3

BUCKET = "landing"
PREFIX = "in/"
MIB = 1 << 20


@dataclass
class Place:
    """A folder, a bucket, and a catalog."""

    folder: Path
    store: Store
    desk: Desk

    def file(self, name: str, body: bytes) -> bytes:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (1_600_000_000, 1_600_000_000))
        return body

    def put(self, name: str, body: bytes, *, crc: str | None = None) -> None:
        self.store.put(BUCKET, PREFIX + name, body, PutOptions(crc64nvme=crc))

    def put_in_parts(self, name: str, body: bytes, part_bytes: int, *, crc: bool) -> None:
        options = PutOptions(full_object_crc64nvme=crc)
        upload = self.store.begin_upload(BUCKET, PREFIX + name, options)
        parts = [body[at : at + part_bytes] for at in range(0, len(body), part_bytes)]
        etags = {number: upload.put_part(number, part) for number, part in enumerate(parts, 1)}
        whole = encode_crc64nvme(crc64nvme(body)) if crc else None
        upload.complete(etags, CompleteOptions(crc64nvme=whole))

    def run(self, should: ShouldSpec | None = None, **more: object) -> ReconcileReport:
        spec = should or ShouldSpec(ShouldKind.FOLDER, str(self.folder))
        config = ReconcileConfig(HaveSpec(S3Url(BUCKET, PREFIX), ScanMode.FULL), spec)
        return reconcile(replace(config, **more), self.desk)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "folder"
    folder.mkdir()
    with FakeS3() as fake, closing(open_store(fake.options())) as store:
        fake.create_bucket(BUCKET)
        with open_catalog(str(tmp_path / "catalog"), create=True) as catalog:
            yield Place(folder, store, Desk(store, catalog))


def kinds(report: ReconcileReport) -> dict[str, str]:
    return {one.key: one.kind.value for one in report.findings}


def test_folder_that_is_in_the_bucket_is_proven_to_be(place: Place) -> None:
    for number in range(30):
        place.put(f"d{number % 3}/{number}", place.file(f"d{number % 3}/{number}", os.urandom(99)))
    report = place.run()
    assert (report.findings_total, report.exit_code) == (0, 0)
    assert (report.totals.identical, report.totals.unproven) == (30, 0)
    assert report.should.requests is None  # an equal MD5 needs no HEAD


def test_same_size_damage_is_found_by_one_head_each(place: Place) -> None:
    """REC-4: the listing does not say how objects are encrypted, HEAD does."""
    for number in range(10):
        body = place.file(f"{number}", os.urandom(50))
        place.put(f"{number}", bytes(50) if number in {3, 7} else body)
    place.file("gone", b"x")
    place.put("extra", b"x")
    place.put("size", place.file("size", b"123") + b"4")
    report = place.run()
    assert kinds(report) == {
        "3": "checksum-mismatch",
        "7": "checksum-mismatch",
        "gone": "missing",
        "extra": "extra",
        "size": "size-mismatch",
    }
    assert report.should.requests == {"HEAD": 2}
    trusting = place.run(checks=Checks(trust_etags=True))
    assert kinds(trusting) == kinds(report)
    assert trusting.should.requests is None


@pytest.mark.parametrize("crc", [True, False])
def test_parts_are_proven_by_checksum_or_by_part_size(place: Place, crc: bool) -> None:
    """REC-4: the bytes are the same though no ETag is the MD5, and damage is never `same`."""
    body = os.urandom(11 * MIB)
    damaged = bytearray(body)
    damaged[10 * MIB] ^= 1
    for name in ("fine", "damaged"):
        place.file(name, body)
    place.put_in_parts("fine", body, 5 * MIB, crc=crc)
    place.put_in_parts("damaged", bytes(damaged), 5 * MIB, crc=crc)
    report = place.run()
    if crc:
        assert kinds(report) == {"damaged": "checksum-mismatch"}
    else:
        assert kinds(report) == {}
        assert report.totals.unproven == 1
        assert list(report.not_comparable.values()) == [1]
        assert not report.exit_code
    assert report.totals.identical == 1


def test_second_run_reads_no_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        place.put(f"{number}", place.file(f"{number}", os.urandom(50)))
    clock = SystemClock()
    clock.sleep(0.2)  # files that were written to just now are not trusted
    place.run()

    def refuse(*_: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr("stocktake.manifests._local_digests.digest_file", refuse)
    report = place.run()
    assert report.totals.identical == 5


def test_names_are_mapped_before_anybody_is_asked(place: Place) -> None:
    place.file("raw/a", b"one")
    place.file("raw/b", b"two")
    place.put("v1/a", b"one")
    place.put("v1/b", b"TWO")
    report = place.run(names=NameMap(strip="raw/", add="v1/"))
    assert kinds(report) == {"v1/b": "checksum-mismatch"}


def test_folder_that_is_not_there_is_an_error_and_no_finding(place: Place) -> None:
    with pytest.raises(LocalFolderError):
        place.run(ShouldSpec(ShouldKind.FOLDER, str(place.folder / "gone")))
    with pytest.raises(DatasetNotFoundError):
        place.run(ShouldSpec(ShouldKind.MANIFEST, "16"))


def test_manifest_finds_what_changed_behind_its_back(place: Place) -> None:
    dataset = create_dataset(place.desk.catalog.state, DatasetSpec("16", "Sixteen", BUCKET, PREFIX))
    records = []
    for name in ("kept", "overwritten", "deleted"):
        body = name.encode().ljust(20)
        head = place.store.put(BUCKET, PREFIX + name, body)
        records.append(record(name, body, head.etag))
    dataset.commit([PutEntry(one) for one in records], Reason.SYNC)
    place.put("overwritten", b"of the same size    ")
    place.store.delete(BUCKET, [f"{PREFIX}deleted"])
    place.put("new", b"x")
    place.put(".stocktake/manifests/16_s3_manifest.json", b"{}")
    report = place.run(ShouldSpec(ShouldKind.MANIFEST, "16"))
    assert kinds(report) == {
        "overwritten": "checksum-mismatch",
        "deleted": "missing",
        "new": "extra",
    }
    assert report.totals.identical == 1


def record(name: str, body: bytes, etag: str | None) -> UploadRecord:
    return UploadRecord(
        s3_key=PREFIX + name,
        size_bytes=len(body),
        etag=etag,
        version_id=None,
        md5=hashlib.md5(body, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(body).hexdigest(),
        crc64nvme=encode_crc64nvme(crc64nvme(body)),
        part_size_bytes=None,
        token="",
        uploaded_at=SystemClock().now(),
        verified_by="checksum",
        source=name,
        source_raw=None,
        source_sha256=None,
        source_size_bytes=None,
        source_mtime_ns=None,
    )
