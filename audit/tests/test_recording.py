"""What an event keeps, and what never gets in."""

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.actions import Action
from audit.actors import Actor
from audit.canonical import COLUMNS, event_hash, time_text
from audit.chain import verify
from audit.context import RequestContext, request_context
from audit.models import Event
from audit.redaction import LONGEST_DATA, REDACTED, safe_data, safe_text
from audit.services import Target, record
from audit.tests.make import ALICE, SESSION, commit_events


def stored(text):
    return json.loads(safe_data(text))


@pytest.mark.django_db
def test_an_event_carries_its_request_and_its_labels():
    context = RequestContext("r" * 32, "192.0.2.7", "Firefox", "session")
    operation = uuid4()

    with request_context(context), transaction.atomic():
        record(Action.SOURCE_PAUSED, actor=ALICE, target=SESSION, operation=operation, reason="upkeep")

    event = Event.objects.latest("sequence")
    assert (event.request_id, event.address, event.user_agent, event.authentication) == (
        "r" * 32,
        "192.0.2.7",
        "Firefox",
        "session",
    )
    assert (event.actor_kind, event.actor_id, event.actor_label) == ("person", "1", "alice")
    assert (event.target_kind, event.target_id, event.target_label) == ("agent session", "17", "agent1")
    assert (event.operation, event.details) == (operation, {"reason": "upkeep"})


@pytest.mark.django_db
def test_the_hash_can_be_made_again_from_the_reloaded_row_alone():
    """What is hashed is what is stored, to the microsecond."""
    commit_events(3, operation=uuid4(), data={"reason": 'Ünïcode "quoted" \u2028 \n 移動', "n": 1.5})

    for event in Event.objects.all():
        values = {name: getattr(event, name) for name in COLUMNS}
        values |= {"at": time_text(event.at), "operation": str(event.operation)}
        assert event_hash(list(values.values())) == event.hash


@pytest.mark.django_db
@pytest.mark.parametrize("microsecond", [0, 1, 120, 999_999, 500_000])
def test_every_microsecond_comes_back(monkeypatch, microsecond):
    at = datetime(2026, 3, 29, 1, 30, 0, microsecond, UTC)
    monkeypatch.setattr("audit.services.timezone.now", lambda: at)

    commit_events(1)

    assert Event.objects.get().at == at
    assert verify().flaw is None


@pytest.mark.django_db
def test_hostile_and_endless_text_is_stored_and_still_verifies():
    odd = "a\0b\ud800c\u202e" + "x" * 5_000
    label = Actor("person", odd, odd)

    commit_events(1, actor=label, target=Target(odd, odd, odd), data={odd: odd, "list": [odd] * 500})

    event = Event.objects.get()
    assert event.actor_label.startswith("a\u2400b\ufffdc\u202exxx")
    assert event.actor_label.endswith("… [5006 characters]")
    assert len(event.actor_label) == len(event.target_id) == 200
    assert verify().flaw is None


@pytest.mark.django_db
def test_a_thousand_events_cost_as_many_questions_as_one():
    def queries(count):
        with CaptureQueriesContext(connection) as captured:
            commit_events(count)
        return sum(not query["sql"].endswith("SAVEPOINT") and "SAVEPOINT" not in query["sql"] for query in captured)

    assert queries(1) == queries(1_000) == 3


@pytest.mark.parametrize(
    "name",
    [
        "password", "new_password", "secret", "clientSecret", "token", "access-token", "api_key", "apiKey", "APIKEY",
        "Authorization", "credential", "credentials", "private key", "Set-Cookie", "otp",
    ],
)  # fmt: skip
def test_a_secret_name_hides_its_value(name):
    assert stored({name: "hunter2"}) == {name: REDACTED}
    assert stored({"request": {name: ["hunter2", {"x": 1}]}}) == {"request": {name: REDACTED}}


@pytest.mark.parametrize(
    "data", [{"credential_purpose": "reading"}, {"api_key_name": "backup"}, {"has_token": True}, {"password": None}]
)
def test_what_only_names_a_secret_stays(data):
    assert stored(data) == data


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Bearer abcdefg890abcdefg890", "Authorization: Bearer [redacted]"),
        ("basic YWxpY2U6aHVudGVyMg==", "basic [redacted]"),
        ("at https://alice:hunter2@proxy:3128/x", "at https://[redacted]@proxy:3128/x"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "[redacted]"),
        ('{"apiKey": "abc", "code": 1}', '{"apiKey": "[redacted]", "code": 1}'),
        ('{"authorization":"Bearer abc"}', '{"authorization":"[redacted]"}'),
        ("?token=abc&page=2", "?token=[redacted]&page=2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[redacted]"),
    ],
)
def test_a_secret_shape_is_hidden_in_any_text(text, kept):
    assert safe_text(text) == kept
    assert safe_text(kept) == kept


@pytest.mark.parametrize("text", ["Basic maintenance of the hall", "the bearer of this", "https://a/b@c", "a token"])
def test_plain_words_stay(text):
    assert safe_text(text) == text


def test_a_secret_that_the_cut_goes_through_is_hidden():
    text = "x" * 160 + " eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl" * 2

    assert "eyJ" not in safe_text(text, 200)


def test_data_of_any_kind_becomes_json():
    operation = uuid4()

    assert stored({"id": operation, "at": datetime(2026, 1, 1, tzinfo=UTC), "set": {2, 1}, "nan": float("nan")}) == {
        "id": str(operation),
        "at": "2026-01-01 00:00:00+00:00",
        "set": [1, 2],
        "nan": "nan",
    }
    assert UUID(stored({"id": operation})["id"]) == operation


def test_data_is_bounded_and_says_so():
    deep = {}
    for _ in range(50):
        deep = {"x": deep}

    assert "[too deep to keep]" in safe_data(deep)
    assert stored({"x": ["y"] * 300})["x"][-1] == "[100 more]"
    huge = safe_data({str(n): "x" * 1_900 for n in range(100)})
    assert len(huge) <= LONGEST_DATA
    assert "characters were too many to keep" in json.loads(huge)["cut"]
