"""Batches handed to a command (`--exec`). No token is kept: a batch may come twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stocktake.clock import Clock, format_utc
from stocktake.errors import InvalidSettingError, SinkError
from stocktake.ingest._sink import Item, Landed, OpenItems
from stocktake.ingest.sinks._failures import OF_THE_OBJECT
from stocktake.ingest.sinks._process import Run, run_command
from stocktake.model import S3Url
from stocktake.store import ObjectBody

PLACEHOLDERS = ("key", "url", "version_id", "etag", "size_bytes", "seq")
_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
COMMAND_S = 3600.0
_PIECE_BYTES = 1 << 20
_RENEW_S = 5.0


class CommandInput(StrEnum):
    """What a command that is run for every object reads from standard input."""

    NONE = "none"
    CONTENT = "content"
    """The bytes of exactly the discovered version."""


@dataclass(frozen=True, slots=True)
class SinkCommand:
    """What to run.

    Attributes:
        argv: Program and arguments. `{key}`, `{url}`, `{version_id}`, `{etag}`, `{size_bytes}` and
            `{seq}` are replaced, and with one of them the command runs once per object; without, it
            runs once per batch and reads the objects as JSON lines.
        content: What a command run per object reads.
        timeout_s: Longest time of one run; None waits for ever.
    """

    argv: tuple[str, ...]
    content: CommandInput = CommandInput.NONE
    timeout_s: float | None = COMMAND_S

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if not self.argv or not self.argv[0]:
            raise InvalidSettingError("the sink has no command to run")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise InvalidSettingError("a command's time-out must be more than 0 seconds")

    @property
    def runs_per_item(self) -> bool:
        """True if the command is run for every object, not for every batch."""
        return self.content is CommandInput.CONTENT or any(
            _PLACEHOLDER.search(part) for part in self.argv
        )

    def argv_of(self, item: Item, bucket: str) -> list[str]:
        """The arguments for one object. What is not known (a version id) is an empty text."""
        values = {
            "key": item.key,
            "url": str(S3Url(bucket, item.key)),
            "version_id": item.version_id or "",
            "etag": item.etag or "",
            "size_bytes": "" if item.size_bytes is None else str(item.size_bytes),
            "seq": str(item.seq),
        }
        return [_PLACEHOLDER.sub(lambda found: values[found[1]], part) for part in self.argv]


class CommandSink:
    """Runs a command per batch or per object; at least once, since it keeps no tokens.

    Both kinds have STOCKTAKE_TOKEN, STOCKTAKE_CONSUMER and STOCKTAKE_BUCKET in their environment;
    a command that stores the token with its data can tell a repetition.

    Per batch: standard input has one JSON object per line (`seq`, `key`, `bucket`, `url`,
    `version_id`, `etag`, `size_bytes`, `last_modified`, `deleted`, `attempt`). Status 0 says that
    everything is loaded, but for objects about which standard output has a line such as
    `{"seq": 7, "ok": false, "error": "no such column"}`; other lines are passed over. Any other
    status is the failure of the batch.

    Per object: any status but 0 is the failure of that object. Deletions are passed over.

    A command runs as a process group of its own, which is ended when the time is over, the lease is
    lost or the ingestion is stopped.

    Args:
        command: What to run.
        clock: For time-outs.
    """

    keeps_tokens = False

    def __init__(self, command: SinkCommand, clock: Clock) -> None:
        self._command = command
        self._clock = clock

    def load(self, batch: OpenItems) -> None:
        """Run the command for everything in the batch.

        Raises:
            SinkError: It did not take the batch; the message ends with what it wrote.
            InvalidSettingError: It cannot be run at all.
        """
        if not batch.items:
            return
        if not self._command.runs_per_item:
            self._load_batch(batch)
            return
        for item in list(batch.items):
            if not item.deleted:
                self._load_item(batch, item)

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        """Nothing is known."""
        del consumer, tokens
        return {}

    def close(self) -> None:
        """Nothing to give back."""

    def _load_batch(self, batch: OpenItems) -> None:
        items = list(batch.items)
        answers = _Answers(items)
        feed = (_json_line(item, batch.bucket) for item in items)
        ended = run_command(self._run(batch, self._command.argv, feed, answers.take), self._clock)
        if not ended.is_good:
            raise SinkError(
                f"the command `{self._command.argv[0]}` {ended.describe()}", retryable=False
            )
        for item, error in answers.failed:
            batch.fail(item, SinkError(error, retryable=False, key=item.key))

    def _load_item(self, batch: OpenItems, item: Item) -> None:
        if self._command.content is CommandInput.NONE:
            self._run_item(batch, item, ())
            return
        with batch.open(item) as body:
            if body is not None:
                self._run_item(batch, item, _pieces(body))

    def _run_item(self, batch: OpenItems, item: Item, feed: Iterable[bytes]) -> None:
        batch.renew()
        argv = self._command.argv_of(item, batch.bucket)
        try:
            ended = run_command(self._run(batch, argv, feed, lambda _: None), self._clock)
        except (SinkError, *OF_THE_OBJECT) as error:
            batch.fail(item, error)
            return
        if not ended.is_good:
            said = f"the command `{argv[0]}` {ended.describe()}"
            batch.fail(item, SinkError(said, retryable=False, key=item.key))

    def _run(
        self,
        batch: OpenItems,
        argv: Sequence[str],
        feed: Iterable[bytes],
        line: Callable[[bytes], None],
    ) -> Run:
        environment = {
            "STOCKTAKE_TOKEN": batch.token,
            "STOCKTAKE_CONSUMER": batch.consumer,
            "STOCKTAKE_BUCKET": batch.bucket,
        }
        return Run(argv, environment, feed, line, self._beat(batch), self._command.timeout_s)

    def _beat(self, batch: OpenItems) -> Callable[[], None]:
        last_s = self._clock.monotonic_s()

        def beat() -> None:
            nonlocal last_s
            if self._clock.monotonic_s() - last_s > _RENEW_S:
                batch.renew()
                last_s = self._clock.monotonic_s()

        return beat


def _pieces(body: ObjectBody) -> Iterator[bytes]:
    while piece := body.read(_PIECE_BYTES):
        yield piece


class _Answers:
    """What a command says about single objects."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = {item.seq: item for item in items}
        self._errors: dict[int, str] = {}

    @property
    def failed(self) -> list[tuple[Item, str]]:
        """Objects that it did not load, and why."""
        return [(self._items[seq], error) for seq, error in sorted(self._errors.items())]

    def take(self, line: bytes) -> None:
        """One line of its output; anything but an answer is passed over."""
        try:
            answer = json.loads(line)
        except ValueError:
            return
        seq = answer.get("seq") if isinstance(answer, dict) else None
        if not isinstance(seq, int) or seq not in self._items:
            return
        if answer.get("ok") is False:
            self._errors[seq] = str(answer.get("error") or "the command did not load it")
        elif answer.get("ok") is True:
            self._errors.pop(seq, None)


def _json_line(item: Item, bucket: str) -> bytes:
    row = {
        "seq": item.seq,
        "key": item.key,
        "bucket": bucket,
        "url": str(S3Url(bucket, item.key)),
        "version_id": item.version_id,
        "etag": item.etag,
        "size_bytes": item.size_bytes,
        "last_modified": None if item.last_modified is None else format_utc(item.last_modified),
        "deleted": item.deleted,
        "attempt": item.attempt,
    }
    return json.dumps(row).encode() + b"\n"
