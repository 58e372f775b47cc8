import hashlib
import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.exports.making import write_now
from audit.exports.models import Export
from audit.management.sinks import manager, wrong_use


class Command(BaseCommand):
    help = "Write a search of the audit log to a file, now. Exit 0 where it is whole, 2 for wrong use."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--query", default="", help="a search, times in UTC; default: everything")
        parser.add_argument("--format", choices=Export.Format.values, default=Export.Format.LINES.value)
        parser.add_argument("--output", required=True, metavar="FILE", help="a new file, which only you may read")

    def handle(self, *args: Any, **options: Any) -> None:
        final = Path(options["output"])
        draft = final.with_name(f".{final.name}.{os.getpid()}.part")
        if final.exists():
            raise CommandError(f"{final} is there already: give another name.", returncode=2)
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                count = write_now(query=options["query"], format=options["format"], file=file, actor=manager())
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, final)
        except ValidationError as error:
            raise wrong_use(error) from None
        except OSError as error:
            raise CommandError(f"{final} could not be written: {error.strerror}.") from None
        finally:
            draft.unlink(missing_ok=True)
        with final.open("rb") as whole:
            digest = hashlib.file_digest(whole, "sha256").hexdigest()
        self.stdout.write(f"{count} event{'s' if count != 1 else ''}, {final.stat().st_size} bytes, SHA-256 {digest}")
