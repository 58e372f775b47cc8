from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django import forms
from django.http import QueryDict

from audit.reviews.models import LONGEST_NOTE
from audit.reviews.services import Item

_LAST = 2**63 - 1


class ReviewForm(forms.Form):
    """What is marked, as `event:17` or `operation:<ID>`, and the note to it."""

    note = forms.CharField(
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea({"rows": 2}),
        help_text="What you have found, or whom you have asked.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.items: list[Item] = []

    def clean(self) -> None:
        for text in cast(QueryDict, self.data).getlist("item"):
            try:
                self.items.append(_item(text))
            except ValueError:
                self.add_error(None, "What is to be marked is not understood: open the page again.")
                return


def _item(text: str) -> Item:
    kind, _, value = text.partition(":")
    if kind == "operation":
        return UUID(value)
    if kind == "event" and value.isascii() and value.isdigit() and int(value[:20]) <= _LAST:
        return int(value)
    raise ValueError(text)
