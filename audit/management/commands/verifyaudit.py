from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.actors import command_line
from audit.chain import Verdict, verify
from audit.checks import keep_result
from audit.clock import database_now
from audit.keeping import archive_folder
from audit.keys import trusted_keys
from audit.models import Cut
from audit.triggers import triggers_missing
from audit.verify_audit import Broken, FileCheck, Flaw, Keys, Kind, file_digest, read_checkpoints

WRONG_USE = 2


class Command(BaseCommand):
    help = "Prove that no event of the audit log was changed, removed or added. Exit 0 where the chain holds, else 1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="start", type=int, metavar="N", help="begin with event N")
        parser.add_argument("--to", dest="end", type=int, metavar="N", help="end with event N")
        parser.add_argument(
            "--checkpoint", action="append", default=[], metavar="FILE", help="checkpoints that were kept elsewhere"
        )
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="FILE",
            help="trust these public keys (PEM), not the console's",
        )
        parser.add_argument("--archives", action="store_true", help="walk over the archives first, from event 1 on")

    def handle(self, *args: Any, start: int | None, end: int | None, archives: bool, **options: Any) -> None:
        for name, number in (("--from", start), ("--to", end)):
            if number is not None and number < 1:
                raise CommandError(f"{name} takes the number of an event, 1 or more.", returncode=WRONG_USE)
        if start and end and end < start:
            raise CommandError("--to is before --from.", returncode=WRONG_USE)
        if archives and (start or end):
            raise CommandError("--archives is the whole log, without --from and --to.", returncode=WRONG_USE)
        keys = _keys(options["key"])
        began_at = database_now()
        try:
            checkpoints = [each for path in options["checkpoint"] for each in _checkpoints(path, keys)]
            archived = _check_archives(keys, checkpoints) if archives else 0
        except Broken as broken:
            raise CommandError(_words(broken.flaw)) from None
        verdict = verify(start, end, checkpoints=checkpoints, keys=keys)
        if not start and not end:
            keep_result(verdict, full=True, actor=command_line(), began_at=began_at)
        if verdict.flaw:
            raise CommandError(_words(verdict.flaw, verdict))
        self.stdout.write(
            f"The audit log holds: {archived + verdict.count} events, head {verdict.sequence} {verdict.hash}"
        )
        if verdict.first > 1 and not start and not archives:
            self.stdout.write(f"Events 1 to {verdict.first - 1} are in archives; --archives checks those too.")
        if missing := triggers_missing():
            self.stderr.write(f"But the database does not guard it: {', '.join(missing)}. Run `manage.py migrate`.")


def _words(flaw: Flaw, verdict: Verdict | None = None) -> str:
    before = f"; {verdict.count} events before it hold" if verdict else ""
    return f"The audit log does not hold. {flaw.message} ({flaw.kind}{before})"


def _keys(paths: Sequence[str]) -> Keys:
    if not paths:
        return trusted_keys()
    try:
        return Keys.of_pem("\n".join(Path(path).read_text() for path in paths))
    except OSError as error:
        raise CommandError(f"--key: {error.filename} can't be read: {error.strerror}.", returncode=WRONG_USE) from None
    except ValueError as error:
        raise CommandError(f"--key: the file {error}.", returncode=WRONG_USE) from None


def _checkpoints(path: str, keys: Keys) -> list[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            return read_checkpoints(file, keys)
    except OSError as error:
        raise CommandError(f"--checkpoint: {path} can't be read: {error.strerror}.", returncode=WRONG_USE) from None
    except ValueError as error:
        raise CommandError(f"--checkpoint: {path}: {error}.", returncode=WRONG_USE) from None


def _check_archives(keys: Keys, checkpoints: Sequence[dict[str, Any]]) -> int:
    """How many events the archives hold. Raises Broken."""
    check, count = FileCheck(keys, checkpoints), 0
    for cut in Cut.objects.order_by("sequence"):
        path = archive_folder() / cut.archive
        try:
            if file_digest(_opener(path)) != cut.digest:
                raise Broken(cut.first, Kind.CHANGED, f"The archive {path} is not the one that was made at the cut.")
            checked = check.check(_opener(path))
        except OSError as error:
            raise Broken(cut.first, Kind.MISSING, f"The archive {path} can't be read: {error.strerror}.") from None
        if (checked.first, checked.last, checked.hash) != (cut.first, cut.sequence, cut.hash):
            raise Broken(cut.first, Kind.CHANGED, f"The archive {path} does not hold what the cut says.")
        count += checked.count
    return count


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")
