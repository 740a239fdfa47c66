"""One portion through the model: filter, ask, join; and when the model refuses, which records are bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sagestead.domain.transform import TransformTask
from sagestead.worker.contract import Answer, Invocation, Model
from sagestead.worker.transform.bad_records import find_bad
from sagestead.worker.transform.joining import Joining, Unjoinable
from sagestead.worker.transform.payloads import Payload, Portion

MOST_BAD = 10
_CAUSE = 300
_SERVER_ERROR = 500
_OK = (200, 204)
_ABOUT_RECORDS = (400, 415, 422)
Record = TypeVar("Record", str, bytes)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a payload was refused.

    Attributes:
        status: of the model's answer; None when a filter or join failed.
        text: the model's answer, or the sentence.
        bad: (record number or 0, cause), in order.
    """

    status: int | None
    text: str
    bad: list[tuple[int, str]]

    @property
    def is_final(self) -> bool:
        """True when the whole object is to blame, not some of its records."""
        return any(record == 0 for record, _ in self.bad)

    @property
    def is_algorithms_fault(self) -> bool:
        """True when the model failed, not its input."""
        return self.status is not None and self.status >= _SERVER_ERROR


@dataclass(slots=True)
class Outcome:
    """What a portion came to: the bytes to write, and what was refused."""

    written: bytes = b""
    refused: list[Refused] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        """True when the rest of the object would be refused for the same reason."""
        return any(refused.is_final for refused in self.refused)


@dataclass(frozen=True, slots=True)
class Asking:
    """How the payloads of a job are put to the model."""

    task: TransformTask
    model: Model
    joining: Joining | None

    def work(self, portion: Portion) -> Outcome:
        """Return what to write for a portion; runs on a thread."""
        outcome = Outcome()
        bodies = []
        for payload in portion:
            try:
                bodies.append(self._assembled(self._answered(payload)))
            except _Refusal as refusal:
                outcome.refused.append(refusal.refused)
                if refusal.refused.is_final or len(outcome.refused) >= MOST_BAD:
                    break
        outcome.written = b"" if outcome.refused else b"".join(bodies)
        return outcome

    def _answered(self, payload: Payload) -> bytes:
        """Return the body to write for one payload; raise `_Refusal`."""
        if self.joining is None:
            answer = self._ask(payload.body)
            if answer.status not in _OK:
                raise _Refusal(self._refused(payload, payload.body.split(b"\n"), answer, b"\n".join))
            return answer.body
        try:
            records = self.joining.records(payload.body)
            sent = self.joining.sent(records)
            answer = self._ask("\n".join(sent).encode())
            if answer.status not in _OK:
                raise _Refusal(self._refused(payload, sent, answer, lambda part: "\n".join(part).encode()))
            written = self.joining.written(records, self.joining.records(answer.body))
            newline = "\n" if answer.body.endswith(b"\n") else ""
            return ("\n".join(written) + newline).encode()
        except Unjoinable as error:
            bad = [(payload.first + error.place, str(error))]
            raise _Refusal(Refused(None, str(error), bad)) from None

    def _ask(self, body: bytes) -> Answer:
        return self.model.invoke(
            Invocation(body, content_type=self.task.content_type, accept=self.task.accept)
        )

    def _refused(
        self,
        payload: Payload,
        records: Sequence[Record],
        answer: Answer,
        join: Callable[[Sequence[Record]], bytes],
    ) -> Refused:
        """Say what is wrong with a payload that the model refused."""
        text = answer.body.decode("utf-8", "replace")
        if answer.status not in _ABOUT_RECORDS or self.task.split_type == "None":
            return Refused(answer.status, text, [(0, _cause(answer))])
        if payload.count == 1:
            return Refused(answer.status, text, [(payload.first, _cause(answer))])
        if self.task.split_type != "Line":
            among = f"among records {payload.first} to {payload.first + payload.count - 1}: {_cause(answer)}"
            return Refused(answer.status, text, [(payload.first, among)])

        def why(part: Sequence[Record]) -> str | None:
            again = self._ask(join(part))
            return None if again.status in _OK else _cause(again)

        bad = find_bad(records, _cause(answer), why, MOST_BAD)
        return Refused(answer.status, text, [(payload.first + index, cause) for index, cause in bad])

    def _assembled(self, body: bytes) -> bytes:
        if self.task.assemble_with == "Line" and not body.endswith(b"\n"):
            return body + b"\n"
        return body


class _Refusal(Exception):  # noqa: N818 - carries the refusal out of a payload's work
    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.text)
        self.refused = refused


def _cause(answer: Answer) -> str:
    """Return the last line of a refusal, where libraries say what is wrong; of a page only its status."""
    lines = [line.strip() for line in answer.body.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or lines[0].startswith("<"):
        return f"the model answered with HTTP status {answer.status}"
    return lines[-1][:_CAUSE]
