"""What may be typed into the pages of API keys. Each only reads; `apikeys.services` decides what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q
from django.utils import timezone

from apikeys import scopes
from apikeys.models import ApiKey, ApiKeyQuerySet
from apikeys.rights import is_administrator
from apikeys.scopes import Scope
from apikeys.services import Terms, clean_addresses, longest
from audit.actors import Actor

if TYPE_CHECKING:
    from django.forms.boundfield import BoundWidget

#: How long a new key is good where nobody chooses otherwise.
OFFERED = timedelta(days=90)
CONSOLE = "console"


def end_of(day: date) -> datetime:
    """The last moment of the day where the person is."""
    return timezone.make_aware(datetime.combine(day, time.max.replace(microsecond=0)))


def offered_end(at: datetime) -> date:
    return timezone.localdate(at + min(OFFERED, longest()))


class DayField(forms.DateField):
    """A day in the reader's zone, of which the last moment counts."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def to_python(self, value: Any) -> date | None:
        day = super().to_python(value)
        if day and not 1970 <= day.year <= 9000:
            raise forms.ValidationError("Give a year between 1970 and 9000.")
        return day


@dataclass(frozen=True)
class Cell:
    """One check box of the scope matrix; `why_not`: why this person can't give it."""

    scope: Scope
    tag: str
    id: str
    why_not: str


class KeyForm(forms.Form):
    name = forms.CharField(max_length=60, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    note = forms.CharField(
        required=False, max_length=500, widget=forms.Textarea, help_text="What uses it, and whom to ask about it."
    )
    owner = forms.ChoiceField(help_text="The key can never do more than its owner may at that moment.")
    scopes = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    reach = forms.ChoiceField(
        label="Sources",
        choices=[("all", "All sources, also those added later"), ("some", "Only the sources chosen here")],
        initial="all",
        widget=forms.RadioSelect,
    )
    sources = forms.MultipleChoiceField(label="Chosen sources", required=False, widget=forms.CheckboxSelectMultiple)
    addresses = forms.CharField(
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"spellcheck": "false"}),
        help_text="Networks that the key may come from, one a line, like 192.0.2.0/24 or 2001:db8::1. Empty: any.",
    )
    requests_per_minute = forms.IntegerField(
        label="Requests a minute", initial=600, validators=[MinValueValidator(1), MaxValueValidator(60_000)]
    )
    expires = DayField(label="Good until")

    def __init__(self, *args: Any, giver: Actor, key: ApiKey | None = None, at: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.giver, self.key = giver, key
        self.fields["owner"].choices = self._owners()  # type: ignore[attr-defined]
        self.fields["scopes"].choices = [(each.name, each.label) for each in scopes.all_scopes()]  # type: ignore[attr-defined]
        kept_sources = key.sources if key else []
        names = sorted({*scopes.source_names(), *kept_sources})
        self.fields["sources"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        days = longest().days
        self.fields["expires"].help_text = f"The end of that day; {days} days after the secret was made at the most."
        self.initial = {**self._initial(key, at), **self.initial}

    def _owners(self) -> list[tuple[str, str]]:
        people = get_user_model().objects.filter(is_active=True)
        if self.key and self.key.owner_id:
            people = get_user_model().objects.filter(Q(is_active=True) | Q(pk=self.key.owner_id))
        owners = [(str(person.pk), person.get_username()) for person in people.order_by("username")]
        return [*owners, (CONSOLE, "The console itself")] if is_administrator(self.giver) else owners

    def _initial(self, key: ApiKey | None, at: datetime) -> dict[str, Any]:
        if key is None:
            return {"owner": self.giver.id, "expires": offered_end(at)}
        return {
            "name": key.name,
            "note": key.note,
            "owner": str(key.owner_id or CONSOLE),
            "scopes": key.scopes,
            "reach": "all" if key.all_sources else "some",
            "sources": key.sources,
            "addresses": "\n".join(key.addresses),
            "requests_per_minute": key.requests_per_minute,
            "expires": timezone.localdate(key.expires_at),
        }

    @property
    def matrix(self) -> tuple[list[str], list[tuple[str, list[Cell | None]]]]:
        """The choices, and each category with a cell for each of them (None where it has no such choice)."""
        found = scopes.all_scopes()
        choices = list(dict.fromkeys(scope.choice for scope in found))
        boxes = dict(zip((scope.name for scope in found), self["scopes"], strict=True))
        rows: dict[str, list[Cell | None]] = {scope.category: [None] * len(choices) for scope in found}
        for scope in found:
            rows[scope.category][choices.index(scope.choice)] = self._cell(scope, boxes[scope.name])
        return choices, list(rows.items())

    def _cell(self, scope: Scope, box: BoundWidget) -> Cell:
        why_not = ""
        if not scope.may_be_given_by(self.giver):
            why_not = f"Only somebody who may {scope.right.words} can give this."
            box.data["attrs"]["disabled"] = True
        box.data["attrs"]["aria-describedby"] = f"{box.id_for_label}_opens"
        return Cell(scope, box.tag(), box.id_for_label, why_not)

    def clean_scopes(self) -> frozenset[str]:
        """Those ticked, and those kept that this person can't give: their boxes are disabled and never sent."""
        kept = self.key.scopes if self.key else []
        out_of_hand = {scope.name for scope in scopes.all_scopes() if not scope.may_be_given_by(self.giver)}
        return frozenset(self.cleaned_data["scopes"]) | (frozenset(kept) & out_of_hand)

    def clean_addresses(self) -> tuple[str, ...]:
        lines = self.cleaned_data["addresses"].replace(",", "\n").splitlines()
        try:
            return tuple(clean_addresses([line for line in lines if line.strip()]))
        except forms.ValidationError as error:
            raise forms.ValidationError(error.message_dict["addresses"]) from None

    @property
    def terms(self) -> Terms:
        """What a valid form asks for."""
        given = self.cleaned_data
        owner = None if given["owner"] == CONSOLE else get_user_model().objects.get(pk=given["owner"])
        end = end_of(given["expires"])
        if self.key and timezone.localdate(self.key.expires_at) == given["expires"]:
            end = self.key.expires_at
        return Terms(
            name=given["name"],
            note=given["note"],
            owner=owner,
            scopes=given["scopes"],
            all_sources=given["reach"] == "all",
            sources=frozenset(given["sources"]) if given["reach"] == "some" else frozenset(),
            addresses=given["addresses"],
            requests_per_minute=given["requests_per_minute"],
            expires_at=end,
        )


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label="The old secret stays good for",
        coerce=int,
        choices=[
            (0, "no longer: it ends at once"),
            (1, "1 hour"),
            (24, "1 day"),
            (72, "3 days"),
            (168, "7 days"),
            (720, "30 days"),
        ],
        initial=24,
    )
    expires = DayField(label="Good until")

    def __init__(self, *args: Any, key: ApiKey, at: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["expires"].initial = max(timezone.localdate(key.expires_at), offered_end(at))
        self.fields["expires"].help_text = f"The end of that day; {longest().days} days from now at the most."


class RevokeForm(forms.Form):
    """The key's name, typed: the sign that this one is meant."""

    name = forms.CharField(label="The name of the key", widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key = key

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.key.name:
            raise forms.ValidationError(f"That is not the name of this key, which is {self.key.name}.")
        return name


class KeyFilter(forms.Form):
    """The filter of the list, from its address."""

    q = forms.CharField(
        required=False,
        max_length=60,
        label="Search",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name, note or owner", "autocomplete": "off"}),
    )
    show = forms.ChoiceField(
        required=False,
        label="Which",
        choices=[
            ("", "Not revoked"),
            ("active", "Active"),
            ("expiring", "Expiring within 30 days"),
            ("unused", "Unused for 90 days"),
            ("paused", "Paused"),
            ("expired", "Expired"),
            ("revoked", "Revoked"),
        ],
        error_messages={"invalid_choice": "Keys can't be filtered by “%(value)s”."},
    )

    @property
    def is_used(self) -> bool:
        return any(self.data.get(name) for name in self.fields)

    def narrow(self, keys: ApiKeyQuerySet, at: datetime) -> ApiKeyQuerySet:
        given = self.cleaned_data
        match given["show"]:
            case "active":
                keys = keys.usable(at)
            case "expiring":
                keys = keys.expiring(at)
            case "unused":
                keys = keys.unused(at)
            case "paused":
                keys = keys.live().filter(paused_at__isnull=False)
            case "expired":
                keys = keys.live().filter(expires_at__lte=at)
            case "revoked":
                keys = keys.filter(revoked_at__isnull=False)
            case _:
                keys = keys.live()
        if given["q"]:
            q = given["q"]
            keys = keys.filter(Q(name__icontains=q) | Q(note__icontains=q) | Q(owner__username__icontains=q))
        return keys
