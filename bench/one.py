"""One benchmark in the process and the database that `python -m bench` has made for it."""

import argparse
import importlib

import django
from django.core.management import call_command


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    django.setup()
    call_command("migrate", verbosity=0)
    figures = importlib.import_module(f"bench.{options.name}").run(quick=options.quick)
    for figure in figures:
        print(figure.line(quick=options.quick), flush=True)
    return 0 if all(figure.holds(quick=options.quick) for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
