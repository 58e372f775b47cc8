"""/api/console/v1: sessions, sources, operations and disconnections."""

import json
from unittest.mock import patch
from uuid import uuid4

from django.core.cache import cache
from django.test import TestCase

from agents.clock import database_now
from agents.models import Disconnection, Operation
from agents.states import State
from agents.tests.make import KEY, make_disconnection, make_operation, make_session, make_source
from apikeys import throttling
from apikeys.rights import Right
from apikeys.tests.factory import bearer, make_key
from audit.models import Event

V1 = "/api/console/v1"
ALL = [Right.AGENT_GET, Right.AGENT_DISCONNECT, Right.OPERATION_GET, Right.SOURCE_GET]


class ApiCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.tokyo, cls.osaka = make_source("Tokyo"), make_source("Osaka")
        cls.key, cls.text = make_key("nightly", *ALL)
        _, cls.of_osaka = make_key("osaka", *ALL, all_sources=False, sources=frozenset({"Osaka"}))

    def setUp(self):
        cache.clear()
        throttling._portions.clear()

    def get(self, path, text=None, **query):
        path = path if path.startswith("http") else V1 + path
        return self.client.get(path, query, headers=bearer(text or self.text))

    def items(self, path, text=None, **query):
        response = self.get(path, text, **query)
        self.assertEqual(response.status_code, 200, response.content)
        return response.json()["items"]

    def post(self, path, body=None, text=None, **headers):
        headers = bearer(text or self.text) | headers
        return self.client.post(V1 + path, json.dumps(body or {}), content_type="application/json", headers=headers)

    def assertProblem(self, response, status, code, words=""):
        self.assertEqual((response.status_code, response.json().get("code")), (status, code), response.content)
        self.assertIn(words, response.json()["message"])


class SessionTests(ApiCase):
    def test_it_lists_live_sessions_page_by_page(self):
        made = [make_session([self.tokyo, self.osaka][number % 2], f"s{number}") for number in range(5)]

        first = self.get("/sessions", limit=2).json()
        second = self.get(first["next"]).json()
        third = self.get(second["next"]).json()

        pages = [first, second, third]
        self.assertEqual([row["id"] for page in pages for row in page["items"]], [each.pk for each in made])
        self.assertIsNone(third["next"])
        self.assertEqual(first["items"][0]["phase"], "connected")

    def test_a_page_is_not_shifted_by_what_comes_and_goes(self):
        for number in range(4):
            make_session(self.tokyo, f"s{number}")
        first = self.get("/sessions", limit=2).json()
        make_session(self.tokyo, "s00")

        later = self.get(first["next"]).json()["items"]

        self.assertEqual([row["session_id"] for row in later], ["s2", "s3"])

    def test_it_filters_and_shows_ended_ones(self):
        make_session(self.tokyo, "s1")
        gone = [
            make_session(self.osaka, f"g{number}", ended_at=database_now(), ended_by="itself") for number in range(3)
        ]

        self.assertEqual([row["session_id"] for row in self.items("/sessions", source="Tokyo")], ["s1"])
        self.assertEqual(self.items("/sessions", source="Osaka"), [])
        for name, value in [("agent_id", "agent-s1"), ("session_id", "s1"), ("direction", "send")]:
            self.assertEqual(len(self.items("/sessions", **{name: value})), 1, name)
            self.assertEqual(self.items("/sessions", **{name: "other"}), [], name)
        first = self.get("/sessions", state="ended", limit=2).json()
        ended = first["items"] + self.get(first["next"]).json()["items"]
        self.assertEqual([row["id"] for row in ended], [each.pk for each in reversed(gone)])

    def test_what_the_key_may_not_touch_is_not_there(self):
        session = make_session(self.tokyo, "s1")

        self.assertEqual(self.items("/sessions", self.of_osaka), [])
        self.assertProblem(self.get(f"/sessions/{session.pk}", self.of_osaka), 404, "C404001")
        self.assertEqual(self.get(f"/sessions/{session.pk}").json()["session_id"], "s1")

    def test_each_bad_parameter_is_told(self):
        for query in [
            {"limit": 0},
            {"limit": 201},
            {"limit": "x"},
            {"state": "asleep"},
            {"cursor": "x"},
            {"cursor": "W251bGxd"},
            {"cursor": "WyIyMDI2LTAxLTAxIiwgMV0"},
            {"agent_id": "\x00"},
        ]:
            response = self.get("/sessions", **query | ({} if "state" in query else {"state": "ended"}))
            self.assertProblem(response, 400, "C400003", next(iter(query)))
        self.assertProblem(self.get(f"/sessions/{2**70}"), 404, "C404001")

    def test_it_takes_two_queries(self):
        for number in range(3):
            make_session(self.tokyo, f"s{number}")
        self.get("/sessions")

        with self.assertNumQueries(2):
            self.get("/sessions")


class SourceTests(ApiCase):
    def test_it_lists_sources_without_secrets(self):
        make_session(self.tokyo, "s1")

        response = self.get("/sources")

        self.assertEqual([(each["name"], each["connected"]) for each in response.json()], [("Osaka", 0), ("Tokyo", 1)])
        self.assertNotIn(KEY, response.text)
        self.assertEqual(set(response.json()[0]), set(self.get(f"/sources/{self.osaka.pk}").json()))

    def test_only_those_that_the_key_may_touch(self):
        self.assertEqual([each["name"] for each in self.get("/sources", self.of_osaka).json()], ["Osaka"])
        self.assertProblem(self.get(f"/sources/{self.tokyo.pk}", self.of_osaka), 404, "C404001")


class DisconnectionTests(ApiCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.session = make_session(cls.tokyo, "s1")

    def order(self, **headers):
        return self.post("/disconnections", {"session": self.session.pk, "reason": "upkeep"}, **headers)

    def test_it_orders_one_and_leads_to_it(self):
        response = self.order()

        self.assertEqual(response.status_code, 202)
        read = self.get(response["Location"])
        self.assertEqual(read.json(), response.json())
        self.assertEqual((read.json()["state"], read.json()["reason"]), ("queued", "upkeep"))
        self.assertEqual(read.json()["requested_by"], "nightly")

    def test_one_that_is_open_already_is_a_200_with_its_location(self):
        row = make_disconnection(self.session)

        response = self.order()

        self.assertEqual((response.status_code, response.json()["id"]), (200, str(row.pk)))
        self.assertTrue(response["Location"].endswith(str(row.pk)))

    def test_it_refuses_as_the_other_api_does(self):
        self.assertProblem(self.post("/disconnections", {"session": 10**9, "reason": "x"}), 400, "C400101")
        self.assertProblem(self.post("/disconnections", {"session": self.session.pk}), 400, "C400002", "reason")
        blank = self.post("/disconnections", {"session": self.session.pk, "reason": "\u00ad"})
        self.assertProblem(blank, 400, "C400002", "reason")
        self.tokyo.paused_at = database_now()
        self.tokyo.save()
        self.assertProblem(self.order(), 503, "C503001")

    def test_it_is_cancelled_before_it_is_sent_and_not_later(self):
        pk = self.order().json()["id"]

        self.assertEqual(self.post(f"/disconnections/{pk}/cancel").json()["state"], "cancelled")
        self.assertProblem(self.post(f"/disconnections/{pk}/cancel"), 409, "C409003")
        self.assertEqual(Event.objects.get(action="disconnection.cancelled").actor_label, "nightly")

    def test_it_lists_the_newest_first_and_filters(self):
        rows = [make_disconnection(make_session(self.tokyo, f"d{n}"), State.CONFIRMED) for n in range(3)]
        other = make_disconnection(self.session)

        first = self.get("/disconnections", limit=3).json()
        last = self.get(first["next"]).json()["items"]
        listed = [row["id"] for row in first["items"] + last]
        self.assertEqual(listed, [str(row.pk) for row in [other, *reversed(rows)]])
        for name, value in [("operation", other.operation_id), ("session", self.session.pk), ("state", "queued")]:
            self.assertEqual([row["id"] for row in self.items("/disconnections", **{name: value})], [str(other.pk)])

    def test_what_the_key_may_not_touch_is_not_there(self):
        row = make_disconnection(self.session)

        self.assertEqual(self.items("/disconnections", self.of_osaka), [])
        for answer in [
            self.get(f"/disconnections/{row.pk}", self.of_osaka),
            self.post(f"/disconnections/{row.pk}/cancel", text=self.of_osaka),
            self.get(f"/operations/{row.operation_id}", self.of_osaka),
            self.post(f"/operations/{row.operation_id}/cancel", text=self.of_osaka),
        ]:
            self.assertProblem(answer, 404, "C404001")
        asked = self.post("/disconnections", {"session": self.session.pk, "reason": "x"}, self.of_osaka)
        self.assertProblem(asked, 400, "C400101")


class OperationTests(ApiCase):
    def test_it_orders_many_reads_lists_and_cancels(self):
        sessions = [make_session(self.tokyo, f"s{number}").pk for number in range(3)]

        made = self.post("/operations", {"sessions": sessions, "reason": "upkeep"})

        self.assertEqual((made.status_code, made.json()["size"], made.json()["states"]), (202, 3, {"queued": 3}))
        self.assertEqual(self.get(made["Location"]).json(), made.json())
        self.assertEqual([row["id"] for row in self.items("/operations")], [made.json()["id"]])
        self.assertEqual(self.items("/operations", self.of_osaka), [])
        self.assertEqual(self.post(f"/operations/{made.json()['id']}/cancel").json(), {"cancelled": 3})
        self.assertProblem(self.post(f"/operations/{made.json()['id']}/cancel"), 409, "C409003")

    def test_all_or_none_of_the_sessions(self):
        session = make_session(self.tokyo, "s1")

        response = self.post("/operations", {"sessions": [session.pk, 10**9, 10**9 + 1], "reason": "upkeep"})

        self.assertProblem(response, 400, "C400101", "1000000000 and 1 more")
        self.assertEqual(Operation.objects.count(), 0)

    def test_where_all_are_open_already_it_is_a_200_with_that_one(self):
        row = make_disconnection(make_session(self.tokyo, "s1"))

        response = self.post("/operations", {"sessions": [row.session_id], "reason": "upkeep"})

        self.assertEqual((response.status_code, response.json()["id"]), (200, str(row.operation_id)))

    def test_lists_take_few_queries_whatever_their_length(self):
        for number in range(4):
            make_disconnection(make_session(self.tokyo, f"s{number}"), operation=make_operation())
        self.get("/operations")

        for path, queries in [("/operations", 3), ("/disconnections", 2)]:
            with self.assertNumQueries(queries):
                self.get(path)


class IdempotencyTests(ApiCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.session = make_session(cls.tokyo, "s1")

    def order(self, sent='"8e03978e"', reason="upkeep", path="/disconnections", text=None):
        body = {"session": self.session.pk, "reason": reason}
        return self.post(path, body, text, **{"Idempotency-Key": sent})

    def test_the_same_again_gets_the_same_answer_and_does_nothing(self):
        first = self.order()
        Disconnection.objects.update(state=State.CANCELLED, finished_at=database_now())

        again = self.order("8e03978e")

        self.assertEqual((again.status_code, again.json(), again["Location"]), (202, first.json(), first["Location"]))
        self.assertEqual(again["Idempotency-Replayed"], "true")
        self.assertNotIn("Idempotency-Replayed", first)
        self.assertEqual(Disconnection.objects.count(), 1)

    def test_a_refusal_is_kept_too_but_no_503(self):
        body = {"session": 10**9, "reason": "x"}
        answers = [self.post("/disconnections", body, **{"Idempotency-Key": "a"}) for _ in range(2)]
        self.assertEqual([answer.json()["code"] for answer in answers], ["C400101"] * 2)
        self.assertIn("Idempotency-Replayed", answers[1])

        self.tokyo.paused_at = database_now()
        self.tokyo.save()
        self.assertEqual(self.order("b").status_code, 503)
        self.tokyo.paused_at = None
        self.tokyo.save()
        self.assertEqual(self.order("b").status_code, 202)

    def test_the_same_with_another_body_or_path_is_a_422(self):
        pk = self.order().json()["id"]

        self.assertProblem(self.order(reason="other"), 422, "C422001")
        self.assertProblem(self.order(path=f"/disconnections/{pk}/cancel"), 422, "C422001")

    def test_another_keys_is_another(self):
        _, text = make_key("other", *ALL)
        self.order()

        self.assertEqual(self.order(text=text, reason="other").status_code, 200)

    def test_one_that_is_under_way_is_a_409_until_its_process_is_dead(self):
        from apikeys.models import IdempotentRequest

        first = self.order()
        IdempotentRequest.objects.update(status=None)
        under_way = self.order()
        self.assertProblem(under_way, 409, "C409001")
        self.assertEqual(under_way["Retry-After"], "1")

        IdempotentRequest.objects.update(begun_at=database_now().replace(year=2025))
        with patch("apikeys.idempotency.KEPT", database_now() - database_now().replace(year=2020)):
            taken_over = self.order()
        self.assertEqual((taken_over.status_code, taken_over.json()["id"]), (202, first.json()["id"]))

    def test_it_is_forgotten_after_a_day(self):
        from apikeys.models import IdempotentRequest

        self.order()
        IdempotentRequest.objects.update(begun_at=database_now().replace(year=2025))

        self.assertEqual(self.order(reason="other").status_code, 200)
        self.assertEqual(IdempotentRequest.objects.count(), 1)

    def test_what_is_no_idempotency_key_is_told(self):
        for sent in ["", '""', "x" * 256, "caf\xe9"]:
            self.assertProblem(self.order(sent), 400, "C400004", "Idempotency-Key")

    def test_no_body_of_a_request_is_kept(self):
        from apikeys.models import IdempotentRequest

        self.post("/disconnections", {"session": 10**9, "reason": "s3cr3t"}, **{"Idempotency-Key": str(uuid4())})

        kept = IdempotentRequest.objects.get()
        self.assertNotIn("s3cr3t", " ".join(map(str, vars(kept).values())))


def test_two_at_once_with_one_idempotency_key_make_one_disconnection(committed_db):
    from django.test import Client

    session = make_session(make_source("Tokyo"), "s1")
    _, text = make_key("nightly", *ALL)

    def order():
        headers = bearer(text) | {"Idempotency-Key": "once"}
        body = json.dumps({"session": session.pk, "reason": "upkeep"})
        client = Client()
        return client.post(f"{V1}/disconnections", body, content_type="application/json", headers=headers)

    with patch("agents.services.nudge"):
        answers = committed_db.in_threads(*[order] * 6)
        after = order()

    assert Disconnection.objects.count() == 1
    row = str(Disconnection.objects.get().pk)
    assert after.status_code == 202 and after.json()["id"] == row
    for answer in answers:
        assert answer.status_code == 202 and answer.json()["id"] == row or answer.json()["code"] == "C409001"
    assert Event.objects.filter(action="operation.requested").count() == 1
