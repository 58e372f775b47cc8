"""Changes to people as the services guard them, whatever page or command calls."""

import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.test import TestCase
from django.utils.timezone import now

from apikeys.actors import command_line_actor, person_actor
from apikeys.rights import NotAllowed
from audit.models import Event
from console.models import OneTimeLink, User
from console.people import links, services
from console.people.administrators import LastAdministrator
from console.people.roles import active_administrators
from console.tests.factory import PASSWORD, make_person


class GuardTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator")
        cls.bob = make_person("bob", "Operator")
        cls.charlie = make_person("charlie", "Administrator")

    def changes(self, actor):
        return [
            lambda: services.add_person(username="dave", email="", roles=[], actor=actor, at=now()),
            lambda: services.change_roles(person=self.bob, roles=["Administrator"], actor=actor),
            lambda: services.deactivate_person(person=self.charlie, actor=actor),
            lambda: services.activate_person(person=self.bob, actor=actor),
            lambda: services.change_details(person=self.bob, email="", time_zone="UTC", actor=actor),
            lambda: services.end_sign_ins(person=self.charlie, actor=actor),
            lambda: links.person_link(person=self.charlie, actor=actor, at=now()),
            lambda: links.setup_link(actor=actor, at=now()),
        ]

    def test_each_change_refuses_somebody_without_the_right(self):
        for change in self.changes(person_actor(self.bob)):
            with pytest.raises(NotAllowed):
                change()
        self.assertFalse(Event.objects.exists())

    def test_each_change_refuses_an_administrator_of_a_moment_ago(self):
        then = person_actor(self.alice)
        services.change_roles(person=self.alice, roles=["Viewer"], actor=command_line_actor())

        for change in self.changes(then)[:-1]:  # the set-up link exists only where there is no Administrator
            with pytest.raises(NotAllowed):
                change()

    def test_the_command_line_may_change_people(self):
        services.change_roles(person=self.bob, roles=["Auditor"], actor=command_line_actor())

        self.assertTrue(Event.objects.get().actor_label.startswith("command line ("))

    def test_it_says_so_when_a_name_was_taken_in_the_meantime(self):
        with pytest.raises(services.UsernameTaken):
            services.add_person(username="BOB", email="", roles=[], actor=person_actor(self.alice), at=now())


def test_two_administrators_who_demote_each_other_leave_one(committed_db):
    alice, bob = make_person("alice", "Administrator"), make_person("bob", "Administrator")

    def demote(person: User, actor: User):
        try:
            services.change_roles(person=person, roles=[], actor=person_actor(actor))
        except (NotAllowed, LastAdministrator) as refused:
            return type(refused)
        return None

    outcomes = committed_db.in_threads(lambda: demote(alice, bob), lambda: demote(bob, alice))

    assert outcomes.count(None) == 1
    assert active_administrators().count() == 1


def test_two_administrators_who_deactivate_themselves_leave_one(committed_db):
    people = [make_person("alice", "Administrator"), make_person("bob", "Administrator")]

    def leave(person: User):
        try:
            services.deactivate_person(person=person, actor=person_actor(person))
        except LastAdministrator:
            return "refused"
        return "gone"

    outcomes = committed_db.in_threads(*(lambda person=person: leave(person) for person in people))

    assert sorted(outcomes) == ["gone", "refused"]


def test_four_who_use_one_set_up_link_at_once_make_one_administrator(committed_db):
    links.setup_link(actor=command_line_actor(), at=now())

    def become(username: str):
        link = OneTimeLink.objects.get()
        try:
            links.use_for_setup(link=link, username=username, password=PASSWORD, time_zone="UTC", at=now())
        except links.LinkUnusable:
            return None
        return username

    winners = committed_db.in_threads(*(lambda name=f"person{n}": become(name) for n in range(4)))

    assert [name for name in winners if name] == [User.objects.get().username]


def test_two_who_print_a_set_up_link_at_once_leave_one_open(committed_db):
    committed_db.in_threads(*[lambda: links.setup_link(actor=command_line_actor(), at=now())] * 4)

    assert OneTimeLink.objects.filter(used_at=None).count() == 1


TRY = """
import django; django.setup()
from django.test import Client
statuses = [
    Client(SERVER_NAME="127.0.0.1").post("/accounts/login/", {"login": "alice", "password": "wrong"}).status_code
    for _ in range(3)
]
print(*statuses)
"""


def test_tries_in_two_processes_count_together(committed_db):
    make_person("alice", "Administrator")
    env = {**committed_db.env, "DJANGO_SETTINGS_MODULE": "console.settings_test"}
    answers = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", TRY], env=env, cwd=os.getcwd(), capture_output=True, text=True)
        answers += done.stdout.split() or [done.stderr]

    assert answers == ["200", "200", "200", "200", "200", "429"]


class CommandLineTests(TestCase):
    """Django's own commands write events here."""

    def test_createsuperuser_makes_an_administrator_and_an_event(self):
        with mock.patch.dict(os.environ, {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}):
            call_command("createsuperuser", username="dora", email="dora@example.org", interactive=False, verbosity=0)

        event = Event.objects.get()
        self.assertEqual((event.action, event.target_label), ("person.added", "dora"))
        self.assertEqual(event.details, {"email": "dora@example.org", "roles": ["Administrator"]})
        self.assertEqual(event.actor_kind, "command line")

    def test_changepassword_ends_open_links_and_makes_an_event(self):
        person = make_person("dora", "Operator")
        OneTimeLink.objects.create(
            purpose="password", person=person, digest="x", made_at=now(), expires_at=now() + timedelta(hours=1)
        )
        with mock.patch("getpass.getpass", side_effect=["other", "another", "short", "short", *["a new one 1!"] * 2]):
            call_command("changepassword", "dora", stdout=StringIO(), stderr=StringIO())

        person.refresh_from_db()
        self.assertTrue(person.check_password("a new one 1!"))
        self.assertFalse(OneTimeLink.objects.exists())
        event = Event.objects.latest("sequence")
        self.assertEqual((event.action, event.target_label), ("person.password_changed", "dora"))
        self.assertEqual(event.actor_kind, "command line")

    def test_changepassword_gives_up_after_three_tries(self):
        make_person("dora", "Operator")

        with (
            mock.patch("getpass.getpass", side_effect=["one", "other"] * 3),
            self.assertRaisesRegex(CommandError, "Given up after 3 tries"),
        ):
            call_command("changepassword", "dora", stderr=StringIO())
        with self.assertRaisesRegex(CommandError, "no person named nobody"):
            call_command("changepassword", "nobody")
