"""An AWS account that answers from fixtures, and keeps its objects like the strict fake.

A fixture names requests (`GET /photos?inventory`) and their answers, as AWS documents them. What no
fixture answers goes to `FakeS3`. Signatures are made but not checked for scripted answers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stocktake.testing import FakeS3
from stocktake.testing._fake_s3_wire import Answer, Request

FIXTURES = Path(__file__).parent / "fixtures" / "aws"
ACCOUNT = "111122223333"
_SUBRESOURCES = (
    "inventory",
    "policy",
    "encryption",
    "lifecycle",
    "object-lock",
    "ownershipControls",
    "requestPayment",
    "location",
)
_VALUED = ("id", "continuation-token", "prefix")
_PUT_ANSWER = {"policy": 204}


class ScriptedAws(FakeS3):
    """The server. `answers` may be changed while it runs; `seen` are the requests it answered."""

    def __init__(self, answers: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[str] = []
        self.reset(answers)

    def reset(self, answers: dict[str, Any]) -> None:
        """Begin anew: these answers, empty buckets."""
        self.answers = dict(answers)
        self.seen.clear()
        self.buckets.clear()
        for bucket in ("photos", "reports"):
            self.create_bucket(bucket)

    def answer(self, request: Request) -> Answer:
        names = request_names(request)
        self.seen.append(names[0])
        for name in names:
            if name in self.answers:
                return self._scripted(name)
        if request.method == "PUT" and not request.key and names[0] != f"PUT /{request.bucket}":
            return self._keep(request, names[0])
        return super().answer(request)

    def _scripted(self, name: str) -> Answer:
        """A list of answers is given out one by one; its last one again and again."""
        found = self.answers[name]
        if isinstance(found, list):
            self.answers[name] = found[1:] if len(found) > 1 else found
            found = found[0]
        body = found.get("body", "")
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"content-type": "application/xml", **found.get("headers", {})}
        return Answer(found.get("status", 200), headers, text.encode())

    def _keep(self, request: Request, name: str) -> Answer:
        """A configuration that is written is given back as it was sent."""
        body = request.body.decode()
        self.answers[name.replace("PUT", "GET", 1)] = {"body": body}
        return Answer(204 if "policy" in request.query else 200)


def request_names(request: Request) -> list[str]:
    """What fixtures call a request, the most exact name first."""
    if not request.bucket:
        return [_service_name(request)]
    path = f"/{request.bucket}" + (f"/{request.key}" if request.key else "")
    if request.key or request.method == "HEAD":
        plain = f"{request.method} {path}"
        owner = request.headers.get("x-amz-expected-bucket-owner")
        return [f"{plain} owner", plain] if owner else [plain]
    kind = next((one for one in _SUBRESOURCES if one in request.query), None)
    plain = f"{request.method} {path}" + (f"?{kind}" if kind else "")
    more = "".join(f"&{one}={request.query[one]}" for one in _VALUED if one in request.query)
    return [plain + more, plain] if kind and more and "id" not in request.query else [plain + more]


def _service_name(request: Request) -> str:
    target = request.headers.get("x-amz-target", "")
    if target.startswith("TrentService."):
        return "POST kms:" + target.removeprefix("TrentService.")
    action = b"GetCallerIdentity" if b"GetCallerIdentity" in request.body else b"?"
    return f"POST sts:{action.decode()}"


def load_answers(name: str = "healthy") -> dict[str, Any]:
    """The answers of `fixtures/aws/<name>.json`."""
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))["answers"]
    return found


def scenarios() -> list[Path]:
    """Every scenario: what differs from the healthy account, and what has to be found."""
    return sorted((FIXTURES / "scenarios").glob("*.json"))


def with_scenario(scenario: dict[str, Any]) -> dict[str, Any]:
    """The healthy answers with those of a scenario over them; null takes one away."""
    answers = {**load_answers(), **scenario["answers"]}
    return {name: answer for name, answer in answers.items() if answer is not None}
