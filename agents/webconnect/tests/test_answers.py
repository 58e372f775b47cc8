"""What each answer of the remote counts as (docs/webconnect.md)."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from requests.structures import CaseInsensitiveDict

from agents.clock import database_now
from agents.credentials import Secret
from agents.kinds import Accepted, AnswerLost, CredentialRejected, NotArrived, RateLimited, Refused
from agents.webconnect import client
from agents.webconnect.kind import WEBCONNECT
from agents.webconnect.models import WebConnectSource
from agents.webconnect.transport import Response
from audit.tests.scripted import Scripted, always, answer

ERROR = b'{"code": "E300003", "message": "No such session."}'


def read(status, body=b"", **headers):
    return client.read_answer(Response(status, CaseInsensitiveDict(headers), body))


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}", b"[]", b"null", b'"ok"', b'{"code": "E1"}'])
def test_2xx_with_an_empty_or_json_body_is_accepted(status, body):
    assert read(status, body, **{"Content-Length": str(len(body))}) == Accepted(status)


def test_an_empty_body_counts_only_where_it_was_meant():
    assert read(200, **{"Content-Length": "0"}) == read(200, **{"Transfer-Encoding": "chunked"}) == Accepted(200)
    assert isinstance(read(200), AnswerLost)


def test_an_answer_that_breaks_off_in_its_headers_is_lost():
    with Scripted(lambda peer: (peer.request(), peer.send(b"HTTP/1.1 200 OK\r\nContent-Le"))) as server:
        found = client.disconnect(WebConnectSource(base_url=server.url), Secret("k"), "s1", "e")

    assert isinstance(found, AnswerLost)


@pytest.mark.parametrize("body", [b"OK", b"<html>", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"1" * 5000])
def test_2xx_with_any_other_body_is_lost(body):
    found = read(200, body)

    assert isinstance(found, AnswerLost) and found.status == 200


@pytest.mark.parametrize("status", [400, 403, 405])
def test_a_documented_refusal_is_a_no_with_its_words(status):
    assert read(status, ERROR) == Refused(status, "E300003", "No such session.")
    assert read(status) == Refused(status, "", "")


def test_401_is_about_the_credential():
    assert read(401, ERROR) == CredentialRejected(401, "E300003", "No such session.")


@pytest.mark.parametrize("status", [100, 300, 302, 304, 404, 406, 408, 409, 418, 500, 501, 502, 503, 504, 599])
def test_what_is_not_listed_for_the_call_is_lost(status):
    found = read(status, ERROR)

    assert isinstance(found, AnswerLost) and found.status == status
    assert "No such session." in found.message


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", ("", "")),
        (b"not json", ("", "")),
        (b"null", ("", "")),
        (b"[1, 2]", ("", "")),
        (b'"text"', ("", "")),
        (b"17", ("", "")),
        (b"NaN", ("", "")),
        (b'{"statusCode": 2, "detailCode": "0105"}', ("", "")),
        (b'{"code": 17, "message": null}', ("17", "")),
        (b'{"code": ["a"], "message": {"en": "no"}}', ('["a"]', '{"en": "no"}')),
        (b'{"code": false, "message": true}', ("false", "true")),
        (b'{"code": "a\\u0000b", "message": "\\ud800 lone"}', ("a\ufffdb", "\ufffd lone")),
        (b'{"message": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", ("", "")),
        ('{"message": "既に登録されています。"}'.encode(), ("", "既に登録されています。")),
    ],
)
def test_an_error_body_of_any_kind_is_read_as_far_as_it_goes(body, found):
    refused = read(400, body)

    assert (refused.code, refused.message) == found


def test_the_words_of_a_refusal_are_cut():
    refused = read(400, b'{"code": "' + b"c" * 9999 + b'", "message": "' + b"m" * 9999 + b'"}')

    assert (len(refused.code), len(refused.message)) == (100, 500)


# --- 429 ----------------------------------------------------------------------------------------------------------


def refused_for(**headers):
    """Seconds from now until the refusal ends."""
    found = read(429, ERROR, **headers)
    assert isinstance(found, RateLimited) and found.status == 429
    return (found.until - database_now()).total_seconds()


def date(seconds=0.0):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def test_retry_after_may_be_seconds(db):
    assert refused_for(**{"Retry-After": "120"}) == pytest.approx(121, abs=1)
    assert refused_for(**{"Retry-After": " 3600 "}) == pytest.approx(3601, abs=1)


def test_retry_after_may_be_a_date(db):
    assert refused_for(**{"Retry-After": date(120), "Date": date()}) == pytest.approx(121, abs=2)
    assert refused_for(**{"Retry-After": date(120)}) == pytest.approx(121, abs=2)


@pytest.mark.parametrize("skew", [-86_400, -900, 900, 86_400])
def test_a_date_is_measured_against_the_answers_own(db, skew):
    headers = {"Retry-After": date(skew + 300), "Date": date(skew)}

    assert refused_for(**headers) == pytest.approx(301, abs=2)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "-5",
        "1.5",
        "3601",
        "1e3",
        "9" * 40,
        "9" * 6000,
        "soon",
        "١٢",
        "Thu",
        "2026-11-21 18:00:00",
        "\x00",
        "12 s",
    ],
)
def test_an_absent_or_absurd_retry_after_means_ten_minutes(db, value):
    assert refused_for(**{"Retry-After": value}) == pytest.approx(600, abs=2)


@pytest.mark.parametrize("seconds", [-60, 0, 3700, 10**9])
def test_a_date_in_the_past_or_far_away_means_ten_minutes(db, seconds):
    assert refused_for(**{"Retry-After": date(seconds), "Date": date()}) == pytest.approx(600, abs=2)


def test_a_garbled_date_of_the_answer_means_ten_minutes(db):
    assert refused_for(**{"Retry-After": date(60), "Date": "yesterday"}) == pytest.approx(600, abs=2)


# --- The whole call -----------------------------------------------------------------------------------------------


def test_it_posts_session_and_endpoint():
    with Scripted(always(answer(200))) as server:
        remote = WebConnectSource(base_url=server.url + "/")
        assert client.disconnect(remote, Secret("k"), "s1", "tokyo") == Accepted(200)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v2/agent/disconnection HTTP/1.1")
    assert b"Content-Type: application/json" in head
    assert body == b'{"sessionId": "s1", "endpoint": "tokyo"}'


def test_what_never_left_is_not_arrived_and_what_broke_is_lost():
    with Scripted(lambda peer: peer.request()) as server:
        remote = WebConnectSource(base_url=server.url)
        assert isinstance(client.disconnect(remote, Secret("k"), "s1", "e"), AnswerLost)
        unsent = client.disconnect(remote, Secret("k"), "s1", "e", still_ours=lambda: False)
    assert isinstance(unsent, NotArrived)
    assert len(server.requests) == 1


def test_the_kind_names_every_way_to_write_one_place_the_same():
    from agents.webconnect.models import place

    same = {
        place(url)
        for url in (
            "https://www.webconnect.hulft.com/api/v2",
            "https://WWW.webconnect.hulft.com:443/api/v2/",
            "https://www.webconnect.hulft.com./api/v2",
        )
    }
    assert len(same) == 1
    assert place("https://a/api/v2") != place("https://a/api/v3") != place("https://a:8443/api/v3")
    assert WEBCONNECT.name == "webconnect"
