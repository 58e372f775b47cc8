"""Starting the stand-in from a shell: `python -m agents.webconnect.standin`, or `manage.py runstandin`."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.webconnect.standin import keys, switches
from agents.webconnect.standin.clock import Clock
from agents.webconnect.standin.server import HOST, Server
from agents.webconnect.standin.service import BASE
from agents.webconnect.standin.wanted import BadInput
from agents.webconnect.standin.world import Beginning, World

DEFAULT_PORT = 8480
MOST_AGENTS = 100_000
MOST_TEMPO = 60_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_within(int, 65_535), default=DEFAULT_PORT, help="0: any free port")
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="FILE",
        help='JSON, mode 0600: [{"name", "key", "scopes"}]; made, with fresh keys, if it does not exist',
    )
    parser.add_argument("--agents", type=_within(int, MOST_AGENTS), default=40, help="sessions at the start")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same agents and story")
    parser.add_argument("--tempo", type=_within(float, MOST_TEMPO), default=12.0, help="happenings a minute; 0: none")
    parser.add_argument("--sessions-file", type=Path, metavar="FILE", help="JSON list of sessions to add")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="the page at / lists them all"
    )
    parser.add_argument(
        "--until-input-ends", action="store_true", help="stop when standard input ends: when a parent died"
    )


def _within[N: (int, float)](kind: type[N], largest: float) -> Callable[[str], N]:
    def convert(text: str) -> N:
        try:
            number = kind(text)
        except ValueError:
            number = kind(-1)
        if not 0 <= number <= largest:
            raise argparse.ArgumentTypeError(f"a number from 0 to {largest:g}, not {text!r}")
        return number

    return convert


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("standin", description="A local stand-in for the WebConnect Site API.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(options: argparse.Namespace) -> int:
    """The exit status: 0 after SIGTERM or Ctrl-C, 2 when it could not start."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        with _key_file(options.keys) as file:
            world = World(_beginning(options, keys.read_file(file)), Clock())
            asyncio.run(_serve(world, options.port, until_input_ends=options.until_input_ends))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


@contextmanager
def _key_file(path: Path | None) -> Iterator[Path]:
    """The file named, made if need be; or one that lives as long as we do."""
    if path is not None:
        if not path.exists():
            _write_keys(path)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="standin-") as folder:
        path = Path(folder, "keys.json")
        _write_keys(path)
        print(f"API keys are in {path}", file=sys.stderr, flush=True)
        yield path


def _write_keys(path: Path) -> None:
    try:
        keys.write_file(path, keys.fresh_keys())
    except OSError as error:
        raise BadInput(f"The keys cannot be written to {path}: {error.strerror}.") from None


def _beginning(options: argparse.Namespace, known: Sequence[keys.Key]) -> Beginning:
    return Beginning(
        seed=options.seed,
        agents=options.agents,
        tempo=options.tempo,
        keys=known,
        switches=switches.parse(options.switch),
        sessions=_read_sessions(options.sessions_file) if options.sessions_file else (),
    )


def _read_sessions(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The sessions cannot be read from {path}: {error.strerror}.") from None
    except ValueError:
        raise BadInput(f"The sessions cannot be read from {path}: not JSON.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f"{path} does not hold a list of sessions.")
    return rows


async def _serve(world: World, port: int, *, until_input_ends: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_input_ends:
        try:
            loop.add_reader(sys.stdin.fileno(), _notice_end, stop)
        except OSError:
            raise BadInput("Standard input has to be a pipe for --until-input-ends.") from None

    server = Server(world)
    try:
        listening = await server.start(port)
    except OSError as error:
        raise BadInput(f"Port {port} cannot be used: {os.strerror(error.errno or 0)}.") from None
    actual = listening.sockets[0].getsockname()[1]
    print(f"Stand-in ready on http://{HOST}:{actual}{BASE}", flush=True)
    living = asyncio.create_task(_live(world))
    await stop.wait()
    living.cancel()
    await server.stop(listening)


def _notice_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


async def _live(world: World) -> None:
    """Look at the clock now and then: a quiet night must not make the next request wait for it."""
    while True:
        await asyncio.sleep(1)
        world.catch_up()
