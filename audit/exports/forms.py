from __future__ import annotations

from django import forms

from audit.exports.models import Export
from audit.search.parsing import LONGEST_LINE


class ExportForm(forms.Form):
    """What is to be taken away, and how."""

    query = forms.CharField(
        label="Search",
        required=False,
        max_length=LONGEST_LINE,
        widget=forms.TextInput({"placeholder": "everything", "spellcheck": "false", "autocapitalize": "none"}),
        help_text="As on the page of events, such as actor:alice after:2026-11-01; empty: the whole log.",
    )
    format = forms.ChoiceField(
        choices=Export.Format.choices,
        initial=Export.Format.LINES,
        help_text="JSON Lines can be proven elsewhere, with the stand-alone verifier. CSV is for spreadsheets.",
    )
