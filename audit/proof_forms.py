from typing import Any

from django import forms


class KeepingForm(forms.Form):
    days = forms.IntegerField(
        label="Days to keep events",
        min_value=1,
        max_value=36_500,
        required=False,
        help_text="Older ones go into an archive and are then removed. Empty: they are kept here for ever.",
    )


class HoldForm(forms.Form):
    hold_reason = forms.CharField(
        label="Reason",
        max_length=500,
        help_text="Who needs the events, and for what. It is on record.",
        error_messages={"required": "Say why nothing may be removed."},
    )

    def clean_hold_reason(self) -> Any:
        return " ".join(self.cleaned_data["hold_reason"].split())
