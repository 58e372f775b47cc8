"""What a sign-in is, however the person proved who they are."""

from datetime import timedelta

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.http import HttpRequest
from django.utils.timezone import now

from console.models import User


def sign_in(request: HttpRequest, person: User) -> None:
    """Sign in somebody who has just chosen a password; that counts as having confirmed it."""
    get_adapter().login(request, person)
    record_authentication(request, person, method="password")
    limit_sign_in(request)


def limit_sign_in(request: HttpRequest) -> None:
    """End the sign-in at a fixed moment. A number of seconds would begin anew whenever the session is written."""
    request.session.set_expiry(now() + timedelta(seconds=settings.SESSION_COOKIE_AGE))
