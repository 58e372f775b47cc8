#!/usr/bin/env python3
"""Proves that events of Agent Console's audit log are as they were recorded: none changed, removed, moved or added.

    python3 verify_audit.py --key audit-public-key.pem [--checkpoint FILE] FILE [FILE ...]

FILE is an export or an archive of the audit log (JSON Lines, gzip or not); archives are given in their order, oldest
first. Exit 0 where everything holds, 1 where it does not, 2 on wrong use. docs/audit.md of the console says what they
hold and how it is hashed and signed.

This is one file on purpose. It needs Python 3.9 or later and the library `cryptography`, and nothing of the console,
which uses this very file for its own checks, so that both judge alike.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import gzip
import hashlib
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

#: Every column but `hash`, in the order in which it is hashed.
COLUMNS = (
    "sequence",
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor_label",
    "target_kind",
    "target_id",
    "target_label",
    "operation",
    "request_id",
    "address",
    "user_agent",
    "authentication",
    "data",
    "previous_hash",
)
#: What the first event names as the hash before its own.
GENESIS = "0" * 64
#: Of the lines and of what is signed.
FORMAT = 1
#: Longer than any event can be.
LONGEST_LINE = 1_000_000
#: How far around an event to look for the number it once had, where the event before it does not tell.
NEIGHBOURHOOD = 100

_SEQUENCE, _PREVIOUS, _HASH = 0, len(COLUMNS) - 1, len(COLUMNS)
_FIELDS = (*COLUMNS, "hash")
_canonical = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


# What is hashed and what is signed.


def event_hash(values: Sequence[str | int | None]) -> str:
    """The hash of an event whose columns, in the order of `COLUMNS`, are `values`."""
    # By hand, in half the time of json.dumps: a verifier does little else.
    parts = [encode_basestring(value) if isinstance(value, str) else _bare(value) for value in values]
    return hashlib.sha256(f"[{','.join(parts)}]".encode()).hexdigest()


def _bare(value: object) -> str:
    if value is None:
        return "null"
    if type(value) is int:
        return str(value)
    raise TypeError(f"An event holds no {type(value).__name__}.")


def signed_bytes(word: str, facts: Mapping[str, Any]) -> bytes:
    """What the signature in `facts` is made over; `word` keeps one kind of statement from passing as another."""
    stated = {name: value for name, value in facts.items() if name != "signature"}
    return f"agent-console audit {word} {FORMAT}\n{_canonical(stated)}".encode()


class Keys:
    """The public keys that are trusted, by their ID."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id(key): key for key in keys}

    @classmethod
    def of_pem(cls, text: str) -> Keys:
        """From PEM text with one key or several. Raises ValueError where it holds none, or one of another kind."""
        end = "-----END PUBLIC KEY-----"
        blocks = [block[block.index("-----BEGIN") :] + end for block in text.split(end) if "-----BEGIN" in block]
        if not blocks:
            raise ValueError("holds no public key")
        return cls(_load_key(block) for block in blocks)

    def trouble(self, word: str, facts: Mapping[str, Any]) -> str | None:
        """Why the statement `facts` can't be believed; None where one of the keys signed it."""
        key = self._keys.get(str(facts.get("key")))
        if key is None:
            return f"is signed with the key {facts.get('key')}, which is not among the trusted ones"
        try:
            key.verify(base64.b64decode(str(facts.get("signature")), validate=True), signed_bytes(word, facts))
        except (InvalidSignature, binascii.Error, ValueError):
            return "does not carry the signature of its key"
        return None


def _load_key(block: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds something that is not a public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("holds a key that is not of Ed25519")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the key's 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


# What can be wrong.


class Kind:
    """The words for what is wrong."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    REORDERED = "reordered"
    CUT_OFF = "cut off at the end"
    REWRITTEN = "rewritten"
    FORGED = "forged"


@dataclass(frozen=True)
class Flaw:
    """The first event that breaks the chain, and how."""

    sequence: int
    kind: str
    message: str


class Broken(Exception):
    """Raised at the first flaw."""

    def __init__(self, sequence: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(sequence, kind, message)


# The walk from event to event.


class Walk:
    """Follows the chain. `row` is always the values of `COLUMNS` and then the hash, all as they are hashed.

    It begins after the event `sequence` with `hash`. `find` gives the number of the event with a hash, or None; it is
    asked only about an event that is wrong, to tell one that was moved from one that was changed.
    """

    def __init__(
        self,
        sequence: int = 0,
        hash: str = GENESIS,
        checkpoints: Iterable[Mapping[str, Any]] = (),
        find: Callable[[str], int | None] = lambda hash: None,
    ) -> None:
        self.sequence, self.hash, self.count = sequence, hash, 0
        self._find = find
        self._proved = 0
        self._checkpoints: dict[int, list[Mapping[str, Any]]] = {}
        for checkpoint in checkpoints:
            self._checkpoints.setdefault(checkpoint["sequence"], []).append(checkpoint)
        self._compare()

    def find_with(self, find: Callable[[str], int | None]) -> None:
        self._find = find

    def follow(self, row: Sequence[Any]) -> None:
        """Go on to the next event. Raises Broken unless `row` is the untouched event that follows."""
        expected = self.sequence + 1
        if row[_SEQUENCE] != expected:
            self._out_of_turn(row, expected)
        if row[_PREVIOUS] != self.hash or recomputed(row) != row[_HASH]:
            self._wrong(row)
        self.sequence, self.hash = expected, row[_HASH]
        self.count += 1
        if expected in self._checkpoints:
            self._compare()

    def end(self) -> None:
        """Nothing follows. Raises Broken where a checkpoint knows of events beyond."""
        beyond = [sequence for sequence in self._checkpoints if sequence > self.sequence]
        if beyond:
            signed = self._checkpoints[min(beyond)][0]
            raise Broken(
                self.sequence + 1,
                Kind.CUT_OFF,
                f"The log is cut off at the end: it ends with event {self.sequence},"
                f" and the checkpoint of {signed['at']} signed event {min(beyond)}.",
            )

    def _compare(self) -> None:
        for checkpoint in self._checkpoints.get(self.sequence, ()):
            if checkpoint["hash"] != self.hash:
                raise Broken(
                    self.sequence,
                    Kind.REWRITTEN,
                    f"Event {self.sequence} is not the one that the checkpoint of {checkpoint['at']} signed:"
                    f" the chain was rewritten, from an event after {self._proved} on.",
                )
            self._proved = self.sequence

    def _out_of_turn(self, row: Sequence[Any], expected: int) -> None:
        sequence = row[_SEQUENCE]
        if sequence > expected:
            gone = events(expected, sequence - 1).capitalize()
            raise Broken(expected, Kind.MISSING, f"{gone} missing; the next one there is event {sequence}.")
        if recomputed(row) == row[_HASH]:
            raise Broken(sequence, Kind.REORDERED, f"Event {sequence} is out of order: it comes after {self.sequence}.")
        raise Broken(sequence, Kind.ADDED, f"Event {sequence} was added: one of that number came before.")

    def _wrong(self, row: Sequence[Any]) -> None:
        sequence = row[_SEQUENCE]
        if recomputed(row) != row[_HASH]:
            origin = self._origin(row)
            if origin is not None:
                raise Broken(
                    sequence, Kind.REORDERED, f"Event {sequence} is out of order: it was recorded as event {origin}."
                )
            raise Broken(
                sequence, Kind.CHANGED, f"Event {sequence} was changed: its columns no longer give the hash it carries."
            )
        if sequence == 1:
            raise Broken(1, Kind.CHANGED, "Event 1 was changed: it does not begin the chain.")
        raise Broken(
            self.sequence,
            Kind.ADDED,
            f"Event {self.sequence} was put in another's place: event {sequence} continues a different one.",
        )

    def _origin(self, row: Sequence[Any]) -> int | None:
        """The number under which this event was recorded, if only its number differs from then."""
        here = row[_SEQUENCE]
        candidates = [*range(max(here - NEIGHBOURHOOD, 1), here + NEIGHBOURHOOD)]
        before = self._find(row[_PREVIOUS])
        if before is not None:
            candidates.insert(0, before + 1)
        return next((number for number in candidates if recomputed((number, *row[1:])) == row[_HASH]), None)


def recomputed(row: Sequence[Any]) -> str | None:
    """The hash that the columns give, or None where they can't even be written canonically."""
    try:
        return event_hash(row[:_HASH])
    except (TypeError, ValueError):
        return None


def events(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"


# Files.


@dataclass(frozen=True)
class Line:
    """One line: its `name` is that of its only member, or "event" for an event. `digest` is of all lines before."""

    number: int
    name: str
    facts: dict[str, Any]
    digest: str


def read_lines(file: BinaryIO) -> Iterator[Line]:
    """The lines of an export, an archive or a file of checkpoints, gzip or not. Raises ValueError at a bad one."""
    digest = hashlib.sha256()
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    stream: Any = gzip.GzipFile(fileobj=file) if packed else file
    number = 0
    while True:
        number += 1
        try:
            raw = stream.readline(LONGEST_LINE)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"Line {number} can't be unpacked: {error}") from None
        if not raw:
            return
        if not raw.endswith(b"\n"):
            raise ValueError(f"Line {number} has no end")
        name, facts = _parsed(raw, number)
        yield Line(number, name, facts, digest.hexdigest())
        digest.update(raw)


def _parsed(raw: bytes, number: int) -> tuple[str, dict[str, Any]]:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError(f"Line {number} is not JSON") from None
    if isinstance(line, dict) and "sequence" in line:
        return "event", line
    if isinstance(line, dict) and len(line) == 1:
        name, facts = next(iter(line.items()))
        if isinstance(facts, dict):
            return name, facts
    raise ValueError(f"Line {number} is of no known kind")


def row_of(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of a line's event, in the order of `COLUMNS`, and its hash."""
    return tuple(event.get(name) for name in _FIELDS)


def file_digest(open_file: Callable[[], BinaryIO]) -> str:
    """SHA-256 of a file as it lies there."""
    digest = hashlib.sha256()
    with open_file() as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_checkpoints(file: BinaryIO, keys: Keys) -> list[dict[str, Any]]:
    """The checkpoints of a file. Raises ValueError at a line that is none, Broken at one that nobody trusted signed."""
    found = []
    for line in read_lines(file):
        if line.name != "checkpoint":
            raise ValueError(f"Line {line.number} is not a checkpoint")
        require_checkpoint(line.facts, keys)
        found.append(line.facts)
    return found


def require_checkpoint(facts: Mapping[str, Any], keys: Keys) -> None:
    """Raises Broken unless one of the keys signed it."""
    sequence = facts.get("sequence")
    trouble = keys.trouble("checkpoint", facts)
    if trouble or not isinstance(sequence, int):
        number = sequence if isinstance(sequence, int) else 0
        raise Broken(number, Kind.FORGED, f"The checkpoint of event {sequence} {trouble or 'names no event'}.")


@dataclass(frozen=True)
class Checked:
    """What a file was found to hold: so many events, the first and last of them, and the hash of the last.

    `whole`: none between the first and the last is left out; else `query` is the search that found them.
    """

    count: int
    first: int
    last: int
    hash: str
    whole: bool
    query: str


class FileCheck:
    """Checks files one after another; those that leave no event out continue each other's chain."""

    def __init__(self, keys: Keys, checkpoints: Sequence[Mapping[str, Any]] = ()) -> None:
        self._keys, self._checkpoints = keys, checkpoints
        self._walk: Walk | None = None

    def check(self, open_file: Callable[[], BinaryIO]) -> Checked:
        """Read one file to its end, in constant memory. Raises Broken at the first flaw."""
        with open_file() as file:
            walk: Walk | _Selection | None = None
            count_before = 0
            last = 0
            try:
                lines = read_lines(file)
                header = next(lines, None)
                if header is None or header.name != "file" or header.facts.get("format") != FORMAT:
                    raise ValueError("Line 1 is not the beginning of an audit log file of this format")
                walk = self._walk_of(header.facts, open_file)
                count_before = walk.count
                for line in lines:
                    last = walk.sequence
                    if line.name == "event":
                        self._take(walk, line, open_file)
                    elif line.name == "checkpoint":
                        self._compare(walk, line.facts)
                    elif line.name == "manifest":
                        self._finish(walk, line, walk.count - count_before)
                        if next(lines, None) is not None:
                            raise Broken(walk.sequence + 1, Kind.ADDED, "Something follows after the signed manifest.")
                        first, query = line.facts["first"], str(header.facts.get("query", ""))
                        count = walk.count - count_before
                        return Checked(count, first, walk.sequence, walk.hash, isinstance(walk, Walk), query)
                    else:
                        raise ValueError(f"Line {line.number} is of no known kind")
            except ValueError as error:
                raise Broken(last + 1, Kind.CHANGED, f"{error}; the last sound event before it is {last}.") from None
            raise Broken(
                walk.sequence + 1,
                Kind.CUT_OFF,
                f"The file is cut off at the end, after event {walk.sequence}: its signed manifest is missing.",
            )

    def _walk_of(self, header: Mapping[str, Any], open_file: Callable[[], BinaryIO]) -> Walk | _Selection:
        if not header.get("whole"):
            return _Selection(self._checkpoints)
        if self._walk is None:
            first, before = header.get("first"), header.get("previous_hash")
            if not isinstance(first, int) or not isinstance(before, str):
                raise ValueError("Line 1 does not say where the file begins")
            self._walk = Walk(first - 1, before, self._checkpoints)
        self._walk.find_with(lambda hash: _find(open_file, "hash", hash))
        return self._walk

    def _take(self, walk: Walk | _Selection, line: Line, open_file: Callable[[], BinaryIO]) -> None:
        if line.facts.keys() - {*_FIELDS, "after"} or not isinstance(line.facts["sequence"], int):
            raise ValueError(f"Line {line.number} is not an event")
        try:
            if isinstance(walk, Walk):
                walk.follow(row_of(line.facts))
            else:
                walk.follow(row_of(line.facts), line.facts.get("after"))
        except Broken as broken:
            here, gone = line.facts["sequence"], broken.flaw.sequence
            if broken.flaw.kind == Kind.MISSING and _find(open_file, "sequence", gone):
                raise Broken(
                    here, Kind.REORDERED, f"Event {here} is out of order: event {gone} comes after it."
                ) from None
            raise

    def _compare(self, walk: Walk | _Selection, checkpoint: Mapping[str, Any]) -> None:
        require_checkpoint(checkpoint, self._keys)
        if checkpoint["sequence"] == walk.sequence and checkpoint["hash"] != walk.hash:
            raise Broken(
                walk.sequence,
                Kind.REWRITTEN,
                f"Event {walk.sequence} is not the one that the file's own checkpoint signed.",
            )

    def _finish(self, walk: Walk | _Selection, line: Line, count: int) -> None:
        """Raises Broken unless the manifest is signed and these are the lines that it speaks of."""
        manifest = line.facts
        trouble = self._keys.trouble("manifest", manifest)
        if trouble:
            raise Broken(walk.sequence, Kind.FORGED, f"The manifest at the end of the file {trouble}.")
        if walk.sequence < manifest["last"]:
            raise Broken(
                walk.sequence + 1,
                Kind.CUT_OFF,
                f"The file is cut off at the end: it ends with event {walk.sequence},"
                f" and its manifest signed event {manifest['last']}.",
            )
        if walk.sequence > manifest["last"]:
            raise Broken(
                walk.sequence,
                Kind.ADDED,
                f"Event {walk.sequence} was added: the manifest signed event {manifest['last']} as the last.",
            )
        if count != manifest["count"]:
            kind = Kind.MISSING if count < manifest["count"] else Kind.ADDED
            raise Broken(0, kind, f"The manifest counts {manifest['count']} events, and {count} are there.")
        if walk.hash != manifest["hash"]:
            raise Broken(
                walk.sequence, Kind.REWRITTEN, f"Event {walk.sequence} is not the one that the manifest signed."
            )
        if line.digest != manifest["digest"]:
            raise Broken(
                manifest["first"],
                Kind.REWRITTEN,
                "Each event holds by itself, but they are not those that were signed.",
            )
        self._require_no_lost_end(manifest)

    def _require_no_lost_end(self, manifest: Mapping[str, Any]) -> None:
        """A checkpoint older than the file must not know of an event that the log did not hold any more."""
        head = manifest["head"]["sequence"]
        for checkpoint in self._checkpoints:
            if checkpoint["at"] <= manifest["made_at"] and checkpoint["sequence"] > head:
                raise Broken(
                    head + 1,
                    Kind.CUT_OFF,
                    f"The log was cut off at the end: it ended with event {head} when the file was made,"
                    f" and the checkpoint of {checkpoint['at']} signed event {checkpoint['sequence']}.",
                )


class _Selection:
    """Follows events of a search, between which others were left out."""

    def __init__(self, checkpoints: Iterable[Mapping[str, Any]]) -> None:
        self.sequence, self.hash, self.count = 0, "", 0
        self._signed = {checkpoint["sequence"]: checkpoint for checkpoint in checkpoints}

    def follow(self, row: Sequence[Any], after: object) -> None:
        sequence = row[_SEQUENCE]
        if recomputed(row) != row[_HASH]:
            # Which also tells one that only got another's number: it is not in its place either.
            raise Broken(
                sequence, Kind.CHANGED, f"Event {sequence} was changed: its columns no longer give the hash it carries."
            )
        if sequence <= self.sequence:
            raise Broken(sequence, Kind.REORDERED, f"Event {sequence} is out of order: it comes after {self.sequence}.")
        if isinstance(after, int) and after > self.sequence:
            raise Broken(after, Kind.MISSING, f"Event {after} is missing; event {sequence} came after it.")
        if isinstance(after, int) and after < self.sequence:
            raise Broken(
                self.sequence, Kind.ADDED, f"Event {self.sequence} was added: event {sequence} came after {after}."
            )
        if sequence == self.sequence + 1 and row[_PREVIOUS] != self.hash and self.count:
            raise Broken(
                self.sequence,
                Kind.ADDED,
                f"Event {self.sequence} was put in another's place: event {sequence} continues a different one.",
            )
        signed = self._signed.get(sequence)
        if signed and signed["hash"] != row[_HASH]:
            raise Broken(
                sequence,
                Kind.REWRITTEN,
                f"Event {sequence} is not the one that the checkpoint of {signed['at']} signed.",
            )
        self.sequence, self.hash = sequence, row[_HASH]
        self.count += 1


def _find(open_file: Callable[[], BinaryIO], name: str, value: object) -> int | None:
    """The number of the event of the file that has this value there."""
    with open_file() as file:
        try:
            for line in read_lines(file):
                if line.name == "event" and line.facts.get(name) == value:
                    return int(line.facts["sequence"])
        except (ValueError, TypeError):
            return None
    return None


# The command.


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Prove that events of Agent Console's audit log are as they were recorded.",
        epilog="Exit 0 where everything holds, 1 where it does not, 2 on wrong use.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="exports or archives; archives oldest first")
    parser.add_argument("--key", required=True, action="append", metavar="PEM", help="public key, one or several")
    parser.add_argument("--checkpoint", default=[], action="append", metavar="FILE", help="checkpoints kept elsewhere")
    given = parser.parse_args(arguments)
    try:
        keys = Keys.of_pem("\n".join(_text(path) for path in given.key))
    except ValueError as error:
        parser.error(f"--key: {error}")
    try:
        checkpoints = [each for path in given.checkpoint for each in _checkpoints(path, keys, parser)]
        check = FileCheck(keys, checkpoints)
        for path in given.files:
            checked = check.check(_opener(path, parser))
            # Else a file from which a search left events out would pass for one that has them all.
            left_out = "" if checked.whole else f", without those that the search {json.dumps(checked.query)} left out"
            print(
                f"{path} holds: {checked.count} events, {checked.first} to {checked.last}{left_out};"
                f" the hash of the last is {checked.hash}"
            )
    except Broken as broken:
        print(f"It does not hold. {broken.flaw.message} ({broken.flaw.kind})", file=sys.stderr)
        return 1
    return 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(LONGEST_LINE)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None


def _checkpoints(path: str, keys: Keys, parser: argparse.ArgumentParser) -> list[dict[str, Any]]:
    with _opener(path, parser)() as file:
        try:
            return read_checkpoints(file, keys)
        except ValueError as error:
            parser.error(f"{path}: {error}")


def _opener(path: str, parser: argparse.ArgumentParser) -> Callable[[], BinaryIO]:
    def open_file() -> BinaryIO:
        try:
            return open(path, "rb")
        except OSError as error:
            parser.error(f"{path} can't be read: {error.strerror}")

    return open_file


if __name__ == "__main__":
    raise SystemExit(main())
