from email.utils import parsedate_to_datetime

import pytest

from agents.webconnect.standin.tests.cast import NOON, get, make_service, problem

SPACING = 0.1


def exhaust(service, at=NOON, count=100):
    for number in range(count):
        assert get(service, at=at + number * SPACING).status == 200


def test_the_hundred_and_first_request_of_a_minute_is_refused_for_ten_minutes():
    service = make_service()
    exhaust(service)
    blocked = NOON + 100 * SPACING

    assert problem(get(service, at=blocked)) == (429, "E910005")
    assert get(service, at=blocked + 599.9).status == 429
    assert get(service, at=blocked + 600).status == 200


def test_the_next_minute_counts_afresh():
    service = make_service()
    exhaust(service)
    exhaust(service, at=NOON + 60)


def test_all_keys_of_the_contract_share_the_limit_but_strangers_do_not_count():
    service = make_service(rate_limit="2")
    for _ in range(5):
        assert get(service, key="stranger").status == 401
    exhaust(service, count=2)

    assert get(service, at=NOON + 1).status == 429


@pytest.mark.parametrize(
    ("window", "refused"),
    [("from-first-request", False), ("clock-minute", False), ("sliding", True)],
)
def test_when_the_minute_begins_is_switched(window, refused):
    service = make_service(rate_limit="10", rate_window=window)
    minute = NOON - NOON % 60
    get(service, at=minute)
    for number in range(9):
        get(service, at=minute + 59 + number / 100)

    assert (get(service, at=minute + 60).status, get(service, at=minute + 60.5).status) == (
        (200, 429) if refused else (200, 200)
    )


@pytest.mark.parametrize(("later", "status"), [(59.9, 429), (60, 200)])
def test_a_sliding_window_forgets_a_request_after_a_minute(later, status):
    service = make_service(rate_limit="1", rate_window="sliding")
    get(service)

    assert get(service, at=NOON + later).status == status


def test_retry_after_tells_the_end_in_the_form_that_is_switched():
    def retry_after(form):
        service = make_service(rate_limit="1", retry_after=form, clock_skew="30" if form == "http-date" else "0")
        exhaust(service, count=1)
        return dict(get(service, at=NOON + 0.5).headers).get("Retry-After")

    assert retry_after("seconds") == "600"
    assert parsedate_to_datetime(retry_after("http-date")).timestamp() == NOON + 601 + 30
    assert retry_after("absent") is None
    assert not retry_after("absurd").isdigit()
    assert int(retry_after("far-future")) > 1e9


def test_refused_requests_may_prolong_the_block():
    service = make_service(rate_limit="1", refused_requests="prolong")
    exhaust(service, count=1)
    assert get(service, at=NOON + 1).status == 429
    assert get(service, at=NOON + 300).status == 429

    assert get(service, at=NOON + 700).status == 429
    assert get(service, at=NOON + 1300).status == 200


def test_no_limit_means_none():
    exhaust(make_service(rate_limit="0"), count=500)
