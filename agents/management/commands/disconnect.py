import time
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.management.sources import WRONG_USE, source_named
from agents.models import AgentSession, Disconnection, Operation
from agents.services import AlreadyOpen, NotOffered, request_disconnection
from agents.states import State, worst
from apikeys.actors import command_line_actor

#: What a script learns from the exit status; of several sessions, the worst.
EXIT = {
    State.CONFIRMED: 0,
    State.STILL_CONNECTED: 3,
    State.REFUSED: 4,
    State.FAILED: 5,
    State.UNKNOWN: 6,
    State.ALREADY_GONE: 7,
    State.CANCELLED: 8,
}


class Command(BaseCommand):
    help = "Disconnect agent sessions of a source: the same order as the button gives, in one operation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source")
        parser.add_argument("session_id", nargs="+", metavar="SESSION_ID")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--wait", action="store_true", help="wait for the outcome and exit with it")

    def handle(self, *args: Any, **options: Any) -> None:
        sessions = self._sessions(options["source"], options["session_id"])
        operation = self._request(sessions, options["reason"])
        self.stdout.write(f"{settings.CONSOLE_URL}{operation.get_absolute_url()}")
        if options["wait"]:
            self._follow(operation)

    def _sessions(self, name: str, session_ids: list[str]) -> list[AgentSession]:
        source = source_named(name)
        live = AgentSession.objects.live().filter(source=source).select_related("source__contract")
        found = {session.session_id: session for session in live.filter(session_id__in=session_ids)}
        missing = [each for each in dict.fromkeys(session_ids) if each not in found]
        if missing:
            raise CommandError(
                f"{source.name} has no live session {', '.join(missing)}: nothing was asked for.", returncode=WRONG_USE
            )
        return list(found.values())

    def _request(self, sessions: list[AgentSession], reason: str) -> Operation:
        try:
            return request_disconnection(sessions=sessions, reason=reason, actor=command_line_actor(), token=uuid4())
        except ValidationError as error:
            raise CommandError(error.messages[0], returncode=WRONG_USE) from None
        except NotOffered as error:
            raise CommandError(str(error), returncode=EXIT[State.REFUSED]) from None
        except AlreadyOpen as error:
            where = f"{settings.CONSOLE_URL}{error.existing.operation.get_absolute_url()}"
            raise CommandError(f"{error} See {where}", returncode=EXIT[State.REFUSED]) from None

    def _follow(self, operation: Operation) -> None:
        """Print each move until all rows are final, then exit with the worst."""
        shown: dict[Any, str] = {}
        while True:
            rows = list(Disconnection.objects.filter(operation=operation).order_by("agent_id_then", "pk"))
            for row in rows:
                if shown.get(row.pk) != row.state:
                    shown[row.pk] = row.state
                    said = f": {row.explanation}" if row.explanation else ""
                    self.stdout.write(
                        f"{row.agent_id_then} {row.session_id_then} {row.get_state_display().lower()}{said}"
                    )
            if not any(row.is_open for row in rows):
                break
            time.sleep(settings.CONSOLE_COMMAND_PAUSE.total_seconds())
        code = EXIT[worst(State(row.state) for row in rows)]
        if code:
            raise CommandError(f"The worst outcome: {worst(State(row.state) for row in rows).label}.", returncode=code)
