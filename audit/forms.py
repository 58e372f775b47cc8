from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from audit.actions import Action
from audit.models import EventQuerySet

LAST_SEQUENCE = 2**63 - 1
WHOLE_NAME = forms.TextInput({"placeholder": "whole name"})


class Moment(forms.DateTimeField):
    """A date and time in the reader's zone, as `<input type="datetime-local">` sends it."""

    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "any"})

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
        return moment

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What the browser's field can show, e.g. for an address that holds only a date."""
        try:
            return self.to_python(data)
        except forms.ValidationError:
            return data


class FilterForm(forms.Form):
    """The filters of the audit page and the place in the list, all from the URL."""

    actor = forms.CharField(required=False, max_length=200, widget=WHOLE_NAME)
    action = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), *Action.choices],
        error_messages={"invalid_choice": "The log knows no action “%(value)s”."},
    )
    target = forms.CharField(required=False, max_length=200, widget=WHOLE_NAME)
    since = Moment(required=False, label="From")
    before = Moment(required=False, label="Before")
    operation = forms.UUIDField(
        required=False,
        error_messages={"invalid": "An operation has an ID such as 1b4e28ba-2fa1-41d2-883f-0016d3cca427."},
    )
    older = forms.IntegerField(
        required=False, widget=forms.HiddenInput, validators=[MinValueValidator(1), MaxValueValidator(LAST_SEQUENCE)]
    )
    newer = forms.IntegerField(
        required=False, widget=forms.HiddenInput, validators=[MinValueValidator(0), MaxValueValidator(LAST_SEQUENCE)]
    )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("since") and given.get("before") and given["since"] >= given["before"]:
            self.add_error("before", "This must be later than “From”.")
        if given.get("older") and given.get("newer") is not None:
            self.add_error(None, "An address of this page names either older or newer events, not both.")
        return given

    def narrow(self, events: EventQuerySet) -> EventQuerySet:
        """Only the events that this valid form asks for."""
        lookups = {
            "actor": "actor_label",
            "action": "action",
            "target": "target_label",
            "since": "at__gte",
            "before": "at__lt",
            "operation": "operation",
        }
        return events.filter(
            **{lookup: self.cleaned_data[name] for name, lookup in lookups.items() if self.cleaned_data[name]}
        )
