"""Settings from a file and from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labutils.core.checks import ConfigError, require
from labutils.core.config import merge, parse_assignments, read_settings


def read_tables(config: Path | None, assignments: Sequence[str], tables: Sequence[str]) -> dict[str, Any]:
    """The tables of settings of a file, with those of the command line in their place.

    Args:
        config: a ``.json`` or ``.toml`` file, or None.
        assignments: ``key=value`` each.
        tables: the names a table may have; one that is not given is empty.
    Raises:
        ConfigError: a file or an assignment that cannot be read, or a table of another name.
    """
    given = merge(read_settings(config) if config else {}, parse_assignments(assignments))
    for name, table in given.items():
        wanted = " or ".join(f"{table}.*" for table in tables)
        require(name in tables, f"there is no setting {name!r}; wanted {wanted}", ConfigError)
        require(isinstance(table, Mapping), f"{name} is {table!r}; wanted {name}.<setting>", ConfigError)
    return {name: given.get(name, {}) for name in tables}
