"""The two desktop agents that `up` starts as demo."""

import pytest

from bridge.adding import DEFAULT_NAME
from bridge.models import BridgeProcess, BridgeSource
from bridge.tests.fake import make_bridge
from console.supervision.demo_agents import demo_agents


def test_they_look_where_the_bridge_of_this_console_is(committed_db):
    make_bridge(DEFAULT_NAME)
    prices, blotter = demo_agents({})
    assert prices.arguments() == blotter.arguments() == ["--port-range", "4475"]

    BridgeProcess.objects.update(port=4480)

    assert prices.arguments() == ["--port-range", "4480"]


def test_they_look_everywhere_while_it_is_nowhere(committed_db):
    prices, _ = demo_agents({})

    assert prices.arguments() == ["--port-range", "4475-4575"]


@pytest.mark.django_db
def test_there_are_none_where_they_would_have_to_say_who_they_are():
    make_bridge(DEFAULT_NAME, authentication=BridgeSource.Authentication.API_KEY)

    assert list(demo_agents({})) == []
