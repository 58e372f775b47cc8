"""Reading the whole list, page by page, from a remote that may count and page as it likes."""

import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from agents.credentials import Secret
from agents.kinds import NotUnderstood, ReadRateLimited, ReadRejected, Unreachable
from agents.tests.make import make_row
from agents.versions import version_number
from agents.webconnect import client, listing, transport
from agents.webconnect.models import WebConnectSource
from agents.webconnect.transport import Response

REMOTE = WebConnectSource(base_url="http://127.0.0.1:9/api/v2", time_zone="Asia/Tokyo")


class Pages:
    """A remote of so many sessions; `page(path, start, most)` may be replaced to misbehave."""

    def __init__(self, monkeypatch, rows=()):
        self.rows, self.asked, self.slots = list(rows), [], 0
        monkeypatch.setattr(transport, "call", self._call)

    def page(self, path, start, most):
        direction = path.rpartition("/")[2]
        found = [row for row in self.rows if direction == "status" or row["direction"] == direction]
        return body(found[start : start + most], len(found))

    def _call(self, method, url, *, params, **kwargs):
        assert method == "GET" and params["startIndex"] <= 10_000 and params["maxResults"] == 1000
        assert self.slots == len(self.asked) + 1, "a slot is taken before each call"
        path = urlsplit(url).path
        self.asked.append((path.removeprefix("/api/v2/agent/"), params["startIndex"]))
        return self.page(path, params["startIndex"], params["maxResults"])

    def take_slot(self):
        self.slots += 1

    def read(self):
        return listing.read(REMOTE, Secret("k"), self.take_slot)


def body(rows, total, status=200):
    value = {"totalSize": total, "fetchSize": len(rows), "status": rows}
    return Response(status, {}, json.dumps(value).encode())


def many(count, direction="send", begin=0):
    return [{"sessionId": f"{direction}{number}", "direction": direction} for number in range(begin, begin + count)]


@pytest.fixture
def pages(monkeypatch):
    return Pages(monkeypatch)


def test_a_short_list_comes_in_one_answer(pages):
    pages.rows = many(1000)
    found = pages.read()

    assert (len(found.rows), found.calls, found.in_one_answer, found.incomplete) == (1000, 1, True, "")


def test_a_longer_one_comes_in_several(pages):
    pages.rows = many(2500)
    found = pages.read()

    assert (len(found.rows), found.calls, found.in_one_answer, found.incomplete) == (2500, 3, False, "")
    assert pages.asked == [("status", 0), ("status", 1000), ("status", 2000)]


@pytest.mark.parametrize("answer", [Response(204, {}, b""), body([], 0)])
def test_an_empty_list_may_be_200_or_204(pages, answer):
    pages.page = lambda *about: answer
    found = pages.read()

    assert (found.rows, found.calls, found.in_one_answer, found.incomplete) == ({}, 1, True, "")


def test_11_000_rows_are_reached_without_directions(pages):
    pages.rows = many(11_000)
    found = pages.read()

    assert (len(found.rows), found.calls, found.incomplete) == (11_000, 11, "")


def test_beyond_that_it_reads_by_direction(pages):
    pages.rows = many(7000, "send") + many(6000, "receive")
    found = pages.read()

    assert (len(found.rows), found.incomplete, found.in_one_answer) == (13_000, "", False)
    assert [path for path, start in pages.asked if start == 0] == ["status", "status/send", "status/receive"]


def test_beyond_the_wall_by_direction_it_is_incomplete_and_says_so(pages):
    pages.rows = many(11_001, "send") + many(10, "receive")
    found = pages.read()

    assert "11,011" in found.incomplete and "11,000" in found.incomplete
    assert len(found.rows) == 11_010


def test_a_remote_that_caps_pages_lower_is_read_to_the_end(pages):
    pages.rows = many(450)
    whole = pages.page
    pages.page = lambda path, start, most: whole(path, start, 100)

    found = pages.read()
    assert (len(found.rows), found.calls, found.incomplete) == (450, 5, "")


def test_a_row_that_moved_to_the_next_page_counts_once(pages):
    pages.page = lambda path, start, most: body(many(1000) if not start else many(500, begin=999), 1500)

    found = pages.read()
    assert (len(found.rows), found.incomplete) == (1499, "")


def test_a_remote_that_sends_the_first_page_for_ever_is_incomplete(pages):
    pages.page = lambda path, start, most: body(many(1000), 5000)

    found = pages.read()
    assert "twice" in found.incomplete and found.calls == 2


def test_fewer_than_it_counted_is_incomplete(pages):
    pages.page = lambda path, start, most: body(many(500) if not start else [], 1500)

    assert "1,500" in pages.read().incomplete


def test_a_next_page_that_is_suddenly_empty_is_incomplete(pages):
    pages.page = lambda path, start, most: Response(204, {}, b"") if start else body(many(1000), 1500)

    assert "1,500" in pages.read().incomplete


def test_more_than_it_counted_is_kept(pages):
    pages.page = lambda path, start, most: body(many(30), 10)

    found = pages.read()
    assert (len(found.rows), found.incomplete) == (30, "")


@pytest.mark.parametrize("total", [None, "30", -1, 1.5, True, [], {}])
def test_a_count_that_is_none_is_replaced_by_what_came(pages, total):
    pages.page = lambda path, start, most: body(many(30), total)

    found = pages.read()
    assert (len(found.rows), found.calls, found.incomplete) == (30, 1, "")


@pytest.mark.parametrize(
    "row",
    [None, 5, "text", [], {}, {"sessionId": None}, {"sessionId": 7}, {"sessionId": ""}, {"sessionId": "a\x00b"}]
    + [{"sessionId": "\ud800"}, {"sessionId": "s" * 256}, {"sessionId": ["s"]}],
)
def test_a_row_without_a_usable_id_is_left_out_and_makes_it_incomplete(pages, row):
    pages.page = lambda path, start, most: body([*many(2), row], 3)

    found = pages.read()
    assert len(found.rows) == 2 and "without a usable session ID" in found.incomplete


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Response(200, {}, b"<html>"), NotUnderstood, "not JSON"),
        (Response(200, {}, b""), NotUnderstood, "not JSON"),
        (Response(200, {}, b"[" * 100_000), NotUnderstood, "not JSON"),
        (Response(200, {}, b"[]"), NotUnderstood, "no list"),
        (Response(200, {}, b'{"status": "fine"}'), NotUnderstood, "no list"),
        (Response(401, {}, b'{"message": "expired"}'), ReadRejected, r"401 \(expired\)"),
        (Response(403, {}, b""), ReadRejected, "scope Agent: Get"),
        (Response(500, {}, b"oops"), Unreachable, "status 500"),
        (Response(302, {}, b""), Unreachable, "status 302"),
    ],
)
def test_an_answer_that_is_no_list_fails_the_reading_with_a_reason(pages, answer, error, words):
    pages.page = lambda *about: answer

    with pytest.raises(error, match=words):
        pages.read()


def test_429_says_until_when(db, pages):
    pages.page = lambda *about: Response(429, {"Retry-After": "60"}, b"")

    with pytest.raises(ReadRateLimited) as caught:
        pages.read()
    assert abs((caught.value.until - client.database_now()).total_seconds() - 61) < 3


@pytest.mark.parametrize("failure", [transport.NeverLeft("it was refused"), transport.Lost("it broke")])
def test_a_call_that_fails_in_the_middle_fails_the_reading(pages, failure):
    def page(path, start, most):
        if start:
            raise failure
        return body(many(1000), 1500)

    pages.page = page
    with pytest.raises(Unreachable, match=str(failure)):
        pages.read()


# --- One row ------------------------------------------------------------------------------------------------------


def describe(**overrides):
    return listing.describe(REMOTE, make_row("s1", **overrides))


def test_a_time_is_in_the_sources_zone():
    columns = describe(startConnection="2016-06-30 14:22:00.942")

    assert columns["started_text"] == "2016-06-30 14:22:00.942"
    assert columns["started_at"] == datetime(2016, 6, 30, 5, 22, 0, 942000, UTC)


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2026-01-31 12:00:00.000", "UTC", "2026-01-31T12:00:00+00:00"),
        # 02:30 comes twice on this night: the first is taken.
        ("2026-10-25 02:30:00.000", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),
        # 02:30 does not come at all on this one.
        ("2026-03-29 02:30:00.000", "Europe/Berlin", "2026-03-29T01:30:00+00:00"),
        ("2026-06-01 12:00:00+02:00", "Asia/Tokyo", "2026-06-01T10:00:00+00:00"),
        ("yesterday", "UTC", None),
        ("", "UTC", None),
        ("2026-02-30 00:00:00.000", "UTC", None),
        ("9999-99-99 99:99:99.999", "UTC", None),
        ("0001-01-01 00:00:00", "Asia/Tokyo", None),
        ("9999-12-31 23:59:59", "America/New_York", None),
    ],
)
def test_a_time_that_is_none_is_kept_as_text_alone(text, zone, utc):
    found = listing.started_at(text, zone)

    assert (found and found.isoformat()) == utc


@pytest.mark.parametrize(
    ("overrides", "column", "value"),
    [
        ({"willBeClosed": "true"}, "closing", False),
        ({"willBeClosed": True}, "closing", True),
        ({"supportingDisconnectApi": None}, "supports_disconnection", True),
        ({"supportingDisconnectApi": False}, "supports_disconnection", False),
        ({"connectionId": "id9"}, "connection_ids", ["id9"]),
        ({"connectionId": None}, "connection_ids", []),
        ({"connectionId": [None, 3]}, "connection_ids", ["", "3"]),
        ({"agentId": None}, "agent_id", ""),
        ({"agentVersion": 3.1}, "version", "3.1"),
        ({"agentId": "a" * 300}, "agent_id", "a" * 255),
    ],
)
def test_odd_values_become_harmless_columns(overrides, column, value):
    assert describe(**overrides)[column] == value


def test_an_agent_below_1_2_0_is_too_old_and_one_without_a_version_is_not_known_to_be():
    assert listing.too_old(version_number("1.1.99")) and listing.too_old(version_number("1.1"))
    assert not listing.too_old(version_number("1.2.0")) and not listing.too_old(version_number("1.10"))
    assert not listing.too_old(version_number("2.0.0-beta")) and not listing.too_old(version_number("unknown"))
