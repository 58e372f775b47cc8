"""How fresh each source's list is, in one word and the times that go with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Count, Prefetch, Q
from django.urls import reverse

from agents.kinds import SourceKind, all_kinds, kind_of
from agents.models import AgentSession, Credential, Source
from agents.sending import is_stale

#: A reading is worth a word only when it takes longer than this.
_NOTICEABLE = timedelta(seconds=2)


class Freshness(StrEnum):
    """In the order in which they are looked for: the first one that applies is shown."""

    PAUSED = "paused"
    REFUSED = "refused"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    READING = "reading"
    NEVER = "never"
    INCOMPLETE = "incomplete"
    STALE = "stale"
    FRESH = "fresh"


@dataclass(frozen=True)
class SourceState:
    """`at`: the newest complete reading, `since` and `until`: of the state, where it has them."""

    state: Freshness
    at: datetime | None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_trouble(self) -> bool:
        return self.state in _ADVICE

    def advice(self, source: Source) -> str:
        """What this state means and what to do about it; empty where nothing is to be done."""
        own_worker = kind_of(source).own_worker
        if own_worker and self.state in (Freshness.UNREACHABLE, Freshness.STALE):
            return own_worker.advice
        return _ADVICE.get(self.state, "").format(why=source.failure or source.incomplete).strip()


_ADVICE = {
    Freshness.PAUSED: "Nothing is read and nothing is sent until somebody resumes this source.",
    Freshness.REFUSED: (
        "The remote's rate limit refuses every request of this contract until then. What waits is sent afterwards."
    ),
    Freshness.REJECTED: "{why} Edit the source to replace the credential, or test it once the remote takes it again.",
    Freshness.UNREACHABLE: "{why} The console goes on trying; a test says more.",
    Freshness.INCOMPLETE: "{why} A session that is absent from this list may still be connected.",
    Freshness.STALE: "No reading has come in for longer than it should: a worker may be missing.",
}


def state_of(source: Source, at: datetime) -> SourceState:
    """Without a query where `contract` is selected and `credentials` are prefetched."""
    read_at = source.read_at
    if source.paused_at:
        return SourceState(Freshness.PAUSED, read_at, since=source.paused_at)
    if source.contract and source.contract.is_blocked(at):
        return SourceState(Freshness.REFUSED, read_at, until=source.contract.blocked_until)
    rejected_at = _reading_rejected_at(source)
    if rejected_at:
        return SourceState(Freshness.REJECTED, read_at, since=rejected_at)
    if source.unreadable_since and source.failure:
        return SourceState(Freshness.UNREACHABLE, read_at, since=source.unreadable_since)
    if _is_noticeably_reading(source, at):
        return SourceState(Freshness.READING, read_at)
    if read_at is None:
        return SourceState(Freshness.NEVER, None)
    if source.incomplete:
        return SourceState(Freshness.INCOMPLETE, read_at)
    if is_stale(source, at):
        return SourceState(Freshness.STALE, read_at)
    return SourceState(Freshness.FRESH, read_at)


def _reading_rejected_at(source: Source) -> datetime | None:
    reading = [each for each in source.credentials.all() if each.purpose == Credential.Purpose.READING]
    return reading[0].rejected_at if reading else None


def _is_noticeably_reading(source: Source, at: datetime) -> bool:
    """The first reading, or one that makes the list older than the polling interval does by itself."""
    if source.reading_until is None or source.reading_until <= at:
        return False
    return source.read_at is None or source.read_at < at - source.polling - _NOTICEABLE


@dataclass(frozen=True)
class ShownSource:
    """A source as pages show it."""

    source: Source
    freshness: SourceState
    connected: int = 0
    closing: int = 0

    @property
    def kind(self) -> SourceKind:
        return kind_of(self.source)

    @property
    def place(self) -> str:
        return self.kind.place(self.source)

    @property
    def sessions_url(self) -> str:
        return f"{reverse('agents:sessions')}?source={self.source.pk}"


def sources_with_states(at: datetime) -> list[ShownSource]:
    """Every source by name, in two queries."""
    sources = Source.objects.select_related("contract", *(kind.own for kind in all_kinds()))
    sources = sources.prefetch_related(Prefetch("credentials", Credential.objects.defer("encrypted")))
    return [ShownSource(source, state_of(source, at)) for source in sources.order_by("name", "pk")]


def counted(shown: list[ShownSource]) -> list[ShownSource]:
    """The same with the numbers of their live sessions, in one more query."""
    live = AgentSession.objects.live().of_agents().order_by().values_list("source")
    counts = {pk: (total, closing) for pk, total, closing in live.annotate(Count("pk"), closing_too=_CLOSING)}
    return [ShownSource(each.source, each.freshness, *counts.get(each.source.pk, (0, 0))) for each in shown]


_CLOSING = Count("pk", filter=Q(closing=True))
