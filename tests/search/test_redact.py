"""Nothing secret is recorded."""

import pytest

from labutils.search.redact import redacted, safe_value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:word@host/db", "postgresql://me:***@host/db"),
        (
            "labutils train --tracking https://a:b@c:5000 --out d",
            "labutils train --tracking https://a:***@c:5000 --out d",
        ),
        ("http://host:5000/x", "http://host:5000/x"),
        ("sqlite:////a/b@c.db", "sqlite:////a/b@c.db"),
        ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
    ],
)
def test_passwords_in_addresses_are_hidden(text, expected):
    assert redacted(text) == expected


@pytest.mark.parametrize("name", ["api_key", "model.access_token", "DB_PASSWORD", "client.secret"])
def test_settings_named_as_secrets_are_hidden(name):
    assert safe_value(name, "word") == "***"


def test_other_settings_stay():
    assert safe_value("fit.lr", 0.5) == "0.5"
