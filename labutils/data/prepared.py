"""Prepared stores: a dataset is read and checked once, kept as a store in the cache, and opened from there."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from labutils.core.checks import DataError
from labutils.core.runtime import cache_root
from labutils.data.cards import Card
from labutils.data.store import Source, Store, open_store, write_store

TWIN_FILE = "TWIN.json"  # marks the folder of a twin; `labutils.data.twins` writes it
_log = logging.getLogger(__name__)


def require_folder(root: Path | None, card: Card) -> Path:
    """The folder of a dataset that cannot do without one.

    Raises:
        DataError: there is none.
    """
    if root is None:
        raise DataError(f"{card.name} needs its folder; {card.how_to_get}")
    return root


def source_of(root: Path) -> Source:
    """Where the pixels of a dataset's folder come from: "twin" where it is marked as one, else "your copy"."""
    return "twin" if (root / TWIN_FILE).is_file() else "your copy"


def files_key(root: Path, files: Iterable[Path], *facts: object) -> str:
    """Hex SHA-256 of the files' names under `root`, sizes and times of change, and of `facts`; reads no content.

    A folder that becomes a twin, or is one no longer, gets another key.

    Raises:
        DataError: a file is gone.
    """
    digest = hashlib.sha256(repr((str(root.resolve()), source_of(root), facts)).encode())
    for path in sorted(files):
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
        digest.update(repr((str(path.relative_to(root)), status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()


def prepared_store(name: str, key: str, make: Callable[[], Store]) -> Store:
    """The store kept in the cache under `name` and `key`; made, written and opened when it is not there or damaged.

    Where the cache cannot be written (disk full, no right), a warning is logged and the store stays in memory.

    Args:
        name: what a person sees in the cache's folder, e.g. "lidc-crops-train".
        key: changes whenever the result of `make` would.
        make: reads the dataset; what it raises is passed on.
    """
    folder = cache_root() / "stores" / f"{name}-{key[:16]}"
    if folder.exists():
        try:
            return open_store(folder)
        except DataError as error:
            _log.info("preparing %s again: %s", name, error)
    store = make()
    try:
        write_store(folder, store)
    except OSError as error:
        _log.warning("%s is kept in memory, as %s cannot be written: %s", name, folder, error)
        return store
    return open_store(folder)
