"""A desktop agent by hand: what a command does, what is written, and what is said of a wrong one."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.client.agent import DesktopAgent, the_first
from bridge.client.command import main
from bridge.client.effects import AgentsChanged
from bridge.client.script import COMMANDS, Session, WrongCommand, change_as_text
from bridge.client.settings import AgentSettings
from bridge.tests.sockets import in_a_loop, running, until


class Written(Session):
    """A session that keeps its lines."""

    def __init__(self, name: str, port: int) -> None:
        settings = AgentSettings(name, first_port=port, last_port=port, pause=0.05)
        agent = DesktopAgent(settings, resolve=the_first, on_change=lambda change: self.say(change_as_text(change)))
        self.lines: list[str] = []
        super().__init__(agent, self.lines.append)

    async def type(self, text: str) -> None:
        for line in text.strip().splitlines():
            await self.do(line)

    async def until(self, line: str) -> None:
        await until(lambda: line in self.lines)


@in_a_loop
async def test_two_agents_open_use_and_end_a_private_channel():
    async with running() as server:
        creator, other = Written("B", server.port), Written("A", server.port)
        async with creator.agent, other.agent:
            await creator.type("""
                app Chat
                create-channel
                events c1
                listen c1 message
                handle StartChat c1
                bridge
            """)
            await other.type("""
                # Comments and empty lines are nothing.

                app Blotter
                bridge
                raise-intent StartChat - fdc3.contact name=Jane
                listen c1
                broadcast c1 message text="hello there" number=2
                disconnect c1
                broadcast c1 message
            """)
            await creator.until("Chat is told on c1: disconnect by Blotter@A")

    assert [line for line in creator.lines if line.startswith("Chat is") or " hears " in line] == [
        'Chat is asked for StartChat by Blotter@A: {"type": "fdc3.contact", "name": "Jane"}',
        "Chat is told on c1: addContextListener of every type by Blotter@A",
        'Chat hears on c1 from Blotter@A: {"type": "message", "text": "hello there", "number": 2}',
        "Chat is told on c1: unsubscribe of every type by Blotter@A",
        "Chat is told on c1: disconnect by Blotter@A",
    ]
    assert "StartChat is handled by Chat@B" in other.lines
    assert any(line.startswith("AccessDenied: Blotter has left") for line in other.lines)


@in_a_loop
async def test_it_does_what_each_command_says():
    async with running() as server:
        session = Written("A", server.port)
        async with session.agent:
            await session.type("""
                app One
                join 1
                listen -
                app Two
                join fdc3.channel.1
                broadcast - fdc3.instrument name=Acme
                broadcast orders order
                listen orders order
                unsubscribe L2
                handle Echo echo
                bridge
                find-intent Echo
                raise-intent Echo - x value=1
                open One
                instances One
                leave
                close Two
                agents
                help
            """)
            await session.until('One hears on - from Two: {"type": "fdc3.instrument", "name": "Acme"}')

    for line in ("Echo is handled by Two", 'The result is {"type": "x", "value": 1}', "One is open", "One, One", "A"):
        assert line in session.lines
    assert [line.split()[0] for line in session.lines if line.split()[0] in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("fly", "fly: no such command"),
        ("app", "usage: app NAME"),
        ("join 1", "first say which app acts"),
        ("close Nobody", "Nobody does not run"),
        ("unsubscribe L1", "L1: there is no such listener"),
        ("wait long", "long is no number of seconds"),
        ("wait -1", "-1 is no number of seconds"),
        ("wait nan", "nan is no number of seconds"),
        ("app 'One", "No closing quotation"),
        ("wait-for nothing 0.01", "no line with 'nothing' came within 0.01 s"),
    ],
)
@in_a_loop
async def test_it_says_what_is_wrong_with_a_command(line, why):
    session = Written("A", 1)

    with pytest.raises(WrongCommand, match=why):
        await session.do(line)


@in_a_loop
async def test_it_says_what_is_wrong_with_an_app_s_command():
    session = Written("A", 1)
    await session.do("app One")

    for line, why in (
        ("disconnect c1", "c1 is no private channel of this agent"),
        ("broadcast orders x field", "field is not KEY=VALUE"),
    ):
        with pytest.raises(WrongCommand, match=why):
            await session.do(line)
    await session.agent.close()


@in_a_loop
async def test_what_others_send_stays_one_line_and_moves_no_cursor():
    session = Written("A", 1)
    await session.do("app One")
    await session.do("listen c")
    evil = session.agent.app("Two\x1b[2J\n\x9bA")
    await (await evil.get_or_create_channel("c")).broadcast({"type": "\x9b2J\r\n"})

    await until(lambda: any(" hears " in line for line in session.lines))

    assert all(line.isprintable() for line in session.lines)
    await session.agent.close()


@in_a_loop
async def test_it_does_a_command_over_and_over():
    session = Written("A", 1)
    await session.type("""
        app One
        listen numbers
        app Two
        every 0 3 broadcast numbers number value={n}
    """)

    await session.until('One hears on numbers from Two: {"type": "number", "value": 3}')
    assert [line[-2] for line in session.lines if " hears " in line] == ["1", "2", "3"]
    await session.agent.close()


@in_a_loop
async def test_wait_for_goes_on_when_the_line_comes():
    session = Written("A", 1)
    waiting = asyncio.create_task(session.do("wait-for 'has private channel' 10"))
    await asyncio.sleep(0)

    await session.do("app One")
    await session.do("create-channel")

    await waiting
    await session.agent.close()


# --- From the shell ------------------------------------------------------------------------------------------------


def shell(*options: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge.client", "--port-range", "1", *options],
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
    )


def test_a_script_ends_with_its_first_wrong_line(tmp_path):
    script = tmp_path / "wrong.txt"
    script.write_text("app One\n\nfly\napp Two\n")

    done = shell("--script", str(script))

    assert (done.returncode, done.stderr) == (1, "Line 3: fly: no such command; `help` lists them\n")


def test_it_reads_what_is_piped_and_needs_no_django():
    done = shell(typed="app One\ncreate-channel\nquit\n", DJANGO_SETTINGS_MODULE="nothing")

    assert done.returncode == 0
    assert done.stdout.startswith("One has private channel c1 (private-")


@pytest.mark.parametrize(
    "options",
    [
        ("--port-range", "a-b"),
        ("--port-range", "4575-4475"),
        ("--port-range", "0"),
        ("--fdc3-version", "1.2"),
        ("--demo", "nothing"),
    ],
    ids=" ".join,
)
def test_it_refuses_options_that_make_no_sense(options, capsys):
    with pytest.raises(SystemExit) as ended:
        main(options)

    assert ended.value.code == 2
    assert options[1] in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--script", "--token-file", "--private-key", "--bridge-keys"])
def test_it_says_which_file_can_not_be_read(option, tmp_path, capsys):
    assert main([option, str(tmp_path / "missing")]) == 2

    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("came", "went", "line"),
    [
        (("A",), (), "A came"),
        (("A", "B"), ("C",), "A and B came, C went"),
        (("A", "B", "C"), (), "A, B and C came"),
    ],
)
def test_it_says_who_came_and_went(came, went, line):
    assert change_as_text(AgentsChanged(came, went, came)) == line
