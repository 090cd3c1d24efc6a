"""A genuine storage server that pushes its notifications to our webhook: EVT-1, EVT-3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest

from stocktake.clock import SystemClock
from stocktake.events import EventKind, Webhook, held_events, list_quarantined
from stocktake.state import open_state
from stocktake.testing import Server
from stocktake.testing._nasty import HEAD, TAIL

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def client(server: Server, service: str) -> Any:
    session = botocore.session.Session()
    credentials = server.credentials
    session.set_credentials(credentials.access_key_id, credentials.secret_access_key)
    return session.create_client(
        service, region_name=server.region, endpoint_url=server.endpoint_url
    )


def test_ceph_pushes_every_kind_of_key(rgw: Server, tmp_path: Path) -> None:
    """Ceph sends keys as they are, and its answer to a PUT waits for ours."""
    keys = ["in/a+b c%2F.txt", "plain", *(key for key in (*HEAD, *TAIL) if key.isprintable())]
    s3, sns = client(rgw, "s3"), client(rgw, "sns")
    with (
        open_state(f"sqlite:///{tmp_path / 'state.db'}", clock=SystemClock()) as state,
        Webhook(state) as webhook,
    ):
        topic = sns.create_topic(Name="changes", Attributes={"push-endpoint": webhook.url})
        s3.create_bucket(Bucket="pushed")
        s3.put_bucket_notification_configuration(
            Bucket="pushed",
            NotificationConfiguration={
                "TopicConfigurations": [
                    {
                        "Id": "all",
                        "TopicArn": topic["TopicArn"],
                        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
                    }
                ]
            },
        )
        for key in keys:
            s3.put_object(Bucket="pushed", Key=key, Body=b"12345")
        s3.delete_object(Bucket="pushed", Key="plain")
        events = {event.key: event for event in held_events(state, "pushed", "", 10_000)}
        assert list_quarantined(state) == []
        assert webhook.metrics.received == len(keys) + 1
    assert sorted(events) == sorted(set(keys))
    assert events.pop("plain").kind is EventKind.DELETED
    for event in events.values():
        assert (event.kind, event.size_bytes) == (EventKind.CREATED, 5)
        assert event.etag == "827ccb0eea8a706c4c34a16891f84e7b"
        assert event.sequencer is not None
