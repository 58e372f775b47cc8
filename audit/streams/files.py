"""Batches into a file, at its end. It is opened anew for each batch, so that logrotate may move it away at any time."""

from __future__ import annotations

import os

from audit.streams.batches import Batch, NotTaken, StillOurs
from audit.streams.models import folder


def deliver(batch: Batch, still_ours: StillOurs) -> None:
    data = b"".join(line + b"\n" for _, line in batch.events)
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        # No link is followed: it could lead to any file that the console may write.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(batch.sink.path, flags, 0o600)
        try:
            if not still_ours():
                raise NotTaken("the time for this attempt was over before it could be written")
            _append(file, data)
        finally:
            os.close(file)
    except OSError as error:
        raise NotTaken(f"the file could not be written: {error.strerror or error}") from None


def _append(file: int, data: bytes) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        data = b"\n" + data  # What a machine that died has left unfinished stays a line of its own.
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)
