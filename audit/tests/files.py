"""Files of events for tests, and the verifier that runs alone."""

import io
import os
import subprocess
import sys
from pathlib import Path

from django.utils import timezone

from audit import verify_audit
from audit.chain import head, read_rows
from audit.keys import trusted_pem
from audit.lines import Writer

#: Finds `cryptography` and what it needs, and nothing else that is installed here, nor the console.
BARE = """
import os, runpy, sys
allowed = {"cryptography", "cffi", "_cffi_backend", "pycparser"}
class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Nothing())
sys.path.append(os.environ["SITE"])
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def whole_file(first=1, previous_hash=verify_audit.GENESIS):
    """An export of all events as they are stored now, whatever was done to them."""
    return made(read_rows(first, 10_000), whole=True, first=first, previous_hash=previous_hash)


def some_file(sequences):
    """An export of a search that finds these events."""
    return made((row for row in read_rows(1, 10_000) if row[0] in sequences), whole=False)


def made(rows, **facts):
    buffer = io.BytesIO()
    writer = Writer(buffer, kind="export", made_at=timezone.now(), **facts)
    for row in rows:
        writer.event(row)
    sequence, hash = head()
    writer.finish(head_sequence=sequence, head_hash=hash)
    return buffer.getvalue()


def stand_alone(tmp_path, *files, checkpoints=None, key=None):
    """Run the verifier on files (bytes or paths) in a Python that has nothing but `cryptography`."""
    words = []
    for number, file in enumerate(files):
        path = file if isinstance(file, Path) else tmp_path / f"file{number}.jsonl"
        if not isinstance(file, Path):
            path.write_bytes(file)
        words.append(str(path))
    key_path = tmp_path / "key.pem"
    key_path.write_text(key or trusted_pem())
    words += ["--key", str(key_path)]
    if checkpoints is not None:
        path = tmp_path / "checkpoints.jsonl"
        path.write_bytes(checkpoints)
        words += ["--checkpoint", str(path)]
    import cryptography

    site = str(Path(cryptography.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", BARE, verify_audit.__file__, *words],
        env={"SITE": site, "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
