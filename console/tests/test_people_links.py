"""One-time links: what they open, and all the ways in which they no longer do."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client, TestCase
from django.utils.timezone import now

from apikeys.actors import command_line_actor, person_actor
from apikeys.rights import NotAllowed
from audit.models import Event
from console.models import OneTimeLink, User
from console.people import links
from console.people.roles import roles_of
from console.tests.factory import PASSWORD, make_person

CHOSEN = {"password1": "a quite different phrase", "password2": "a quite different phrase", "time_zone": "Asia/Tokyo"}
WRONG = "This link does not work, or no longer"


def path_of(url: str) -> str:
    return url.removeprefix("http://127.0.0.1:8000")


class SetUpTests(TestCase):
    def setUp(self):
        self.url = path_of(links.setup_link(actor=command_line_actor(), at=now()))

    def become(self, client: Client, **changes: str):
        return client.post("/accounts/link/", {"username": "alice", **CHOSEN, **changes})

    def test_it_makes_the_first_administrator_and_signs_them_in(self):
        self.client.get(self.url)

        response = self.become(self.client)

        self.assertRedirects(response, "/")
        alice = User.objects.get()
        self.assertEqual((alice.username, alice.time_zone, roles_of(alice)), ("alice", "Asia/Tokyo", ["Administrator"]))
        self.assertTrue(alice.check_password(CHOSEN["password1"]))
        self.assertEqual(
            list(Event.objects.order_by("sequence").values_list("action", "target_label")),
            [
                ("person.link_made", "the first Administrator"),
                ("person.link_used", "alice"),
                ("person.added", "alice"),
                ("person.signed_in", "alice"),
            ],
        )

    def test_it_keeps_only_the_digest_and_puts_the_token_nowhere(self):
        token = self.url.split("/")[-2]

        opened = self.client.get(self.url)
        page = self.client.get("/accounts/link/")

        self.assertEqual(opened["Location"], "/accounts/link/")
        self.assertIn("no-store", opened["Cache-Control"])
        self.assertNotContains(page, token)
        self.assertEqual(OneTimeLink.objects.get().digest, links.digest_of(token))
        kept = [json.dumps(dict(self.client.session.items())), *Event.objects.values_list("data", flat=True)]
        self.assertFalse([text for text in kept if token in text])

    def test_it_is_not_used_by_opening_it(self):
        for _ in range(2):
            self.assertRedirects(Client().get(self.url), "/accounts/link/", fetch_redirect_response=False)
            self.assertEqual(Client().head(self.url).status_code, 302)

        self.assertIsNone(OneTimeLink.objects.get().used_at)

    def test_it_gives_a_new_session_to_the_one_who_signs_in(self):
        self.client.get(self.url)
        planted = self.client.session.session_key

        self.become(self.client)

        self.assertNotEqual(self.client.session.session_key, planted)
        self.assertNotIn("one_time_link", self.client.session)

    def test_it_works_once(self):
        self.client.get(self.url)
        second = Client()
        second.get(self.url)
        self.become(self.client)

        self.assertContains(self.become(second, username="mallory"), WRONG, status_code=410)
        self.assertContains(Client().get(self.url), WRONG, status_code=410)
        self.assertEqual(User.objects.count(), 1)

    def test_it_lets_one_of_two_win_who_both_found_it_open(self):
        first, second = OneTimeLink.objects.get(), OneTimeLink.objects.get()
        chosen = {"password": PASSWORD, "time_zone": "UTC", "at": now()}
        links.use_for_setup(link=first, username="alice", **chosen)

        with pytest.raises(links.LinkUnusable):
            links.use_for_setup(link=second, username="bob", **chosen)

        self.assertEqual(User.objects.get().username, "alice")

    def test_it_ends_when_a_newer_one_is_made(self):
        self.client.get(self.url)
        newer = path_of(links.setup_link(actor=command_line_actor(), at=now()))

        self.assertEqual(self.become(self.client).status_code, 410)
        self.assertEqual(Client().get(newer).status_code, 302)

    def test_it_expires(self):
        OneTimeLink.objects.update(made_at=now() - timedelta(days=2), expires_at=now() - timedelta(seconds=1))

        self.assertContains(self.client.get(self.url), WRONG, status_code=410)

    def test_it_expires_between_opening_and_posting(self):
        self.client.get(self.url)
        OneTimeLink.objects.update(made_at=now() - timedelta(days=2), expires_at=now() - timedelta(seconds=1))

        self.assertEqual(self.become(self.client).status_code, 410)
        self.assertFalse(User.objects.exists())

    def test_it_ends_once_there_is_an_administrator(self):
        make_person("charlie", "Administrator")

        self.assertEqual(self.client.get(self.url).status_code, 410)
        with pytest.raises(links.AlreadySetUp):
            links.setup_link(actor=command_line_actor(), at=now())

    def test_it_refuses_an_unknown_token_without_making_a_session(self):
        response = self.client.get("/accounts/link/no-such-token/")

        self.assertContains(response, "manage.py setuplink", status_code=410)
        self.assertFalse(response.cookies)

    def test_it_refuses_the_form_without_a_link(self):
        self.assertEqual(self.become(Client()).status_code, 410)

    def test_it_refuses_a_form_from_elsewhere(self):
        strict = Client(enforce_csrf_checks=True)
        strict.get(self.url)

        self.assertEqual(self.become(strict).status_code, 403)

    def test_it_says_what_is_wrong_and_keeps_what_was_typed(self):
        self.client.get(self.url)
        cases = [
            ({"password1": "short", "password2": "short"}, "at least 12 characters"),
            ({"password2": "something else entirely"}, "The two passwords differ."),
            ({"password1": "password123456", "password2": "password123456", "username": "password12345"}, "similar"),
            ({"username": "al ice"}, "Enter a valid username"),
            ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        ]
        for changes, message in cases:
            with self.subTest(message):
                response = self.become(self.client, **changes)
                self.assertContains(response, message)
                self.assertContains(response, f'value="{changes.get("username", "alice")}"')
                self.assertNotContains(response, CHOSEN["password1"])
        self.assertFalse(User.objects.exists())


class PersonLinkTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator")
        cls.bob = make_person("bob", "Operator")

    def link(self, person: User) -> str:
        return path_of(links.person_link(person=person, actor=person_actor(self.alice), at=now()))

    def test_it_sets_a_new_password_and_ends_the_other_sign_ins(self):
        elsewhere = Client()
        elsewhere.force_login(self.bob)
        self.client.get(self.link(self.bob))

        response = self.client.post("/accounts/link/", CHOSEN)

        self.assertRedirects(response, "/")
        self.assertEqual(elsewhere.get("/accounts/").status_code, 302)
        self.bob.refresh_from_db()
        self.assertTrue(self.bob.check_password(CHOSEN["password1"]))

    def test_it_is_an_invitation_for_somebody_without_a_password(self):
        charlie = make_person("charlie", password="!")

        self.link(charlie)

        self.assertEqual(OneTimeLink.objects.get().purpose, "invitation")

    def test_it_ends_the_link_made_before(self):
        older = self.link(self.bob)
        newer = self.link(self.bob)

        self.assertEqual(Client().get(older).status_code, 410)
        self.assertEqual(Client().get(newer).status_code, 302)

    def test_it_gives_no_role_and_no_name_that_is_posted_along(self):
        self.client.get(self.link(self.bob))

        self.client.post(
            "/accounts/link/", {**CHOSEN, "username": "alice", "is_superuser": "1", "roles": "Administrator"}
        )

        self.bob.refresh_from_db()
        self.assertEqual((self.bob.username, roles_of(self.bob)), ("bob", ["Operator"]))

    def test_it_is_of_no_use_to_somebody_deactivated(self):
        url = self.link(self.bob)
        User.objects.filter(pk=self.bob.pk).update(is_active=False)

        self.assertEqual(Client().get(url).status_code, 410)
        with pytest.raises(links.LinkUnusable):
            links.use_for_password(link=OneTimeLink.objects.get(), password=PASSWORD, time_zone="UTC", at=now())
        with pytest.raises(links.PersonDeactivated):
            self.link(self.bob)

    def test_it_is_made_by_administrators_only(self):
        with pytest.raises(NotAllowed):
            links.person_link(person=self.alice, actor=person_actor(self.bob), at=now())

    def test_it_warns_who_is_signed_in_as_somebody_else(self):
        self.client.force_login(self.alice)
        self.client.get(self.link(self.bob))

        self.assertContains(self.client.get("/accounts/link/"), "signs <bdi>alice</bdi> out")

    def test_the_database_keeps_one_open_link_a_person(self):
        self.link(self.bob)
        link = OneTimeLink.objects.get()
        link.pk, link.digest = None, "0" * 64

        with pytest.raises(IntegrityError, match="person"), transaction.atomic():
            link.save(force_insert=True)

    def test_the_database_ties_the_person_to_the_purpose(self):
        self.link(self.bob)

        with pytest.raises(IntegrityError, match="link_person_unless_setup"), transaction.atomic():
            OneTimeLink.objects.update(purpose="setup")


class SetUpLinkCommandTests(TestCase):
    @pytest.fixture(autouse=True)
    def _output(self, capsys):
        self.output = capsys

    def test_it_prints_the_link(self):
        call_command("setuplink")

        printed = self.output.readouterr().out
        self.assertRegex(printed, r"^http://127\.0\.0\.1:8000/accounts/link/[\w-]{43}/\n$")
        self.assertEqual(self.client.get(path_of(printed.strip())).status_code, 302)

    def test_it_refuses_once_there_is_an_administrator(self):
        make_person("alice", "Administrator")

        with pytest.raises(CommandError, match="There is an active Administrator already") as refused:
            call_command("setuplink")

        self.assertEqual(refused.value.returncode, 2)

    def test_it_helps_where_the_only_administrator_never_chose_a_password_or_is_deactivated(self):
        make_person("alice", "Administrator", password="!")
        make_person("bob", "Administrator", is_active=False)

        call_command("setuplink")

        self.assertIn("/accounts/link/", self.output.readouterr().out)
