"""One store after the other, with what it is known to do differently."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from stocktake.store import (
    ListQuery,
    RetryPolicy,
    S3StoreOptions,
    Store,
    iter_listing,
    open_store,
)
from stocktake.telemetry import Meter
from stocktake.testing import FakeS3, MemoryStore

QUICK = RetryPolicy(attempts_max=4, base_s=0.01, cap_s=0.05)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Traits:
    """What a store does where S3 is the rule; every default is S3's behaviour.

    A test asserts the deviation where one is declared, so a server that learns better is noticed.
    """

    name: str
    over_http: bool = True
    checks_signatures: bool = True
    put_if_match: bool = True
    put_if_absent_is_atomic: bool = True
    complete_if_absent: bool = True
    keeps_inventory_configurations: bool = True
    refuses_small_parts: bool = True
    refuses_long_keys: bool = True
    start_after_hides_its_folder: bool = True
    key_characters_refused: str = ""
    versions_in_key_order: bool = True
    checks_put_crc64nvme: bool = True
    tells_crc64nvme: bool = True
    takes_full_object_crc64nvme: bool = True
    checks_full_object_crc64nvme: bool = True
    tells_full_object_crc64nvme: bool = True
    checks_upload_size: bool = True
    complete_if_match: bool = True
    tells_when_uploads_began: bool = True
    forgets_ended_uploads: bool = True
    is_s3_to_the_letter: bool = True


TRAITS = {
    traits.name: traits
    for traits in (
        Traits("memory", over_http=False, checks_signatures=False),
        Traits("fake"),
        Traits(
            "ministack",
            checks_signatures=False,
            keeps_inventory_configurations=False,
            refuses_small_parts=False,
            refuses_long_keys=False,
            takes_full_object_crc64nvme=False,
            is_s3_to_the_letter=False,
        ),
        Traits(
            "moto",
            checks_put_crc64nvme=False,
            tells_crc64nvme=False,
            checks_full_object_crc64nvme=False,
            checks_upload_size=False,
            complete_if_match=False,
            tells_when_uploads_began=False,
            is_s3_to_the_letter=False,
            checks_signatures=False,
            refuses_long_keys=False,
            key_characters_refused="\n",
            versions_in_key_order=False,
        ),
        Traits(
            "swift",
            tells_crc64nvme=False,
            checks_full_object_crc64nvme=False,
            tells_full_object_crc64nvme=False,
            checks_upload_size=False,
            complete_if_match=False,
            forgets_ended_uploads=False,
            is_s3_to_the_letter=False,
            put_if_match=False,
            put_if_absent_is_atomic=False,
            keeps_inventory_configurations=False,
            start_after_hides_its_folder=False,
        ),
        Traits(
            "rgw",
            checks_put_crc64nvme=False,
            tells_crc64nvme=False,
            checks_full_object_crc64nvme=False,
            tells_full_object_crc64nvme=False,
            checks_upload_size=False,
            complete_if_match=False,
            is_s3_to_the_letter=False,
            complete_if_absent=False,
            keeps_inventory_configurations=False,
        ),
    )
}


@dataclass
class Subject:
    """The store under test, its traits, and a bucket of its own for every test."""

    store: Store
    traits: Traits
    bucket: str
    meter: Meter
    options: S3StoreOptions | None = None

    def keys(self, query: ListQuery) -> list[str]:
        """The keys of all pages, in the order they came."""
        pages = iter_listing(self.store, query)
        return [entry.key for page in pages for entry in page.objects]


_PARAMETERS = [
    pytest.param("memory"),
    pytest.param("fake"),
    pytest.param("ministack", marks=pytest.mark.servers),
    pytest.param("moto", marks=pytest.mark.servers),
    pytest.param("swift", marks=pytest.mark.servers),
    pytest.param("rgw", marks=[pytest.mark.servers, pytest.mark.slow]),
]


@pytest.fixture(scope="session")
def contract_fake() -> Iterator[FakeS3]:
    with FakeS3() as fake:
        yield fake


@pytest.fixture(scope="module", params=_PARAMETERS)
def connected(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """One store for all tests of a module; its buckets are made per test."""
    name = request.param
    meter = Meter()
    if name == "memory":
        yield Subject(MemoryStore(meter=meter), TRAITS[name], "", meter)
        return
    server = request.getfixturevalue("contract_fake" if name == "fake" else name)
    options = server.options(retry=QUICK, read_timeout_s=30)
    store = open_store(options, meter=meter)
    yield Subject(store, TRAITS[name], "", meter, options)
    store.close()


@pytest.fixture
def subject(connected: Subject) -> Subject:
    """The store with a new, empty bucket."""
    connected.bucket = f"contract-{next(_numbers)}"
    connected.store.describe("CreateBucket", connected.bucket)
    return connected
