"""Every reaction that the manual leaves open, as a named switch.

The defaults are ours. None of them says how the vendor's service behaves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.webconnect.standin.wanted import BadInput


@dataclass(frozen=True, slots=True)
class Switch:
    name: str
    default: str
    asks: str
    choices: tuple[str, ...] = ()
    """Empty: any number from 0 to `largest`."""
    largest: float = 86_400
    documented: bool = False
    """The default is the manual's own; the switch is there so that tests can be quick."""

    def check(self, value: str) -> str:
        if self.choices:
            if value not in self.choices:
                raise BadInput(f"{self.name} is one of {', '.join(self.choices)}, not {value[:40]!r}.")
            return value
        try:
            number = float(value)
        except ValueError:
            raise BadInput(f"{self.name} is a number, not {value[:40]!r}.") from None
        if not 0 <= number <= self.largest:
            raise BadInput(f"{self.name} is a number from 0 to {self.largest:g}, not {value[:40]}.")
        return value


DISCONNECTION = (
    Switch("success-status", "200", "Which status does a disconnection get?", ("200", "201", "202", "204")),
    Switch("success-body", "empty", "The manual promises no body. Is there one?", ("empty", "json")),
    Switch("unknown-session", "400", "What if the session never existed?", ("400", "404", "200")),
    Switch("ended-session", "400", "What if the session has already ended?", ("400", "404", "200")),
    Switch("wrong-endpoint", "400", "What if the endpoint is not the session's?",
           ("400", "404", "ignored", "closes")),
    Switch("unsupported-agent", "400", "What if the agent does not support the call?",
           ("400", "403", "405", "ignored", "closes")),
    Switch("second-request", "200", "What does a session that is already closing get?", ("200", "400")),
    Switch("closing-delay", "3", "How many seconds does a session take to end?"),
    Switch("closing", "after-delay", "Does it always end?", ("after-delay", "never")),
    Switch("answer-when", "accepted", "Does the answer wait for the end of the session?",
           ("accepted", "closed")),
    Switch("after-disconnection", "stays-away", "Does the agent come back, and as which session?",
           ("stays-away", "new-session", "same-session", "while-closing")),
    Switch("return-delay", "30", "After how many seconds does it come back?"),
    Switch("cut-transfer-status", "2", "What does the relay log say of a transfer that was cut?",
           ("2", "1", "absent")),
)  # fmt: skip

LISTS = (
    Switch("order", "stable", "In which order are the rows?", ("stable", "shuffled", "newest-first")),
    Switch("paging", "steady", "Do rows move while a client pages?", ("steady", "moving")),
    Switch("empty-list", "200", "Which status does an empty list get?", ("200", "204")),
    Switch("invalid-parameter", "400", "Is a bad query parameter refused, or its default used?",
           ("400", "fallback")),
    Switch("duplicate-parameter", "last", "Which one counts when a parameter comes twice?",
           ("first", "last", "400")),
    Switch("invalid-direction", "400", "What does an unknown direction get?", ("400", "all", "empty")),
    Switch("direction-case", "sensitive", "Does the case of the direction matter?",
           ("sensitive", "insensitive")),
    Switch("timezone", "honoured", "Does timezone change startConnection?", ("honoured", "ignored")),
    Switch("period", "ignored", "Do from and to filter the connected agents?", ("ignored", "honoured")),
    Switch("session-id-length", "40", "How long is a session ID?", largest=1000),
)  # fmt: skip

GENERAL = (
    Switch("missing-key", "401", "Which status does a request without a key get?", ("401", "403", "400")),
    Switch("invalid-key", "401", "Which status does a wrong or expired key get?", ("401", "403", "400")),
    Switch("missing-scope", "403", "Which status does a key without the scope get?", ("403", "401", "400")),
    Switch("www-authenticate", "off", "Does a 401 carry WWW-Authenticate?", ("off", "on")),
    Switch("rate-window", "from-first-request", "When does the minute begin?",
           ("from-first-request", "clock-minute", "sliding")),
    Switch("retry-after", "http-date", "How does Retry-After tell the end of the block?",
           ("http-date", "seconds", "absent", "absurd", "far-future")),
    Switch("refused-requests", "ignored", "Do refused requests prolong the block?", ("ignored", "prolong")),
    Switch("clock-skew", "0", "How many seconds is the service's clock ahead in Date and Retry-After?"),
    Switch("date-header", "present", "Do answers carry Date?", ("present", "absent")),
    Switch("content-type", "application/json", "Which Content-Type do answers have?",
           ("application/json", "application/json;charset=UTF-8", "text/plain", "absent")),
    Switch("message-language", "en", "In which language are error messages?", ("en", "ja")),
    Switch("error-body", "json", "Does every error carry code and message?", ("json", "empty")),
    Switch("unknown-property", "ignored", "Is an unknown property of a body refused?", ("ignored", "400")),
)  # fmt: skip

DOCUMENTED = (
    Switch("rate-limit", "100", "How many requests a minute has the contract? 0: no limit.",
           largest=1_000_000, documented=True),
    Switch("block", "600", "For how many seconds is everything refused after that?", documented=True),
    Switch("service-state", "0", "Normal, disrupted or slow, as the service status says it.",
           ("0", "1", "9"), documented=True),
)  # fmt: skip

SWITCHES = {switch.name: switch for switch in DISCONNECTION + LISTS + GENERAL + DOCUMENTED}


class Switches:
    """The values in force."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = {name: switch.default for name, switch in SWITCHES.items()}
        self.set_all(values or {})

    def set_all(self, values: Mapping[str, str]) -> None:
        """All of them or none."""
        self._values |= {name: named(name).check(value) for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def number(self, name: str) -> float:
        return float(self._values[name])

    def as_dict(self) -> dict[str, str]:
        return dict(self._values)


def named(name: str) -> Switch:
    if name not in SWITCHES:
        raise BadInput(f"There is no switch {name[:40]!r}. There are: {', '.join(SWITCHES)}.")
    return SWITCHES[name]


def parse(settings: Iterable[str]) -> dict[str, str]:
    """`name=value` texts, as a command line gives them."""
    values = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"A switch is set as name=value, not {text[:40]!r}.")
        values[name] = named(name).check(value)
    return values
