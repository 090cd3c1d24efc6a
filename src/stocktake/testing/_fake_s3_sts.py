"""The fake's AssumeRole: temporary credentials for tests of role chains."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from stocktake.testing._fake_s3_auth import Identity, check_signature
from stocktake.testing._fake_s3_wire import Answer, Request, iso_time
from stocktake.testing._object_table import Refused

ASSUMED_KEY_ID = "ASSUMED"


def assume_role(
    request: Request, identities: MutableMapping[str, Identity], now: datetime
) -> Answer:
    """Credentials that are good for an hour and need their session token."""
    fields = parse_qs(request.body.decode())
    if fields.get("Action") != ["AssumeRole"]:
        raise Refused(501, "NotImplemented", "only AssumeRole")
    if check_signature(request, identities, now) is None:
        raise Refused(403, "AccessDenied", "sign it")
    identities[ASSUMED_KEY_ID] = Identity("assumed-secret", "assumed-token")
    expires = iso_time(now + timedelta(hours=1))
    text = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
        f"<Credentials><AccessKeyId>{ASSUMED_KEY_ID}</AccessKeyId>"
        "<SecretAccessKey>assumed-secret</SecretAccessKey>"
        f"<SessionToken>assumed-token</SessionToken><Expiration>{expires}</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    return Answer(200, {"content-type": "text/xml"}, text.encode())
