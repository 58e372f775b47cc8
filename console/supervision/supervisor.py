"""Starts the parts, keeps them running and ends them in order.

Theory of operation. One loop in the main thread takes events from a queue and sleeps otherwise; whatever has to wait
(for an end, for readiness, for a heartbeat) waits in a small daemon thread and puts an event. Signals put an event
too. Processes are started in the main thread only. Stages rise at the start (each waits until the one below is ready)
and fall at the end (each is ended when the one above is gone). No state is shared: threads know a `Running`, and an
event about one that has been replaced meanwhile is dropped.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType

from console.supervision.child import Child, Look
from console.supervision.identity import Identity, identify
from console.supervision.output import Output
from console.supervision.running import Adopted, Running, Started
from console.supervision.watch import Watch


@dataclass(frozen=True)
class Waits:
    """All in seconds."""

    ready: float = 30
    #: Between being asked to end and being killed.
    stop: float = 15
    #: One Ctrl-C may arrive twice (`make` and `timeout` pass signals on); a second one within this time is the same.
    again: float = 0.5
    first_restart: float = 0.5
    longest_restart: float = 30
    #: After so long a run the next restart is quick again.
    calm: float = 60
    watch: Watch = Watch(every=5, silence=30, grace=30)


@dataclass
class Slot:
    """One child and what is known of it at the moment."""

    child: Child
    running: Running | None = None
    started_at: float = 0
    delay: float = 0
    restart_at: float | None = None
    kill_at: float | None = None
    settled: bool = False  # Ready, or no longer waited for.


@dataclass(frozen=True)
class Settled:
    slot: Slot
    running: Running
    ready: bool


@dataclass(frozen=True)
class Exited:
    slot: Slot
    running: Running
    code: int | None


@dataclass(frozen=True)
class Unwell:
    slot: Slot
    running: Running
    why: str


@dataclass(frozen=True)
class Stop:
    at: float


Event = Settled | Exited | Unwell | Stop


class Supervisor:
    def __init__(
        self,
        children: Iterable[Child],
        output: Output,
        *,
        waits: Waits | None = None,
        note_running: Callable[[dict[str, Identity]], None] = lambda running: None,
        all_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._slots = sorted((Slot(child) for child in children), key=lambda slot: slot.child.stage)
        self._output = output
        self._waits = waits or Waits()
        self._note_running = note_running
        self._all_ready = all_ready
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._ending = False
        self._asked_at: float | None = None
        self._announced = False

    # --- The loop ------------------------------------------------------------------------------------------------
    def run(self) -> None:
        with self._signals():
            self._rise()
            while not self._over():
                try:
                    event = self._events.get(timeout=self._until_next_timer())
                except Empty:
                    pass
                else:
                    self._handle(event)
                self._timers()

    def stop(self) -> None:
        """As a signal does; may be called from any thread, and by a signal's handler."""
        self._events.put(Stop(time.monotonic()))

    def _over(self) -> bool:
        return self._ending and all(slot.running is None for slot in self._slots)

    def _until_next_timer(self) -> float | None:
        times = [at for slot in self._slots for at in (slot.restart_at, slot.kill_at) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _timers(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.restart_at is not None and slot.restart_at <= now:
                self._start(slot)
            if slot.kill_at is not None and slot.kill_at <= now and slot.running:
                slot.kill_at = None
                self._say(f"{slot.child.name} has not ended in {self._waits.stop:g} s and is killed.")
                slot.running.send(signal.SIGKILL)

    def _handle(self, event: Event) -> None:
        match event:
            case Stop(at):
                self._stop(at)
            case Settled(slot, running, ready) if slot.running is running:
                self._settled(slot, ready)
            case Exited(slot, running, code) if slot.running is running:
                self._exited(slot, code)
            case Unwell(slot, running, why) if slot.running is running and not self._ending and slot.kill_at is None:
                self._say(f"{slot.child.name} {why}; it is started again.")
                self._end(slot)

    # --- Starting ------------------------------------------------------------------------------------------------
    def _rise(self) -> None:
        """Start the lowest stage that has not been; nothing where the stage below is not settled yet."""
        for slot in self._slots:
            if slot.running is None and slot.restart_at is None and not slot.settled:
                if any(not below.settled for below in self._slots if below.child.stage < slot.child.stage):
                    return
                self._start(slot)
        if not self._announced and all(slot.settled for slot in self._slots):
            self._announced = True
            self._all_ready()

    def _start(self, slot: Slot) -> None:
        slot.restart_at = None
        slot.started_at = time.monotonic()
        try:
            slot.running = running = self._take_over(slot.child) or Started(slot.child, self._sayer(slot.child))
        except OSError as error:
            self._say(f"{slot.child.name} can't be started: {error}.")
            self._restart_later(slot)
            return
        self._note()
        self._in_thread(lambda: self._events.put(Exited(slot, running, running.wait())))
        self._in_thread(lambda: self._events.put(Settled(slot, running, self._becomes_ready(slot, running))))
        if slot.child.look:
            look = slot.child.look
            self._in_thread(lambda: self._watch(slot, running, look))

    def _take_over(self, child: Child) -> Running | None:
        pid = child.adopt() if child.adopt else None
        identity = identify(pid) if pid else None
        if identity is None:
            return None
        self._say(f"{child.name} runs already (pid {pid}) and is used.")
        return Adopted(identity)

    def _becomes_ready(self, slot: Slot, running: Running) -> bool:
        deadline = time.monotonic() + self._waits.ready
        while slot.child.ready and not slot.child.ready():
            if time.monotonic() > deadline or slot.running is not running:
                return False
            time.sleep(0.1)
        return True

    def _watch(self, slot: Slot, running: Running, look: Callable[[], Look]) -> None:
        self._waits.watch.until_silent(look, lambda: slot.running is running)
        self._events.put(Unwell(slot, running, f"has shown no sign of life for {self._waits.watch.silence:g} s"))

    def _settled(self, slot: Slot, ready: bool) -> None:
        if not ready:
            self._say(f"{slot.child.name} is not ready after {self._waits.ready:g} s; the rest goes on without it.")
        slot.settled = True
        if not self._ending:
            self._rise()

    # --- Going on ------------------------------------------------------------------------------------------------
    def _exited(self, slot: Slot, code: int | None) -> None:
        slot.running = slot.kill_at = None
        self._note()
        if self._ending:
            self._fall()
            return
        if time.monotonic() - slot.started_at >= self._waits.calm:
            slot.delay = 0
        see = f" (see {slot.child.log})" if slot.child.log else ""
        self._restart_later(slot, f"{slot.child.name} {how_it_ended(code)}{see}; ")

    def _restart_later(self, slot: Slot, why: str = "") -> None:
        slot.delay = min(slot.delay * 2 or self._waits.first_restart, self._waits.longest_restart)
        slot.restart_at = time.monotonic() + slot.delay
        self._say(f"{why}{'it is' if why else slot.child.name + ' is'} started again in {slot.delay:g} s.")

    # --- Ending --------------------------------------------------------------------------------------------------
    def _stop(self, at: float) -> None:
        if self._asked_at and at - self._asked_at < self._waits.again:
            return
        self._asked_at = at
        if self._ending:
            self._say("Asked again: everything is killed.")
            for slot in self._slots:
                if slot.running:
                    slot.running.send(signal.SIGKILL)
            return
        self._ending = True
        for slot in self._slots:
            slot.restart_at = None
        self._say(f"Ending; work in hand may take up to {self._waits.stop:g} s (Ctrl-C again kills it).")
        self._fall()

    def _fall(self) -> None:
        """Ask the highest stage that still runs to end."""
        highest = max((slot.child.stage for slot in self._slots if slot.running), default=None)
        for slot in self._slots:
            if slot.child.stage == highest and slot.kill_at is None:
                self._end(slot)

    def _end(self, slot: Slot) -> None:
        if slot.running:
            slot.kill_at = time.monotonic() + self._waits.stop
            slot.running.send(signal.SIGTERM)

    # --- Small things --------------------------------------------------------------------------------------------
    @contextmanager
    def _signals(self) -> Iterator[None]:
        def put(signum: int, frame: FrameType | None) -> None:
            self.stop()

        before = {number: signal.signal(number, put) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self) -> None:
        running = {slot.child.name: slot.running.identity for slot in self._slots if slot.running}
        self._note_running({name: identity for name, identity in running.items() if identity})

    def _say(self, text: str) -> None:
        self._output.line("up", text)

    def _sayer(self, child: Child) -> Callable[[str], None]:
        return lambda text: self._output.line(child.name, text)

    @staticmethod
    def _in_thread(target: Callable[[], None]) -> None:
        threading.Thread(target=target, daemon=True).start()


def how_it_ended(code: int | None) -> str:
    if code is None:
        return "has ended"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
