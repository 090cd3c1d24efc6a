"""An account with an inventory, and a report of this night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from aws_account import ScriptedAws, load_answers
from stocktake.clock import FixedClock
from stocktake.inventory import ReportFormat, ReportSpec, write_report
from stocktake.model import S3Url, object_schema
from stocktake.setup import CheckRequest, SetupReport, check_setup
from stocktake.store import RetryPolicy, Store, open_account, open_store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TONIGHT = datetime(2026, 11, 21, 1, tzinfo=UTC)
QUICK = RetryPolicy(attempts_max=2, base_s=0.0, cap_s=0.0)


class Desk:
    """The account, a store that reaches it, and the check."""

    def __init__(self, aws: ScriptedAws) -> None:
        self.aws = aws
        self.options = aws.options(retry=QUICK)
        self.store: Store = open_store(self.options)
        self.account = open_account(self.options)
        self.clock = FixedClock(NOW)

    def deliver(self, stamp: datetime = TONIGHT, prefix: str = "inv", **more: Any) -> None:
        """One report, as S3 would put it there."""
        batch = pa.RecordBatch.from_pylist(
            [{"key": f"a/{n}.jpg", "size_bytes": n} for n in range(3)],
            schema=object_schema(("key", "size_bytes")),
        )
        spec = ReportSpec(
            S3Url("reports", prefix),
            "photos",
            more.pop("config_id", "daily"),
            stamp,
            file_format=ReportFormat.PARQUET,
            columns=("bucket", "key", "size_bytes"),
            **more,
        )
        write_report(self.store, spec, [batch])

    def check(self, **request: Any) -> SetupReport:
        return check_setup(
            self.store, self.account, CheckRequest("photos", **request), clock=self.clock
        )

    def close(self) -> None:
        self.store.close()
        self.account.close()


@pytest.fixture(scope="session")
def account_desk() -> Iterator[Desk]:
    """One server and one set of clients for all tests: these take long to make."""
    with ScriptedAws({}) as aws:
        desk = Desk(aws)
        yield desk
        desk.close()


@pytest.fixture
def make_desk(account_desk: Desk) -> Callable[[dict[str, Any]], Desk]:
    """The account with these answers, and empty buckets."""

    def make(answers: dict[str, Any]) -> Desk:
        account_desk.aws.reset(answers)
        account_desk.clock = FixedClock(NOW)
        return account_desk

    return make


@pytest.fixture
def desk(make_desk: Callable[[dict[str, Any]], Desk]) -> Desk:
    """The healthy account, before its first report."""
    return make_desk(load_answers())
