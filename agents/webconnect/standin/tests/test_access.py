import json

import pytest

from agents.webconnect.standin import keys
from agents.webconnect.standin.service import BASE, Request
from agents.webconnect.standin.tests.cast import (
    FULL_KEY,
    NOON,
    connect,
    get,
    listed,
    make_key,
    make_service,
    post,
    problem,
)
from agents.webconnect.standin.wanted import BadInput


def ask(service, authorization, path="/agent/status", method="GET"):
    return service.answer(Request(method, BASE + path, "", authorization), NOON)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", f"Basic {FULL_KEY}", FULL_KEY])
def test_it_refuses_a_request_without_a_key(authorization):
    assert problem(ask(make_service(), authorization)) == (401, "E910001")


def test_it_refuses_wrong_and_expired_keys():
    service = make_service()
    service.keys.add(make_key("old", "an-expired-key", expired=True))

    assert problem(ask(service, "Bearer wrong-key")) == (401, "E910002")
    assert problem(ask(service, "Bearer an-expired-key")) == (401, "E910003")
    assert ask(service, f"bearer {FULL_KEY}").status == 200


def test_a_reading_key_must_not_disconnect_nor_the_other_read():
    service = make_service()
    connect(service)
    service.keys.add(make_key("reader", "reading-key", ("agent:get",)))
    service.keys.add(make_key("cutter", "cutting-key", ("agent:disconnect",)))

    assert problem(post(service, key="reading-key")) == (403, "E910004")
    assert problem(get(service, key="cutting-key")) == (403, "E910004")
    assert problem(get(service, "/relay/log", key="reading-key")) == (403, "E910004")
    assert listed(service) == ["s1"]
    assert post(service, key="cutting-key").status == 200


def test_the_statuses_are_switched():
    service = make_service(missing_key="400", invalid_key="403", missing_scope="401", www_authenticate="on")
    service.keys.add(make_key("cutter", "cutting-key", ("agent:disconnect",)))

    assert ask(service, None).status == 400
    assert ask(service, "Bearer wrong-key").status == 403
    unscoped = get(service, key="cutting-key")
    assert (unscoped.status, unscoped.headers) == (401, (("WWW-Authenticate", "Bearer"),))


def test_errors_speak_the_language_and_have_the_body_that_is_switched():
    japanese = json.loads(ask(make_service(message_language="ja"), None).body)
    assert japanese["message"] == "APIキーが指定されていません。"
    assert ask(make_service(error_body="empty"), None).body == b""


@pytest.mark.parametrize("path", ["/agent", "/agent/statuses", "/agent/status/send/x", "/agent/disconnection/x"])
def test_it_knows_no_other_paths(path):
    assert problem(get(make_service(), path)) == (404, "E900001")


def test_it_knows_no_other_methods():
    answer = ask(make_service(), f"Bearer {FULL_KEY}", "/agent/disconnection")

    assert problem(answer) == (405, "E900002")
    assert answer.headers == (("Allow", "POST"),)


def test_replacing_a_key_ends_the_one_of_that_name():
    service = make_service()
    service.keys.add(make_key("full", "the-next-key"))

    assert get(service).status == 401
    assert get(service, key="the-next-key").status == 200


def test_a_key_shows_no_secret():
    assert FULL_KEY not in repr(make_key())


def test_key_files_are_written_for_the_owner_only_and_read_back(tmp_path):
    file, fresh = tmp_path / "keys.json", keys.fresh_keys()

    keys.write_file(file, fresh)

    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.read_file(file) == fresh


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "keys.json"
    keys.write_file(file, keys.fresh_keys())
    file.chmod(0o640)

    with pytest.raises(BadInput, match="chmod 600"):
        keys.read_file(file)


@pytest.mark.parametrize(
    "rows",
    [
        {},
        ["secret-in-a-list"],
        [{"key": "short"}],
        [{"key": 12345678}],
        [{"key": "long-enough-key", "scopes": ["everything"]}],
        [{"key": "long-enough-key", "scopes": "agent:get"}],
        [{"key": "long-enough-key", "name": "<b>"}],
    ],
)
def test_bad_keys_are_refused_without_quoting_them(rows):
    with pytest.raises(BadInput) as refused:
        keys.parse(rows)

    assert "secret" not in str(refused.value) and "long-enough" not in str(refused.value)
