"""What must not be recorded: passwords in addresses, and settings whose name says that they are secret."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"
_PASSWORD = re.compile(r"(://[^/\s:@]*):[^\s/]*@")
_SECRET = re.compile(r"password|passwd|secret|token|api_?key|credential", re.IGNORECASE)


def redacted(text: str) -> str:
    """`text` with the password of every address in it hidden: ``postgresql://me:word@host`` to ``...me:***@host``."""
    return _PASSWORD.sub(rf"\1:{HIDDEN}@", text)


def safe_value(name: str, value: Any) -> str:
    """A setting as text that may be recorded."""
    return HIDDEN if _SECRET.search(name) else redacted(str(value))
