from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from audit.actions import Action
from audit.search import Query, QueryError, Term, parse
from audit.search.parsing import FIELDS, LONGEST_LINE, OUTCOMES, ordered, parse_values
from audit.search.query import WORDS

LAST_SEQUENCE = 2**63 - 1


class Moment(forms.DateTimeField):
    """A date and time in the reader's zone, as `<input type="datetime-local">` sends it."""

    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1"})

    def to_python(self, value: Any) -> datetime | None:
        try:
            moment = super().to_python(value)
        except forms.ValidationError as error:
            if error.code != "invalid":  # an hour that a clock change skips or repeats: Django says so
                raise
            # The browser's field can't show what it doesn't understand, so the message does.
            raise forms.ValidationError(
                "“%(value)s” is not a date and time such as 2026-11-21 14:05.", code="invalid", params={"value": value}
            ) from None
        # Nearer to the ends of the calendar a change of zone overflows.
        if moment and not 1970 <= moment.year <= 9000:
            raise forms.ValidationError("Give a year between 1970 and 9000.")
        return moment.replace(microsecond=0) if moment else None

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What the browser's field can show, e.g. for an address that holds only a date."""
        try:
            return self.to_python(data)
        except forms.ValidationError:
            return data


class Values(forms.CharField):
    """What the one line has after the name of the field, or nothing: `alice -bob "build server"*`."""

    def __init__(self, field: str, **settings: Any) -> None:
        self.field = field
        super().__init__(required=False, max_length=LONGEST_LINE, **settings)

    def to_python(self, value: Any) -> Any:
        try:
            return parse_values(self.field, super().to_python(value) or "")
        except QueryError as error:
            raise forms.ValidationError(error.message) from None

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return " ".join(f"{'-' if term.negated else ''}{term.value_text}" for term in value)
        return value


class SearchForm(forms.Form):
    """A search as fields: the same as its one line, and made into it."""

    words = Values(WORDS, label="Words of the reason")
    actor = Values("actor")
    action = Values("action", widget=forms.TextInput({"list": "audit-actions", "placeholder": "disconnection.*"}))
    outcome = Values("outcome", widget=forms.TextInput({"list": "audit-outcomes"}))
    target = Values("target")
    source = Values("source")
    key = Values("key", label="API key")
    address = Values("address", widget=forms.TextInput({"placeholder": "10.0.0.*"}))
    operation = Values("operation")
    request = Values("request", label="Request")
    event = Values("event", label="Number", widget=forms.TextInput({"placeholder": "100..200"}))
    after = Moment(required=False, label="From")
    before = Moment(required=False, label="Before")

    #: What the boxes of action and outcome offer.
    suggestions = {"audit-actions": Action.choices, "audit-outcomes": [(each, "") for each in OUTCOMES]}

    @classmethod
    def of(cls, query: Query) -> SearchForm:
        """The form as it stands for this search."""
        values: dict[str, Any] = {field: query.of(field) for field in (WORDS, *FIELDS)}
        for field in ("after", "before"):
            values[field] = values[field][0].value if values[field] else None
        return cls(initial=values)

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("after") and given.get("before") and given["after"] >= given["before"]:
            self.add_error("before", "This must be later than “From”.")
        if not self.errors:
            try:
                given["query"] = ordered(self._terms())
            except QueryError as error:
                self.add_error(None, error.message)
        return given

    def _terms(self) -> list[Term]:
        terms: list[Term] = []
        for name, value in self.cleaned_data.items():
            if isinstance(value, list):
                terms += value
            elif isinstance(value, datetime):
                terms.append(Term(name, value))
        return terms


class LineForm(forms.Form):
    """The one line of a search, and the place in the list of what it finds; all from the URL."""

    q = forms.CharField(
        required=False,
        label="Search",
        widget=forms.TextInput(
            {"type": "search", "placeholder": 'actor:alice action:disconnection.* -source:demo "storage is full"'}
        ),
    )
    older = forms.IntegerField(
        required=False, widget=forms.HiddenInput, validators=[MinValueValidator(1), MaxValueValidator(LAST_SEQUENCE)]
    )
    newer = forms.IntegerField(
        required=False, widget=forms.HiddenInput, validators=[MinValueValidator(0), MaxValueValidator(LAST_SEQUENCE)]
    )

    def clean_q(self) -> Query:
        text = self.cleaned_data["q"]
        try:
            return parse(text)
        except QueryError as error:
            self.wrong = (text[: error.start], text[error.start : error.end], text[error.end :])
            raise forms.ValidationError(error.message) from None

    #: The line before, at and after the word that the error is about.
    wrong = ("", "", "")

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("older") and given.get("newer") is not None:
            self.add_error(None, "An address of this page names either older or newer events, not both.")
        return given


class SaveForm(LineForm):
    name = forms.CharField(max_length=60, error_messages={"required": "A saved search needs a name."})
    shared = forms.BooleanField(required=False)
