"""/api/v2 as a program that was written for WebConnect finds it."""

import json
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client, TestCase, override_settings
from django.urls import reverse

from agents import services, waiting
from agents.clock import database_now
from agents.models import Disconnection, Operation
from agents.states import State
from agents.tests.make import make_disconnection, make_row, make_session, make_source
from apikeys import throttling
from apikeys.models import ApiKey
from apikeys.rights import NotAllowed, Right
from apikeys.tests.factory import bearer, make_key
from audit.models import Event
from console.tests.factory import make_person, signed_in

STATUS, DISCONNECTION = "/api/v2/agent/status", "/api/v2/agent/disconnection"


class CompatibleCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.tokyo, cls.osaka = make_source("Tokyo"), make_source("Osaka")
        cls.owner = make_person("otto", "Operator")
        cls.key, cls.text = make_key("nightly", "agent:get", "agent:disconnect", owner=cls.owner)

    def setUp(self):
        cache.clear()
        throttling._portions.clear()

    def get(self, path=STATUS, text=None, **query):
        return self.client.get(path, query, headers=bearer(text or self.text))

    def post(self, session_id, endpoint, text=None, **headers):
        body = {"sessionId": session_id, "endpoint": endpoint}
        return self.send(json.dumps(body), text, **headers)

    def send(self, body, text=None, content_type="application/json", **headers):
        headers = bearer(text or self.text) | headers
        return self.client.post(DISCONNECTION, body, content_type=content_type, headers=headers)

    def assertProblem(self, response, status, code, words=""):
        self.assertEqual(response.status_code, status, response.content)
        self.assertEqual(response["Content-Type"], "application/json")
        self.assertEqual(set(response.json()), {"code", "message"})
        self.assertEqual(response.json()["code"], code)
        self.assertIn(words, response.json()["message"])


class StatusTests(CompatibleCase):
    def test_it_gives_each_row_as_received_in_the_documented_wrapper(self):
        row = make_row("s1", unknownProperty={"x": [1, None]}, willBeClosed=None)
        make_session(self.tokyo, "s1", row=row)

        response = self.get()

        self.assertEqual(
            response.json(), {"totalSize": 1, "fetchSize": 1, "startIndex": 0, "maxResults": 30, "status": [row]}
        )
        self.assertEqual(response["Content-Type"], "application/json")

    def test_an_empty_list_is_a_200_with_no_rows(self):
        self.assertEqual(self.get().json()["status"], [])

    def test_it_pages_through_all_sources_in_a_stable_order(self):
        for number in range(5):
            make_session([self.tokyo, self.osaka][number % 2], f"s{number}")

        pages = [self.get(startIndex=start, maxResults=2).json() for start in (0, 2, 4, 6)]

        ids = [[row["sessionId"] for row in page["status"]] for page in pages]
        self.assertEqual(ids, [["s0", "s1"], ["s2", "s3"], ["s4"], []])
        self.assertEqual([page["fetchSize"] for page in pages], [2, 2, 1, 0])
        self.assertEqual({page["totalSize"] for page in pages}, {5})
        self.assertEqual(pages[1]["startIndex"], 2)

    def test_it_has_the_documented_defaults_and_ranges(self):
        self.assertEqual((self.get().json()["startIndex"], self.get().json()["maxResults"]), (0, 30))
        for good in [{"startIndex": 10000}, {"maxResults": 1000}, {"maxResults": 1}, {"from": "", "to": ""}]:
            self.assertEqual(self.get(**good).status_code, 200, good)
        bad = [
            {"startIndex": 10001},
            {"startIndex": -1},
            {"startIndex": ""},
            {"maxResults": 0},
            {"maxResults": 1001},
            {"maxResults": "many"},
            {"maxResults": "３"},
            {"from": "20260231"},
            {"to": "2026-02-01"},
            {"timezone": "Asia/Atlantis"},
            {"timezone": "Asia"},
            {"timezone": "../../etc/passwd"},
        ]
        for query in bad:
            self.assertProblem(self.get(**query), 400, "C400003", next(iter(query)))

    def test_a_direction_is_a_part_of_the_path(self):
        make_session(self.tokyo, "s1", row=make_row("s1", direction="send"))
        make_session(self.tokyo, "s2", row=make_row("s2", direction="receive"))

        for direction, session_id in [("send", "s1"), ("receive", "s2")]:
            listed = self.get(f"{STATUS}/{direction}").json()
            self.assertEqual((listed["totalSize"], listed["status"][0]["sessionId"]), (1, session_id))
        self.assertProblem(self.get(f"{STATUS}/sideways"), 400, "C400003", "direction")

    def test_a_period_is_of_the_start_of_the_connection_in_the_zone_asked_for(self):
        make_session(self.tokyo, "s1", row=make_row("s1", startConnection="2026-06-30 14:59:59.999"))
        make_session(self.tokyo, "s2", row=make_row("s2", startConnection="2026-06-30 15:00:00.000"))
        make_session(self.tokyo, "s3", row=make_row("s3", startConnection="some day"))

        def listed(**query):
            return [row["sessionId"] for row in self.get(**query).json()["status"]]

        self.assertEqual(listed(), ["s1", "s2", "s3"])
        self.assertEqual(listed(**{"from": "20260630", "to": "20260630"}), ["s1", "s2"])
        self.assertEqual(listed(**{"from": "20260701"}), [])
        self.assertEqual(listed(**{"from": "20260701", "timezone": "Asia/Tokyo"}), ["s2"])
        self.assertEqual(listed(**{"to": "20260630", "timezone": "Asia/Tokyo"}), ["s1"])
        self.assertEqual(listed(**{"from": "00010101", "to": "99991231", "timezone": "Asia/Tokyo"}), ["s1", "s2"])

    def test_it_lists_only_the_sources_that_the_key_may_touch(self):
        make_session(self.tokyo, "s1")
        make_session(self.osaka, "s2")
        _, text = make_key("osaka", "agent:get", all_sources=False, sources=frozenset({"Osaka"}))

        listed = self.get(text=text).json()

        self.assertEqual((listed["totalSize"], listed["status"][0]["sessionId"]), (1, "s2"))

    def test_what_has_ended_is_not_listed(self):
        make_session(self.tokyo, "s1", ended_at=database_now(), ended_by="itself")

        self.assertEqual(self.get().json()["totalSize"], 0)

    def test_it_takes_a_constant_number_of_queries(self):
        for number in range(3):
            make_session(self.tokyo, f"s{number}")
        self.get()

        with self.assertNumQueries(4):  # the key, the sources, the rows, their number
            self.get()

    def test_the_manuals_accept_headers_get_json(self):
        for accept in ["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/plain", "", ";"]:
            response = self.client.get(STATUS, headers=bearer(self.text) | {"Accept": accept})
            self.assertEqual((response.status_code, response["Content-Type"]), (200, "application/json"))


class DisconnectionTests(CompatibleCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.session = make_session(cls.tokyo, "s1")
        cls.endpoint = cls.session.endpoint

    def test_it_records_the_order_and_answers_200_with_an_empty_body(self):
        response = self.post("s1", self.endpoint)

        self.assertEqual((response.status_code, response.content), (200, b""))
        row = Disconnection.objects.get()
        self.assertEqual(response["Location"], f"http://testserver/api/console/v1/disconnections/{row.pk}")
        operation = row.operation
        self.assertEqual((operation.actor_kind, operation.actor_label), ("API key", "nightly"))
        self.assertEqual(operation.reason, "Asked for by the API key nightly.")
        event = Event.objects.filter(action="disconnection.queued").get()
        self.assertEqual((event.actor_kind, event.actor_label, event.authentication), ("API key", "nightly", "API key"))

    def test_a_persons_and_a_keys_go_through_the_same_service(self):
        with patch.object(services, "request_disconnection", wraps=services.request_disconnection) as service:
            self.post("s1", self.endpoint)
            other = make_session(self.tokyo, "s2")
            form = {"reason": "upkeep", "token": str(uuid4())}
            signed_in(self.owner).post(reverse("agents:disconnect", args=[other.pk]), form)

        actors = [call.kwargs["actor"] for call in service.call_args_list]
        self.assertEqual([(actor.kind, actor.label) for actor in actors], [("API key", "nightly"), ("person", "otto")])
        self.assertEqual(Disconnection.objects.count(), 2)

    def test_the_reason_may_be_given(self):
        self.post("s1", self.endpoint, **{"X-Reason": "Wartung für Köln".encode().decode("latin-1")})

        self.assertEqual(Operation.objects.get().reason, "Wartung für Köln")

    def test_a_reason_that_says_nothing_is_refused(self):
        self.assertProblem(self.post("s1", self.endpoint, **{"X-Reason": "\u00ad"}), 400, "C400004", "X-Reason")
        self.assertProblem(self.post("s1", self.endpoint, **{"X-Reason": "x" * 501}), 400, "C400004", "X-Reason")

    def test_an_open_one_answers_with_its_location(self):
        row = make_disconnection(self.session)

        response = self.post("s1", self.endpoint)

        self.assertEqual((response.status_code, response.content), (200, b""))
        self.assertTrue(response["Location"].endswith(str(row.pk)))
        self.assertEqual(Disconnection.objects.count(), 1)
        self.assertEqual(Event.objects.filter(action="disconnection.already_open").get().actor_label, "nightly")

    def test_both_must_match_one_live_session(self):
        self.assertProblem(self.post("s2", self.endpoint), 400, "C400101")
        self.assertProblem(self.post("s1", "elsewhere.example"), 400, "C400102")
        make_session(self.osaka, "s1")
        self.assertProblem(self.post("s1", self.endpoint), 400, "C400105")
        self.assertEqual(Operation.objects.count(), 0)

    def test_what_the_key_may_not_touch_is_not_there(self):
        ApiKey.objects.update(all_sources=False, sources=["Osaka"])

        self.assertProblem(self.post("s1", self.endpoint), 400, "C400101")

    def test_each_bad_body_is_told(self):
        ok = f'"endpoint": "{self.endpoint}"'
        for body, code, words in [
            ("", "C400002", "sessionId"),
            ("{", "C400001", "not JSON"),
            ("[]", "C400001", ""),
            ("NaN", "C400001", "NaN"),
            (b"\xff\xfe", "C400001", ""),
            ("[" * 100_000, "C400001", ""),
            ("{}", "C400002", "sessionId: This field is required. endpoint: This field is required."),
            (f'{{"sessionId": "", {ok}}}', "C400002", "sessionId"),
            (f'{{"sessionId": ["s1"], {ok}}}', "C400002", "sessionId"),
            (f'{{"sessionId": "\\u0000", {ok}}}', "C400002", "sessionId"),
            (f'{{"sessionId": "\\ud800", {ok}}}', "C400002", "sessionId"),
            (f'{{"sessionId": "{"x" * 256}", {ok}}}', "C400002", "sessionId"),
        ]:
            self.assertProblem(self.send(body), 400, code, words)

    def test_other_properties_are_not_looked_at(self):
        body = {"sessionId": "s1", "endpoint": self.endpoint, "force": True}
        self.assertEqual(self.send(json.dumps(body)).status_code, 200)

    def test_an_agent_below_1_2_0_and_one_that_does_not_support_it_are_refused(self):
        for number, other in enumerate([{"agentVersion": "1.1.9"}, {"supportingDisconnectApi": False}]):
            session = make_session(self.tokyo, f"old{number}", row=make_row(f"old{number}", **other))
            self.assertProblem(self.post(session.session_id, session.endpoint), 400, "C400103")

    def test_one_that_is_closing_is_refused_until_the_time_to_confirm_is_over(self):
        row = make_row("c1", willBeClosed=True)
        session = make_session(self.tokyo, "c1", row=row, closing_since=database_now())

        self.assertProblem(self.post("c1", session.endpoint), 400, "C400104")

        session.closing_since = database_now() - timedelta(hours=1)
        session.save()
        self.assertEqual(self.post("c1", session.endpoint).status_code, 200)

    def test_a_source_that_is_paused_or_refused_is_a_503(self):
        self.tokyo.paused_at = database_now()
        self.tokyo.save()
        self.assertProblem(self.post("s1", self.endpoint), 503, "C503001", "paused")

        self.tokyo.paused_at = None
        self.tokyo.save()
        self.tokyo.contract.blocked_until = database_now() + timedelta(seconds=100)
        self.tokyo.contract.save()
        response = self.post("s1", self.endpoint)
        self.assertProblem(response, 503, "C503002")
        self.assertTrue(95 <= int(response["Retry-After"]) <= 100)

    def test_a_key_without_the_scope_gets_a_403_that_says_so_and_is_on_record(self):
        _, text = make_key("reader", "agent:get")

        response = self.post("s1", self.endpoint, text)

        self.assertProblem(response, 403, "C403001", "lacks the scope agent:disconnect (Agent: Disconnect)")
        self.assertEqual(Event.objects.get(action="apikey.not_allowed").actor_label, "reader")
        self.assertEqual(Operation.objects.count(), 0)

    def test_a_key_whose_owner_lost_the_right_is_told_so(self):
        self.owner.groups.clear()

        self.assertProblem(self.post("s1", self.endpoint), 403, "C403002")

    def test_a_key_whose_owner_is_deactivated_stops_at_once(self):
        self.assertEqual(self.get().status_code, 200)
        get_user_model().objects.filter(pk=self.owner.pk).update(is_active=False)

        for response in [self.get(), self.post("s1", self.endpoint)]:
            self.assertProblem(response, 401, "C401002")
            self.assertIn("invalid_token", response["WWW-Authenticate"])

    def test_without_a_key_it_says_how_to_send_one(self):
        response = self.client.get(STATUS)

        self.assertProblem(response, 401, "C401001")
        self.assertEqual(response["WWW-Authenticate"], 'Bearer realm="Agent Console"')

    def test_a_sign_in_is_no_key(self):
        self.assertEqual(signed_in(make_person("ada", "Administrator")).get(STATUS).status_code, 401)

    def test_405_413_and_415_are_told_apart(self):
        wrong_method = self.client.get(DISCONNECTION, headers=bearer(self.text))
        self.assertProblem(wrong_method, 405, "C405001")
        self.assertEqual(wrong_method["Allow"], "POST")
        self.assertProblem(self.client.delete(STATUS, headers=bearer(self.text)), 405, "C405001")
        self.assertProblem(self.send("{" + " " * 1_000_000 + "}"), 413, "C413001")
        for declared in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data"]:
            self.assertProblem(self.send("sessionId=s1", content_type=declared), 415, "C415001")
        body = json.dumps({"sessionId": "s1", "endpoint": self.endpoint})
        self.assertEqual(self.send(body, content_type="Application/JSON; charset=UTF-8; x=1").status_code, 200)

    def test_past_its_requests_a_minute_a_key_has_to_wait(self):
        ApiKey.objects.update(requests_per_minute=1)

        answers = [self.get(), self.get()]

        self.assertEqual(answers[0]["X-RateLimit-Limit"], "1")
        self.assertProblem(answers[1], 429, "C429001")
        self.assertTrue(0 < int(answers[1]["Retry-After"]) <= 60)
        self.assertEqual(answers[1]["X-RateLimit-Remaining"], "0")
        self.assertEqual(Event.objects.get(action="apikey.request_refused").actor_label, "nightly")

    def test_what_is_nowhere_is_a_404_of_the_same_shape(self):
        for path in ["/api/", "/api", "/api/v2/agent", "/api/v2/agent/status/", "/api/v2/relay/log", "/api/v3/x"]:
            self.assertProblem(self.client.get(path), 404, "C404001")
            strict = Client(enforce_csrf_checks=True)
            self.assertProblem(strict.post(path, "{}", content_type="application/json"), 404, "C404001")

    def test_too_many_bad_keys_of_an_address_are_told_apart(self):
        with patch("apikeys.refusals.MOST_OF_ADDRESS", 1):
            answers = [self.get(text="nonsense") for _ in range(2)]

        self.assertProblem(answers[0], 401, "C401002")
        self.assertProblem(answers[1], 429, "C429002")
        self.assertIn("Retry-After", answers[1])

    def test_one_that_ended_just_now_is_told_to_look_again(self):
        with patch.object(services, "request_disconnection", side_effect=services.NotOffered("Look again.")):
            self.assertProblem(self.post("s1", self.endpoint), 409, "C409006", "Look again.")

    def test_a_right_that_was_lost_on_the_way_is_a_403(self):
        def refuse(actor, **asked):
            raise NotAllowed(actor, Right.AGENT_DISCONNECT)

        with patch.object(services, "request_disconnection", side_effect=refuse):
            self.assertProblem(self.post("s1", self.endpoint), 403, "C403003", "nightly may not disconnect")

    def test_each_refusal_is_on_record_with_the_keys_name(self):
        self.post("s2", self.endpoint)

        event = Event.objects.get(action="apikey.request_refused")
        self.assertEqual((event.actor_kind, event.actor_label), ("API key", "nightly"))
        self.assertEqual(event.details["reason"], "C400101: There is no such live agent session.")
        self.assertEqual(event.details["endpoint"], "POST /api/v2/agent/disconnection")

    def test_a_failure_of_ours_has_the_same_shape(self):
        with (
            patch("agents.webconnect.api._order", side_effect=ZeroDivisionError("secret detail")),
            self.assertLogs("apikeys.errors", "ERROR"),
        ):
            self.client.raise_request_exception = False
            response = self.post("s1", self.endpoint)

        self.assertProblem(response, 500, "C500001")
        self.assertNotIn("secret detail", response.text)


class WaitingTests(CompatibleCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.session = make_session(cls.tokyo, "s1")

    def wait(self, prefer="wait=5", **final):
        def end(row, **how):
            now = database_now()
            Disconnection.objects.update(finished_at=now if final.get("finished", True) else None, **how)
            return Disconnection.objects.get()

        how = {name: value for name, value in final.items() if name != "finished"}
        with patch("agents.webconnect.api.wait_for", side_effect=lambda pk, seconds: end(pk, **how)):
            return self.post("s1", self.session.endpoint, Prefer=prefer)

    def test_it_tells_each_outcome_apart(self):
        for state, status, code in [
            (State.STILL_CONNECTED, 409, "C409101"),
            (State.ALREADY_GONE, 409, "C409102"),
            (State.CANCELLED, 409, "C409103"),
            (State.REFUSED, 502, "C502001"),
            (State.FAILED, 502, "C502002"),
            (State.UNKNOWN, 504, "C504001"),
        ]:
            response = self.wait(state=state, explanation="Because.")
            self.assertProblem(response, status, code, "Because.")
            self.assertEqual(response["Preference-Applied"], "wait=5")
            self.assertIn("/disconnections/", response["Location"])
            Disconnection.objects.all().delete()

    def test_confirmed_is_a_200_and_not_yet_a_202(self):
        for state, status in [(State.CONFIRMED, 200), (State.ACCEPTED, 202)]:
            response = self.wait(state=state, finished=state == State.CONFIRMED)
            self.assertEqual((response.status_code, response.content), (status, b""))
            self.assertEqual(response["Preference-Applied"], "wait=5")
            Disconnection.objects.all().delete()

    def test_it_waits_30_seconds_at_the_most(self):
        self.assertEqual(self.wait(prefer="respond-async, wait=999", state="failed")["Preference-Applied"], "wait=30")

    def test_other_preferences_are_no_wait(self):
        for prefer in ["return=minimal", "await=3", "wait=x", "wait=0"]:
            self.assertNotIn("Preference-Applied", self.post("s1", self.session.endpoint, Prefer=prefer))

    def test_it_really_waits_and_then_says_not_yet(self):
        response = self.post("s1", self.session.endpoint, Prefer="wait=1")

        self.assertEqual(response.status_code, 202)

    def test_waiters_hold_at_most_a_quarter_of_the_threads(self):
        with waiting.a_place() as first, waiting.a_place() as second:
            response = self.post("s1", self.session.endpoint, Prefer="wait=5")

        self.assertTrue(first and second)
        self.assertEqual(response.status_code, 200)
        self.assertNotIn("Preference-Applied", response)


class CorsTests(CompatibleCase):
    ORIGIN = "https://tools.example"

    def preflight(self):
        headers = {"Origin": self.ORIGIN, "Access-Control-Request-Method": "POST"}
        return self.client.options(DISCONNECTION, headers=headers)

    def test_it_is_off_by_default(self):
        self.assertEqual(self.preflight().status_code, 401)
        response = self.client.get(STATUS, headers=bearer(self.text) | {"Origin": self.ORIGIN})
        self.assertNotIn("Access-Control-Allow-Origin", response)

    @override_settings(CONSOLE_API_ORIGINS=["https://tools.example"])
    def test_an_allowed_origin_may_call_and_read(self):
        preflight = self.preflight()
        self.assertEqual((preflight.status_code, preflight["Access-Control-Allow-Origin"]), (204, self.ORIGIN))
        self.assertIn("Authorization", preflight["Access-Control-Allow-Headers"])
        response = self.client.get(STATUS, headers=bearer(self.text) | {"Origin": self.ORIGIN})
        self.assertEqual(response["Access-Control-Allow-Origin"], self.ORIGIN)
        self.assertIn("Origin", response["Vary"])
        self.assertNotIn("Access-Control-Allow-Credentials", response)

    @override_settings(CONSOLE_API_ORIGINS=["https://other.example"])
    def test_another_origin_may_not_and_pages_never(self):
        self.assertEqual(self.preflight().status_code, 401)
        self.ORIGIN = "https://other.example"
        page = self.client.get("/livez", headers={"Origin": self.ORIGIN})
        self.assertNotIn("Access-Control-Allow-Origin", page)
