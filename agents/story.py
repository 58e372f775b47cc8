"""What became of a disconnection, in words that an administrator understands: in a sentence, and step by step."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.formats import date_format
from django.utils.timezone import localtime

from agents.kinds import kind_of
from agents.models import AgentSession, Disconnection
from agents.progress import Progress
from agents.states import State
from audit.actions import Action
from audit.models import Event


@dataclass(frozen=True)
class Step:
    """`answer`: what the remote said, as received; `state` is one that the style sheet has a mark for."""

    title: str
    text: str = ""
    answer: str = ""
    state: str = "neutral"
    at: datetime | None = None
    by: str = ""


def story_of(events: Iterable[Event]) -> list[Step]:
    """The steps of one disconnection's events, oldest first."""
    steps: list[Step] = []
    answered_at: datetime | None = None
    for event in events:
        tell = _TOLD.get(event.action)
        step = tell(event.details) if tell else Step(event.action_words, event.details.get("explanation", ""))
        if event.action in _ANSWERS:
            answered_at = event.at
        if event.action in _PROVED and answered_at:
            after = f"That was {_lapse(event.at - answered_at)} after the remote's answer."
            step = replace(step, text=f"{step.text} {after}")
        steps.append(replace(step, at=event.at, by=_by(event)))
    return steps


def _by(event: Event) -> str:
    """Who did it, where it was not the console; what is queued at once says so already."""
    return "" if event.actor_kind == "console" or event.action == Action.DISCONNECTION_QUEUED else event.actor_label


def _lapse(delta: timedelta) -> str:
    seconds = delta.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    return f"{seconds:.0f}\N{NO-BREAK SPACE}s" if seconds < 120 else f"{seconds / 60:.0f}\N{NO-BREAK SPACE}min"


def _explained(title: str, state: str) -> Callable[[dict[str, Any]], Step]:
    return lambda data: Step(title, str(data.get("explanation", "")), state=state)


def _requested(data: dict[str, Any]) -> Step:
    count = data.get("sessions", 1)
    return Step("Asked for", f"{count} agent sessions in one operation." if count != 1 else "")


def _queued(data: dict[str, Any]) -> Step:
    return Step("Queued", "Written down; a worker sends it as soon as the remote’s limits let it.", state="queued")


def _sent(data: dict[str, Any]) -> Step:
    return Step(
        f"Attempt {data.get('attempt', 1)} begun", "The request to end the session goes to the remote.", state="sending"
    )


def _requeued(data: dict[str, Any]) -> Step:
    return Step(
        f"Attempt {data.get('attempt', 1)} did not arrive",
        f"{_sentence(data.get('why'))} Nothing was done, so it is tried again.",
        _status(data),
        state="queued",
    )


def _answer_lost(data: dict[str, Any]) -> Step:
    return Step(
        f"No usable answer to attempt {data.get('attempt', 1)}",
        f"{_sentence(data.get('why'))} It may have arrived: it is not repeated unless a later reading still lists the "
        "session, and not as closing.",
        _status(data),
        state="warn",
    )


def _answered_no(data: dict[str, Any]) -> Step:
    return Step(
        "The remote said no",
        "A reading tells whether it still lists the session.",
        " ".join(filter(None, [_status(data), str(data.get("code") or ""), str(data.get("message") or "")])),
        state="warn",
    )


def _accepted(data: dict[str, Any]) -> Step:
    text = f"{data.get('explanation', '')} That is a promise, not yet a proof: the list is read to see it gone."
    return Step("Accepted by the remote", text.strip(), _status(data), state="accepted")


def _came_back(data: dict[str, Any]) -> Step:
    return Step("The agent came back", f"It has a new session, {data.get('session_id', '')}.", state="came_back")


def _late_answer(data: dict[str, Any]) -> Step:
    return Step(
        "An answer came too late",
        f"The worker of attempt {data.get('attempt', 1)} had lost its lease by then; what it brought changes nothing.",
    )


def _already_open(data: dict[str, Any]) -> Step:
    return Step("Asked for once more", "By somebody who was shown this operation instead; nothing was added to it.")


def _seen_gone(data: dict[str, Any]) -> Step:
    return Step("Seen gone", "A later reading no longer lists the session. The outcome stays as it was.", state="ended")


def _status(data: dict[str, Any]) -> str:
    return f"status {data['status']}" if data.get("status") else ""


def _sentence(why: object) -> str:
    text = str(why or "").strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


_TOLD: dict[str, Callable[[dict[str, Any]], Step]] = {
    Action.OPERATION_REQUESTED: _requested,
    Action.DISCONNECTION_QUEUED: _queued,
    Action.DISCONNECTION_ALREADY_OPEN: _already_open,
    Action.DISCONNECTION_SENT: _sent,
    Action.DISCONNECTION_REQUEUED: _requeued,
    Action.DISCONNECTION_ANSWER_LOST: _answer_lost,
    Action.DISCONNECTION_ANSWERED_NO: _answered_no,
    Action.DISCONNECTION_LATE_ANSWER: _late_answer,
    Action.DISCONNECTION_ACCEPTED: _accepted,
    Action.DISCONNECTION_CONFIRMED: _explained("Confirmed: the session is gone", "confirmed"),
    Action.DISCONNECTION_ALREADY_GONE: _explained("Already gone", "already_gone"),
    Action.DISCONNECTION_STILL_CONNECTED: _explained("Still connected", "still_connected"),
    Action.DISCONNECTION_REFUSED: _explained("Refused", "refused"),
    Action.DISCONNECTION_FAILED: _explained("Failed", "failed"),
    Action.DISCONNECTION_UNKNOWN: _explained("Outcome unknown", "unknown"),
    Action.DISCONNECTION_CANCELLED: _explained("Cancelled", "cancelled"),
    Action.DISCONNECTION_CAME_BACK: _came_back,
    Action.DISCONNECTION_SEEN_GONE: _seen_gone,
}
_ANSWERS = {
    Action.DISCONNECTION_ACCEPTED,
    Action.DISCONNECTION_ANSWER_LOST,
    Action.DISCONNECTION_ANSWERED_NO,
}
_PROVED = {Action.DISCONNECTION_CONFIRMED, Action.DISCONNECTION_STILL_CONNECTED}


# --- In a sentence -----------------------------------------------------------------------------------------------


def summary_of(row: Disconnection) -> str:
    """Where this disconnection stands, or how it ended, and what to do where something is to be done."""
    return " ".join(filter(None, [_standing(row), _TO_DO.get(State(row.state), "")]))


def _standing(row: Disconnection) -> str:
    match row.state, row.answer:
        case State.QUEUED, _:
            return f"Waiting to be sent. {row.explanation}".strip()
        case State.SENDING, Disconnection.Answer.LOST:
            return f"{row.explanation} The next reading of the list shows what came of it."
        case State.SENDING, Disconnection.Answer.NO:
            return f"{row.explanation}. The next reading of the list shows whether the session is still there."
        case State.SENDING, _:
            return "The request is on its way to the remote."
        case State.ACCEPTED, _:
            return "The remote accepted the request. Accepted is not yet gone: the list is read until the session is."
        case State.CONFIRMED, _:
            return f"{kind_of(row.source).proved(row)} {row.explanation}"
        case State.ALREADY_GONE | State.REFUSED, _ if not row.posts:
            return f"{row.explanation} Nothing was sent."
    return row.explanation


_TO_DO = {
    State.STILL_CONNECTED: "Look at the agent itself, or send the request again from the page of the session.",
    State.UNKNOWN: (
        "Look for the session once the list can be read again; if it is still there, ask for its disconnection anew."
    ),
    State.FAILED: "If the session is still listed, ask for its disconnection anew.",
}


def summary_of_many(progress: Progress) -> str:
    total, gone = progress.operation.size, progress.states[State.CONFIRMED] + progress.states[State.ALREADY_GONE]
    if progress.is_open:
        return f"{progress.done} of {total} have come to their end so far; {gone} are proved gone."
    if gone == total:
        return f"All {total} sessions are gone, and that is proved."
    return f"{gone} of {total} sessions are proved gone. What became of the others is told below."


def deadline_of(row: Disconnection) -> str:
    """Until when the next step must have come."""
    if row.state == State.QUEUED:
        return f"sent before {_moment(row.send_by)}, or not at all"
    if row.is_open and row.confirm_by:
        return f"proved by {_moment(row.confirm_by)}; later only while the list can't be read"
    return ""


def _moment(moment: datetime) -> str:
    local = localtime(moment)
    return date_format(local, "H:i:s" if local.date() == localtime().date() else "j M Y H:i:s")


@dataclass(frozen=True)
class Note:
    """What was seen after the outcome; `session` is one to look at."""

    text: str
    session: AgentSession | None = None


def notes_on(row: Disconnection) -> list[Note]:
    notes = []
    if row.seen_gone_at:
        notes.append(Note(f"Seen gone at {_moment(row.seen_gone_at)}: a later reading no longer lists the session."))
    if row.came_back_as and row.came_back_at:
        text = f"The agent came back at {_moment(row.came_back_at)} with a new session."
        notes.append(Note(text, row.came_back_as))
    return notes
