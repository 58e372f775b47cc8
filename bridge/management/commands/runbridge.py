from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.management.sources import WRONG_USE, wrong_use
from apikeys.actors import command_line_actor
from bridge.adding import DEFAULT_NAME, the_bridge
from bridge.process import RunsAlready
from bridge.running import TakenOver, run, wait_for_database
from bridge.server.server import NoFreePort
from bridge.server.settings import BadSetting


class Command(BaseCommand):
    help = "Run an FDC3 bridge with the console: its desktop agents are seen and disconnected there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--name", default=DEFAULT_NAME, help="of its source, made where there is none (default %(default)s)"
        )
        parser.add_argument("--port", type=int, help="this one alone, whatever the bridge's settings say")

    def handle(self, *args: Any, **options: Any) -> None:
        wait_for_database(self._say)
        try:
            run(the_bridge(options["name"], actor=command_line_actor()), port=options["port"], say=self._say)
        except ValidationError as error:
            raise wrong_use(error) from None
        except BadSetting as error:
            raise CommandError(f"{error}.", returncode=WRONG_USE) from None
        except NoFreePort as error:
            raise CommandError(f"{error}.") from None
        except (RunsAlready, TakenOver) as error:
            raise CommandError(str(error)) from None

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
