"""Built pages as their readers see them."""

from __future__ import annotations

import re


def text(html: str) -> str:
    """The words of a page, without its tags, one blank between them."""
    return " ".join(re.sub(r"<[^>]+>", "", html).split())
