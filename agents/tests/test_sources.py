"""Adding, changing, pausing and testing sources."""

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from agents import sources
from agents.clock import database_now
from agents.credentials import Secret
from agents.models import Contract, Credential, Source
from agents.readings import due
from agents.sources import add_source, change_source, pause_source, resume_source
from agents.tests.make import ALICE, KEY, VIEWER, Purpose, actions, make_source
from agents.webconnect.forms import WebConnectForm
from agents.webconnect.models import WebConnectSource
from apikeys.rights import NotAllowed
from audit.models import Event
from audit.tests.scripted import Scripted, always, answer

LIST = b'{"totalSize": 3, "status": []}'


def add(name="Tokyo", *, base_url="https://a.example/api/v2", key=KEY, contract="", rpm=100, own=None, **columns):
    return add_source(
        source=Source(name=name, kind="webconnect", **columns),
        own=WebConnectSource(base_url=base_url, **(own or {})),
        contract=contract,
        requests_per_minute=rpm,
        secrets={purpose: Secret(key) for purpose in Purpose},
        actor=ALICE,
    )


def change(source, *, contract=None, rpm=100, secrets=None, **columns):
    for name, value in columns.items():
        setattr(source, name, value)
    contract = source.contract.name if contract is None else contract
    return change_source(
        source=source,
        own=source.webconnect,
        contract=contract,
        requests_per_minute=rpm,
        secrets=secrets or {},
        actor=ALICE,
    )


def problems(caught):
    return caught.value.message_dict


def test_it_adds_a_source_with_a_contract_of_its_own(db):
    source = add()

    assert (source.contract.name, source.contract.requests_per_minute) == ("Tokyo", 100)
    assert set(source.credentials.values_list("purpose", flat=True)) == {"reading", "disconnecting"}
    assert due(database_now()) == [source.pk], "it is read at once"
    event = Event.objects.get()
    assert event.action == "source.added" and "https://a.example/api/v2" in event.data and KEY not in event.data


@pytest.mark.parametrize(
    "url",
    [
        "https://www.webconnect.hulft.com/api/v2",
        "https://10.0.0.1:8443/api",
        "https://bücher.example/api",
        "http://localhost:8480/api/v2",
        "http://LOCALHOST/api",
        "http://127.0.0.1/api",
        "http://127.8.9.10:1/api",
        "http://[::1]:8480/api/v2",
    ],
)
def test_a_url_may_be_https_or_this_machine(db, url):
    assert add(base_url=url).webconnect.base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "ftp://a.example",
        "https://",
        "https:///api",
        "https://[::1",
        "https://a.example:99999/",
        "https://a.example:port/",
        "https://a.example/?x=1",
        "https://a.example/#x",
        "https://user@a.example/",
        "https://user:secret@a.example/",
        "https://a.example/ /x",
        "https://a.exa\nmple/",
        "https://a.example/\x00",
        "http://a.example/api",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://localhost:80@evil.example/",
        "http://localhost\\@evil.example/",
        "http://evil.example/#@localhost/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::ffff:10.0.0.1]/",
        "http://ⅼocalhost/",
        "http://10.0.0.1/",
        "javascript:alert(1)",
    ],
)
def test_any_other_url_is_refused_and_nothing_is_kept(db, url):
    with pytest.raises(ValidationError) as caught:
        add(base_url=url)

    assert "base_url" in problems(caught)
    assert not Source.objects.exists() and not Contract.objects.exists() and actions() == []


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "America"}, "time_zone"),
        ({"proxy": "socks5://127.0.0.1:1"}, "proxy"),
        ({"proxy": "127.0.0.1:3128"}, "proxy"),
        ({"proxy": "http://["}, "proxy"),
        ({"proxy": "http://a.example:99999"}, "proxy"),
        ({"proxy": "http://user:secret@a.example"}, "proxy"),
        ({"ca_bundle": "/nowhere/at/all.pem"}, "ca_bundle"),
        ({"ca_bundle": "/etc/hostname"}, "ca_bundle"),
    ],
)
def test_other_settings_are_checked_too(db, own, name):
    with pytest.raises(ValidationError) as caught:
        add(own=own)

    assert list(problems(caught)) == [name] and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"polling_seconds": 0}, "polling_seconds"),
        ({"polling_seconds": float("nan")}, "polling_seconds"),
        ({"settle_seconds": float("inf")}, "settle_seconds"),
        ({"settle_seconds": -1}, "settle_seconds"),
        ({"confirm_seconds": 3601}, "confirm_seconds"),
        ({"rpm": -1}, "requests_per_minute"),
        ({"rpm": 60_001}, "requests_per_minute"),
        ({"contract": "x" * 61}, "contract"),
    ],
)
def test_numbers_and_names_have_their_limits(db, columns, name):
    with pytest.raises(ValidationError) as caught:
        add(**columns)

    assert list(problems(caught)) == [name]
    assert not Source.objects.exists() and not Contract.objects.exists()


def test_a_name_is_given_once(db):
    add()

    with pytest.raises(ValidationError) as caught:
        add(key="another", contract="another")
    assert list(problems(caught)) == ["name"]


def test_the_form_takes_the_slash_off_the_end():
    form = WebConnectForm({"base_url": "https://a.example/api/v2/", "time_zone": "UTC"})

    assert form.is_valid() and form.cleaned_data["base_url"] == "https://a.example/api/v2"


# --- Contracts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://a.example/api/v2", "https://A.example:443/api/v2"])
def test_the_same_remote_and_key_must_share_a_contract(db, url):
    add()

    with pytest.raises(ValidationError, match="give this source the contract Tokyo") as caught:
        add("Osaka", base_url=url)
    assert list(problems(caught)) == ["contract"] and not Source.objects.filter(name="Osaka").exists()

    second = add("Osaka", base_url=url, contract="Tokyo")
    assert second.contract == Source.objects.get(name="Tokyo").contract


def test_one_key_in_common_is_enough_and_another_key_or_remote_is_not(db):
    add()
    add("another key", key="k2")
    add("another remote", base_url="https://b.example/api/v2")
    source = Source.objects.get(name="another key")

    with pytest.raises(ValidationError, match="contract Tokyo"):
        sources.replace_credential(source=source, purpose=Purpose.DISCONNECTING, secret=Secret(KEY), actor=ALICE)
    from agents.credentials import secret_of

    assert secret_of(source, Purpose.DISCONNECTING).value == "k2"


def test_requests_a_minute_belong_to_the_contract(db):
    one, other = add(), add("Osaka", contract="Tokyo", rpm=60)

    one.contract.refresh_from_db()
    assert one.contract.requests_per_minute == other.contract.requests_per_minute == 60


def test_a_change_of_the_allowance_does_not_forget_what_was_taken(db):
    source = add()
    blocked = database_now() + timedelta(minutes=5)
    Contract.objects.update(next_at=12345.0, blocked_until=blocked)

    change(source, rpm=50)

    contract = Contract.objects.get()
    assert (contract.requests_per_minute, contract.next_at, contract.blocked_until) == (50, 12345.0, blocked)


def test_a_rename_keeps_contract_history_and_keys(db):
    source = add()

    change(source, name="Edo")

    source.refresh_from_db()
    assert (source.name, source.contract.name, source.credentials.count()) == ("Edo", "Tokyo", 2)
    assert '"Name"' in Event.objects.get(action="source.changed").data
    with pytest.raises(ValidationError):
        change(add("Osaka", key="k2"), name="Edo")


def test_no_change_is_no_event(db):
    change(add())

    assert actions() == ["source.added"]


def test_a_change_that_is_refused_changes_nothing(db):
    source = add()
    source.webconnect.base_url = "http://evil.example"

    with pytest.raises(ValidationError):
        change(source, name="Edo", contract="New", rpm=7)

    kept = Source.objects.select_related("webconnect", "contract").get()
    assert (kept.name, kept.webconnect.base_url) == ("Tokyo", "https://a.example/api/v2")
    assert kept.contract.requests_per_minute == 100 and Contract.objects.count() == 1


# --- Pause and resume ---------------------------------------------------------------------------------------------


def test_a_pause_stops_reading_until_it_is_over(source):
    assert pause_source(source=source, actor=ALICE) and not pause_source(source=source, actor=ALICE)
    assert due(database_now()) == []

    source.refresh_from_db()
    assert source.unreadable_since, "deadlines stand still"
    assert resume_source(source=source, actor=ALICE) and not resume_source(source=source, actor=ALICE)
    assert due(database_now()) == [source.pk]
    assert actions() == ["source.paused", "source.resumed"]


@pytest.mark.parametrize("act", [pause_source, resume_source, sources.test_source])
def test_only_who_manages_sources_may(source, act):
    with pytest.raises(NotAllowed):
        act(source=source, actor=VIEWER)
    assert actions() == []


def test_only_who_manages_sources_may_add_change_replace_and_reencrypt(source):
    secrets = {Purpose.READING: Secret("k")}
    whole = {"own": source.webconnect, "contract": "", "requests_per_minute": 1, "secrets": secrets, "actor": VIEWER}
    for act in (
        lambda: add_source(source=Source(name="x", kind="webconnect"), **whole),
        lambda: change_source(source=source, **whole),
        lambda: sources.replace_credential(source=source, purpose=Purpose.READING, secret=Secret("k"), actor=VIEWER),
        lambda: sources.reencrypt_credentials(actor=VIEWER),
    ):
        with pytest.raises(NotAllowed):
            act()


# --- Test calls ---------------------------------------------------------------------------------------------------


def tried_out(*answers):
    with Scripted(always(*answers)) as server:
        source = make_source(base_url=server.url, requests_per_minute=600)
        findings = sources.test_source(source=source, actor=ALICE)
    return source, findings, server.requests


def test_it_makes_one_call_with_each_credential(db):
    _, findings, requests = tried_out(answer(200, LIST), answer(400, b'{"code": "E1", "message": "unknown session"}'))

    assert [(each.purpose, each.works) for each in findings] == [("reading", True), ("disconnecting", True)]
    assert "3 sessions" in findings[0].explanation and "unknown session" in findings[1].explanation
    assert requests[0].startswith(b"GET /api/v2/agent/status?startIndex=0&maxResults=1 ")
    assert requests[1].startswith(b"POST") and b"agent-console-test-" in requests[1] and len(requests) == 2
    event = Event.objects.get(action="source.tested")
    assert json.loads(event.data)["works"] == ["reading", "disconnecting"] and KEY not in event.data


@pytest.mark.parametrize(
    ("second", "works", "words"),
    [
        (answer(200), True, "even for a session that does not exist"),
        (answer(404), True, "404"),
        (answer(403), False, "lacks the scope Agent: Disconnect"),
        (answer(401), False, "does not accept this key"),
        (answer(500), False, "No documented answer"),
    ],
)
def test_it_explains_what_came_back(db, second, works, words):
    _, findings, _ = tried_out(answer(200, LIST), second)

    assert findings[1].works == works and words in findings[1].explanation


def test_a_key_that_works_is_no_longer_rejected_and_one_that_does_not_is(db):
    with Scripted(always(answer(200, LIST), answer(401))) as server:
        source = make_source(base_url=server.url)
        Credential.objects.filter(purpose="reading").update(rejected_at=database_now())
        sources.test_source(source=source, actor=ALICE)

    rejected = dict(Credential.objects.values_list("purpose", "rejected_at"))
    assert rejected["reading"] is None and rejected["disconnecting"]


def test_a_429_in_a_test_stops_the_contract_and_the_test(db):
    source, findings, requests = tried_out(answer(429, Retry_After="120"))

    assert len(findings) == len(requests) == 1 and not findings[0].works
    assert Contract.objects.get().blocked_until > database_now() + timedelta(seconds=100)
    assert due(database_now()) == []


def test_without_a_slot_there_is_no_test(db):
    source = make_source(requests_per_minute=100)
    Contract.objects.update(blocked_until=database_now() + timedelta(minutes=5))

    with pytest.raises(ValidationError, match="try again later"):
        sources.test_source(source=source, actor=ALICE)


def test_a_remote_that_is_away_is_explained(source):
    findings = sources.test_source(source=source, actor=ALICE)

    assert [each.works for each in findings] == [False, False]
    assert all("can't be reached" in each.explanation for each in findings)


def test_a_new_contract_name_does_not_lift_a_refusal(db):
    source = make_source()
    until = database_now() + timedelta(minutes=8)
    Contract.objects.update(blocked_until=until, next_at=4e9)

    change(source, contract="a new name")

    contract = Source.objects.get().contract
    assert (contract.name, contract.blocked_until, contract.next_at) == ("a new name", until, 4e9)
