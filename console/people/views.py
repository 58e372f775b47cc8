"""The pages of people: for Administrators those of everybody, for everybody the page about themselves."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apikeys.pages import PageRequest, require_confirmation, require_right, require_sign_in
from apikeys.rights import ROLES, Right
from console.models import User
from console.people import links, services
from console.people.administrators import LastAdministrator
from console.people.forms import AddPersonForm, DetailsForm, RolesForm, TimeZoneForm
from console.people.roles import roles_of

LAST_ADMINISTRATOR = "{} is the last active Administrator. Make somebody else an Administrator first."


@require_right(Right.PEOPLE_MANAGE)
@require_safe
def people_list(request: PageRequest) -> HttpResponse:
    people = User.objects.prefetch_related("groups").order_by("username", "pk")
    rows = [{"person": person, "roles": roles_of(person), "state": state_of(person)} for person in people]
    return render(request, "console/people/list.html", {"rows": rows})


@never_cache
@require_right(Right.PEOPLE_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_confirmation
def add(request: PageRequest) -> HttpResponse:
    form = AddPersonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            person, url = services.add_person(**form.cleaned_data, actor=request.actor, at=now())
        except services.UsernameTaken:
            form.add_error("username", "There is already a person with that username.")
        else:
            return _link_page(request, person, url, added=True)
    return render(request, "console/people/add.html", {"form": form, "roles_and_rights": roles_and_rights()})


@require_right(Right.PEOPLE_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def person(request: PageRequest, pk: int) -> HttpResponse:
    """A POST changes what is not sensitive: e-mail and time zone."""
    person = get_object_or_404(User, pk=pk)
    details = _details_form(request, person)
    if details.is_valid():
        services.change_details(person=person, actor=request.actor, **details.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("people:person", pk=pk)
    return _person_page(request, person, details=details)


@require_right(Right.PEOPLE_MANAGE)
@require_POST
@require_confirmation
def change_roles(request: PageRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    form = RolesForm(request.POST)
    if not form.is_valid():
        return _person_page(request, person, roles=form)
    try:
        services.change_roles(person=person, roles=form.cleaned_data["roles"], actor=request.actor)
    except LastAdministrator:
        form.add_error("roles", LAST_ADMINISTRATOR.format(person.username))
        return _person_page(request, person, roles=form)
    messages.success(request, f"The roles of {person.username} are changed.")
    return redirect("people:person", pk=pk)


@require_right(Right.PEOPLE_MANAGE)
@require_POST
@require_confirmation
def deactivate(request: PageRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    try:
        services.deactivate_person(person=person, actor=request.actor)
    except LastAdministrator:
        messages.error(request, LAST_ADMINISTRATOR.format(person.username))
    else:
        messages.success(request, f"{person.username} is deactivated and signed out everywhere.")
    return redirect("people:person", pk=pk)


@require_right(Right.PEOPLE_MANAGE)
@require_POST
@require_confirmation
def activate(request: PageRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    services.activate_person(person=person, actor=request.actor)
    messages.success(request, f"{person.username} may sign in again.")
    return redirect("people:person", pk=pk)


@never_cache
@require_right(Right.PEOPLE_MANAGE)
@require_POST
@require_confirmation
def make_link(request: PageRequest, pk: int) -> HttpResponse:
    """The link is in this answer and nowhere else, so there is no redirect to a page that could show it again."""
    person = get_object_or_404(User, pk=pk)
    try:
        url = links.person_link(person=person, actor=request.actor, at=now())
    except links.PersonDeactivated:
        messages.error(request, f"{person.username} is deactivated. Activate them first.")
        return redirect("people:person", pk=pk)
    return _link_page(request, person, url, added=False)


@require_right(Right.PEOPLE_MANAGE)
@require_POST
@require_confirmation
def end_sign_ins(request: PageRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    services.end_sign_ins(person=person, actor=request.actor)
    messages.success(request, f"{person.username} is signed out everywhere.")
    return redirect("people:person", pk=pk)


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def mine(request: PageRequest) -> HttpResponse:
    person = cast(User, request.user)
    form = TimeZoneForm(request.POST if request.method == "POST" else None, initial={"time_zone": person.time_zone})
    if form.is_valid():
        services.choose_time_zone(person=person, time_zone=form.cleaned_data["time_zone"])
        messages.success(request, "Saved.")
        return redirect("account:mine")
    opened = [right for right in Right if right in request.actor.rights]
    return render(request, "console/people/mine.html", {"form": form, "roles": roles_of(person), "opened": opened})


@require_sign_in
@require_POST
def sign_out_elsewhere(request: PageRequest) -> HttpResponse:
    person = cast(User, request.user)
    services.end_sign_ins(person=person, actor=request.actor)
    update_session_auth_hash(request, person)
    messages.success(request, "You are signed out everywhere else.")
    return redirect("account:mine")


def state_of(person: User) -> str:
    if not person.is_active:
        return "deactivated"
    return "active" if person.has_usable_password() else "invited"


def roles_and_rights() -> list[tuple[str, list[Right]]]:
    """Each role with what it opens, in the order in which both are declared."""
    return [(role, [right for right in Right if right in opened]) for role, opened in ROLES.items()]


def _link_page(request: PageRequest, person: User, url: str, *, added: bool) -> HttpResponse:
    hours = f"{settings.CONSOLE_LINK_HOURS:g} hours"
    shown = {"person": person, "url": url, "hours": hours, "added": added}
    return render(request, "console/people/link_made.html", shown)


def _details_form(request: PageRequest, person: User) -> DetailsForm:
    initial = {"email": person.email, "time_zone": person.time_zone}
    return DetailsForm(request.POST if request.method == "POST" else None, initial=initial)


def _person_page(
    request: PageRequest, person: User, *, details: DetailsForm | None = None, roles: RolesForm | None = None
) -> HttpResponse:
    shown = {
        "person": person,
        "state": state_of(person),
        "roles": roles_of(person),
        "details_form": details or DetailsForm(initial={"email": person.email, "time_zone": person.time_zone}),
        "roles_form": roles or RolesForm(initial={"roles": roles_of(person)}),
        "roles_and_rights": roles_and_rights(),
        "open_link": person.links.usable(now()).first(),
    }
    return render(request, "console/people/person.html", shown)
