from collections import Counter
from datetime import datetime

from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from agents.clock import database_now
from agents.freshness import counted
from agents.live import Look, follows
from agents.models import Disconnection, Operation
from agents.progress import parts_of, progress_of
from agents.states import State
from apikeys.pages import PageRequest, require_right
from apikeys.rights import Right
from console import attention

LAST_OPERATIONS = 8


@require_right(Right.AGENT_GET)
@require_safe
@follows(also=attention.of_the_console)
def overview(request: PageRequest, look: Look) -> HttpResponse:
    at = database_now()
    sources = counted(look.sources)
    open_count = Disconnection.objects.open().count()
    today = _states_of_those_asked_for_since(_midnight())
    context = {
        "sources": sources,
        "connected": sum(each.connected for each in sources),
        "closing": sum(each.closing for each in sources),
        "open_count": open_count,
        "today_total": today.total(),
        "outcomes": parts_of(today, urls={state: f"{reverse('agents:operations')}?state={state}" for state in today}),
        "attention": [
            *look.also,
            *attention.of_sources(sources),
            *attention.of_outcomes(at),
            *attention.of_keys(request.actor, at),
            *attention.of_the_log(request.actor, at),
        ],
        "operations": progress_of(Operation.objects.order_by("-requested_at", "pk")[:LAST_OPERATIONS]),
    }
    return look.render("console/overview.html", context, in_motion=bool(open_count))


def _midnight() -> datetime:
    """When today began where the person is."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def _states_of_those_asked_for_since(moment: datetime) -> Counter[State]:
    rows = Disconnection.objects.filter(operation__requested_at__gte=moment).order_by()
    return Counter({State(state): count for state, count in rows.values_list("state").annotate(Count("pk"))})
