"""Which credentials count: all of them from the first place that has any."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stocktake.errors import ShipSettingError

if TYPE_CHECKING:
    from stocktake.ship._settings_layers import Layer


@dataclass(frozen=True, slots=True)
class Credentials:
    """Static credentials, or a profile, or nothing: then they are looked up the AWS way."""

    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None


def choose_identity(layers: list[Layer]) -> Credentials:
    """The credentials of the first layer that has some.

    Raises:
        ShipSettingError: A key without its secret, or the other way round.
    """
    for layer in layers:
        profile = layer.values.get("profile")
        key_id = layer.secrets.get("AWS_ACCESS_KEY_ID")
        secret = layer.secrets.get("AWS_SECRET_ACCESS_KEY")
        if key_id or secret:
            if not (key_id and secret):
                there, lacking = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
                if secret:
                    there, lacking = lacking, there
                raise ShipSettingError(
                    f"`{there}`{layer.where} is set and `{lacking}` is not",
                    hint="set both, in the same place",
                    setting=lacking,
                )
            return Credentials(key_id, secret, layer.secrets.get("AWS_SESSION_TOKEN"))
        if profile:
            return Credentials(profile=profile)
    return Credentials()
