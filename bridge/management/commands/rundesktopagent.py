import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from bridge.client import command


class Command(BaseCommand):
    help = "Run a desktop agent by hand or by script: to try a bridge, and two agents against each other."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(command.run(argparse.Namespace(**options)))
