import zoneinfo
from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.http import HttpRequest, HttpResponse

from apikeys.rights import ROLES
from console.models import User
from console.people.sign_in import limit_sign_in


class SignInForm(LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            del field.widget.attrs["placeholder"]  # the label says it

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        response: HttpResponse = super().login(request, redirect_url)
        limit_sign_in(request)
        return response


def time_zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones()) if name != "localtime"]


class TimeZoneField(forms.ChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=time_zones, initial="UTC", help_text="Times are shown to you in this zone.", **kwargs)


class ChoosePasswordForm(forms.Form):
    """What somebody with a one-time link says about themselves."""

    password1 = forms.CharField(
        label="Password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html(),
    )
    password2 = forms.CharField(
        label="Password again",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    time_zone = TimeZoneField()

    def __init__(self, *args: Any, person: User | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person or User()

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        first, second = data.get("password1"), data.get("password2")
        if first and second and first != second:
            self.add_error("password2", "The two passwords differ.")
        elif first:
            self._validate_password(first)
        return data

    def _validate_password(self, password: str) -> None:
        try:
            validate_password(password, self.person)
        except forms.ValidationError as error:
            self.add_error("password1", error)


class SetUpForm(ChoosePasswordForm):
    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "username"}))
    field_order = ["username", "password1", "password2", "time_zone"]

    def clean_username(self) -> str:
        return clean_new_username(self.cleaned_data["username"])

    def clean(self) -> dict[str, Any]:
        self.person.username = self.cleaned_data.get("username", "")
        return super().clean()


def clean_new_username(username: str) -> str:
    """Raises ValidationError for a name that has strange characters or is taken."""
    username = User.normalize_username(username)
    field = User._meta.get_field("username")
    field.run_validators(username)
    if User.objects.filter(username__iexact=username).exists():
        raise forms.ValidationError("There is already a person with that username.")
    return username


class RolesForm(forms.Form):
    roles = forms.MultipleChoiceField(
        choices=[(role, role) for role in ROLES],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Without a role one can sign in, but sees nothing.",
    )


class AddPersonForm(RolesForm):
    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    email = forms.EmailField(label="E-mail", required=False, help_text="Only to know how to reach them.")
    field_order = ["username", "email", "roles"]

    def clean_username(self) -> str:
        return clean_new_username(self.cleaned_data["username"])


class TimeZoneForm(forms.Form):
    time_zone = TimeZoneField()


class DetailsForm(TimeZoneForm):
    email = forms.EmailField(label="E-mail", required=False)
    field_order = ["email", "time_zone"]
