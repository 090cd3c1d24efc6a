"""Advice without looking: some questions, and for each answer a strategy and the reason.

The questions are data, so a terminal, a web page and the documentation ask the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stocktake.errors import UsageError
from stocktake.listing._strategy import GUARANTEES, StrategyName


@dataclass(frozen=True, slots=True)
class Answer:
    """One possible answer.

    Attributes:
        id: What to type.
        text: What it means.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answers. Answers are asked for in this order."""

    id: str
    text: str
    answers: tuple[Answer, ...]


QUESTIONS: tuple[Question, ...] = (
    Question(
        "organisation",
        "How are the files organised?",
        (
            Answer(
                "append-only",
                "append-only and time-partitioned: new files lie in folders of dates, or their "
                "names ascend with time",
            ),
            Answer(
                "random-writes",
                "random writes and millions of files: any file may be new, replaced or deleted",
            ),
            Answer("real-time", "real-time: a new file has to be known within seconds"),
            Answer("unsure", "I am not sure"),
        ),
    ),
)
"""What `stocktake plan --ask` asks."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What an answer leads to.

    Attributes:
        strategy: The recommendation.
        explanation: Why, and what it promises.
        settings: What to set with it, for `parse_settings`.
        audit: A full scan should look after it from time to time.
        instead: Strategy -> when it is the better choice.
    """

    strategy: StrategyName
    explanation: str
    audit: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    instead: Mapping[StrategyName, str] = field(default_factory=dict)


_ADVICE: Mapping[str, Advice] = {
    "append-only": Advice(
        StrategyName.PARTITIONED,
        "Only the folders of the last days are listed, and the names of all others, so a run is "
        "some dozen requests however long the history is. A file that is added to an old folder "
        "is found by the next audit.",
        audit=True,
        instead={
            StrategyName.INCREMENTAL_LEXICAL: "if there are no date folders but names ascend: it "
            "asks only for what follows the last name of each folder",
            StrategyName.FULL: "below some 100,000 files: it takes a second and sees everything",
        },
    ),
    "random-writes": Advice(
        StrategyName.FULL,
        "Nothing in the names says what is new, so everything is listed: 1,000 requests for a "
        "million files, some seconds with many at once. The difference to what was known gives "
        "new, replaced and deleted files; none is missed.",
        audit=False,
        instead={
            StrategyName.INVENTORY: "from some hundred million files on: a daily report is half "
            "the price of a listing, and a day old",
            StrategyName.EVENT_DRIVEN: "if the bucket can send events: only changes cost anything",
        },
    ),
    "real-time": Advice(
        StrategyName.EVENT_DRIVEN,
        "The bucket sends an event per change into a queue, so a file is known after seconds and "
        "nothing has to be listed. Events can be lost; a full scan from time to time finds what "
        "was, and counts it.",
        audit=True,
        instead={
            StrategyName.PARTITIONED: "if you may not configure events and there are date folders: "
            "a run every minute is cheap",
        },
    ),
    "unsure": Advice(
        StrategyName.FULL,
        "It needs no knowledge about the names, misses nothing, and costs half a cent per million "
        "files. Its runs are the evidence from which `stocktake plan` can recommend a cheaper one.",
        audit=False,
        instead={
            StrategyName.SAMPLE: "to know first how much there is: an estimate from some dozen "
            "requests",
        },
    ),
}


def advise(answer: str) -> Advice:
    """The strategy for an answer to the question how files are organised.

    Raises:
        UsageError: Not one of the answers.
    """
    advice = _ADVICE.get(answer)
    if advice is None:
        known = ", ".join(_ADVICE)
        raise UsageError(f"`{answer}` is not an answer", hint=f"answers: {known}", answer=answer)
    return advice


def guarantee_rows() -> list[dict[str, str]]:
    """One row per strategy: name, what it sees, how fresh, requests, whether it moves the claim.

    For the table in the documentation and in the terminal; in the order of `StrategyName`.
    """
    rows: list[dict[str, str]] = []
    for name in StrategyName:
        promise = GUARANTEES[name]
        rows.append(
            {
                "strategy": str(name),
                "late files": str(promise.sees_late_arrivals),
                "overwrites": str(promise.sees_overwrites),
                "deletions": str(promise.sees_deletes),
                "how old its answer is": promise.freshness,
                "requests": f"{promise.requests_per_million_keys:,.0f}",
                "proves completeness": "yes" if promise.moves_claim else "no",
            }
        )
    return rows
