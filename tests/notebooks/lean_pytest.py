"""pytest in a child process, started with no more than it needs.

jsonschema, which reads a notebook's form, builds a grammar of web addresses whenever it is imported: seconds of
computing for a check of addresses that no notebook asks for. Without that package it leaves the check out.
"""

import sys

import pytest

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # an import of it fails
sys.exit(pytest.main())
