"""What the button of an agent session offers to a person now, or why it offers nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.kinds import kind_of
from agents.models import AgentSession, Disconnection
from agents.services import why_not_now
from agents.states import OPEN, State
from audit.actors import Actor

NO_RIGHT = "You may not disconnect agents: none of your roles opens that."


@dataclass(frozen=True)
class Offer:
    """`why_not`: empty where the session may be disconnected; `open_one`: what is under way for it."""

    session: AgentSession
    why_not: str
    open_one: Disconnection | None

    @property
    def label(self) -> str:
        """A session that should have closed long ago is a leftover entry: the order is sent again."""
        return "Send again" if self.session.closing and not self.why_not else "Disconnect"

    @property
    def open_operation_url(self) -> str:
        return self.open_one.operation.get_absolute_url() if self.open_one else ""


def offers_for(sessions: Sequence[AgentSession], actor: Actor, at: datetime) -> list[Offer]:
    """One query for all of them; each has its `source` with its `contract` loaded."""
    telling = Disconnection.objects.filter(session__in=[each.pk for each in sessions])
    telling = telling.filter(state__in=[*OPEN, State.STILL_CONNECTED]).select_related("operation")
    open_ones: dict[int, Disconnection] = {}
    left_over: set[int] = set()
    for row in telling:
        if row.is_open:
            open_ones[row.session_id] = row
        else:
            left_over.add(row.session_id)
    return [_offer(each, actor, at, open_ones.get(each.pk), each.pk in left_over) for each in sessions]


def _offer(session: AgentSession, actor: Actor, at: datetime, open_one: Disconnection | None, left_over: bool) -> Offer:
    why_not = why_not_now(session, at, open_one=open_one, left_over=left_over)
    if kind_of(session.source).right_to_disconnect not in actor.rights and not (open_one or session.ended_at):
        why_not = NO_RIGHT
    return Offer(session, why_not, open_one)
