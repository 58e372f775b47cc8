"""Signing in and out, and what strangers learn from trying."""

import json
import time
from datetime import timedelta
from unittest.mock import patch

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.test import Client, RequestFactory, TestCase, override_settings
from django.urls import NoReverseMatch, reverse
from django.utils.timezone import now

from audit.models import Event
from console.models import User
from console.people.adapter import AccountAdapter
from console.tests.factory import PASSWORD, make_person, signed_in

REFUSED = "That username and password do not go together."


def sign_in(client: Client, username: str, password: str = PASSWORD, **more: str):
    return client.post("/accounts/login/", {"login": username, "password": password, **more})


class SignInTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator")
        cls.bob = make_person("bob", "Viewer", is_active=False)
        cls.charlie = make_person("charlie", "Viewer", password=make_password(None))

    def events(self) -> list[tuple[str, ...]]:
        columns = ["action", "actor_label", "target_label", "target_id", "data"]
        return [
            (*row[:4], json.loads(row[4]).get("reason", ""))
            for row in Event.objects.order_by("sequence").values_list(*columns)
        ]

    def test_it_signs_in_and_out_and_records_both(self):
        response = sign_in(self.client, "alice")
        self.assertRedirects(response, "/")
        response = self.client.post("/accounts/logout/")

        self.assertEqual(response.status_code, 302)
        self.assertEqual(self.client.get("/accounts/").status_code, 302)
        pk = str(self.alice.pk)
        self.assertEqual(
            self.events(),
            [
                ("person.signed_in", "alice", "alice", pk, ""),
                ("person.signed_out", "alice", "alice", pk, ""),
            ],
        )

    def test_it_says_the_same_to_all_who_are_refused(self):
        pages = set()
        for username, password in [("alice", "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD), ("charlie", PASSWORD)]:
            response = sign_in(self.client, username, password)
            self.assertContains(response, REFUSED)
            self.assertContains(response, f'value="{username}"')
            self.assertNotContains(response, password)
            pages.add(response.content.decode().replace(f'value="{username}"', ""))
        self.assertEqual(len({self.without_csrf(page) for page in pages}), 1)

    @staticmethod
    def without_csrf(page: str) -> str:
        return "\n".join(line for line in page.splitlines() if "csrfmiddlewaretoken" not in line)

    def test_it_hashes_once_for_everybody_so_that_time_tells_nothing(self):
        for username in ["alice", "nobody", "bob", "charlie"]:
            with (
                self.subTest(username),
                patch("django.contrib.auth.hashers.MD5PasswordHasher.encode", return_value="md5$x$y") as encode,
            ):
                sign_in(self.client, username, "wrong")
                self.assertEqual(encode.call_count, 1)

    def test_it_records_each_refusal_with_the_name_and_never_the_password(self):
        sign_in(self.client, "alice", "wrong-password")
        sign_in(self.client, "nobody", "wrong-password")
        sign_in(self.client, "bob")

        self.assertEqual(
            self.events(),
            [
                ("person.sign_in_refused", "anonymous", "alice", str(self.alice.pk), "wrong username or password"),
                ("person.sign_in_refused", "anonymous", "nobody", "", "wrong username or password"),
                (
                    "person.sign_in_refused",
                    "anonymous",
                    "bob",
                    str(self.bob.pk),
                    "wrong username or password, and deactivated",
                ),
            ],
        )

    def test_it_refuses_an_overlong_name_before_anything_is_recorded(self):
        self.assertContains(sign_in(self.client, "a" * 151), "at most 150 characters")
        self.assertContains(sign_in(self.client, "a\x00b"), "Null characters are not allowed.")
        self.assertEqual(self.events(), [])

    def test_it_goes_only_to_pages_of_this_console(self):
        for target in [
            "//evil.example/",
            "https://evil.example/",
            "http://localhost/",
            "javascript:alert(1)",
            "/\\evil",
        ]:
            with self.subTest(target):
                response = sign_in(Client(), "alice", next=target)
                self.assertRedirects(response, "/", fetch_redirect_response=False)
        self.assertRedirects(sign_in(Client(), "alice", next="/people/"), "/people/", fetch_redirect_response=False)

    def test_it_gives_a_new_session_so_that_a_planted_one_is_worth_nothing(self):
        self.client.get(reverse("account_login"))
        session = self.client.session
        session["planted"] = True
        session.save()
        planted = session.session_key
        self.client.cookies[settings.SESSION_COOKIE_NAME] = planted

        sign_in(self.client, "alice")

        self.assertNotEqual(self.client.session.session_key, planted)
        self.assertFalse(self.client.session.exists(planted))

    def test_it_refuses_a_form_from_elsewhere(self):
        strict = Client(enforce_csrf_checks=True)

        self.assertEqual(sign_in(strict, "alice").status_code, 403)
        strict.force_login(self.alice)
        self.assertEqual(strict.post("/accounts/logout/").status_code, 403)

    def test_it_does_not_sign_out_by_following_a_link(self):
        client = signed_in(self.alice)

        self.assertContains(client.get("/accounts/logout/"), "Sign out?")
        self.assertEqual(client.get("/accounts/").status_code, 200)

    def test_it_ends_at_a_fixed_moment_whatever_is_polled_or_saved(self):
        sign_in(self.client, "alice")
        ends = self.client.session.get_expiry_date()
        self.assertAlmostEqual(ends, now() + timedelta(hours=12), delta=timedelta(seconds=10))

        with patch("django.utils.timezone.now", return_value=now() + timedelta(hours=11)):
            polled = self.client.get("/", headers={"HX-Request": "true"})
            self.client.post("/accounts/", {"time_zone": "Asia/Tokyo"})  # a message, which is kept in the session

        self.assertNotIn(settings.SESSION_COOKIE_NAME, polled.cookies)
        self.assertEqual(self.client.session.get_expiry_date(), ends)

    def test_it_is_over_after_that_moment(self):
        sign_in(self.client, "alice")

        with patch("django.utils.timezone.now", return_value=now() + timedelta(hours=12, minutes=1)):
            self.assertEqual(self.client.get("/accounts/").status_code, 302)

    def test_it_sends_a_page_that_polls_to_the_sign_in_as_a_whole(self):
        headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/people/?page=2"}

        response = self.client.get("/people/", headers=headers)

        self.assertEqual(response["HX-Redirect"], "/accounts/login/?next=/people/%3Fpage%3D2")


class ClosedTests(TestCase):
    def test_it_has_no_sign_up_no_mail_addresses_and_no_reset_by_mail(self):
        for path in ["signup/", "email/", "confirm-email/", "password/reset/", "password/set/", "login/code/confirm/"]:
            self.assertEqual(self.client.get(f"/accounts/{path}").status_code, 404, path)
        with self.assertRaises(NoReverseMatch):
            reverse("account_signup")

    def test_it_is_closed_to_sign_up_in_the_adapter_too(self):
        self.assertFalse(AccountAdapter().is_open_for_signup(RequestFactory().get("/")))


class ThrottleTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator")

    def setUp(self):
        cache.clear()

    def wrong(self, times: int, **meta: str):
        for number in range(times):
            response = self.client.post("/accounts/login/", {"login": "alice", "password": f"wrong {number}"}, **meta)
        return response

    def test_it_answers_429_and_says_when_to_try_again(self):
        self.assertEqual(self.wrong(5).status_code, 200)
        response = self.wrong(1)

        self.assertContains(response, "Try again in <strong>5 minutes", status_code=429)
        self.assertAlmostEqual(int(response["Retry-After"]), 300, delta=5)
        self.assertEqual(json.loads(Event.objects.latest("sequence").data)["reason"], "too many attempts")

    def test_it_refuses_even_the_right_password_until_then(self):
        self.wrong(5)

        self.assertEqual(sign_in(self.client, "ALICE").status_code, 429)
        with patch("allauth.core.internal.ratelimit.time.time", return_value=time.time() + 301):
            self.assertRedirects(sign_in(self.client, "alice"), "/")

    def test_it_counts_by_name_whatever_host_and_address_are_claimed(self):
        for number in range(5):
            self.wrong(1, HTTP_HOST=f"localhost:{number + 1}", HTTP_X_FORWARDED_FOR=f"10.0.0.{number}")

        self.assertEqual(self.wrong(1).status_code, 429)

    def test_it_counts_by_address_whatever_names_are_tried(self):
        for number in range(10):
            sign_in(self.client, f"name{number}")

        response = self.client.post(
            "/accounts/login/", {"login": "another", "password": "wrong"}, HTTP_X_FORWARDED_FOR="10.0.0.1"
        )
        self.assertEqual(response.status_code, 429)
        self.assertLessEqual(int(response["Retry-After"]), 60)

    @override_settings(CONSOLE_TRUSTED_PROXIES=1)
    def test_it_believes_the_address_that_the_trusted_proxy_names_and_no_other(self):
        for number in range(10):
            sign_in_from = {"HTTP_X_FORWARDED_FOR": f"10.9.9.{number}, 192.0.2.1"}
            self.client.post("/accounts/login/", {"login": f"name{number}", "password": "wrong"}, **sign_in_from)

        other = {"login": "another", "password": "wrong"}
        blocked = self.client.post("/accounts/login/", other, HTTP_X_FORWARDED_FOR="10.1.1.1, 192.0.2.1")
        free = self.client.post("/accounts/login/", other, HTTP_X_FORWARDED_FOR="192.0.2.1, 192.0.2.2")
        self.assertEqual((blocked.status_code, free.status_code), (429, 200))

    def test_it_does_not_count_the_right_password(self):
        for _ in range(6):
            self.assertEqual(sign_in(Client(), "alice").status_code, 302)

    def test_it_keeps_strangers_from_locking_somebody_out_who_is_signed_in(self):
        client = signed_in(self.alice, confirmed=False)
        self.wrong(6, REMOTE_ADDR="192.0.2.9")

        response = client.post("/accounts/reauthenticate/", {"password": PASSWORD})

        self.assertEqual(response.status_code, 302)

    def test_it_throttles_confirming_and_changing_a_password(self):
        client = signed_in(self.alice)
        for path, form in [
            ("/accounts/reauthenticate/", {"password": "wrong"}),
            ("/accounts/password/change/", {"oldpassword": "wrong"}),
        ]:
            statuses = [client.post(path, form).status_code for _ in range(11)]
            self.assertEqual(statuses[-1], 429, path)

    def test_it_survives_somebody_who_is_deleted_from_under_it(self):
        client = signed_in(self.alice)
        User.objects.filter(pk=self.alice.pk).delete()

        self.assertEqual(client.get("/accounts/").status_code, 302)
