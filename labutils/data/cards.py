"""Cards: what a dataset is, whose it is, who drew on it, and what to know before using it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labutils.core.checks import InputError, require


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file of the public original that `labutils.data.fetch` can get, and where it goes."""

    urls: tuple[str, ...]  # addresses of the same bytes, tried in turn
    to: str  # the file, or the folder that an archive becomes, below the folder of all data; e.g. "lidc_crops"
    sha256: str | None = None  # of the bytes as sent, in hex; None where nobody could compute it: trusted once
    archive: bool = False  # zip, tar or tar.gz, which is unpacked
    below: str = ""  # the folder inside the archive that is taken; "*" stands for any one name
    redirect_hosts: tuple[str, ...] = ()  # other hosts that an address may send on to
    accept_licence: bool = False  # whether a person must accept the card's license first

    def __post_init__(self) -> None:
        require(self.urls and all(self.urls), f"download {self.to!r}: urls is {self.urls}; wanted an address")
        inside = self.to and not self.to.startswith("/") and not {"", ".", ".."} & set(self.to.split("/"))
        require(inside, f"download {self.to!r}: wanted a path below the folder of all data")
        known = self.sha256 is None or re.fullmatch("[0-9a-f]{64}", self.sha256)
        require(known, f"download {self.to!r}: sha256 is {self.sha256!r}; wanted 64 digits in lower case, or None")
        require(self.archive or not self.below, f"download {self.to!r}: below is given, and it is no archive")


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of one dataset; plain values only, so that a store can carry its card in JSON.

    ``identified`` True means that rater k is the same person in every case; False means that raters are
    exchangeable: position k on the rater axis says nothing about who drew.
    """

    name: str  # how the catalog calls it, e.g. "lidc-crops"
    title: str
    what: str  # one or two sentences
    licence: str
    citation: str
    homepage: str  # web address, or "" for data made here
    raters: str  # who drew, how many per case
    identified: bool
    classes: int  # K, the background included
    image: str  # shape letters and sizes, e.g. "(C, H, W) = (1, 64, 64)"
    splits: tuple[str, ...]
    how_to_get: str  # one sentence a person can follow
    quirks: tuple[str, ...] = ()
    spacing_known: bool = True  # False: spacing_mm is 1.0 and counts pixels, not mm
    manifests: tuple[tuple[str, str], ...] = ()  # (split, manifest of the whole split as published)
    downloads: tuple[Download, ...] = ()  # what `labutils data fetch` gets

    def __post_init__(self) -> None:
        for field in ("name", "title", "licence", "raters"):
            require(getattr(self, field), f"card {self.name!r}: {field} is empty")
        require(self.classes >= 2, f"card {self.name!r}: classes is {self.classes}; wanted 2 or more")
        require(self.splits, f"card {self.name!r}: splits is empty; wanted at least one")
        for split, _ in self.manifests:
            require(split in self.splits, f"card {self.name!r}: a manifest is given for {split!r}, which is no split")


def require_identified(card: Card, purpose: str) -> None:
    """Refuse a dataset whose raters are exchangeable for a purpose that follows single raters.

    Args:
        card: the dataset's card.
        purpose: what needs the identities, as the start of a sentence, e.g. "a confusion matrix per rater".
    Raises:
        InputError: ``card.identified`` is False.
    """
    if not card.identified:
        raise InputError(
            f"{purpose} needs rater k to be the same person in every case, and the raters of {card.name!r} "
            "are exchangeable; wanted a dataset with identified raters"
        )
