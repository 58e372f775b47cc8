r"""What is a word, and when two texts are the same but for upper and lower case.

All of it is written out character by character, so that Python, SQLite and PostgreSQL agree whatever their locale is:
a regular expression made here means the same in all three. It uses no `\w`, no `\b` and no flag.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache

#: Scripts that put no spaces between words: there any part of a text is found.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30fa\u30fc-\u318f"
    "\u31a0-\u31ff\u3400-\u4dbf\u4e00-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003fffd"
)
#: What stands between words.
BETWEEN = (
    "\x01-/:-@\\[-`{-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u2000-\u206f\u2190-\u2bff"
    "\u3000-\u3004\u3008-\u3020\u3030\u303d-\u303f\u30fb\ufe10-\ufe1f\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20"
    "\uff3b-\uff40\uff5b-\uff65\ufff0-\uffff"
)
_PIECE = re.compile(f"(?P<unspaced>[{UNSPACED}]+)|(?P<word>[^{UNSPACED}{BETWEEN}]+)")


@cache
def _variants() -> dict[str, str]:
    """For each lower-case character all those that become it, where there are others."""
    found: dict[str, str] = {}
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        lower = character.lower()
        if lower != character and len(lower) == 1:
            found[lower] = found.get(lower, lower) + character
    return found


def fold(text: str) -> str:
    """`text` in lower case, as long as it was: a character whose lower case is several stays."""
    if text.isascii():
        return text.lower()
    return "".join(lower if len(lower := character.lower()) == 1 else character for character in text)


def pattern_of(text: str) -> str:
    """A regular expression for exactly this text in whatever case."""
    return "".join(map(_one, fold(text)))


def _one(character: str) -> str:
    if character in _variants():
        return f"[{_variants()[character]}]"
    return f"\\{character}" if character.isascii() and not character.isalnum() and character > " " else character


def pieces(text: str) -> Iterator[re.Match[str]]:
    """The words of `text`; the group `unspaced` is set for a stretch of a script without spaces."""
    return _PIECE.finditer(text)


def phrase_pattern(text: str, *, prefix: bool) -> str:
    """Finds the words of `text` one after another, whole but for the last one if `prefix`."""
    found = list(pieces(text))
    parts = [f"(?:\\A|[{UNSPACED}{BETWEEN}])" if found[0]["word"] else ""]
    for position, piece in enumerate(found):
        if position and found[position - 1].end() != piece.start():
            parts.append(f"[{BETWEEN}]+")
        parts.append(pattern_of(piece[0]))
    if found[-1]["word"] and not prefix:
        parts.append(f"(?:\\Z|[{UNSPACED}{BETWEEN}])")
    return "".join(parts)
