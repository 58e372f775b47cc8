"""The pages on which Administrators manage people, and the page that everybody has about themselves."""

import json
import re
from datetime import timedelta

from django.test import Client, TestCase
from django.utils.timezone import now

from apikeys.rights import rights_of
from audit.models import Event
from console.models import OneTimeLink, User
from console.people.roles import roles_of
from console.tests.factory import PASSWORD, make_person, signed_in


class PeoplePagesTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator")
        cls.bob = make_person("bob", "Operator")
        cls.charlie = make_person("charlie", "Viewer", "Auditor", "Key manager", "Operator")

    def setUp(self):
        self.client = signed_in(self.alice)
        self.page = f"/people/{self.bob.pk}/"

    def bob_now(self) -> User:
        return User.objects.get(pk=self.bob.pk)

    def last_event(self) -> Event:
        return Event.objects.latest("sequence")

    def acts(self) -> list[tuple[str, dict[str, object]]]:
        return [
            ("/people/add/", {"username": "dave"}),
            (f"{self.page}roles/", {"roles": ["Administrator"]}),
            (f"{self.page}deactivate/", {}),
            (f"{self.page}activate/", {}),
            (f"{self.page}link/", {}),
            (f"{self.page}end-sign-ins/", {}),
        ]

    def test_it_lists_people_with_roles_and_state(self):
        make_person("dave", password="!")
        make_person("erin", is_active=False)

        response = self.client.get("/people/")

        for words in ["bob", "Operator, Key manager, Auditor", "invited", "deactivated", "never"]:
            self.assertContains(response, words)

    def test_it_lists_any_number_with_the_same_queries(self):
        for number in range(20):
            make_person(f"person{number}", "Viewer")

        with self.assertNumQueries(4):  # session, who asks, people, their groups
            self.client.get("/people/")

    def test_it_adds_a_person_and_shows_the_link_once(self):
        response = self.client.post("/people/add/", {"username": "dave", "email": "d@x.example", "roles": ["Viewer"]})

        url = re.search(r'value="http://127\.0\.0\.1:8000(/accounts/link/[\w-]{43}/)"', response.content.decode())[1]
        self.assertIn("no-store", response["Cache-Control"])
        dave = User.objects.get(username="dave")
        self.assertEqual((roles_of(dave), dave.email, dave.has_usable_password()), (["Viewer"], "d@x.example", False))
        self.assertNotContains(self.client.get(f"/people/{dave.pk}/"), url)
        self.assertEqual(Client().get(url).status_code, 302)
        self.assertEqual(
            list(Event.objects.order_by("sequence").values_list("action", "actor_label", "target_label")),
            [("person.added", "alice", "dave"), ("person.link_made", "alice", "dave")],
        )

    def test_it_says_what_is_wrong_with_a_new_person_and_keeps_what_was_typed(self):
        for form, message in [
            ({"username": "BOB"}, "There is already a person with that username."),
            ({"username": ""}, "This field is required."),
            ({"username": "<script>"}, "Enter a valid username."),
            ({"username": "dave", "email": "nonsense"}, "Enter a valid email address."),
            ({"username": "dave", "roles": ["Emperor"]}, "Select a valid choice."),
        ]:
            with self.subTest(message):
                response = self.client.post("/people/add/", {"email": "kept@x.example", **form})
                self.assertContains(response, message)
                self.assertContains(response, form.get("email", "kept@x.example"))
        self.assertEqual(User.objects.count(), 3)

    def test_it_changes_roles_and_records_before_and_after(self):
        response = self.client.post(f"{self.page}roles/", {"roles": ["Viewer", "Auditor"]})

        self.assertRedirects(response, self.page)
        self.assertEqual(roles_of(self.bob_now()), ["Viewer", "Auditor"])
        event = self.last_event()
        self.assertEqual((event.action, event.target_id), ("person.roles_changed", str(self.bob.pk)))
        self.assertEqual(json.loads(event.data), {"before": ["Operator"], "after": ["Viewer", "Auditor"]})

    def test_it_makes_and_unmakes_an_administrator(self):
        self.client.post(f"{self.page}roles/", {"roles": ["Administrator"]})
        self.assertTrue(self.bob_now().is_superuser)
        self.client.post(f"{self.page}roles/", {})
        self.assertEqual(rights_of(self.bob_now()), frozenset())

    def test_it_deactivates_at_once_and_for_good(self):
        browser = signed_in(self.bob)
        self.client.post(f"{self.page}link/")

        response = self.client.post(f"{self.page}deactivate/", follow=True)

        self.assertContains(response, "bob is deactivated and signed out everywhere.")
        self.assertEqual(browser.get("/accounts/").status_code, 302)
        self.assertFalse(OneTimeLink.objects.filter(used_at=None).exists())
        self.assertEqual(self.last_event().action, "person.deactivated")
        self.client.post(f"{self.page}activate/")
        self.assertEqual(self.last_event().action, "person.activated")
        browser = signed_in(self.bob)  # as it was before: the sign-in of then
        self.assertEqual(browser.get("/accounts/").status_code, 302)

    def test_it_signs_somebody_out_everywhere(self):
        browser = signed_in(self.bob)

        self.client.post(f"{self.page}end-sign-ins/")

        self.assertEqual(browser.get("/accounts/").status_code, 302)

    def test_it_makes_no_link_for_somebody_deactivated(self):
        self.client.post(f"{self.page}deactivate/")

        response = self.client.post(f"{self.page}link/", follow=True)

        self.assertContains(response, "bob is deactivated. Activate them first.")

    def test_it_keeps_the_last_active_administrator(self):
        make_person("dave", "Administrator", is_active=False)
        make_person("erin", "Administrator", password="!")
        page = f"/people/{self.alice.pk}/"

        demoted = self.client.post(f"{page}roles/", {"roles": ["Viewer"]})
        deactivated = self.client.post(f"{page}deactivate/", follow=True)

        for response in [demoted, deactivated]:
            self.assertContains(response, "alice is the last active Administrator.")
        self.alice.refresh_from_db()
        self.assertTrue(self.alice.is_superuser and self.alice.is_active)

    def test_it_changes_details_and_records_what_changed(self):
        self.client.post(self.page, {"email": "b@x.example", "time_zone": "UTC"})

        self.assertEqual(
            json.loads(self.last_event().data), {"before": {"email": ""}, "after": {"email": "b@x.example"}}
        )

    def test_it_records_nothing_where_nothing_changed(self):
        self.client.post(self.page, {"email": "", "time_zone": "UTC"})
        self.client.post(f"{self.page}roles/", {"roles": ["Operator"]})
        self.client.post(f"{self.page}activate/")

        self.assertFalse(Event.objects.exists())

    def test_it_asks_for_the_password_before_sensitive_acts_and_then_does_them(self):
        for path, form in self.acts():
            with self.subTest(path):
                client = signed_in(self.alice, confirmed=False)
                response = client.post(path, form)
                self.assertRedirects(response, f"/accounts/reauthenticate/?next={path}", fetch_redirect_response=False)
        self.assertEqual(roles_of(self.bob_now()), ["Operator"])
        self.assertFalse(Event.objects.exists())

        client = signed_in(self.alice, confirmed=False)
        asked = client.post(f"{self.page}roles/", {"roles": ["Viewer"]})["Location"]
        page = client.get(asked)
        self.assertContains(page, "Confirm that it is you")
        wrong = client.post("/accounts/reauthenticate/", {"password": "wrong", "next": f"{self.page}roles/"})
        self.assertContains(wrong, "That is not your password.")
        self.assertEqual(roles_of(self.bob_now()), ["Operator"])
        client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": f"{self.page}roles/"})

        self.assertEqual(roles_of(self.bob_now()), ["Viewer"])
        self.assertEqual(
            list(Event.objects.order_by("sequence").values_list("action", "actor_label", "target_label")),
            [
                ("person.sign_in_refused", "alice", "alice"),
                ("person.reauthenticated", "alice", "alice"),
                ("person.roles_changed", "alice", "bob"),
            ],
        )

    def test_it_asks_again_when_the_sign_in_is_a_while_ago(self):
        client = Client()
        client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
        self.assertEqual(client.post(f"{self.page}end-sign-ins/")["Location"], self.page)
        session = client.session
        session["account_authentication_methods"][-1]["at"] -= timedelta(minutes=16).total_seconds()
        session.save()

        self.assertIn("/reauthenticate/", client.post(f"{self.page}end-sign-ins/")["Location"])

    def test_it_is_for_administrators_only_and_says_which_right_is_lacking(self):
        for client, status in [(signed_in(self.charlie), 403), (Client(), 302)]:
            for path in ["/people/", "/people/add/", self.page]:
                self.assertEqual(client.get(path).status_code, status, path)
            for path, form in [*self.acts(), (self.page, {"email": "x@x.example", "time_zone": "UTC"})]:
                self.assertEqual(client.post(path, form).status_code, status, path)
        self.assertContains(
            signed_in(self.charlie).get("/people/"), "<strong>manage people and their roles</strong>", status_code=403
        )
        self.assertFalse(Event.objects.exists())

    def test_it_changes_nothing_by_get_nor_from_elsewhere(self):
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = self.client.cookies
        for path, form in self.acts():
            if path != "/people/add/":
                self.assertEqual(self.client.get(path).status_code, 405, path)
            self.assertEqual(strict.post(path, form).status_code, 403, path)

    def test_it_knows_no_person_of_that_number(self):
        self.assertEqual(self.client.get("/people/999999/").status_code, 404)
        self.assertEqual(self.client.post("/people/999999/deactivate/").status_code, 404)


class OwnAccountTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.bob = make_person("bob", "Operator")

    def setUp(self):
        self.client = signed_in(self.bob)

    def test_it_says_what_one_may_do(self):
        response = self.client.get("/accounts/")

        self.assertContains(response, "Disconnect agent sessions")
        self.assertNotContains(response, "Read and export the audit log")

    def test_it_changes_the_time_zone_and_nothing_else(self):
        form = {"time_zone": "Asia/Tokyo", "is_superuser": "on", "roles": "Administrator", "username": "root"}

        self.assertRedirects(self.client.post("/accounts/", form), "/accounts/")

        self.bob.refresh_from_db()
        self.assertEqual((self.bob.time_zone, self.bob.username), ("Asia/Tokyo", "bob"))
        self.assertEqual(roles_of(self.bob), ["Operator"])

    def test_it_shows_the_page_where_the_time_zone_is_no_longer_known(self):
        for name in ["Mars/Olympus", "../../etc/passwd", ""]:
            User.objects.filter(pk=self.bob.pk).update(time_zone=name)
            self.assertEqual(self.client.get("/accounts/").status_code, 200)

    def test_it_signs_out_everywhere_else(self):
        elsewhere = signed_in(self.bob)

        self.assertRedirects(self.client.post("/accounts/sign-out-elsewhere/"), "/accounts/")

        self.assertEqual(elsewhere.get("/accounts/").status_code, 302)
        event = Event.objects.get()
        self.assertEqual((event.action, json.loads(event.data)), ("person.signed_out", {"everywhere": True}))

    def test_it_changes_the_password_and_ends_the_other_sign_ins(self):
        elsewhere = signed_in(self.bob)
        new = "a quite different phrase"

        response = self.client.post(
            "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
        )

        self.assertRedirects(response, "/accounts/")
        self.assertEqual(elsewhere.get("/accounts/").status_code, 302)
        event = Event.objects.get()
        self.assertEqual((event.action, event.target_label), ("person.password_changed", "bob"))
        self.assertNotIn(new, event.data)

    def test_it_refuses_a_new_password_without_the_present_one(self):
        new = "a quite different phrase"
        for form, message in [
            ({"oldpassword": "wrong", "password1": new, "password2": new}, "That is not your present password."),
            ({"oldpassword": PASSWORD, "password1": "short", "password2": "short"}, "at least 12 characters"),
            ({"oldpassword": PASSWORD, "password1": new, "password2": "other"}, "same password each time"),
        ]:
            with self.subTest(message):
                self.assertContains(self.client.post("/accounts/password/change/", form), message)
        self.assertFalse(Event.objects.exists())

    def test_it_asks_strangers_to_sign_in(self):
        for path in ["", "password/change/", "reauthenticate/"]:
            response = Client().get(f"/accounts/{path}")
            self.assertEqual(response["Location"].split("?")[0], "/accounts/login/", path)

    def test_a_right_that_is_taken_is_gone_with_the_next_request(self):
        self.assertTrue(rights_of(self.bob))
        self.bob.groups.clear()

        self.assertNotContains(self.client.get("/accounts/"), "Disconnect agent sessions")
        self.assertLess(self.bob.date_joined, now())
