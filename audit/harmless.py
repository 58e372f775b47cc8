"""Text from outside, made so that it can't change how the text around it reads."""

from unicodedata import category

# Controls, lone surrogates, line and paragraph separators, and format characters, which hold the bidi overrides …
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# … but not the two joiners that scripts and emoji are written with.
_JOINERS = {"\u200c", "\u200d"}


def harmless(text: str) -> str:
    r"""`text` with control, format and bidi characters as visible escapes such as `\u202e`."""
    if text.isprintable():
        return text
    return "".join(_escape(c) if category(c) in _ESCAPED and c not in _JOINERS else c for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe_cell(text: str) -> str:
    """Text that a spreadsheet takes for text: a formula would run on the machine of whoever opens the file."""
    harmful = text.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    return ("'" if harmful else "") + harmless(text)
