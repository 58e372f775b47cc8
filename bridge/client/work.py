"""What apps of this agent are asked to do, by an app beside them or on another agent: to start, to handle an intent.

Either may have to wait: for an app to start, and for it to add the listener that is meant. So each is a piece of work
that is looked at again whenever an app has started or added a listener, and given up at its deadline.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from bridge.client import contexts
from bridge.client.askers import Asker, Result
from bridge.client.channels import Channels
from bridge.client.contexts import Context
from bridge.client.directory import Directory
from bridge.client.effects import Channel, ContextArrived, Launch, RunId, RunIntent
from bridge.client.errors import FDC3Error
from bridge.client.home_channels import HomeChannels
from bridge.client.outbox import Outbox
from bridge.protocol.messages import AppIdentifier, IntentResolution


@dataclass(frozen=True)
class Opening:
    asker: Asker
    app: AppIdentifier
    context: Context | None
    deadline: float

    late = "AppTimeout"
    no_start = "ErrorOnLaunch"


@dataclass(frozen=True)
class Raising:
    asker: Asker
    app: AppIdentifier
    intent: str
    context: Context
    deadline: float

    late = "IntentDeliveryFailed"
    no_start = "IntentDeliveryFailed"


@dataclass(frozen=True)
class Run:
    """An intent that a handler works on."""

    asker: Asker
    app: AppIdentifier


class Work:
    def __init__(
        self, out: Outbox, directory: Directory, channels: Channels, home: HomeChannels, launch_within: float
    ) -> None:
        self._out = out
        self._directory = directory
        self._channels = channels
        self._home = home
        self._launch_within = launch_within
        self._starting: set[AppIdentifier] = set()
        self._pending: list[Opening | Raising] = []
        self._runs: dict[RunId, Run] = {}

    # --- Asked for ---

    def open(self, asker: Asker, app_id: str, context: Context | None, at: float) -> None:
        if self._directory.record(app_id) is None:
            asker.failed("AppNotFound")
            return
        if self._directory.is_full:
            asker.failed("ErrorOnLaunch")
            return
        self._begin(Opening(asker, self._launch(app_id), context, at + self._launch_within))

    def raise_intent(self, asker: Asker, app: AppIdentifier, intent: str, context: Context, at: float) -> None:
        """For a running instance, or, where none is named, for a new one (R61)."""
        needs_room = not app.instance_id and self._directory.is_full
        if needs_room or self._directory.record(app.app_id) is None:
            asker.failed("TargetAppUnavailable")
            return
        target = self._directory.instance(app.instance_id) if app.instance_id else self._launch(app.app_id)
        if target is None:
            asker.failed("TargetInstanceUnavailable")
            return
        self._begin(Raising(asker, target, intent, context, at + self._launch_within))

    # --- How it went ---

    def launched(self, app: AppIdentifier) -> None:
        self._starting.discard(app)
        self.look_again()

    def launch_failed(self, app: AppIdentifier) -> None:
        for work in self._take(app):
            work.asker.failed(work.no_start)

    def app_closed(self, app: AppIdentifier) -> None:
        for work in self._take(app):
            work.asker.failed(work.late)
        for run_id, run in list(self._runs.items()):
            if run.app == app:
                self.intent_failed(run_id)
        self._forget_asked_by(lambda asker: asker == app)

    def agents_now(self, names: Collection[str]) -> None:
        """What nobody waits for any more is not answered, and no channel is handed to an app that is gone."""
        self._forget_asked_by(lambda asker: asker.desktop_agent is not None and asker.desktop_agent not in names)

    def look_again(self) -> None:
        """An app started, or added a listener: what waited for that goes on."""
        self._pending = [work for work in self._pending if not self._done(work)]

    def intent_returned(self, run_id: RunId, result: Result) -> None:
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        try:
            self._check(run, result)
        except FDC3Error:
            run.asker.result_failed("IntentHandlerRejected")
        else:
            run.asker.result(result)

    def intent_failed(self, run_id: RunId) -> None:
        run = self._runs.pop(run_id, None)
        if run:
            run.asker.result_failed("IntentHandlerRejected")

    def next_deadline(self) -> float | None:
        return min((work.deadline for work in self._pending), default=None)

    def tick(self, at: float) -> None:
        late = [work for work in self._pending if work.deadline <= at]
        self._pending = [work for work in self._pending if work.deadline > at]
        for work in late:
            work.asker.failed(work.late)

    # --- What follows ---

    def _forget_asked_by(self, gone: Callable[[AppIdentifier], bool]) -> None:
        self._pending = [work for work in self._pending if not gone(work.asker.app)]
        self._runs = {run_id: run for run_id, run in self._runs.items() if not gone(run.asker.app)}

    def _launch(self, app_id: str) -> AppIdentifier:
        app = self._directory.start(app_id, self._out.new_id())
        self._starting.add(app)
        self._out.add(Launch(app))
        return app

    def _begin(self, work: Opening | Raising) -> None:
        if not self._done(work):
            self._pending.append(work)

    def _take(self, app: AppIdentifier) -> list[Opening | Raising]:
        self._starting.discard(app)
        taken = [work for work in self._pending if work.app == app]
        self._pending = [work for work in self._pending if work.app != app]
        return taken

    def _done(self, work: Opening | Raising) -> bool:
        """Answered only where the instance has started and is ready for what it shall do (R62)."""
        if work.app in self._starting:
            return False
        return self._opened(work) if isinstance(work, Opening) else self._raised(work)

    def _opened(self, work: Opening) -> bool:
        if work.context is not None:
            listener = self._channels.listener_of(work.app, work.context)
            if listener is None:
                return False
            self._out.add(ContextArrived(listener, work.context, work.asker.app))
        work.asker.opened(work.app)
        return True

    def _raised(self, work: Raising) -> bool:
        listener = self._directory.intent_listener(work.app, work.intent)
        if listener is None:
            return False
        work.asker.resolved(IntentResolution(intent=work.intent, source=work.app))
        run_id = self._out.number()
        self._runs[run_id] = Run(work.asker, work.app)
        self._out.add(RunIntent(run_id, listener, work.context, work.asker.app))
        return True

    def _check(self, run: Run, result: Result) -> None:
        """A private channel is handed on by an app that holds it, on the agent that it came from alone (Q14): that
        one is told here of whom to listen to from now on."""
        if isinstance(result, Channel):
            if result.type == "private":
                self._home.check_held(result.id, run.app)
                self._home.hand_to(result.id, run.asker.app)
        elif result is not None:
            contexts.write(result)
