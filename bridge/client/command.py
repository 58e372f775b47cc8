"""Running a desktop agent from a shell: `python -m bridge.client`, or `manage.py rundesktopagent`."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import CancelledError
from itertools import chain
from pathlib import Path
from typing import Any

from bridge.client.agent import DesktopAgent, the_first
from bridge.client.demo import DEMOS
from bridge.client.script import COMMANDS, End, Session, WrongCommand, change_as_text
from bridge.client.settings import FIRST_PORT, LAST_PORT, AgentSettings
from bridge.client.tokens import signs_with, token_of, trusts
from bridge.protocol.versions import SUPPORTED
from bridge.server.settings import BadSetting

INPUT = Path("-")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="agent", help="to ask the bridge for (default %(default)s)")
    parser.add_argument(
        "--port-range",
        type=_range,
        default=(FIRST_PORT, LAST_PORT),
        metavar="FIRST-LAST",
        help=f"to look for a bridge in (default {FIRST_PORT}-{LAST_PORT})",
    )
    parser.add_argument("--fdc3-version", choices=SUPPORTED, default="2.2", help="(default %(default)s)")
    key = parser.add_mutually_exclusive_group()
    key.add_argument(
        "--token-file", type=Path, metavar="FILE", help="what to show a bridge that asks: an API key, or a JWT"
    )
    key.add_argument("--private-key", type=Path, metavar="SUB.pem", help="signs a fresh JWT for each handshake")
    parser.add_argument(
        "--bridge-keys", type=Path, metavar="FOLDER", help="public keys; only a bridge with one of them is trusted"
    )
    work = parser.add_mutually_exclusive_group()
    work.add_argument(
        "--script",
        type=Path,
        default=INPUT,
        metavar="FILE",
        help="one command a line; `-`, the default: typed or piped",
    )
    work.add_argument("--demo", choices=sorted(DEMOS), help="be this app instead, until ended")
    parser.epilog = f"Commands of scripts: {', '.join(COMMANDS)}. `help` says more."


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m bridge.client", description="A desktop agent, by hand or by script.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(options: argparse.Namespace) -> int:
    """The exit status: 0, 1 where a line of the script failed, 2 where it could not start."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        settings = _settings(options)
        if options.demo:
            return asyncio.run(_until_ended(DEMOS[options.demo](settings)))
        lines = None if options.script == INPUT else options.script.read_text(encoding="utf-8").splitlines()
    except (BadSetting, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    return asyncio.run(_until_ended(_follow(settings, lines)))


def _settings(options: argparse.Namespace) -> AgentSettings:
    first, last = options.port_range
    sign = None
    if options.token_file:
        sign = token_of(options.token_file)
    elif options.private_key:
        sign = signs_with(options.private_key)
    return AgentSettings(
        options.name,
        first_port=first,
        last_port=last,
        fdc3_version=options.fdc3_version,
        sign=sign,
        trust=trusts(options.bridge_keys) if options.bridge_keys else None,
    )


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    try:
        ports = int(first), int(last or first)
    except ValueError:
        ports = 0, 0
    if not 1 <= ports[0] <= ports[1] <= 65_535:
        raise argparse.ArgumentTypeError(f"ports such as {FIRST_PORT}-{LAST_PORT}, not {text!r}")
    return ports


async def _until_ended(work: Coroutine[Any, Any, int]) -> int:
    """Ctrl-C and SIGTERM are the usual way to end an agent: no failure."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 0


async def _follow(settings: AgentSettings, lines: Sequence[str] | None) -> int:
    """Without lines they are read from the input as they come; a person may get one wrong, a script may not."""
    by_hand = lines is None and sys.stdin.isatty()

    def say(text: str) -> None:
        print(text, flush=True)

    agent = DesktopAgent(settings, resolve=the_first, on_change=lambda change: session.say(change_as_text(change)))
    session = Session(agent, say)
    async with agent:
        number = 0
        async for line in _typed(f"{settings.name}> " if by_hand else "") if lines is None else _written(lines):
            number += 1
            try:
                await session.do(line)
            except End:
                return 0
            except WrongCommand as wrong:
                print(wrong if by_hand else f"Line {number}: {wrong}", file=sys.stderr, flush=True)
                if not by_hand:
                    return 1
    return 0


async def _written(lines: Sequence[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def _typed(prompt: str) -> AsyncIterator[str]:
    """Reading blocks, and can't be interrupted: it has a thread of its own, which nobody waits for."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[str] = asyncio.Queue(1)

    def read() -> None:
        with contextlib.suppress(RuntimeError, CancelledError):  # The agent ended meanwhile.
            for line in chain(sys.stdin, ["quit"]):
                asyncio.run_coroutine_threadsafe(typed.put(line), loop).result()

    threading.Thread(target=read, daemon=True).start()
    while True:
        if prompt:
            print(prompt, end="", flush=True)
        yield await typed.get()
