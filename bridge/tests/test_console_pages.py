"""The pages of bridges: who is there, who may see and end what, and what is said where nothing is there."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.signals import post_init

from agents.models import AgentSession, Disconnection, Operation
from agents.readings import read_source
from agents.states import State
from agents.tests.factory import make_session, make_source
from apikeys.tests.factory import bearer, make_key
from bridge import link
from bridge.drawing import draw, shortened
from bridge.journal import Journal
from bridge.models import BridgeProcess
from bridge.protocol.effects import Event as Happened
from bridge.protocol.effects import Note
from bridge.tests.fake import FakeServer, agent, app, channel, make_bridge, member
from console.tests.factory import make_person, signed_in

LOOK = {"HX-Request": "true", "HX-Target": "live"}


@pytest.fixture
def server(db, settings):
    settings.CONSOLE_BRIDGE_SILENCE = timedelta(hours=1)  # However slow this machine is at the moment.
    link._links.clear()
    prices = channel("prices-1", app("pricer", "agent-A"), member(app("trader", "agent-B"), events=["disconnect"]))
    yield FakeServer(agent("agent-A", answers_owed=2, requests_in_flight=1), agent("agent-B"), channels=[prices])
    link._links.clear()


@pytest.fixture
def bridge(server):
    return make_bridge("desk", server=server)


@pytest.fixture
def viewer(db):
    return signed_in(make_person("vera", "Viewer"))


@pytest.fixture
def operator(db):
    return signed_in(make_person("otto", "Operator"))


def session(agent_id):
    return AgentSession.objects.live().get(agent_id=agent_id)


def test_the_page_shows_bridge_agents_and_channels(viewer, bridge, django_assert_max_num_queries):
    with django_assert_max_num_queries(20):
        text = viewer.get("/bridge/").text

    assert "ws://127.0.0.1:4475" in text and "Sail 1.4" in text
    assert re.findall(r'<tr id="session-\d+" data-state="(\w+)"', text) == ["connected", "connected"]
    assert 'href="/bridge/channels/' in text and "pricer of agent-A" in text and "disconnect 1" in text


@pytest.mark.parametrize("where", ["page", "api"])
def test_no_more_private_channels_are_loaded_than_are_shown(viewer, bridge, server, monkeypatch, where):
    """An agent may open a thousand, and two hundred agents may connect."""
    pricer, trader = app("pricer", "agent-A"), app("trader", "agent-B")
    server.set(channels=[channel(f"prices-{number}", pricer, trader) for number in range(9)])
    read_source(bridge.pk)
    loaded = []

    def count(*, instance, **_):
        loaded.append(instance)

    post_init.connect(count, sender=AgentSession)
    monkeypatch.setattr("bridge.views.CHANNELS", 2)
    monkeypatch.setattr("bridge.api.MOST_CHANNELS", 2)

    if where == "page":
        assert "And 7 more, which the API lists" in viewer.get("/bridge/").text
    else:
        _, key = make_key("collector", "bridge:get")
        assert len(viewer.get("/api/console/v1/private-channels", headers=bearer(key)).json()) == 2

    assert len([each for each in loaded if each.part_of]) == 4


def test_the_drawing_shows_who_is_connected_to_what(bridge):
    from bridge.channels import live_channels

    drawing = draw(list(AgentSession.objects.of_agents()), live_channels([bridge.pk]))

    assert [box.shown for box in (*drawing.agents, *drawing.channels)] == ["agent-A", "agent-B", "prices-1"]
    assert [line.is_home for line in drawing.lines] == [False, False, True, False]


def test_a_drawing_has_room_for_so_many(bridge, server):
    server.set(agents=[agent(f"agent-{number:02}") for number in range(30)])
    read_source(bridge.pk)

    drawing = draw(list(AgentSession.objects.live().of_agents()), [])

    assert len(drawing.agents) == 14 and drawing.left_out == 16


@pytest.mark.parametrize(
    ("text", "shown"),
    [("agent-A", "agent-A"), ("x" * 17, "x" * 15 + "…"), ("社員" * 6, "社員社員社員社…"), ("a\u202eb", "a\\u202eb")],
)
def test_a_long_name_is_cut_to_its_box(text, shown):
    assert shortened(text, 16) == shown


def test_a_bridge_that_does_not_run_says_how_to_run_it(viewer, bridge):
    BridgeProcess.objects.all().delete()

    text = viewer.get("/bridge/").text

    assert "This bridge does not run" in text and "manage.py runbridge --name desk" in text


def test_a_bridge_without_agents_says_where_they_connect(viewer, server, bridge):
    server.set(agents=[], channels=[])
    read_source(bridge.pk)

    assert "No desktop agent is connected" in viewer.get("/bridge/").text


def test_no_bridge_is_said(viewer):
    assert "No bridge yet" in viewer.get("/bridge/").text


def test_an_unchanged_page_is_not_sent_again(viewer, bridge):
    first = viewer.get("/bridge/", headers=LOOK)
    again = viewer.get("/bridge/", headers=LOOK | {"If-None-Match": first["ETag"]})
    assert again.status_code == 304

    BridgeProcess.objects.update(token=None)
    assert viewer.get("/bridge/", headers=LOOK | {"If-None-Match": first["ETag"]}).status_code == 200


def test_agents_are_in_the_list_of_sessions_and_memberships_are_not(viewer, bridge):
    make_session(make_source("Tokyo"), "wc-agent")

    text = viewer.get("/sessions/").text

    assert all(name in text for name in ("agent-A", "agent-B", "wc-agent"))
    assert "trader of agent-B" not in text and "<strong>3</strong> sessions" in text
    assert "2 sessions" in text


def test_the_filters_find_agents(viewer, bridge):
    text = viewer.get("/sessions/?q=agent-B&version=2.2&version_is=is").text

    assert "agent-B" in text and "agent-A" not in text


def test_the_page_of_an_agent_tells_what_the_bridge_knows(viewer, bridge):
    text = viewer.get(session("agent-A").get_absolute_url()).text

    for said in (
        "Sail 1.4",
        "FDC3 version",
        "DesktopAgentBridging",
        "12 messages",
        "1 of its own, 2 to it",
        "prices-1",
    ):
        assert said in text, said


def test_of_an_agent_with_very_many_channels_the_first_are_told(viewer, server):
    server.set(agents=[agent("agent-A", channels=tuple(f"channel {number}" for number in range(1060)))])
    make_bridge("desk", server=server)

    text = viewer.get(session("agent-A").get_absolute_url()).text

    assert "channel 49 and 1,010 more" in text and "channel 50" not in text


def test_the_page_of_an_agent_tells_when_it_came_and_went(bridge):
    found = session("agent-A")
    journal = Journal(bridge)
    journal.note(Note(Happened.JOINED, "agent-A joined", found.session_id, "agent-A"))
    journal.note(Note(Happened.LEFT, "agent-A left: it sleeps", found.session_id, "agent-A"))
    journal.note(Note(Happened.JOINED, "agent-B joined", session("agent-B").session_id, "agent-B"))
    journal.write()

    text = signed_in(make_person("ada", "Administrator")).get(found.get_absolute_url()).text

    assert re.findall(r"Desktop agent \w+", text[text.index("events-head") :]) == [
        "Desktop agent gone",
        "Desktop agent connected",
    ]


def test_the_dialog_names_the_impact(operator, bridge):
    text = operator.get(f"/sessions/{session('agent-A').pk}/disconnect/").text

    assert "2 requests of other agents, now in flight to it, will end with AgentDisconnected." in text
    assert "end for everybody, since apps of this agent created them: prices-1." in text
    assert "last agent" not in text


def test_the_last_agent_is_said_to_be_the_last(operator, bridge, server):
    server.set(agents=server.hub.agents[:1], channels=[])
    read_source(bridge.pk)

    assert (
        "the state of all channels is discarded" in operator.get(f"/sessions/{session('agent-A').pk}/disconnect/").text
    )


def test_the_dialog_for_an_app_says_what_a_refusal_is(operator, bridge):
    text = operator.get(f"/sessions/{session('pricer of agent-A').pk}/disconnect/").text

    assert "as if it left the private channel prices-1" in text and "It created the channel" in text


def test_an_operator_disconnects_an_app(operator, bridge):
    trader = session("trader of agent-B")
    answer = operator.post(f"/sessions/{trader.pk}/disconnect/", {"reason": "leaks prices", "token": str(uuid4())})

    assert answer.status_code == 302
    assert Disconnection.objects.get().session == trader
    page = operator.get(answer["Location"]).text
    assert "Disconnect trader of agent-B" in page and "leaks prices" in page


def test_a_viewer_may_look_and_not_touch(viewer, bridge):
    trader = session("trader of agent-B")

    assert "none of your roles opens that" in viewer.get(f"/bridge/channels/{bridge.pk}/{trader.part_of}/").text
    assert viewer.get(f"/sessions/{trader.pk}/disconnect/").status_code == 403
    form = {"reason": "x", "token": str(uuid4())}
    assert viewer.post(f"/sessions/{trader.pk}/disconnect/", form).status_code == 403
    assert not Operation.objects.exists()


def test_the_page_of_a_channel(operator, bridge):
    text = operator.get(f"/bridge/channels/{bridge.pk}/{session('trader of agent-B').part_of}/").text

    assert text.count('id="disconnect-') == 2 and "creator" in text
    assert "3 (1.5" in text and "crossed the bridge" in text


def test_a_channel_that_ended_keeps_its_page(operator, bridge, server):
    url = f"/bridge/channels/{bridge.pk}/{session('trader of agent-B').part_of}/"
    server.set(channels=[])
    read_source(bridge.pk)

    text = operator.get(url).text
    assert "Ended" in text and "it left, or its agent did" in text


def test_a_former_member_shows_who_put_it_out(operator, bridge, server):
    trader = session("trader of agent-B")
    operator.post(f"/sessions/{trader.pk}/disconnect/", {"reason": "leaks", "token": str(uuid4())})
    Disconnection.objects.update(state=State.ACCEPTED, posts=1)
    server.disconnect_app("prices-1", app("trader", "agent-B"))
    read_source(bridge.pk)

    assert "disconnected by otto" in operator.get(f"/bridge/channels/{bridge.pk}/{trader.part_of}/").text


@pytest.mark.parametrize("path", ["/bridge/channels/1/nothing/", "/bridge/channels/99999/nothing/"])
def test_a_channel_that_never_was(viewer, bridge, path):
    assert viewer.get(path).status_code == 404


def test_agents_of_other_sources_are_no_channels(viewer, bridge):
    tokyo = make_source("Tokyo")
    make_session(tokyo, part_of="")

    assert viewer.get(f"/bridge/channels/{tokyo.pk}/-/").status_code == 404


def test_somebody_signed_out_is_asked_to_sign_in(client, bridge):
    for path in ("/bridge/", f"/bridge/channels/{bridge.pk}/x/", session("agent-A").get_absolute_url()):
        assert client.get(path).status_code == 302


def test_names_do_nothing_to_the_page(viewer, server):
    name = "<script>alert(1)</script>\u202e"
    make_bridge("evil", server=FakeServer(agent(name), channels=[channel(name, app(name, name), app("t", "agent-B"))]))

    text = viewer.get("/bridge/").text
    assert "<script>alert" not in text and "\u202e" not in text


def test_an_administrator_adds_and_changes_a_bridge(db):
    client = signed_in(make_person("ada", "Administrator"))
    page = client.get("/sources/add/?kind=bridge").text
    assert "Requests a minute" not in page and "Key for reading" not in page

    values = {"name": "floor", "first_port": 4480, "last_port": 4490, "authentication": "api_key"}
    answer = client.post("/sources/add/?kind=bridge", values)
    assert answer.status_code == 302, answer.text
    text = client.get(answer["Location"]).text
    assert "4480 to 4490" in text and "Credentials" not in text and 'id="test"' not in text

    wrong = client.post("/sources/add/?kind=bridge", values | {"name": "b", "last_port": 4479, "authentication": "jwt"})
    assert "The last port is below the first." in wrong.text or "public keys" in wrong.text
