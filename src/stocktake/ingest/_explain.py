"""Why was this file (not) loaded? Everything known about one key, for one consumer (ING-5)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

from sqlalchemy import Row

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import ItemNotFoundError
from stocktake.ingest._change import Change, ChangeFeed, change_of, from_ms, to_ms
from stocktake.ingest._exceptions import rows_of
from stocktake.ingest._facts import claim_of, commits_of
from stocktake.ingest._judge import Action, Judge, Verdict
from stocktake.ingest._ledger import Consumer, LockedConsumer, is_abandoned, looked_at
from stocktake.ingest._overwrite import given_up
from stocktake.ingest._spec import ItemState, OverwritePolicy
from stocktake.model import display_key


@dataclass(frozen=True, slots=True)
class CommitFact:
    """A commit that loaded the object. `recovered`: found in the sink after a crash."""

    token: str
    worker: str
    attempt: int
    recovered: bool
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class ExplainedChange:
    """One change of the key, and what this consumer made of it.

    Attributes:
        seq: Its number in the feed.
        change: `new`, `modified` or `deleted`.
        version_id: The version, if the bucket has versions.
        etag: Of the object; None if only an event told of it, and for deletions.
        size_bytes: Of the object.
        last_modified: The store's own stamp.
        seen_at: When discovery saw it.
        origin: The strategy that saw it first.
        run_id: The run that did.
        late: A full scan found it although a partial strategy had passed it.
        state: Where it stands.
        rule: Which filter or policy decided; `all` or `include` if they let it through.
        why: One clause: why it is where it is.
        attempts: How often it was tried, as far as exceptions were noted.
        next_at: When it is tried again.
        token: The batch that holds it, or the last one that loaded it.
        worker: Who held that batch.
        commits: Every commit that loaded it.
        history: The last attempts that were noted.
    """

    seq: int
    change: str
    version_id: str | None
    etag: str | None
    size_bytes: int | None
    last_modified: datetime | None
    seen_at: datetime
    origin: str
    run_id: str
    late: bool
    state: ItemState
    rule: str
    why: str
    attempts: int = 0
    next_at: datetime | None = None
    token: str | None = None
    worker: str | None = None
    commits: tuple[CommitFact, ...] = ()
    history: tuple[dict[str, Any], ...] = ()

    def sentence(self) -> str:
        """`seen 2026-11-20T18:00:03Z by full (run run_1) as change 7 (new): loaded ...`."""
        late = ", late" if self.late else ""
        return (
            f"seen {format_utc(self.seen_at)} by {self.origin} (run {self.run_id}{late}) "
            f"as change {self.seq} ({self.change}): {self.state}, {self.why}"
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one key; changes oldest first."""

    key: str
    ingestion: str
    changes: tuple[ExplainedChange, ...]
    claim: str

    def sentence(self) -> str:
        """The newest change in one readable sentence."""
        return f"`{display_key(self.key)}` was {self.changes[-1].sentence()}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        changes = [
            {name: _plain(value) for name, value in asdict(change).items()}
            for change in self.changes
        ]
        return {
            "key": self.key,
            "ingestion": self.ingestion,
            "sentence": self.sentence(),
            "claim": self.claim,
            "changes": changes,
        }


def explain_key(consumer: Consumer, feed: ChangeFeed, key: str, claim: str) -> Explanation:
    """Everything about a key.

    Raises:
        ItemNotFoundError: It was never seen; the hint says where it is not, or which key is near.
    """
    history = feed.history(key)
    if not history:
        raise _never_seen(consumer, feed, key, claim)
    changes = [change_of(row) for row in history]
    facts = _Facts(consumer, changes)
    with looked_at(consumer) as here:
        explained = tuple(
            _explained(facts, here, row, change)
            for row, change in zip(history, changes, strict=True)
        )
    return Explanation(key, consumer.spec.name, explained, claim)


class _Facts:
    """What the filters and the policy say, as far as it can be said again."""

    def __init__(self, consumer: Consumer, changes: list[Change]) -> None:
        self.consumer = consumer
        self.now = consumer.now()
        self._judge = Judge(consumer.spec)
        self._policies: dict[int, Verdict] = {}
        if consumer.spec.overwrite is OverwritePolicy.LATEST_ONLY:
            self._policies = given_up(changes)

    def verdict(self, change: Change) -> Verdict:
        """Of the filters; if they let it through, of the policy."""
        verdict = self._judge.judge(change, to_ms(self.now))
        if verdict.action is Action.LOAD:
            return self._policies.get(change.seq, verdict)
        return verdict


def _explained(
    facts: _Facts, here: LockedConsumer, row: dict[str, Any], change: Change
) -> ExplainedChange:
    verdict = facts.verdict(change)
    return ExplainedChange(
        seq=change.seq,
        change=change.change,
        version_id=change.version_id,
        etag=change.etag,
        size_bytes=change.size_bytes,
        last_modified=None if change.modified_ms is None else from_ms(change.modified_ms),
        seen_at=from_ms(change.observed_ms),
        origin=row["origin"],
        run_id=row["run_id"],
        late=row["late"],
        rule=verdict.rule,
        **_standing(facts, here, change.seq, verdict),
    )


def _standing(facts: _Facts, here: LockedConsumer, seq: int, verdict: Verdict) -> dict[str, Any]:
    """State, reason and what goes with them."""
    found = rows_of(here.connection, here.id, [seq])
    known = found[0] if found else None
    commits = tuple(_commit(row) for row in commits_of(here, seq))
    noted: dict[str, Any] = {"commits": commits}
    if known is not None:
        noted |= {"attempts": known.attempts, "history": tuple(known.history)}
    if seq in here.seqs.claimed:
        return noted | _in_hand(facts, claim_of(here, seq))
    if not here.seqs.is_settled(seq):
        return noted | _open(known, verdict)
    if known is not None and known.state not in (ItemState.DONE, ItemState.DISCOVERED):
        return noted | {"state": ItemState(known.state), "why": known.reason}
    if commits:
        last = commits[-1]
        how = "found in the sink after a crash" if last.recovered else "loaded"
        why = f"{how} {format_utc(last.committed_at)} by {last.worker} in the batch {last.token}"
        return noted | {
            "state": ItemState.DONE,
            "why": why,
            "token": last.token,
            "worker": last.worker,
        }
    return noted | {"state": ItemState.SKIPPED, "why": _skipped(here, seq, verdict)}


def _skipped(here: LockedConsumer, seq: int, verdict: Verdict) -> str:
    if verdict.action is Action.SKIP:
        return verdict.sentence()
    if seq <= here.start_seq:
        return "it was there before the ingestion began, which loads new objects only"
    return "an earlier version of this key was loaded, and the policy is once per key"


def _in_hand(facts: _Facts, row: Row[Any] | None) -> dict[str, Any]:
    if row is None:
        return {"state": ItemState.CLAIMED, "why": "it is in a batch"}
    until = f"its lease ends {row.lease_until}"
    if is_abandoned(row, facts.now):
        until = "which the next worker takes over"
    why = f"{row.worker} has it in the batch {row.id} (attempt {row.attempt}), {until}"
    if row.error is not None:
        why += f"; its last load failed: {row.error['code']}: {row.error['message']}"
    return {"state": ItemState.CLAIMED, "why": why, "token": row.id, "worker": row.worker}


def _open(known: Row[Any] | None, verdict: Verdict) -> dict[str, Any]:
    if known is not None and known.state == ItemState.RETRY:
        return {
            "state": ItemState.RETRY,
            "why": f"tried again {known.next_at} after {known.reason}",
            "next_at": parse_utc(known.next_at),
        }
    why = f"waiting for a worker: {verdict.sentence()}"
    if verdict.action is not Action.LOAD:
        why = f"not loaded: {verdict.sentence()}"
    if known is not None:
        why += f" ({known.reason})"
    return {"state": ItemState.DISCOVERED, "why": why}


def _commit(row: Row[Any]) -> CommitFact:
    return CommitFact(
        token=row.token,
        worker=row.worker,
        attempt=row.attempt,
        recovered=bool(row.recovered),
        committed_at=parse_utc(row.committed_at),
    )


def _never_seen(consumer: Consumer, feed: ChangeFeed, key: str, claim: str) -> ItemNotFoundError:
    source = consumer.spec.source
    shown = display_key(key)
    near = [found for found in _spellings(key, source.bucket, source.key) if feed.history(found)]
    if near:
        hint = f"did you mean `{display_key(near[0])}`?"
    elif not key.startswith(source.key):
        hint = f"it is outside `{source}`, which is all that this ingestion sees"
    else:
        hint = f"discovery is {claim}; discover again if the object is younger"
    return ItemNotFoundError(
        f"`{shown}` was never seen below `{source}`", hint=hint, key=key, near=near
    )


def _spellings(key: str, bucket: str, prefix: str) -> Iterator[str]:
    """Other keys that somebody who wrote this one may mean, each once."""
    bare = key.removeprefix(f"s3://{bucket}/")
    forms = [bare, bare.lstrip("/"), unquote(bare), unquote_plus(bare)]
    forms += [unicodedata.normalize(form, bare) for form in ("NFC", "NFD")]
    seen = {key}
    for form in (*forms, *(prefix + form.lstrip("/") for form in forms)):
        if form and form.startswith(prefix) and form not in seen:
            seen.add(form)
            yield form


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_utc(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
