"""Sinks on real sockets: dead, slow, answering 500, trickling, closing, back after an hour; nothing is lost."""

import json
import re
import threading
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections

from audit.actors import Actor
from audit.clock import database_now
from audit.models import Event, Head
from audit.sealing import unseal
from audit.streams import sending, services
from audit.streams.batches import Batch
from audit.streams.https import signature_of
from audit.streams.models import MOST_SINKS, Sink, folder
from audit.sweeper import Sweeper
from audit.tests.make import commit_events
from audit.tests.receiver import Receiver
from audit.tests.scripted import Scripted, always, answer, make_certificate

ADA = Actor("person", "5", "ada", frozenset({"audit:get", "audit:manage"}))


@pytest.fixture(autouse=True)
def short_waits(settings, tmp_path):
    settings.CONSOLE_CONNECT_TIMEOUT = timedelta(seconds=2)
    settings.CONSOLE_READ_TIMEOUT = timedelta(seconds=2)
    settings.CONSOLE_ATTEMPT_LIMIT = timedelta(seconds=2)
    settings.CONSOLE_AUDIT_STREAM_DIR = tmp_path / "streams"


def make_sink(kind="https", address="http://127.0.0.1:9/audit", **overrides):
    """A sink that begins with the events after its own being added; `secret` is what it signs with."""
    values = {"name": f"sink {uuid4().hex[:6]}", "format": "json"} | overrides
    sink = Sink(kind=kind, address=address, **values)
    secret = services.add_sink(sink=sink, from_beginning=False, actor=ADA)
    Sink.objects.filter(pk=sink.pk).update(cursor=Head.objects.get().sequence)
    sink.refresh_from_db()
    sink.secret = secret
    return sink


def send(sink, later=timedelta()):
    """One go at the sink, as a worker would have it `later` from now."""
    done = sending.send(sink.pk, clock=lambda: database_now() + later)
    sink.refresh_from_db()
    return done


def bodies(server):
    return [request.partition(b"\r\n\r\n")[2] for request in server.requests]


def received(server):
    """The numbers of all events that came, in the order in which they came."""
    return [json.loads(line)["sequence"] for body in bodies(server) for line in body.splitlines()]


def header(request, name):
    return re.search(rf"(?im)^{name}: (.*)\r$", request.partition(b"\r\n\r\n")[0].decode() + "\r\n")[1]


def new_events(count, **overrides):
    """Record so many, and return their numbers."""
    before = Head.objects.get().sequence
    commit_events(count, **overrides)
    return list(range(before + 1, before + count + 1))


def actions_about(sink):
    about = Event.objects.about("audit sink", str(sink.pk)).order_by("sequence")
    return list(about.values_list("action", flat=True))


# --- HTTPS --------------------------------------------------------------------------------------------------------


def test_every_event_arrives_in_order_and_signed(committed_db, tmp_path):
    context, trusted = make_certificate(tmp_path)
    with Scripted(always(answer(204)), tls=context) as server:
        sink = make_sink(address=server.url, ca_bundle=trusted)
        numbers = new_events(5)
        assert send(sink)

    assert received(server) == numbers and (sink.cursor, sink.sent) == (numbers[-1], 5)
    request, body = server.requests[0], bodies(server)[0]
    expected = signature_of(sink.secret, header(request, "X-Console-Timestamp"), body)
    assert header(request, "X-Console-Signature") == f"sha256={expected}"
    assert abs(int(header(request, "X-Console-Timestamp")) - time.time()) < 60
    assert header(request, "X-Console-Batch") == f"{sink.pk}-{numbers[0]}-{numbers[-1]}"
    assert sink.secret.value.encode() not in request


def test_the_lines_are_those_of_an_export(committed_db):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        [number] = new_events(1)
        send(sink)

    line = json.loads(bodies(server)[0])
    event = Event.objects.get(sequence=number)
    assert (line["hash"], line["previous_hash"], line["data"]) == (event.hash, event.previous_hash, event.data)


def test_a_search_leaves_out_the_rest_and_still_moves_on(committed_db):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url, query="actor:bob")
        new_events(3)
        wanted = new_events(2, actor=Actor("person", "2", "bob"))
        new_events(1)
        send(sink)

    assert received(server) == wanted and sink.cursor == Head.objects.get().sequence


def test_many_events_are_many_batches(committed_db, monkeypatch):
    monkeypatch.setattr(sending, "MOST_EVENTS", 4)
    monkeypatch.setattr(sending, "MOST_BYTES", 4_000)
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        numbers = new_events(10) + new_events(3, data={"reason": "x" * 1_500})
        send(sink)

    assert received(server) == numbers
    assert [len(body.splitlines()) for body in bodies(server)][:2] == [4, 4] and max(map(len, bodies(server))) < 5_000


def test_a_sink_that_is_back_after_an_hour_gets_everything(committed_db):
    with Scripted(always(answer(500))) as broken:
        sink = make_sink(address=broken.url)
        numbers = new_events(3)
        send(sink)
        assert (sink.failures, sink.last_error) == (1, "it answered 500")
        assert send(sink) is False, "not before its next try"
        for minutes in range(10, 60, 10):
            assert send(sink, timedelta(minutes=minutes))
    assert sink.failures == 6 and sink.cursor < numbers[0]

    numbers += new_events(2)
    with Scripted(always(answer())) as mended:
        Sink.objects.update(address=mended.url)
        assert send(sink, timedelta(hours=1, minutes=10))

    everything = received(mended)
    assert [number for number in everything if number in numbers] == numbers
    assert everything == sorted(set(everything)) and sink.failures == 0 and sink.last_error == ""
    assert actions_about(sink) == ["sink.added", "sink.failing", "sink.recovered"]


def hangs_up(peer):
    peer.request()


def trickles(peer):
    peer.request()
    peer.trickle(answer(200, b" " * 4_000))


def says_nothing(peer):
    peer.request()
    time.sleep(4)


def closes_within_the_answer(peer):
    peer.request()
    peer.send(answer(200, b"half", length=False, Content_Length=500))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (hangs_up, "broke"),
        (closes_within_the_answer, "broke"),
        (trickles, "no whole answer within 0.5 s"),
        (says_nothing, "no answer for 0.4 s"),
        (always(answer(302, Location="http://127.0.0.1:1/")), "redirects are not followed"),
        (always(answer(429)), "it answered 429"),
    ],
)
def test_whatever_goes_wrong_is_said_and_sent_again(committed_db, settings, script, why):
    settings.CONSOLE_READ_TIMEOUT, settings.CONSOLE_ATTEMPT_LIMIT = timedelta(seconds=0.4), timedelta(seconds=0.5)
    turns = iter([script])
    with Scripted(lambda peer: next(turns, always(answer()))(peer)) as server:
        sink = make_sink(address=server.url)
        numbers = new_events(2)
        send(sink)
        assert why in sink.last_error and sink.cursor < numbers[0]
        send(sink, timedelta(hours=1))

    assert received(server)[:2] == numbers
    again = [number for number in received(server)[2:] if number in numbers]
    assert again == numbers, "the same events, with the same numbers to know them by"


def test_a_dead_sink_says_so(committed_db):
    sink = make_sink(address="http://127.0.0.1:1/audit")
    new_events(1)

    send(sink)

    assert sink.last_error == "the connection was refused"


def test_no_link_local_address_is_called(committed_db, monkeypatch):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        new_events(1)
        # A name that meant this machine when it was checked, and the metadata service when it is called.
        monkeypatch.setattr(
            "audit.outbound.addresses.why_not", lambda address: "it is a link-local or metadata address"
        )
        send(sink)

    assert server.requests == []
    assert "link-local or metadata address" in sink.last_error


def test_retry_after_is_heard_up_to_the_cap(settings):
    settings.CONSOLE_AUDIT_RETRY_FIRST, settings.CONSOLE_AUDIT_RETRY_MOST = timedelta(seconds=5), timedelta(minutes=10)

    pauses = [sending.pause_after(failures).total_seconds() for failures in (0, 1, 4, 50)]

    for pause, most in zip(pauses, [5, 10, 80, 600], strict=True):
        assert 0.8 * most <= pause <= most
    assert sending.pause_after(0, timedelta(seconds=90)) == timedelta(seconds=90)
    assert sending.pause_after(0, timedelta(days=9)) == timedelta(minutes=10)


# --- Leases, workers, others ---------------------------------------------------------------------------------------


def test_two_workers_do_not_send_to_one_sink_at_once(committed_db):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        numbers = new_events(50)
        done = committed_db.in_threads(*[lambda: sending.send(sink.pk)] * 4)

    assert done.count(True) >= 1 and received(server) == numbers


def test_a_worker_whose_lease_ran_out_sends_nothing_and_moves_nothing(committed_db, monkeypatch):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        numbers = new_events(2)
        monkeypatch.setattr(sending, "lease", lambda: timedelta(seconds=-1))
        send(sink)

    assert received(server) == [] and sink.cursor < numbers[0]


def test_a_slow_sink_holds_up_no_other(committed_db, settings, monkeypatch):
    settings.CONSOLE_ATTEMPT_LIMIT = settings.CONSOLE_READ_TIMEOUT = timedelta(seconds=20)
    let_go, taken = threading.Event(), threading.Event()

    def slow(peer):
        peer.request()
        let_go.wait(15)
        peer.send(answer())

    def quick(peer):
        while peer.request():
            peer.send(answer())
            taken.set()

    def do_and_close(self, *about, do=Sweeper._do):
        do(self, *about)
        connections.close_all()

    monkeypatch.setattr(Sweeper, "_do", do_and_close)
    with Scripted(slow) as tardy, Scripted(quick) as prompt:
        for url in [tardy.url] * (MOST_SINKS - 1) + [prompt.url]:
            make_sink(address=url)
        new_events(1)
        sweeper = Sweeper()
        try:
            sweeper.sweep()
            assert taken.wait(15), "while the others wait for an answer"
        finally:
            let_go.set()
            sweeper._hands.shutdown(wait=True)


def test_a_worker_that_is_told_to_end_begins_no_further_batch(committed_db, monkeypatch):
    monkeypatch.setattr(sending, "MOST_EVENTS", 1)
    monkeypatch.setattr(sending, "stopping", threading.Event())

    def script(peer):
        while peer.request():
            sending.stopping.set()
            peer.send(answer())

    with Scripted(script) as server:
        sink = make_sink(address=server.url)
        numbers = new_events(3)
        send(sink)

    assert received(server) == numbers[:1] and sink.cursor == numbers[0] and sink.lease_until is None


def test_a_paused_sink_gets_nothing_and_goes_on_where_it_stood(committed_db):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        assert services.pause_sink(sink=sink, actor=ADA) and not services.pause_sink(sink=sink, actor=ADA)
        numbers = new_events(2)
        assert send(sink) is False and sending.due(database_now()) == []

        assert services.resume_sink(sink=sink, actor=ADA)
        assert sending.due(database_now()) == [sink.pk] and send(sink)

    assert [number for number in received(server) if number in numbers] == numbers


def test_the_slowest_active_sink_holds_retention_up(committed_db):
    assert Sink.objects.slowest_cursor() is None
    first, second = make_sink(), make_sink()
    Sink.objects.filter(pk=first.pk).update(cursor=1)

    assert Sink.objects.slowest_cursor() == 1
    services.pause_sink(sink=first, actor=ADA)
    assert Sink.objects.slowest_cursor() == second.cursor


def test_events_that_were_removed_first_are_said_to_be_missing(committed_db, monkeypatch):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        numbers = new_events(4)
        oldest = Event.objects.filter(sequence__gte=numbers[2])
        monkeypatch.setattr(sending, "Event", type("Cut", (), {"objects": oldest}))
        send(sink)

    assert received(server)[:2] == numbers[2:]
    event = Event.objects.get(action="sink.skipped")
    assert (event.details["first"], event.details["last"], event.details["events"]) == (numbers[0], numbers[1], 2)


def test_a_search_that_is_none_any_more_is_said_and_sends_nothing(committed_db):
    sink = make_sink()
    Sink.objects.update(query="action:gone.since_long")
    new_events(1)

    send(sink)

    assert "The log knows no action" in sink.last_error


# --- Syslog -------------------------------------------------------------------------------------------------------

MESSAGE = re.compile(
    rb"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\S+) agent-console - (\S{1,32})"
    rb' \[meta sequenceId="(\d+)"\] (.*)',
    re.DOTALL,
)


@pytest.mark.parametrize("secure", [False, True])
def test_syslog_gets_framed_messages_in_order(committed_db, tmp_path, secure):
    context, trusted = make_certificate(tmp_path)
    with Receiver(tls=context if secure else None) as receiver:
        sink = make_sink("syslog", receiver.address, ca_bundle=trusted if secure else "")
        numbers = new_events(3)
        assert send(sink) and sink.last_error == ""

    found = [MESSAGE.fullmatch(message) for message in receiver.messages]
    assert [int(each[5]) for each in found] == numbers == [json.loads(each[6])["sequence"] for each in found]
    assert [each[1] for each in found] == [b"110"] * 3 and found[0][4] == b"disconnection.queued"


def resets(connection):
    connection.recv(100)
    connection.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: what is unread is lost


def never_closes(connection):
    while connection.recv(65_536):
        pass
    time.sleep(3)


def reads_a_little_at_a_time(connection):
    while connection.recv(1):
        time.sleep(0.05)


@pytest.mark.parametrize("behave", [resets, never_closes, reads_a_little_at_a_time])
def test_syslog_that_was_not_read_to_the_end_is_sent_again(committed_db, settings, behave):
    settings.CONSOLE_ATTEMPT_LIMIT = timedelta(seconds=0.6)
    with Receiver() as receiver:
        turns = iter([behave])
        receiver.behave = lambda connection: next(turns, receiver.take)(connection)
        sink = make_sink("syslog", receiver.address)
        numbers = new_events(2)
        send(sink)
        assert sink.last_error and sink.cursor < numbers[0]
        send(sink, timedelta(hours=1))

    got = [int(MESSAGE.fullmatch(message)[5]) for message in receiver.messages]
    assert [number for number in got if number in numbers] == numbers


@pytest.mark.parametrize("kind", ["https", "syslog"])
def test_a_host_that_can_not_be_one_is_said(committed_db, kind):
    sink = make_sink(kind, "https://example.org" if kind == "https" else "tls://example.org")
    Sink.objects.update(address=sink.address.replace("example.org", f"{'x' * 70}..invalid"))
    new_events(1)

    send(sink)

    assert sink.failures == 1 and sink.last_error


def test_a_certificate_that_nobody_vouches_for_gets_nothing(committed_db, tmp_path):
    context, _ = make_certificate(tmp_path)
    with Receiver(tls=context) as receiver:
        sink = make_sink("syslog", receiver.address)
        new_events(1)
        send(sink)

    assert "certificate was not accepted" in sink.last_error and receiver.messages == []


# --- Files --------------------------------------------------------------------------------------------------------


def lines_of(path):
    return [json.loads(line)["sequence"] for line in path.read_text().splitlines()]


def test_a_file_grows_and_may_be_rotated_away(committed_db):
    sink = make_sink("file", "audit.jsonl")
    first = new_events(2)
    send(sink)
    sink.path.rename(folder() / "audit.jsonl.1")
    second = new_events(2)
    send(sink)

    assert lines_of(folder() / "audit.jsonl.1") == first and lines_of(sink.path) == second
    assert sink.path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_dead_machine_left_unfinished_spoils_no_other(committed_db):
    sink = make_sink("file", "audit.jsonl")
    numbers = new_events(1)
    folder().mkdir(parents=True)
    sink.path.write_text('{"sequence":')
    send(sink)

    torn, whole = sink.path.read_text().splitlines()
    assert torn == '{"sequence":' and json.loads(whole)["sequence"] == numbers[0]


def test_a_link_is_not_followed(committed_db, tmp_path):
    sink = make_sink("file", "audit.jsonl")
    new_events(1)
    folder().mkdir(parents=True)
    sink.path.symlink_to(tmp_path / "authorized_keys")

    send(sink)

    assert "could not be written" in sink.last_error and not (tmp_path / "authorized_keys").exists()


# --- Managing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("https", "http://collector.example.org/"),
        ("https", "https://user:pw@collector.example.org/"),
        ("https", "https://169.254.169.254/latest"),
        ("https", "https://[fe80::1]/"),
        ("https", "https://[::ffff:169.254.169.254]/"),
        ("https", "https://[64:ff9b::169.254.169.254]/"),
        ("https", "https://[2002:a9fe:a9fe::1]/"),
        ("https", "https://[fd20:ce::254]/"),
        ("https", "https://192.0.0.192/"),
        ("https", "https://168.63.129.16/"),
        ("https", "ftp://collector.example.org/"),
        ("https", "https://collector.example.org/?token=1"),
        ("syslog", "udp://syslog.example.org"),
        ("syslog", "tls://syslog.example.org/path"),
        ("file", "../authorized_keys"),
        ("file", "/etc/passwd"),
        ("file", ".hidden"),
        ("file", "a\nb"),
    ],
)
def test_an_address_that_it_must_not_go_to_is_refused(committed_db, kind, address):
    with pytest.raises(ValidationError) as refused:
        make_sink(kind, address)

    assert set(refused.value.message_dict) == {"address"} and not Sink.objects.exists()


def test_only_who_may_manage_does(committed_db):
    sink = make_sink()
    auditor = Actor("person", "7", "audra", frozenset({"audit:get"}))
    for act in (services.pause_sink, services.remove_sink, services.test_sink, services.replace_secret):
        with pytest.raises(PermissionDenied):
            act(sink=sink, actor=auditor)


def test_the_secret_is_kept_encrypted_and_in_no_event(committed_db):
    sink = make_sink()
    first, fresh = sink.secret, services.replace_secret(sink=sink, actor=ADA)

    sink.refresh_from_db()
    assert unseal(sink.sealed_secret) == fresh != first
    assert fresh.value not in sink.sealed_secret and fresh.value.startswith("acs_")
    kept = "".join(Event.objects.values_list("data", flat=True))
    assert fresh.value not in kept and sink.sealed_secret not in kept
    assert repr(fresh) == "Secret(…)"


def test_a_test_sends_something_that_is_no_event_and_says_what_came_of_it(committed_db):
    with Scripted(always(answer())) as server:
        sink = make_sink(address=server.url)
        assert services.test_sink(sink=sink, actor=ADA) == ""
    assert received(server) == [0] and header(server.requests[0], "X-Console-Test") == "true"

    assert services.test_sink(sink=make_sink(address="http://127.0.0.1:1/"), actor=ADA) == "the connection was refused"
    assert [event.details["works"] for event in Event.objects.filter(action="sink.tested")] == [True, False]


def test_changes_are_recorded_with_before_and_after(committed_db):
    sink = make_sink(name="siem")
    sink.format = "ocsf"

    services.change_sink(sink=sink, actor=ADA)

    event = Event.objects.get(action="sink.changed")
    assert event.details["changed"] == {"format": ["json", "ocsf"]}


def test_a_name_is_given_once_and_there_is_a_bound(committed_db, monkeypatch):
    make_sink(name="siem")
    with pytest.raises(ValidationError, match="with this name"):
        make_sink(name="siem")
    monkeypatch.setattr(services, "MOST_SINKS", 1)
    with pytest.raises(ValidationError, match="1 sinks already"):
        make_sink(name="other")


def test_a_new_sink_may_begin_with_the_oldest_event(committed_db):
    numbers = new_events(3)
    with Scripted(always(answer())) as server:
        sink = Sink(kind="https", name="late", address=server.url)
        services.add_sink(sink=sink, from_beginning=True, actor=ADA)
        send(sink)

    assert received(server)[:3] == numbers


def test_a_batch_has_the_same_name_whenever_it_is_sent():
    sink = Sink(pk=uuid4())
    events = [(Event(sequence=number), b"") for number in (3, 5)]

    assert Batch(sink, events).name == Batch(sink, list(events)).name == f"{sink.pk}-3-5"
