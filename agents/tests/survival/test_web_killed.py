"""The web is killed while somebody's order is on its way: it is recorded whole, or not at all."""

from contextlib import suppress
from functools import partial
from threading import Thread

import requests

from agents.models import Disconnection, Operation
from agents.readings import read_source
from agents.states import State
from agents.tests.survival.harness import (
    Browser,
    assert_proven,
    finished,
    held_writes,
    make_operator,
    posts,
    row_of,
    story,
    wait_for,
)
from audit.chain import verify
from audit.models import Event

CONFIRMED = ["requested", "queued", "sent", "accepted", "confirmed"]


def pressed(browser, session, form):
    """The button is pressed, by somebody who may get no answer."""

    def press():
        with suppress(requests.ConnectionError):
            browser.send(session, form)

    thread = Thread(target=press)
    thread.start()
    return thread


def test_killed_before_the_order_is_committed_nothing_of_it_is_there(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    read_source(source.pk)
    session, alice = console.session(source, session_id), make_operator("alice")

    with console.running_web() as web:
        browser = Browser(web, alice)
        form = browser.form(session)
        with held_writes():
            press = pressed(browser, session, form)
            press.join(0.5)  # It hangs: until it gives up, nothing says that it has come as far as the database.
            web.process.kill()
        press.join()
    assert (Operation.objects.count(), Disconnection.objects.count()) == (0, 0)
    assert not Event.objects.exclude(operation=None).exists()

    with console.running_web() as web, console.running_worker():
        browser = Browser(web, alice)
        where = browser.send(session, browser.form(session))
        operation = Operation.objects.get()
        finished(operation)

    assert where == operation.get_absolute_url()
    assert story(operation) == CONFIRMED
    assert_proven(operation, standin)


def test_killed_before_it_answers_the_order_is_there_and_is_not_given_twice(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    read_source(source.pk)
    session, alice = console.session(source, session_id), make_operator("alice")

    with console.running_web() as web:
        browser = Browser(web, alice)
        form = browser.form(session)
        console.redis.pause()  # The answer waits for the nudge, and the row is there before it.
        press = pressed(browser, session, form)
        operation = wait_for(Operation.objects.first)
        web.process.kill()
        press.join()
    console.redis.resume()
    assert row_of(operation).state == State.QUEUED

    with console.running_web() as web, console.running_worker():
        browser = Browser(web, alice)
        again = browser.send(session, {**browser.form(session), "token": form["token"]})
        [row] = finished(operation)
        seen = browser.see(again)

    assert again == operation.get_absolute_url()
    assert Operation.objects.count() == Disconnection.objects.count() == 1
    assert 'id="outcome" data-state="confirmed"' in seen
    assert story(operation) == CONFIRMED
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_two_administrators_and_a_double_click_over_the_web(console, standin, committed_db):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    read_source(source.pk)
    session = console.session(source, session_id)

    with console.running_web() as web:
        alice, bob = Browser(web, make_operator("alice")), Browser(web, make_operator("bob"))
        of_alice, of_bob = alice.form(session), bob.form(session)
        led_to = committed_db.in_threads(
            partial(alice.send, session, of_alice), partial(alice.send, session, of_alice),
            partial(bob.send, session, of_bob), partial(bob.send, session, of_bob),
        )  # fmt: skip
        with console.running_worker():
            operation = Operation.objects.get()
            finished(operation)

    assert set(led_to) == {operation.get_absolute_url()}
    assert Disconnection.objects.count() == 1
    assert len(posts(standin, session_id)) == 1
    told = Event.objects.filter(action="disconnection.already_open").values_list("actor_label", flat=True)
    assert set(told) == {"alice", "bob"} - {operation.actor_label}
    assert_proven(operation, standin)
    assert verify().flaw is None
