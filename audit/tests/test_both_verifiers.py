"""Every kind of tampering is found and named alike, in the database and in a file that somebody took away.

A file is judged in this process, by the very code that runs alone; that it runs alone is a test of its own below.
"""

import ast
import base64
import gzip
import io
import json
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from audit import triggers, verify_audit
from audit.actors import CONSOLE
from audit.canonical import COLUMNS, time_text
from audit.chain import head, verify
from audit.checkpoints import make_checkpoint
from audit.keys import trusted_keys
from audit.lines import event_line, line
from audit.models import Checkpoint, Event, Head
from audit.services import _insert
from audit.signing import Signer, new_signing_key
from audit.tests.files import made, some_file, stand_alone, whole_file
from audit.tests.make import commit_events
from audit.verify_audit import Broken, FileCheck, Kind, event_hash

pytestmark = pytest.mark.django_db
COUNT = 12


@pytest.fixture(autouse=True)
def unguarded():
    commit_events(COUNT, operation=uuid4())
    triggers.remove()


def run(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def database_flaw(**given):
    found = verify(**given).flaw
    return found and (found.sequence, found.kind)


def file_flaw(*files, checkpoints=(), keys=None):
    check = FileCheck(keys or trusted_keys(), checkpoints)
    try:
        for file in files:
            check.check(lambda file=file: io.BytesIO(file))
    except Broken as broken:
        return broken.flaw.sequence, broken.flaw.kind
    return None


def lines_of(file):
    return file.splitlines(keepends=True)


def edited(file, number, **values):
    """The file with other values in the event of that number, as an attacker would edit it."""
    lines = lines_of(file)
    event = json.loads(lines[number])
    lines[number] = json.dumps({**event, **values}).encode() + b"\n"
    return b"".join(lines)


def forged(sequence, previous_hash, **values):
    """A row with a well-made hash."""
    event = dict(zip(COLUMNS, ["x"] * len(COLUMNS), strict=True))
    event |= {"sequence": sequence, "at": "2026-11-21T14:05:00.000000Z", "operation": None, "data": "{}"}
    row = [*{**event, **values, "previous_hash": previous_hash}.values()]
    return [*row, event_hash(row)]


def store(row):
    at = timezone.now().replace(2026, 11, 21, 14, 5, 0, 0)
    _insert([list(row)], connection.ops.adapt_datetimefield_value(at))


def test_an_untouched_log_holds():
    assert database_flaw() is None
    assert file_flaw(whole_file()) is None
    assert file_flaw(some_file({2, 3, 9})) is None


CHANGES = {
    "sequence": 99,
    "at": "2001-01-01 00:00:00.000001+00:00",
    "operation": "1b4e28ba2fa141d2883f0016d3cca427",
    "previous_hash": "e" * 64,
    "hash": "e" * 64,
}


@pytest.mark.parametrize("column", [*COLUMNS, "hash"])
def test_a_changed_column(column):
    file, other = whole_file(), some_file({5, 7})
    flaw = (5, Kind.MISSING) if column == "sequence" else (5, Kind.CHANGED)

    run(f"UPDATE audit_event SET {column} = %s WHERE sequence = 5", CHANGES.get(column, "x"))

    assert database_flaw() == flaw
    changed = CHANGES.get(column, "x")
    assert file_flaw(edited(file, 5, **{column: changed})) == flaw
    assert file_flaw(edited(other, 1, **{column: changed})) == ((99 if column == "sequence" else 5), Kind.CHANGED)


def test_a_changed_byte_anywhere_in_an_event():
    """Also where the value would be read as the same."""
    file = whole_file()
    lines = lines_of(file)
    text = lines[5]
    assert all(
        file_flaw(b"".join([*lines[:5], text[:place] + b"\x01" + text[place + 1 :], *lines[6:]]))
        for place in range(len(text) - 1)
    )


def test_a_removed_row():
    file, other = whole_file(), some_file({2, 5, 9})

    run("DELETE FROM audit_event WHERE sequence = 5")

    assert database_flaw() == (5, Kind.MISSING)
    assert file_flaw(b"".join([*lines_of(file)[:5], *lines_of(file)[6:]])) == (5, Kind.MISSING)
    assert file_flaw(b"".join([*lines_of(other)[:2], *lines_of(other)[3:]])) == (5, Kind.MISSING)


def test_a_removed_tail():
    file, other = whole_file(), some_file({2, 5, 9})

    run("DELETE FROM audit_event WHERE sequence > 9")

    assert database_flaw() == (10, Kind.CUT_OFF)
    assert file_flaw(b"".join([*lines_of(file)[:10], lines_of(file)[-1]])) == (10, Kind.CUT_OFF)
    assert file_flaw(b"".join(lines_of(file)[:10])) == (10, Kind.CUT_OFF)
    assert file_flaw(b"".join([*lines_of(other)[:3], lines_of(other)[-1]])) == (6, Kind.CUT_OFF)


def test_a_removed_tail_with_the_head_moved_back():
    """Only a checkpoint tells: what is left is a sound chain."""
    checkpoint = make_checkpoint(actor=CONSOLE).facts
    last = Event.objects.get(sequence=9)
    run("DELETE FROM audit_event WHERE sequence > 9")
    run("UPDATE audit_head SET sequence = 9, hash = %s", last.hash)
    run("DELETE FROM audit_checkpoint")
    assert database_flaw() is None

    assert database_flaw(checkpoints=[checkpoint]) == (10, Kind.CUT_OFF)
    assert file_flaw(whole_file(), checkpoints=[checkpoint]) == (10, Kind.CUT_OFF)


@pytest.mark.parametrize(("one", "other"), [(5, 6), (4, 9), (2, 12)])
def test_two_swapped_rows(one, other):
    file = whole_file()
    run("UPDATE audit_event SET sequence = 99 WHERE sequence = %s", one)
    run("UPDATE audit_event SET sequence = %s WHERE sequence = %s", one, other)
    run("UPDATE audit_event SET sequence = %s WHERE sequence = 99", other)

    assert database_flaw() == (one, Kind.REORDERED)
    lines = lines_of(file)
    renumbered = edited(edited(file, one, sequence=other), other, sequence=one)
    swapped = lines_of(renumbered)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    assert file_flaw(b"".join(swapped)) == (one, Kind.REORDERED)
    lines[one], lines[other] = lines[other], lines[one]
    assert file_flaw(b"".join(lines)) == (other, Kind.REORDERED)


def test_two_swapped_rows_of_a_search():
    lines = lines_of(some_file({2, 5, 9}))
    lines[1], lines[2] = lines[2], lines[1]

    assert file_flaw(b"".join(lines)) == (5, Kind.REORDERED)


def test_an_event_added_at_the_end_with_a_well_made_hash():
    file = whole_file()
    row = forged(COUNT + 1, head()[1])

    store(row)

    assert database_flaw() == (COUNT + 1, Kind.ADDED)
    lines = lines_of(file)
    assert file_flaw(b"".join([*lines[:-1], event_line(row), lines[-1]])) == (COUNT + 1, Kind.ADDED)


def test_an_event_put_in_the_place_of_another_with_a_well_made_hash():
    file, other = whole_file(), some_file({2, 5, 6})
    row = forged(5, Event.objects.get(sequence=4).hash)

    run("DELETE FROM audit_event WHERE sequence = 5")
    store(row)

    assert database_flaw() == (5, Kind.ADDED)
    lines = lines_of(file)
    assert file_flaw(b"".join([*lines[:5], event_line(row), *lines[6:]])) == (5, Kind.ADDED)
    lines = lines_of(other)
    assert file_flaw(b"".join([*lines[:2], event_line(row, 2), *lines[3:]])) == (5, Kind.ADDED)


def test_an_event_added_to_a_search():
    row = forged(7, "e" * 64)
    lines = lines_of(some_file({2, 5, 9}))

    assert file_flaw(b"".join([*lines[:3], event_line(row, 5), *lines[3:]])) == (7, Kind.ADDED)
    after_it = [event_line(row, 5), edited(lines[3], 0, after=7), lines[4]]
    assert file_flaw(b"".join([*lines[:3], *after_it])) == (0, Kind.ADDED)


def rewrite_from(start):
    """Every event from `start` on made anew, and the head: what somebody can do who owns the database."""
    rows = [[*row] for row in verify_rows()]
    previous = rows[start - 2][-1] if start > 1 else verify_audit.GENESIS
    for row in rows[start - 1 :]:
        row[5] = "mallory"
        row[-2] = previous
        row[-1] = previous = event_hash(row[:-1])
    run("DELETE FROM audit_event WHERE sequence >= %s", start)
    for row in rows[start - 1 :]:
        _insert([row[:]], row[1].replace("T", " ").removesuffix("Z"))
    run("UPDATE audit_head SET hash = %s", previous)


def verify_rows():
    from audit.chain import read_rows

    return list(read_rows(1, 1_000))


@pytest.mark.parametrize("start", [1, 7])
def test_a_whole_rewritten_chain_against_a_checkpoint(start):
    first = make_checkpoint(actor=CONSOLE).facts
    commit_events(3)
    second = make_checkpoint(actor=CONSOLE).facts
    genuine = whole_file()

    rewrite_from(start)

    assert database_flaw() == (first["sequence"], Kind.REWRITTEN), "the database's own checkpoints tell"
    run("DELETE FROM audit_checkpoint")
    assert database_flaw() is None, "nothing in the database tells any more"
    assert database_flaw(checkpoints=[first, second]) == (first["sequence"], Kind.REWRITTEN)
    assert file_flaw(whole_file(), checkpoints=[second]) == (second["sequence"], Kind.REWRITTEN)
    assert file_flaw(some_file({second["sequence"]}), checkpoints=[second]) == (second["sequence"], Kind.REWRITTEN)
    # Its manifest and header can't be made to go with it.
    lines = lines_of(genuine)
    ours = lines_of(whole_file())
    assert file_flaw(b"".join([*ours[:-1], lines[-1]]))[1] == Kind.REWRITTEN


def test_somebody_elses_signature_is_no_signature():
    stranger = Signer(new_signing_key())
    sequence, hash = head()
    facts = {"sequence": sequence, "hash": hash, "at": time_text(timezone.now())}
    signed = stranger.signed("checkpoint", facts)
    lines = lines_of(whole_file())
    manifest = json.loads(lines[-1])["manifest"]
    by_stranger = stranger.signed("manifest", {k: v for k, v in manifest.items() if k not in ("key", "signature")})

    assert file_flaw(b"".join([*lines[:-1], line("manifest", by_stranger)])) == (COUNT, Kind.FORGED)
    # Nor one in the name of the trusted key, nor one of ours for a statement of another kind.
    assert file_flaw(b"".join([*lines[:-1], line("manifest", {**by_stranger, "key": manifest["key"]})])) == (
        COUNT,
        Kind.FORGED,
    )
    assert file_flaw(b"".join([*lines[:-1], line("checkpoint", signed), lines[-1]])) == (COUNT, Kind.FORGED)
    Checkpoint.objects.create(
        sequence=sequence, hash=hash, at=timezone.now(), key_id=signed["key"], signature=signed["signature"]
    )
    assert database_flaw() == (COUNT, Kind.FORGED)


def test_a_statement_of_one_kind_does_not_pass_as_another():
    checkpoint = make_checkpoint(actor=CONSOLE).facts

    assert trusted_keys().trouble("checkpoint", checkpoint) is None
    assert trusted_keys().trouble("cut", checkpoint) == "does not carry the signature of its key"
    flipped = base64.b64decode(checkpoint["signature"])
    flipped = base64.b64encode(bytes([flipped[0] ^ 1]) + flipped[1:]).decode()
    assert trusted_keys().trouble("checkpoint", {**checkpoint, "signature": flipped})
    assert trusted_keys().trouble("checkpoint", {**checkpoint, "signature": "é"})


@pytest.mark.parametrize(
    "bad",
    [b"", b"\n", b"{}\n", b"[1]\n", b"null\n", b"\xff\n", b"[" * 100_000 + b"\n", b'{"sequence": 1}\n']
    + [b'{"file": {}}\n', b'{"file": {"format": 1, "whole": true}}\n']
    + [b'{"file": {"format": 1, "whole": true, "first": "1"}}\n']
    + [b"x" * 2_000_000, b"\x1f\x8b", b"\x1f\x8b\x08\x00rubbish", gzip.compress(b"rubbish\n", mtime=0)[:-4]],
    ids=lambda bad: str(len(bad)) + str(bad[:20]),
)  # fmt: skip
def test_rubbish_is_named_and_never_crashes(bad):
    assert file_flaw(bad)
    assert file_flaw(b"".join(lines_of(whole_file())[:3]) + bad)


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, 2**70, "5", -1])
@pytest.mark.parametrize("name", ["sequence", "at", "hash", "previous_hash", "after"])
def test_a_value_of_the_wrong_kind_is_named(name, value):
    assert file_flaw(edited(whole_file(), 5, **{name: value}))
    assert file_flaw(edited(some_file({2, 5, 9}), 2, **{name: value}))


def test_files_continue_each_other():
    first = made(verify_rows()[:6], whole=True)
    rest = made(verify_rows()[6:], whole=True, first=7, previous_hash=verify_rows()[5][-1])

    assert file_flaw(first, rest) is None
    assert file_flaw(rest) is None
    assert file_flaw(rest, first)[1] == Kind.REORDERED
    missing_one = made(verify_rows()[7:], whole=True, first=8, previous_hash=verify_rows()[6][-1])
    assert file_flaw(first, missing_one) == (7, Kind.MISSING)


def test_the_verifier_runs_alone(tmp_path):
    checkpoint = line("checkpoint", make_checkpoint(actor=CONSOLE).facts)
    packed = tmp_path / "export.jsonl.gz"
    packed.write_bytes(gzip.compress(whole_file()))

    result = stand_alone(tmp_path, packed, checkpoints=checkpoint)

    assert (result.returncode, result.stderr) == (0, "")
    assert f"holds: {Head.objects.get().sequence} events" in result.stdout
    bad = stand_alone(tmp_path, edited(whole_file(), 5, action="person.signed_in"))
    assert bad.returncode == 1
    assert bad.stderr.startswith("It does not hold. Event 5 was changed")
    rewrite_from(3)
    against = stand_alone(tmp_path, whole_file(), checkpoints=checkpoint)
    assert against.returncode == 1
    assert "the chain was rewritten" in against.stderr
    assert stand_alone(tmp_path, packed, key="no key").returncode == 2
    assert stand_alone(tmp_path, tmp_path / "nowhere").returncode == 2


def test_a_packed_file_with_any_byte_changed_is_said_not_to_hold():
    packed = gzip.compress(whole_file())

    for place in range(10, len(packed), 11):
        changed = packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :]
        with pytest.raises(Broken):
            FileCheck(trusted_keys()).check(lambda changed=changed: io.BytesIO(changed))


def test_a_file_of_a_search_does_not_pass_for_one_that_has_everything(tmp_path):
    rows = [row for row in verify_rows() if row[0] != 5]
    few = made(rows, whole=False, query="-actor:mallory")

    result = stand_alone(tmp_path, few, whole_file())

    assert (result.returncode, result.stderr) == (0, "")
    of_search, of_all = result.stdout.splitlines()
    assert 'without those that the search "-actor:mallory" left out' in of_search
    assert "without" not in of_all


def test_the_verifier_is_one_file_for_old_pythons():
    source = Path(verify_audit.__file__).read_text()

    tree = ast.parse(source, feature_version=(3, 9))

    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= {
        "__future__", "argparse", "base64", "binascii", "collections", "cryptography", "dataclasses", "gzip", "hashlib",
        "json", "sys", "typing", "zlib",
    }  # fmt: skip
