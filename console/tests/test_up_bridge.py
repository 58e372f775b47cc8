"""The bridge as a part of `up`: when it is started, and how one sees that it lives."""

import socket

import pytest

from agents.models import Source
from apikeys.actors import command_line_actor
from bridge.adding import DEFAULT_NAME, the_bridge
from bridge.models import BridgeSource
from bridge.process import take
from console.supervision import bridge as part
from console.supervision.demo import make_demo_source

pytestmark = pytest.mark.django_db


def test_up_runs_the_bridge_of_the_usual_name():
    assert part.bridge_process()[-3:] == ["runbridge", "--name", "bridge"]


def test_up_leaves_a_paused_bridge_alone():
    made = the_bridge(DEFAULT_NAME, actor=command_line_actor())
    Source.objects.filter(pk=made.pk).update(paused_at=made.created_at)

    assert part.bridge_process() is None


def test_up_starts_none_where_every_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made = the_bridge(DEFAULT_NAME, actor=command_line_actor())
        BridgeSource.objects.filter(pk=made.pk).update(first_port=port, last_port=port)

        assert part.bridge_process() is None


def test_up_sees_whether_it_listens():
    tenure = take(the_bridge(DEFAULT_NAME, actor=command_line_actor()))
    assert part.bridge_port() is None
    tenure.begin(4475)

    assert part.bridge_port() == 4475
    before = part.bridge_beat()
    tenure.beat()
    assert part.bridge_beat() > before


def test_a_bridge_does_not_keep_the_demo_away(settings, tmp_path):
    the_bridge(DEFAULT_NAME, actor=command_line_actor())
    settings.CONSOLE_DATA_DIR = tmp_path

    assert make_demo_source()
