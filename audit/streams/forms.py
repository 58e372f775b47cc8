from __future__ import annotations

from typing import Any

from django import forms

from audit.streams.models import Sink

_ADDRESS = {
    Sink.Kind.HTTPS: ("URL", "https://collector.example.org/audit", "Batches of events are posted here, signed."),
    Sink.Kind.SYSLOG: (
        "Receiver",
        "tls://syslog.example.org:6514",
        "tls:// (port 6514 where none is given) or tcp:// (601).",
    ),
    Sink.Kind.FILE: (
        "File name",
        "audit.jsonl",
        "In the folder that CONSOLE_AUDIT_STREAM_DIR names; it may be rotated away at any time.",
    ),
}


class SinkForm(forms.ModelForm):  # type: ignore[type-arg]
    from_beginning = forms.BooleanField(
        label="Begin with the oldest event that there is",
        required=False,
        help_text="Otherwise it gets what is recorded from now on.",
    )

    class Meta:
        model = Sink
        fields = ["name", "address", "format", "query", "ca_bundle", "proxy"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = Sink.Kind(self.instance.kind)
        field = self.fields["address"]
        field.label, placeholder, field.help_text = _ADDRESS[kind]
        field.widget.attrs["placeholder"] = placeholder
        self.fields["query"].widget.attrs |= {"spellcheck": "false", "autocapitalize": "none"}
        if not self.instance._state.adding:
            del self.fields["from_beginning"]
        if kind != Sink.Kind.HTTPS:
            del self.fields["proxy"]
        if kind == Sink.Kind.FILE:
            del self.fields["ca_bundle"]
