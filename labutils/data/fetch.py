"""Fetching datasets: the only thing in this package that uses the network, and only when a person asks for it.

Each file is downloaded to a folder ``.fetching`` below the folder of all data, compared with its SHA-256, and only
then moved or unpacked to its place. Where nobody could write the SHA-256 down beforehand, a person may trust the file
once; what came is then recorded in a file ``<place>.fetched.json`` and required from then on.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from labutils.core.checks import DataError, require
from labutils.core.files import only_one, read_json, sha256_of_file, write_json
from labutils.core.runtime import data_root, offline
from labutils.data.archives import unpack
from labutils.data.cards import Card, Download
from labutils.data.download import Resuming

STAGING = ".fetching"
Progress = Callable[[str, int, int | None], None]  # what it is, bytes that are there, bytes in all where known


class Fetched(NamedTuple):
    """What stands at one place after fetching."""

    path: Path
    new: bool  # False: it was there already and was left as it is
    record: Path | None  # where its SHA-256 was recorded, if it was trusted just now


def fetch(
    card: Card,
    root: str | Path | None = None,
    *,
    trust: bool = False,
    accept_licence: bool = False,
    progress: Progress | None = None,
) -> list[Fetched]:
    """Get the files of a dataset, each whole or not at all; what is there and good is not fetched again.

    Args:
        card: its ``downloads`` say what to get, from where.
        root: the folder of all data; None is `labutils.core.runtime.data_root`, where `catalog.load` looks.
        trust: take a file whose SHA-256 is not known, and record it.
        accept_licence: the person has read the card's license and accepts it.
        progress: is told how far each file is.
    Raises:
        DataError: there is nothing to fetch; a file that is there is another one; the SHA-256 is not known and not
            trusted, or not the one that was recorded or published; the license is not accepted; ``LABUTILS_OFFLINE``
            is 1; no address gives the file, which the text then tells how to get by hand; or the archive is refused.
    """
    require(card.downloads, f"{card.name} is not fetched; {card.how_to_get}", DataError)
    folder = Path(root).expanduser() if root is not None else data_root()
    there = {download: _is_there(folder / download.to, download) for download in card.downloads}
    wanted = [download for download, found in there.items() if not found]
    for download in wanted:
        _require_allowed(card, download, folder / download.to, trust=trust, accept_licence=accept_licence)
    made = {}
    if wanted:
        with _staging(folder) as staging:
            made = {download: _fetch_one(card, download, folder, staging, progress) for download in wanted}
    return [made.get(one, Fetched(folder / one.to, new=False, record=None)) for one in card.downloads]


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """The folder for what is not yet whole, for one process at a time.

    It, and the folders above it that were made for it, are removed when nothing is left in them.
    """
    staging = folder / STAGING
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    staging.mkdir(parents=True, exist_ok=True)
    with only_one(staging / "lock", f"another process is fetching into {folder}; wait until it is done"):
        try:
            yield staging
        finally:
            for path in [*staging.glob("*/"), staging / "lock", staging, *made]:
                with contextlib.suppress(OSError):  # the part of a file stays, to be continued
                    path.rmdir() if path.is_dir() else path.unlink()


def by_hand(download: Download, place: Path) -> str:
    """How a person gets a file without this package, as the end of a sentence."""
    expected = _expected(download, place)
    compare = f", compare its SHA-256 with {expected}" if expected else " (its SHA-256 is not known)"
    inside = f"its folder {download.below.removeprefix('*/')}" if download.below else "it"
    last = f"unpack {inside} as" if download.archive else "put it at"
    return f"by hand: download {' or '.join(download.urls)}{compare}, and {last} {place}"


def _record(place: Path) -> Path:
    return place.with_name(f"{place.name}.fetched.json")


def _expected(download: Download, place: Path) -> str | None:
    """The SHA-256 that is published, or was recorded when the file was trusted; None where there is neither."""
    record = _record(place)
    if download.sha256 or not record.exists():
        return download.sha256
    remedy = "delete it to trust the file anew"
    try:
        kept = read_json(record)
    except DataError as error:
        raise DataError(f"{error}; {remedy}") from error
    found = kept.get("sha256") if isinstance(kept, dict) else None
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{64}", found):
        raise DataError(f"{record} holds no SHA-256; {remedy}")
    return found


def _is_there(place: Path, download: Download) -> bool:
    """Whether a folder or a good file is in its place; a file with another SHA-256 is refused."""
    if not os.path.lexists(place):
        return False
    expected = _expected(download, place)
    if not download.archive and expected and (found := sha256_of_file(place)) != expected:
        raise DataError(f"{place} has the SHA-256 {found}; wanted {expected}: move it away, then fetch it again")
    return True


def _require_allowed(card: Card, download: Download, place: Path, *, trust: bool, accept_licence: bool) -> None:
    """Refuse, before anything is sent, what a person has not allowed."""
    accepted = accept_licence or not download.accept_licence
    require(accepted, f"{card.name} has this license: {card.licence}; add --accept-licence to accept it", DataError)
    known = _expected(download, place) or trust
    text = "is not known, so nobody can say whether it is the right file; add --trust to take it as it comes this once"
    hand = by_hand(download, place)
    require(known, f"the SHA-256 of {download.urls[0]} {text}, or get it {hand}", DataError)
    require(not offline(), f"LABUTILS_OFFLINE=1 forbids fetching {card.name}; {hand}", DataError)


def _fetch_one(card: Card, download: Download, folder: Path, staging: Path, progress: Progress | None) -> Fetched:
    place, mine = folder / download.to, staging / download.to.replace("/", " ")
    mine.mkdir(exist_ok=True)
    expected = _expected(download, place)
    whole = _download(card, download, mine, place, expected, progress)
    record = None if expected else _record(place)
    if record:  # first, so that nothing is ever there that was trusted and not recorded
        facts = {"urls": download.urls, "sha256": sha256_of_file(whole), "bytes": whole.stat().st_size}
        write_json(record, facts)
    try:
        _put(whole, download, place)
    except DataError:  # a refused archive is of no use; where the disk is full, what came is kept
        whole.unlink()
        if record:
            record.unlink()
        raise
    shutil.rmtree(mine)
    return Fetched(place, new=True, record=record)


def _put(whole: Path, download: Download, place: Path) -> None:
    if download.archive:
        unpack(whole, place, below=download.below)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(whole, place)


def _download(
    card: Card, download: Download, mine: Path, place: Path, expected: str | None, progress: Progress | None
) -> Path:
    """The file with the right SHA-256, in the folder `mine`, from the first address that gives it."""
    import pooch

    pooch.get_logger().setLevel("WARNING")  # it would say on the screen what the command says
    tell = None if progress is None else lambda done, total: progress(download.to, done, total)
    get = Resuming(mine / "part", redirect_hosts=download.redirect_hosts, sum_known=expected is not None, progress=tell)
    faults = []
    for url in download.urls:
        try:
            return Path(pooch.retrieve(url, expected, fname="whole", path=mine, downloader=get))
        except DataError as error:
            faults.append(str(error))
        except ValueError:  # pooch compared, and deleted the file
            faults.append(f"{url} gives a file with another SHA-256, which was deleted")
    anew = "" if download.sha256 or not expected else f"; delete {_record(place)} to trust what comes now"
    raise DataError(f"{card.name} cannot be fetched: {'; '.join(faults)}{anew}; {by_hand(download, place)}")
