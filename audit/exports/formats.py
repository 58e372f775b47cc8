"""The two formats of an export, each a writer that takes row after row."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from audit.actions import Action
from audit.canonical import GENESIS, time_text
from audit.clock import database_now
from audit.exports.models import Export
from audit.harmless import safe_cell
from audit.lines import FIELDS, Writer
from audit.models import Event

type Row = Sequence[Any]


class RowWriter(Protocol):
    def event(self, row: Row, /) -> None: ...

    def finish(self) -> None: ...


class _File(Protocol):
    def write(self, data: bytes, /) -> int: ...


def writer_of(export: Export, file: _File) -> RowWriter:
    return Lines(export, file) if export.format == Export.Format.LINES else Csv(file)


class Interrupted(Exception):
    """Retention took events away that were still to be written."""


class Lines:
    """JSON Lines with hashes and a signed manifest, as `audit.lines` has it."""

    def __init__(self, export: Export, file: _File) -> None:
        self._up_to, self._whole = export.up_to, not export.query
        begin = Event.objects.order_by("sequence").values_list("sequence", "previous_hash").first()
        first, previous_hash = begin or (1, GENESIS)
        self._writer = Writer(
            file,
            kind="export",
            made_at=database_now(),
            whole=self._whole,
            first=first,
            previous_hash=previous_hash,
            export=str(export.pk),
            query=export.query,
            zone=export.zone,
            by=export.actor_label,
        )

    def event(self, row: Row) -> None:
        if self._whole and row[0] != self._writer.last + 1:
            raise Interrupted
        self._writer.event(row)

    def finish(self) -> None:
        head = Event.objects.filter(sequence=self._up_to).values_list("hash", flat=True).first()
        self._writer.finish(head_sequence=self._up_to, head_hash=head or GENESIS)


_ACTION = FIELDS.index("action")
_WORDS: dict[str, str] = {action.value: str(action.label) for action in Action}


class _Echo:
    """A file that gives back what is written to it, for `csv.writer`."""

    def write(self, text: str) -> str:
        return text


class Csv:
    """For spreadsheets: no cell of it is taken for a formula. Times are UTC."""

    def __init__(self, file: _File) -> None:
        self._file, self._writer = file, csv.writer(_Echo())
        # With the mark, without which spreadsheets take UTF-8 for the code page of their machine.
        self._write("\ufeff")
        self._write(self._writer.writerow([*FIELDS, "says"]))

    def event(self, row: Row) -> None:
        cells = [_cell(value) for value in row]
        self._write(self._writer.writerow([*cells, _WORDS.get(row[_ACTION], "")]))

    def finish(self) -> None:
        """Nothing follows the last row."""

    def _write(self, text: Any) -> None:
        self._file.write(text.encode())


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return time_text(value)
    return "" if value is None else safe_cell(str(value))
