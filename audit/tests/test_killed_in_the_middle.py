"""Workers killed with SIGKILL while they send or write: nothing is lost, and what comes twice has the same ID."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

from audit.clock import database_now
from audit.exports import making
from audit.exports.models import Export, folder
from audit.exports.services import request_export
from audit.streams import sending
from audit.streams.models import Sink
from audit.tests.make import commit_events
from audit.tests.scripted import Scripted, answer
from audit.tests.test_exports import AUDRA
from audit.tests.test_sinks import header, make_sink, new_events, received, send

SEND = """
import sys, django
django.setup()
from audit.streams import sending
sending.send(sys.argv[1])
"""
WRITE = """
import sys, time, uuid, django
django.setup()
from audit.exports import making
def hang(*about):
    print("under way", flush=True)
    time.sleep(60)
making._go_on = hang
making.make(uuid.UUID(sys.argv[1]))
"""


def child(database, program, argument):
    env = {**database.env, "DJANGO_SETTINGS_MODULE": "console.settings"}
    return subprocess.Popen([sys.executable, "-c", program, str(argument)], env=env, stdout=subprocess.PIPE, text=True)


def test_a_worker_killed_between_sending_and_its_cursor_is_followed_by_another(committed_db):
    killed = []

    def script(peer):
        while peer.request():
            if not killed:
                killed.append(os.kill(worker.pid, signal.SIGKILL))
                worker.wait(10)
                return
            peer.send(answer())

    with Scripted(script) as server:
        sink = make_sink(address=server.url)
        numbers = new_events(3)
        with child(committed_db, SEND, sink.pk) as worker:
            worker.wait(30)
        sink.refresh_from_db()
        assert worker.returncode == -signal.SIGKILL and sink.cursor < numbers[0]
        assert sink.lease_until and sending.due(database_now()) == [], "its lease still stands"
        assert send(sink, sending.lease() + timedelta(seconds=5))

    assert received(server) == numbers * 2
    assert header(server.requests[0], "X-Console-Batch") == header(server.requests[1], "X-Console-Batch")
    assert Sink.objects.get().cursor == numbers[-1]


def test_an_export_whose_worker_was_killed_is_made_anew(committed_db, monkeypatch):
    commit_events(3)
    export = request_export(query="", format="jsonl", actor=AUDRA)
    with child(committed_db, WRITE, export.pk) as worker:
        assert worker.stdout.readline() == "under way\n"
        worker.kill()
    assert [path.suffix for path in folder().iterdir()] == [".part"]
    assert making.due(database_now()) == []

    monkeypatch.setattr(making, "database_now", lambda: database_now() + timedelta(minutes=2))
    assert making.make(export.pk)

    export.refresh_from_db()
    assert (export.state, export.count, export.attempts) == (Export.State.READY, 3, 2)
    making.sweep_away(database_now() + timedelta(minutes=5))
    assert [path.name for path in folder().iterdir()] == [export.file_name]
