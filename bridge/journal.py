"""What the bridge tells of itself, into the audit log: by the worker's thread, since the loop may wait for nothing.

An agent that comes and goes a hundred times a second must neither hold up the bridge nor bury the log. So what is told
waits in a queue of bounded length, and of each minute only the first events are recorded one by one; the rest is
counted, and recorded as one event at the minute's end.
"""

import threading
from collections import Counter, deque
from time import monotonic

from django.conf import settings
from django.db import transaction

from agents.models import Source
from audit.actions import Action
from audit.actors import CONSOLE
from audit.services import Entry, Target, record_many
from bridge.protocol.effects import Event, Note

#: What is told; the rest is for the log of the process.
_ACTIONS = {
    Event.JOINED: Action.BRIDGE_AGENT_CONNECTED,
    Event.LEFT: Action.BRIDGE_AGENT_LOST,
    Event.REFUSED: Action.BRIDGE_AGENT_REFUSED,
    Event.APP_DISCONNECTED: Action.BRIDGE_APP_DISCONNECTED,
}
#: Notes that may wait for the database.
_MOST = 1_000
_WINDOW = 60.0


class Journal:
    def __init__(self, source: Source) -> None:
        self._target = Target("bridge", str(source.pk), source.name)
        self._waiting: deque[Note] = deque()
        self._lock = threading.Lock()
        self._left_out: Counter[Action] = Counter()
        self._window_ends = 0.0
        self._room = 0

    def note(self, note: Note) -> None:
        """Called by the loop: takes no time, and never fails."""
        action = _ACTIONS.get(note.event)
        if action is None:
            return
        with self._lock:
            if len(self._waiting) < _MOST:
                self._waiting.append(note)
            else:
                self._left_out[action] += 1

    def write(self, *, at_the_end: bool = False) -> None:
        """Record what waits. Raises DatabaseError, and then keeps it."""
        now = monotonic()
        ended = now >= self._window_ends
        room = settings.CONSOLE_BRIDGE_EVENTS if ended else self._room
        with self._lock:
            notes, left_out = list(self._waiting), +self._left_out
        too_many = Counter(_ACTIONS[note.event] for note in notes[room:])
        # What is too many now is this minute's, which goes on.
        summed = left_out + too_many if at_the_end else left_out if ended else Counter[Action]()
        entries = [self._entry(note) for note in notes[:room]]
        if summed:
            counts = {str(action): count for action, count in sorted(summed.items())}
            entries.append(Entry(Action.BRIDGE_SUMMARISED, CONSOLE, self._target, data=counts))
        if entries:
            with transaction.atomic(durable=True):
                record_many(entries)
        with self._lock:
            # The loop may have noted and counted more meanwhile.
            for _ in notes:
                self._waiting.popleft()
            self._left_out.update(too_many)
            self._left_out.subtract(summed)
        self._room = room - len(notes[:room])
        if ended:
            self._window_ends = now + _WINDOW

    def _entry(self, note: Note) -> Entry:
        data = {"source": self._target.label, "explanation": note.text}
        return Entry(_ACTIONS[note.event], CONSOLE, self._about(note), data=data)

    def _about(self, note: Note) -> Target:
        if not note.session_id:
            return self._target
        return agent_target(note.session_id, note.agent or "without a name")


def agent_target(session_id: str, name: str) -> Target:
    """The bridge tells of an agent before the console knows its session."""
    return Target("desktop agent", session_id, f"{name} ({session_id})")
