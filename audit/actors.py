"""Who did something, copied into the event as it was then."""

import getpass
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Actor:
    """`kind` is person, API key, command line or console; `rights` are those at the moment it was made."""

    kind: str
    id: str
    label: str
    rights: frozenset[str] = field(default=frozenset(), compare=False)


#: The console acting by itself: a worker, the schedule, a reading.
CONSOLE = Actor("console", "", "console")
#: Somebody not signed in, e.g. a refused sign-in.
ANONYMOUS = Actor("anonymous", "", "anonymous")


def command_line(rights: frozenset[str] = frozenset()) -> Actor:
    """Whoever runs `manage.py`, by the name that the operating system has for them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return Actor("command line", user, f"command line ({user})", rights)
