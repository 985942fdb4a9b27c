"""Getting one file over the network: taken up where it was cut, and from the hosts that were named and no other.

This is the part that pooch leaves to a downloader. Nothing here says whether the bytes are the right ones; pooch
compares their SHA-256 before anybody uses them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from labutils import __version__
from labutils.core.checks import ConfigError, DataError, require
from labutils.core.config import from_dict, to_dict
from labutils.core.files import names_file, read_json, write_json

if TYPE_CHECKING:
    from requests import Response, Session

THIS_COMPUTER = ("127.0.0.1", "localhost", "::1")
TIMEOUTS_S = (10.0, 30.0)  # to connect, and for the next bytes
PIECE_BYTES = 1 << 16
LARGEST_BYTES = 64 << 30  # a server that never ends would fill the disk
REDIRECTS = 5  # followed at most
REQUESTS = 8  # made at most for one file, each going on where the one before was cut
_NUMBER = "[0-9]{1,18}"
Progress = Callable[[int, int | None], None]  # bytes that are there, and bytes in all where the server says so


def require_address(url: str) -> None:
    """Refuse an address that anybody on the way could read or change: wanted https, or http to this very computer.

    Raises:
        DataError: as said, or the address holds a name or password.
    """
    parts = _split(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in THIS_COMPUTER)
    require(safe and parts.hostname, f"the address {url} is not https; nothing is fetched from it", DataError)
    bare = parts.username is None and parts.password is None
    require(bare, f"the address of {parts.hostname} holds a name or password; nothing is fetched from it", DataError)


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where a part of a file came from."""

    url: str
    mark: str | None  # strong ETag, else the time of change
    total: int | None  # bytes of the whole file, where the server said so


class Resuming:
    """A downloader for pooch that keeps what it has in a file, and goes on from there the next time.

    A part is continued only where the rest is sure to be of the same file: the server must confirm it by its mark (a
    strong ETag or the time of change), or the SHA-256 of the whole is known and will be compared.

    Args:
        part: the file that is kept when a download fails; a neighbor ``.json`` says where it came from.
        redirect_hosts: hosts, with ``:port`` where it is not the usual one, that an address may send on to.
        sum_known: whether the SHA-256 of the whole is known.
        progress: is told how far it is.
    """

    def __init__(
        self, part: Path, *, redirect_hosts: Collection[str] = (), sum_known: bool, progress: Progress | None = None
    ) -> None:
        self.part, self.origin = part, part.with_name(f"{part.name}.json")
        self.redirect_hosts, self.sum_known = redirect_hosts, sum_known
        self.progress: Progress = progress or (lambda done, total: None)

    def __call__(self, url: str, output_file: str, pooch: Any = None, check_only: bool = False) -> None:
        """Get `url` as `output_file`, which appears only when every byte is there; the signature is pooch's.

        Raises:
            DataError: the address or one it redirects to is refused, the server cannot be reached, answers with
                an error, or breaks off again and again; what came is kept.
        """
        import requests
        import urllib3

        require_address(url)
        for _ in range(REQUESTS):
            before = self._size()
            try:
                with requests.Session() as session:
                    # Else requests reads what stands beside a redirect, of any length, before anybody can refuse it.
                    session.get_redirect_target = lambda response: None
                    session.trust_env = _host(url)[0] not in THIS_COMPUTER  # no proxy in between
                    if self._go_on(session, url):
                        os.replace(self.part, output_file)
                        self.origin.unlink(missing_ok=True)
                        return
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if self._size() <= before:
                    kind = type(error).__name__
                    raise DataError(f"{url} cannot be reached or breaks off at once ({kind})") from error
        raise DataError(f"{url} broke off {REQUESTS} times; what came is kept, so fetching again goes on from there")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _go_on(self, session: Session, url: str) -> bool:
        """One request for what is missing; whether the file is whole. False: the part was of no use and is gone."""
        earlier = self._usable(url)
        start = self._size() if earlier else 0
        headers = {"Accept-Encoding": "identity", "User-Agent": f"labutils/{__version__}"}
        if earlier and start:
            headers |= {"Range": f"bytes={start}-"} | ({"If-Range": earlier.mark} if earlier.mark else {})
        with self._answer(session, url, headers) as response:
            code = response.status_code
            if earlier and start and (code == 416 or (code == 206 and not _continues(response, start, earlier))):
                self.part.unlink()
                return False
            if code != 200 and not (code == 206 and start):
                raise DataError(f"{url} answers {code} {response.reason}")
            start = start if code == 206 else 0  # 200: the server ignores ranges, or has another file by now
            length = response.headers.get("Content-Length", "")
            total = start + int(length) if re.fullmatch(_NUMBER, length) else None
            if not start:
                self.part.write_bytes(b"")  # before its origin is told: old bytes must not pass for new ones
                _write_origin(self.origin, url, response, total)
            self._keep(response, url, start, total)
        return total is None or self._size() == total

    def _usable(self, url: str) -> _Origin | None:
        """Where the part came from, if it can be continued from this address."""
        try:
            origin = from_dict(_Origin, read_json(self.origin))
        except (DataError, ConfigError):
            return None
        origin = origin if origin.url == url else _Origin(url=url, mark=None, total=origin.total)
        return origin if origin.mark or self.sum_known else None

    def _answer(self, session: Session, url: str, headers: dict[str, str]) -> Response:
        """The answer to a request, after redirects to hosts that are allowed."""
        allowed = {_host(url), *(_host(f"https://{host}") for host in self.redirect_hosts)}
        here = url
        for _ in range(REDIRECTS + 1):
            response = session.get(here, headers=headers, stream=True, allow_redirects=False, timeout=TIMEOUTS_S)
            if not response.is_redirect:
                return response
            response.close()
            here = _joined(here, response.headers["Location"])
            require_address(here)
            host, port = _host(here)
            known = (host, port) in allowed
            require(known, f"{url} redirects to {host}:{port}, which its card does not name", DataError)
        raise DataError(f"{url} redirects more than {REDIRECTS} times")

    def _keep(self, response: Response, url: str, start: int, total: int | None) -> None:
        """Append the body to the part, as it is sent: a server that says "gzip" of a .gz file sends that very file."""
        done = start
        with names_file(self.part), open(self.part, "ab") as stream:
            for piece in response.raw.stream(PIECE_BYTES, decode_content=False):
                done += stream.write(piece)
                require(done <= LARGEST_BYTES, f"{url} sends more than {LARGEST_BYTES} bytes", DataError)
                self.progress(done, total)
            stream.flush()
            os.fsync(stream.fileno())


def _write_origin(path: Path, url: str, response: Response, total: int | None) -> None:
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")  # a weak tag says nothing of bytes
    write_json(path, to_dict(_Origin(url=url, mark=mark, total=total)))


def _continues(response: Response, start: int, earlier: _Origin) -> bool:
    """Whether a 206 really holds what follows the first `start` bytes of the same file, to its end."""
    found = re.fullmatch(f"bytes ({_NUMBER})-({_NUMBER})/({_NUMBER})", response.headers.get("Content-Range", ""))
    if found is None:
        return False
    first, last, total = map(int, found.groups())
    told = response.headers.get("ETag" if (earlier.mark or "").startswith('"') else "Last-Modified")
    same = not (told and earlier.mark) or told == earlier.mark
    return same and first == start and last == total - 1 and earlier.total in (None, total)


def _host(url: str) -> tuple[str, int]:
    """The host of an address, in lower case, and its port."""
    parts = _split(url)
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises where it is no number
    except ValueError as error:
        raise DataError(f"the address {url!r} cannot be read: {error}") from error
    return parts


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise DataError(f"{url} redirects to {location!r}, which cannot be read: {error}") from error
