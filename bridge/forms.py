from django import forms

from bridge.models import BridgeSource


class BridgeForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = BridgeSource
        fields = ["first_port", "last_port", "authentication", "public_keys", "allowed_origins"]
