"""The filters of the pages of agents. What they hold is the address of the page, so that it can be kept and sent."""

from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, F, OrderBy, OuterRef, Q, QuerySet

from agents.models import AgentSession, Disconnection, Operation, Source
from agents.states import OPEN, State
from agents.versions import version_number_exactly
from audit.forms import Moment

Phase = AgentSession.Phase
PAGE_SIZES = (50, 100, 200)


class PageNumber(forms.IntegerField):
    """The number of a page, from its address."""

    def __init__(self) -> None:
        bounds = [MinValueValidator(1, "Pages count from 1."), MaxValueValidator(1_000_000, "There is no such page.")]
        super().__init__(required=False, widget=forms.HiddenInput, validators=bounds)
        self.error_messages["invalid"] = "The page in this address is not a number."


class PageSize(forms.TypedChoiceField):
    def __init__(self) -> None:
        super().__init__(
            required=False,
            coerce=int,
            empty_value=str(PAGE_SIZES[0]),
            choices=[(size, size) for size in PAGE_SIZES],
            widget=forms.HiddenInput,
            error_messages={"invalid_choice": f"A page has {', '.join(map(str, PAGE_SIZES))} rows, not “%(value)s”."},
        )


class Filter(forms.Form):
    """A filter whose state is the address of the page. `problems` are its errors, to be shown beside the list too."""

    page = PageNumber()
    size = PageSize()

    @property
    def is_used(self) -> bool:
        place = {"page", "size", "sort"}
        return any(self.data.get(name) for name in self.fields if name not in place)

    @property
    def problems(self) -> list[tuple[str, str]]:
        return [
            (str(self.fields[name].label or name.capitalize()) if name in self.fields else "", str(text))
            for name, texts in self.errors.items()
            for text in texts
        ]


class Version(forms.CharField):
    def __init__(self) -> None:
        super().__init__(required=False, max_length=20, label="Version")
        self.widget.attrs |= {"placeholder": "1.2.0", "aria-labelledby": "version-label", "inputmode": "decimal"}

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        number = version_number_exactly(text)
        if number is None:
            raise ValidationError("“%(value)s” is not a version such as 1.2.0.", params={"value": text})
        return number


def _text(label: str) -> forms.CharField:
    return forms.CharField(required=False, max_length=255, label=label)


def _source_choice(sources: Sequence[Source]) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", "All"), *((source.pk, source.name) for source in sources)],
        error_messages={"invalid_choice": "There is no source %(value)s here."},
    )


class SessionFilter(Filter):
    q = _text("Search")
    state = forms.ChoiceField(
        required=False,
        choices=[("", "Live"), *Phase.choices],
        error_messages={"invalid_choice": "A session can't be in the state “%(value)s”."},
    )
    direction = forms.ChoiceField(
        required=False,
        choices=[("", "Both"), ("send", "Send"), ("receive", "Receive")],
        error_messages={"invalid_choice": "“%(value)s” is neither send nor receive."},
    )
    agent = _text("Agent ID")
    connection = _text("Connection ID")
    endpoint = _text("Endpoint")
    version_is = forms.ChoiceField(
        required=False,
        choices=[("below", "below"), ("from", "at least"), ("is", "exactly")],
        label="Version comparison",
        error_messages={"invalid_choice": "A version is compared as below, from or is, not as “%(value)s”."},
    )
    version = Version()
    since_after = Moment(required=False, label="Connected after")
    since_before = Moment(required=False, label="Connected before")
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    #: Label of each column by its name in the address, in the order of the table.
    COLUMNS = {
        "agent": "Agent ID",
        "direction": "Direction",
        "connection": "Connections",
        "endpoint": "Endpoint",
        "version": "Version",
        "since": "Connected since",
        "state": "State",
        "source": "Source",
    }
    FOLDED = ("agent", "connection", "endpoint", "version", "since_after", "since_before")

    def __init__(self, *args: Any, sources: Sequence[Source], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["source"] = _source_choice(sources)
        self.fields["q"].widget.attrs |= {
            "type": "search",
            "placeholder": "Agent, connection, endpoint or session ID",
            "autocomplete": "off",
        }

    @property
    def is_used_folded(self) -> bool:
        return any(self.data.get(name) for name in self.FOLDED)

    def clean_sort(self) -> str:
        sort: str = self.cleaned_data["sort"]
        if sort and sort.removeprefix("-") not in self.COLUMNS:
            raise ValidationError("There is no column “%(value)s” to sort by.", params={"value": sort})
        return sort

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        after, before = given.get("since_after"), given.get("since_before")
        if after and before and after >= before:
            self.add_error("since_before", "This must be later than “Connected after”.")
        return given

    def narrow(self, sessions: QuerySet[AgentSession]) -> QuerySet[AgentSession]:
        """Only the sessions that this valid form asks for, in its order."""
        given = self.cleaned_data
        sessions = sessions.filter(_in_phase(given["state"]))
        lookups = {
            "source": "source",
            "direction": "direction__iexact",
            "agent": "agent_id__icontains",
            "connection": "connections__icontains",
            "endpoint": "endpoint__icontains",
            "since_after": "started_at__gte",
            "since_before": "started_at__lt",
        }
        sessions = sessions.filter(**{lookups[name]: given[name] for name in lookups if given[name]})
        if given["version"] is not None:
            compared = {"from": "version_number__gte", "is": "version_number"}
            sessions = sessions.filter(**{compared.get(given["version_is"], "version_number__lt"): given["version"]})
        if given["q"]:
            sessions = sessions.filter(_in_any(given["q"], "agent_id", "connections", "endpoint", "session_id"))
        return sessions.order_by(*self._order())

    def _order(self) -> list[OrderBy | str]:
        sort: str = self.cleaned_data["sort"]
        if not sort:
            return ["-ended_at", "-pk"] if self.cleaned_data["state"] == Phase.ENDED else ["agent_id", "pk"]
        if sort == "agent":
            return ["agent_id", "pk"]
        column = _SORTED_BY[sort.removeprefix("-")]
        falling = sort.startswith("-")
        # What a remote left out comes last either way.
        return [column.desc(nulls_last=True) if falling else column.asc(nulls_last=True), "agent_id", "pk"]


def _in_phase(phase: str) -> Q:
    match phase:
        case Phase.CONNECTED:
            return Q(ended_at=None, closing=False)
        case Phase.CLOSING:
            return Q(ended_at=None, closing=True)
        case Phase.ENDED:
            return Q(ended_at__isnull=False)
    return Q(ended_at=None)


_SORTED_BY = {
    "agent": F("agent_id"),
    "direction": F("direction"),
    "connection": F("connections"),
    "endpoint": F("endpoint"),
    "version": F("version_number"),
    "since": F("started_at"),
    "state": F("closing"),
    "source": F("source__name"),
}


class OperationFilter(Filter):
    q = _text("Search")
    state = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), ("open", "In motion"), *State.choices],
        label="Outcome",
        error_messages={"invalid_choice": "A disconnection can't be in the state “%(value)s”."},
    )
    by = forms.CharField(required=False, max_length=200, label="Asked for by")

    def __init__(self, *args: Any, sources: Sequence[Source], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["source"] = _source_choice(sources)
        self.fields["q"].widget.attrs |= {
            "type": "search",
            "placeholder": "Reason, agent, session ID or endpoint",
            "autocomplete": "off",
        }

    def narrow(self, operations: QuerySet[Operation]) -> QuerySet[Operation]:
        """Only the operations that this valid form asks for: those of which one disconnection at least fits."""
        given = self.cleaned_data
        if given["by"]:
            operations = operations.filter(actor_label__icontains=given["by"])
        if given["state"]:
            operations = operations.filter(_with_a_row(state__in=_states(given["state"])))
        if given["source"]:
            operations = operations.filter(_with_a_row(source=given["source"]))
        if given["q"]:
            operations = operations.filter(Q(reason__icontains=given["q"]) | Q(_with_a_row_about(given["q"])))
        return operations


def _states(chosen: str) -> Collection[str]:
    return OPEN if chosen == "open" else [chosen]


def _with_a_row(**lookups: Any) -> Exists:
    return Exists(Disconnection.objects.filter(operation=OuterRef("pk"), **lookups))


def _with_a_row_about(text: str) -> Exists:
    about = _in_any(text, "agent_id_then", "session_id_then", "endpoint_then")
    return Exists(Disconnection.objects.filter(about, operation=OuterRef("pk")))


def _in_any(text: str, *columns: str) -> Q:
    return reduce(or_, (Q(**{f"{column}__icontains": text}) for column in columns))


class RowFilter(Filter):
    """Which disconnections of one operation are shown; `disconnection`: that one alone, with its story."""

    state = OperationFilter.base_fields["state"]
    disconnection = forms.UUIDField(
        required=False, error_messages={"invalid": "A disconnection has an ID such as the links on this page hold."}
    )

    def narrow(self, rows: QuerySet[Disconnection]) -> QuerySet[Disconnection]:
        state = self.cleaned_data["state"]
        return rows.filter(state__in=_states(state)) if state else rows
