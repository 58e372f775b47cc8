"""The settings that an operator may give, each declared once.

`console/settings.py` reads them here, `docs/operating.md` holds the same table (a test compares the two), and
`console/checks.py` turns every `Problem` into a sentence at start. A wrong value never raises here: one start then
tells of all the mistakes, not just of the first, which is why no settings library is used.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Setting:
    """One environment variable. `NAME_FILE` may name a file that holds the value instead."""

    name: str
    default: str
    meaning: str
    parse: Callable[[str], object]
    secret: bool = False


@dataclass(frozen=True)
class Problem:
    name: str
    message: str
    hint: str


SETTINGS: dict[str, Setting] = {}
PROBLEMS: list[Problem] = []


def setting[T](name: str, default: str, meaning: str, parse: Callable[[str], T], *, secret: bool = False) -> T:
    """The parsed value from the environment, or that of `default`; a wrong one is noted in `PROBLEMS`."""
    SETTINGS[name] = Setting(name, default, meaning, parse, secret)
    given = _given(name)
    try:
        return parse(default if given is None else given)
    except ValueError as mistake:
        shown = "its value" if secret else repr(given)
        PROBLEMS.append(Problem(name, f"{name} can't be used: {shown} {mistake}.", f"It means: {meaning}."))
        return parse(default)


def _given(name: str) -> str | None:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name) or None
    if os.environ.get(name):
        PROBLEMS.append(Problem(name, f"Both {name} and {name}_FILE are set.", "Unset one; the file was used."))
    try:
        return Path(path).read_text().strip() or None
    except OSError as error:
        PROBLEMS.append(
            Problem(
                name,
                f"{name}_FILE can't be read: {error.strerror} ({path}).",
                "Give the path of a file that this user may read, or unset the variable.",
            )
        )
        return None


def text(value: str) -> str:
    return value


def number(least: float, most: float) -> Callable[[str], float]:
    """A parser of a decimal number between `least` and `most`, both included."""

    def parse(value: str) -> float:
        try:
            parsed = float(value)
        except ValueError:
            raise ValueError("is not a number") from None
        if not least <= parsed <= most:
            raise ValueError(f"is not between {least:g} and {most:g}")
        return parsed

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of a whole number between `least` and `most`, both included."""

    def parse(value: str) -> int:
        try:
            parsed = int(value)
        except ValueError:
            raise ValueError("is not a whole number") from None
        if not least <= parsed <= most:
            raise ValueError(f"is not between {least} and {most}")
        return parsed

    return parse


def url(*schemes: str) -> Callable[[str], str]:
    """A parser of an absolute URL with one of `schemes`; the empty text stays empty."""

    def parse(value: str) -> str:
        if value and (urlsplit(value).scheme not in schemes or not (urlsplit(value)[1] or urlsplit(value)[2])):
            raise ValueError(f"is not a URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
        return value

    return parse


def origin(value: str) -> str:
    """A parser of `scheme://host` or `scheme://host:port`; a slash at the end is dropped."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not a URL that begins with http:// or https://")
    if parts.username or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("holds more than scheme, host and port")
    if parts.port == 0:  # Reading it also raises ValueError where it is no number up to 65535.
        raise ValueError("has no usable port")
    return f"{parts.scheme}://{parts.netloc}"


def origins(value: str) -> list[str]:
    """A parser of origins with commas between; the empty text is none."""
    return [origin(each.strip()) for each in value.split(",") if each.strip()]


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.upper() not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return value.upper()

    return parse


def make_private_folder(name: str, path: Path) -> bool:
    """Makes the folder that the setting `name` gives, for this user alone. False, and a problem, where it can't."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        PROBLEMS.append(
            Problem(
                name,
                f"{name} can't be used: {str(path)!r} can't be written to ({error.strerror}).",
                "Give a folder that this user may write to, or mend its owner and mode.",
            )
        )
        return False
    return True


def stop_if_wrong() -> None:
    """For the processes that Django's system checks don't guard: web, worker and beat."""
    if PROBLEMS:
        raise SystemExit("\n".join(f"{problem.message}\n  Hint: {problem.hint}" for problem in PROBLEMS))
