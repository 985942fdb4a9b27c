"""Text for people: counts with their noun, and foreign names that cannot break a line or steer a terminal."""

from __future__ import annotations

import unicodedata

_CONTROL = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, halves of a sign (undecodable bytes), line breaks


def quantity(count: int, noun: str) -> str:
    """A count and its noun, ``1 case`` or ``2 cases``; for nouns whose plural adds an s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def hyphened(name: str) -> str:
    """The name as part of a file's: its words in lower case; whatever stands between two of them becomes one hyphen."""
    return "-".join("".join(sign if sign.isalnum() else " " for sign in name.lower()).split())


def controls(name: str) -> bool:
    """Whether a name holds control characters, invisible format characters or bytes that are no text."""
    return any(unicodedata.category(sign) in _CONTROL for sign in name)


def printable(text: str) -> str:
    r"""The text with every character that cannot be printed as an escape, such as ``\n`` or ``\x1b``."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
