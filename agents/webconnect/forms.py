from typing import Any

from django import forms

from agents.webconnect.models import WebConnectSource


class WebConnectForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = WebConnectSource
        fields = ["base_url", "time_zone", "proxy", "ca_bundle"]
        # The style sheet gives an address the room of two fields.
        widgets = {"base_url": forms.URLInput, "proxy": forms.URLInput}

    def clean_base_url(self) -> Any:
        return self.cleaned_data["base_url"].rstrip("/")
