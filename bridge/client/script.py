"""A desktop agent by hand: one command a line, and one line for whatever arrives.

What an app does is a method here, and its docstring is its help.
"""

import asyncio
import inspect
import json
import shlex
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from bridge.client.agent import Change, DesktopAgent
from bridge.client.app import App, Channel, ChannelEvent, IntentResult, Listener, Metadata, PrivateChannel
from bridge.client.contexts import Context
from bridge.client.effects import AgentsChanged, Bridged, Unbridged
from bridge.client.errors import FDC3Error
from bridge.protocol.messages import AppIdentifier

type Say = Callable[[str], None]

LONGEST = 200
USER_CHANNEL = "fdc3.channel."


class WrongCommand(Exception):
    """Says what is wrong with it."""


class End(Exception):
    """The script, or the person, has had enough."""


class Session:
    """What a script works with: the app that it acts as, and short names for private channels and listeners."""

    def __init__(self, agent: DesktopAgent, say: Say) -> None:
        self.agent = agent
        self._say = say
        self._apps: dict[str, App] = {}
        self._app: App | None = None
        self._channels: dict[str, PrivateChannel] = {}
        self._listeners: dict[str, Listener] = {}
        self._numbers = count(1)
        self._waited_for: list[tuple[str, asyncio.Event]] = []

    def say(self, text: str) -> None:
        """One line: what others called themselves, or sent, must not move the cursor of a terminal."""
        text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
        for wanted, seen in self._waited_for:
            if wanted in text:
                seen.set()
        self._say(text)

    async def do(self, line: str) -> None:
        """Raises WrongCommand for what can't be understood; what the standard refuses is said."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise WrongCommand(str(error)) from None
        if not words:
            return
        command = COMMANDS.get(words[0])
        if command is None:
            raise WrongCommand(f"{words[0]}: no such command; `help` lists them")
        _check_words(words[0], command, words[1:])
        try:
            await command(self, *words[1:])
        except FDC3Error as error:
            self.say(str(error))

    # --- Apps ---

    async def app(self, name: str) -> None:
        """Act as this app from now on; it is started where it does not run."""
        if name not in self._apps:
            self._apps[name] = self.agent.app(name)
        self._app = self._apps[name]

    async def close(self, name: str) -> None:
        """End an app, as if it had crashed."""
        app = self._apps.pop(name, None)
        if app is None:
            raise WrongCommand(f"{name} does not run")
        await app.close()
        self._app = None if self._app is app else self._app

    async def agents(self) -> None:
        """List the desktop agents on the bridge."""
        self.say(", ".join(self.agent.agents) or "There is no bridge.")

    async def instances(self, app: str) -> None:
        """List the running instances of APP or APP@AGENT."""
        found = await self._me.find_instances(_target(app))
        self.say(", ".join(map(_name, found)) or "None is running.")

    async def open(self, app: str, type: str = "", *fields: str) -> None:
        """Start APP or APP@AGENT, with a context if one is given."""
        opened = await self._me.open(_target(app), _context(type, fields) if type else None)
        self.say(f"{_name(opened)} is open")

    # --- Intents ---

    async def find_intent(self, intent: str) -> None:
        """List the apps that handle INTENT, here and on the bridge."""
        found = await self._me.find_intent(intent)
        self.say(", ".join(dict.fromkeys(map(_name, found.apps))))

    async def handle(self, intent: str, result: str = "nothing") -> None:
        """Handle INTENT from now on; the result is `nothing`, `echo` (the context) or a private channel such as c1."""
        app, channel = self._me, None if result in ("nothing", "echo") else self._channel(result)

        def handler(context: Context, metadata: Metadata) -> IntentResult:
            self.say(f"{app.app_id} is asked for {intent} by {_source(metadata)}: {_short(context)}")
            return context if result == "echo" else channel

        self._remember(await app.add_intent_listener(intent, handler), f"{app.app_id} handles {intent}")

    async def raise_intent(self, intent: str, target: str, type: str, *fields: str) -> None:
        """Raise INTENT for APP@AGENT, or for whoever handles it (`-`), with a context; wait for the result."""
        app = None if target == "-" else _target(target)
        resolution = await self._me.raise_intent(intent, _context(type, fields), app)
        self.say(f"{intent} is handled by {_name(resolution.source)}")
        result = await resolution.get_result()
        if isinstance(result, PrivateChannel):
            self._name_channel(result)
        else:
            self.say(f"The result is {result if isinstance(result, Channel) else _short(result)}")

    # --- Channels ---

    async def join(self, channel: str) -> None:
        """Join user channel 1 to 8."""
        await self._me.join_user_channel(USER_CHANNEL + channel.removeprefix(USER_CHANNEL))

    async def leave(self) -> None:
        """Leave the user channel."""
        await self._me.leave_current_channel()

    async def create_channel(self) -> None:
        """Create a private channel; it is called c1, c2 and so on. Others get it as the result of an intent."""
        self._name_channel(await self._me.create_private_channel())

    async def broadcast(self, channel: str, type: str, *fields: str) -> None:
        """Broadcast a context: CHANNEL is c1, 1 to 8, the name of an app channel, or `-`: the one that is joined."""
        context = _context(type, fields)
        if channel == "-":
            await self._me.broadcast(context)
        else:
            await (await self._any_channel(channel)).broadcast(context)

    async def listen(self, channel: str, type: str = "*") -> None:
        """Listen on CHANNEL for contexts of TYPE, or of any (`*`)."""
        app, wanted = self._me, None if type == "*" else type

        def hear(context: Context, metadata: Metadata) -> None:
            self.say(f"{app.app_id} hears on {channel} from {_source(metadata)}: {_short(context)}")

        on = app if channel == "-" else await self._any_channel(channel)
        self._remember(await on.add_context_listener(wanted, hear), f"{app.app_id} listens on {channel} for {type}")

    async def events(self, channel: str, type: str = "*") -> None:
        """Listen for `addContextListener`, `unsubscribe` or `disconnect` of a private channel, or for all (`*`)."""
        app = self._me

        def hear(event: ChannelEvent) -> None:
            about = "" if event.type == "disconnect" else f" of {event.context_type or 'every type'}"
            self.say(f"{app.app_id} is told on {channel}: {event.type}{about} by {_name(event.source)}")

        listener = await self._channel(channel).add_event_listener(None if type == "*" else type, hear)
        self._remember(listener, f"{app.app_id} listens on {channel} for events")

    async def unsubscribe(self, listener: str) -> None:
        """Remove a listener, such as L1."""
        if listener not in self._listeners:
            raise WrongCommand(f"{listener}: there is no such listener")
        await self._listeners.pop(listener).unsubscribe()

    async def disconnect(self, channel: str) -> None:
        """Leave a private channel for good."""
        await self._channel(channel).disconnect()

    # --- The script itself ---

    async def wait(self, seconds: str) -> None:
        """Wait so many seconds; `forever` until the agent is ended."""
        if seconds == "forever":
            await asyncio.Event().wait()
        await asyncio.sleep(_seconds(seconds))

    async def wait_for(self, text: str, seconds: str = "30") -> None:
        """Wait until a line with TEXT is written; the script fails where none is in so many seconds."""
        seen = asyncio.Event()
        self._waited_for.append((text, seen))
        try:
            async with asyncio.timeout(_seconds(seconds)):
                await seen.wait()
        except TimeoutError:
            raise WrongCommand(f"no line with {text!r} came within {seconds} s") from None
        finally:
            self._waited_for.remove((text, seen))

    async def bridge(self) -> None:
        """Wait until there is a bridge."""
        await self.agent.bridged.wait()

    async def every(self, seconds: str, times: str, *command: str) -> None:
        """Do COMMAND every so many seconds, so many times (`forever`); {n} in it is the number of the time."""
        count = None if times == "forever" else int(_seconds(times))
        number = 0
        while count is None or number < count:
            number += 1
            await self.do(shlex.join(word.replace("{n}", str(number)) for word in command))
            await asyncio.sleep(_seconds(seconds))

    async def help(self) -> None:
        """This list."""
        for name, command in COMMANDS.items():
            self.say(f"{_usage(name, command):44} {inspect.getdoc(command)}")

    async def quit(self) -> None:
        """End the agent."""
        raise End

    # --- Names ---

    @property
    def _me(self) -> App:
        if self._app is None:
            raise WrongCommand("first say which app acts: app NAME")
        return self._app

    def _channel(self, name: str) -> PrivateChannel:
        if name not in self._channels:
            raise WrongCommand(f"{name} is no private channel of this agent; the first one is c1")
        return self._channels[name]

    async def _any_channel(self, name: str) -> PrivateChannel | Channel:
        if name in self._channels:
            return self._channels[name]
        return await self._me.get_or_create_channel(USER_CHANNEL + name if name in list("12345678") else name)

    def _name_channel(self, channel: PrivateChannel) -> None:
        name = f"c{len(self._channels) + 1}"
        self._channels[name] = channel
        self.say(f"{self._me.app_id} has private channel {name} ({channel.id})")

    def _remember(self, listener: Listener, what: str) -> None:
        name = f"L{next(self._numbers)}"
        self._listeners[name] = listener
        self.say(f"{what} ({name})")


def change_as_text(change: Change) -> str:
    match change:
        case Bridged(name, port):
            return f"On the bridge at port {port}, as {name}"
        case Unbridged(why):
            return f"No bridge any more: {why}"
        case AgentsChanged(came, went):
            parts = [f"{_listed(names)} {verb}" for names, verb in ((came, "came"), (went, "went")) if names]
            return ", ".join(parts)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _commands() -> dict[str, Callable[..., Awaitable[None]]]:
    return {
        name.replace("_", "-"): method
        for name, method in vars(Session).items()
        if inspect.iscoroutinefunction(method) and not name.startswith("_") and name != "do"
    }


COMMANDS = _commands()


def _check_words(name: str, command: Callable[..., Any], words: list[str]) -> None:
    try:
        inspect.signature(command).bind(None, *words)
    except TypeError:
        raise WrongCommand(f"usage: {_usage(name, command)}") from None


def _usage(name: str, command: Callable[..., Any]) -> str:
    words = []
    for parameter in list(inspect.signature(command).parameters.values())[1:]:
        word = "KEY=VALUE ..." if parameter.name == "fields" else parameter.name.upper()
        is_optional = parameter.kind is parameter.VAR_POSITIONAL or parameter.default is not parameter.empty
        words.append(f"[{word}]" if is_optional and word != "COMMAND" else word)
    return " ".join([name, *words])


def _context(type: str, fields: tuple[str, ...]) -> Context:
    context: Context = {"type": type}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise WrongCommand(f"{field} is not KEY=VALUE")
        try:
            context[key] = json.loads(value)
        except ValueError:
            context[key] = value
    return context


def _target(name: str) -> AppIdentifier:
    """`App`, `App@agent`; an app whose own name has an @ is written with both: `app@directory@agent`."""
    app, at, agent = name.rpartition("@")
    return AppIdentifier(app_id=app, desktop_agent=agent) if at else AppIdentifier(app_id=name)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 86_400:
        raise WrongCommand(f"{text} is no number of seconds")
    return seconds


def _name(app: Any) -> str:
    return f"{app.app_id}@{app.desktop_agent}" if app.desktop_agent else str(app.app_id)


def _source(metadata: Metadata) -> str:
    return _name(metadata.source) if metadata.source else "the channel"


def _short(context: Context | None) -> str:
    text = json.dumps(context, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
