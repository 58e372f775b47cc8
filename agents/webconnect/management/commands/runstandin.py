import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agents.webconnect.standin import command


class Command(BaseCommand):
    help = "Run the WebConnect stand-in: a local service with the documented API, for trying things safely."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(command.run(argparse.Namespace(**options)))
