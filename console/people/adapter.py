"""Where allauth asks us, and so where what it does to people is recorded."""

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from apikeys.actors import person_actor
from audit import services as audit
from audit.actions import Action
from audit.actors import ANONYMOUS
from audit.middleware import client_address
from audit.services import Target
from console.models import User
from console.people.targets import person_target


class PersonBackend(AuthenticationBackend):  # type: ignore[misc]
    """Somebody deactivated is refused like a wrong password.

    allauth sets such a person aside to tell them that they are inactive, which would also tell a stranger that the
    password was right.
    """

    @classmethod
    def _stash_user(cls, user: AbstractBaseUser | None) -> None:
        return None


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "That username and password do not go together.",
        "incorrect_password": "That is not your password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People are added by an Administrator; nobody signs up."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """Only paths of this console; allauth would follow `next` to any allowed host, such as a localhost."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "unknown"

    @transaction.atomic(durable=True)
    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        person = cast(User, user)
        super().login(request, person)
        audit.record(Action.PERSON_SIGNED_IN, actor=person_actor(person), target=person_target(person))

    @transaction.atomic(durable=True)
    def logout(self, request: HttpRequest) -> None:
        person = cast(User, request.user)
        actor, target = person_actor(person), person_target(person)
        super().logout(request)
        audit.record(Action.PERSON_SIGNED_OUT, actor=actor, target=target)

    @transaction.atomic(durable=True)
    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        target = Target("person", "", str(credentials.get("username", ""))[:150])
        audit.record(Action.PERSON_SIGN_IN_REFUSED, actor=ANONYMOUS, target=target)
