"""Where allauth asks us, and so where what it does to people is recorded."""

import time
from typing import Any, cast

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.userkit import get_user_by_username
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from apikeys.actors import person_actor
from apikeys.pages import PageRequest
from audit import services as audit
from audit.actions import Action
from audit.middleware import client_address
from audit.services import Target
from console.models import User
from console.people.links import end_links_of
from console.people.targets import person_target
from console.people.throttle import seconds_to_wait, wait_page

LONGEST_NAME = 150


class PersonBackend(AuthenticationBackend):
    """Somebody deactivated is refused like a wrong password.

    allauth sets such a person aside to tell them that they are inactive, which would also tell a stranger that the
    password was right.
    """

    @classmethod
    def _stash_user(cls, user: AbstractBaseUser | None) -> None:
        return None


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "That username and password do not go together.",
        "incorrect_password": "That is not your password.",
        "enter_current_password": "That is not your present password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People are added by an Administrator; nobody signs up."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """Only paths of this console; allauth would follow `next` to any allowed host, such as a localhost."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "unknown"

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account:mine")

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """A sign-in counts too: allauth alone would ask for the password again seconds after it was given."""
        request = context.request
        records = get_authentication_records(request, request.user)
        return not records or time.time() - records[-1]["at"] >= app_settings.REAUTHENTICATION_TIMEOUT

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Not by the Host header, as in allauth: that is the caller's to vary, and with it the counter.

        Confirming a password counts apart from signing in, or a stranger could keep somebody who is signed in from
        confirming theirs.
        """
        kind = "confirm" if request.user.is_authenticated else "sign in"
        return f"{kind}:{credentials['username'].lower()}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            self._record_refusal(request, credentials, "too many attempts")
            key = self._get_login_attempts_cache_key(request, **credentials)
            raise ImmediateHttpResponse(wait_page(request, seconds_to_wait(request, "login_failed", key))) from None

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        self._record_refusal(request, credentials, "wrong username or password")

    @transaction.atomic(durable=True)
    def _record_refusal(self, request: HttpRequest, credentials: dict[str, Any], reason: str) -> None:
        """By whoever the request is of: nobody, except where somebody signed in confirms their password."""
        actor = cast(PageRequest, request).actor
        person: User | None = get_user_by_username(credentials["username"])
        tried = Target("person", str(person.pk) if person else "", credentials["username"][:LONGEST_NAME])
        if person and not person.is_active:
            reason = f"{reason}, and deactivated"
        audit.record(Action.PERSON_SIGN_IN_REFUSED, actor=actor, target=tried, reason=reason)

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        confirmed = bool(super().reauthenticate(user, password))
        if confirmed:
            self._record(Action.PERSON_REAUTHENTICATED, cast(User, user))
        return confirmed

    @transaction.atomic(durable=True)
    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        super().login(request, user)
        self._record(Action.PERSON_SIGNED_IN, cast(User, user))

    @transaction.atomic(durable=True)
    def logout(self, request: HttpRequest) -> None:
        person = cast(User, request.user)
        super().logout(request)
        self._record(Action.PERSON_SIGNED_OUT, person)

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        person = cast(User, user)
        person.set_password(password)
        with transaction.atomic(durable=True):
            person.save(update_fields=["password"])
            end_links_of(person)
            self._record(Action.PERSON_PASSWORD_CHANGED, person)

    @transaction.atomic
    def _record(self, action: Action, person: User) -> None:
        audit.record(action, actor=person_actor(person), target=person_target(person))
