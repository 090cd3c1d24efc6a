"""What the inventory configuration adds to a report: its filter, which no manifest carries."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from stocktake.errors import StoreError
from stocktake.store import Store


@dataclass(frozen=True, slots=True)
class ConfigurationFacts:
    """The configuration as it is today, which need not be the one that made an old report.

    Attributes:
        prefix: The filter; '' is the whole bucket. None: could not be read.
        config_hash: SHA-256 of the configuration; None: could not be read.
        outcome: `read`, or why not, for people.
    """

    prefix: str | None
    config_hash: str | None
    outcome: str


def read_configuration(store: Store, bucket: str, config_id: str) -> ConfigurationFacts:
    """Ask the source bucket for one inventory configuration.

    Needs s3:GetInventoryConfiguration. Refused, absent, unsupported or failing (there are stores
    that answer 500) is not an error: the report can be read without, its filter is then unknown.
    """
    try:
        answer = store.describe("GetBucketInventoryConfiguration", bucket, Id=config_id)
    except StoreError as error:
        return ConfigurationFacts(None, None, error.message)
    configuration = answer.get("InventoryConfiguration")
    if not isinstance(configuration, dict) or configuration.get("Id") != config_id:
        return ConfigurationFacts(None, None, "the answer is about another configuration")
    prefix = (configuration.get("Filter") or {}).get("Prefix", "")
    return ConfigurationFacts(str(prefix), _hash(configuration), "read")


def _hash(configuration: dict[str, Any]) -> str:
    text = json.dumps(configuration, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
