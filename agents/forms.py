"""What may be typed into the pages of agents: the reason of a disconnection, the settings of a source."""

from typing import Any
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

from agents.credentials import Secret
from agents.kinds import kind_of
from agents.models import Credential, Source
from agents.services import clean_reason
from agents.sources import clean_secret


class ReasonForm(forms.Form):
    """Why a session is to be disconnected. `token` is made with the form: sent twice, it is one operation."""

    reason = forms.CharField(widget=forms.Textarea, strip=False, required=False)
    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    def clean_reason(self) -> str:
        return clean_reason(self.cleaned_data["reason"])

    def with_new_token(self) -> "ReasonForm":
        """The same for somebody whose form came without a usable token."""
        anew = ReasonForm({"reason": self.data.get("reason", ""), "token": uuid4()})
        anew.add_error(None, "This form came without its token. It has a new one now: send it once more.")
        return anew


class SourceForm(forms.ModelForm):  # type: ignore[type-arg]
    """What every source has, whatever its kind; the kind's own form goes beside it. Writes nothing."""

    contract = forms.CharField(
        required=False,
        max_length=60,
        help_text="What the remote counts requests by; empty: the name of this source. Sources that share a key with "
        "the same remote share a contract.",
    )
    requests_per_minute = forms.IntegerField(
        label="Requests a minute",
        initial=100,
        validators=[MinValueValidator(0), MaxValueValidator(60_000)],
        help_text="How many the remote allows this contract, for all its sources together. 0: no limit.",
    )
    reading = forms.CharField(label="Key for reading (Agent: Get)", required=False)
    disconnecting = forms.CharField(label="Key for disconnecting (Agent: Disconnect)", required=False)

    class Meta:
        model = Source
        fields = ["name", "polling_seconds", "settle_seconds", "confirm_seconds"]

    #: Fields in which the remote's keys are typed: never sent back, never offered by the browser.
    KEYS = tuple(str(purpose) for purpose in Credential.Purpose)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        contract = self.instance.contract if self.instance.pk else None
        if contract:
            self.initial["contract"] = contract.name
            self.initial["requests_per_minute"] = contract.requests_per_minute
        own_worker = kind_of(self.instance).own_worker
        if own_worker:
            self._keep_to_name(own_worker.waits())
            return
        for name in self.KEYS:
            self.fields[name].widget = forms.PasswordInput(
                attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
            )
        if self.instance.pk:
            for name in self.KEYS:
                self.fields[name].help_text = "Empty: the one that is kept stays."
        else:
            self.fields["reading"].required = True
            self.fields["disconnecting"].help_text = "Empty: the same key does both."

    def _keep_to_name(self, waits: dict[str, float]) -> None:
        """Nobody counts its requests, no key is needed, and the waits are settings."""
        for name in [*self.fields]:
            if name != "name":
                del self.fields[name]
        for name, seconds in waits.items():
            setattr(self.instance, name, seconds)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise ValidationError("A name has no control or invisible characters.")
        return name

    def clean_reading(self) -> Secret | None:
        return self._secret("reading")

    def clean_disconnecting(self) -> Secret | None:
        return self._secret("disconnecting")

    def _secret(self, name: str) -> Secret | None:
        typed: str = self.cleaned_data[name]
        return clean_secret(typed) if typed else None

    @property
    def secrets(self) -> dict[Credential.Purpose, Secret]:
        """What is to be kept anew, by purpose."""
        given = {purpose: self.cleaned_data.get(str(purpose)) for purpose in Credential.Purpose}
        if not self.instance.pk and not given[Credential.Purpose.DISCONNECTING]:
            given[Credential.Purpose.DISCONNECTING] = given[Credential.Purpose.READING]
        return {purpose: secret for purpose, secret in given.items() if secret}
