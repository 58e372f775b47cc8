"""The pages of a one-time link. `/accounts/link/<token>/` is the one URL that holds a secret."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from console.models import OneTimeLink, User
from console.people import links
from console.people.forms import ChoosePasswordForm, SetUpForm
from console.people.sign_in import sign_in

SESSION_KEY = "one_time_link"


@never_cache
@require_safe
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Keep the token's digest in the session and go on without the token, so that it leaves the address bar."""
    digest = links.digest_of(token)
    try:
        links.find_link(digest, at=now())
    except links.LinkUnusable:
        return _unusable(request)
    request.session[SESSION_KEY] = digest
    return redirect("account:use_link")


@never_cache
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "HEAD", "POST"])
def use_link(request: HttpRequest) -> HttpResponse:
    try:
        link = links.find_link(request.session.get(SESSION_KEY, ""), at=now())
        form = _form(request, link)
        if not form.is_valid():
            return render(request, "console/people/use_link.html", {"form": form, "link": link})
        person = _use(link, form)
    except links.LinkUnusable:
        request.session.pop(SESSION_KEY, None)
        return _unusable(request)
    sign_in(request, person)
    request.session.pop(SESSION_KEY, None)
    messages.success(request, f"Welcome, {person.username}. You are signed in.")
    return redirect("console:overview")


def _form(request: HttpRequest, link: OneTimeLink) -> ChoosePasswordForm:
    data = request.POST if request.method == "POST" else None
    if link.person is None:
        return SetUpForm(data)
    return ChoosePasswordForm(data, person=link.person, initial={"time_zone": link.person.time_zone})


def _use(link: OneTimeLink, form: forms.Form) -> User:
    given = form.cleaned_data
    chosen = {"password": given["password1"], "time_zone": given["time_zone"]}
    if link.person is None:
        return links.use_for_setup(link=link, username=given["username"], at=now(), **chosen)
    return links.use_for_password(link=link, at=now(), **chosen)


def _unusable(request: HttpRequest) -> HttpResponse:
    return render(request, "console/people/link_unusable.html", status=410)
