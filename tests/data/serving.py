"""A server on this computer alone that answers well or badly, as a test wants it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one request is answered; a request with a range gets it, unless something here says otherwise."""

    body: bytes = b""
    status: int = 200
    ranges: bool = True  # False: the whole body, whatever was asked
    confirms: bool = True  # False: a range is sent whatever mark the file was to have
    cut_at: int | None = None  # the connection ends when so many bytes of the body, counted from its start, are sent
    content_range: str | None = None  # what a partial answer claims to be
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # what Content-Length says; -1: nothing
    wait_s: float = 0.0  # before the body


class Server:
    """Addresses, what they answer in turn (the last answer again and again), and what was asked."""

    def __init__(self, port: int) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []  # path and headers

    def says(self, path: str, *answers: Answer | bytes) -> str:
        """Set what a path answers; the address of it."""
        self.answers[path] = [one if isinstance(one, Answer) else Answer(body=one) for one in answers]
        return f"{self.url}{path}"

    def ranges(self) -> list[str | None]:
        """The range that each request asked for."""
        return [headers.get("Range") for _, headers in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        server: Server = self.server.says  # type: ignore[attr-defined]
        server.asked.append((self.path, dict(self.headers)))
        answers = server.answers.get(self.path, [Answer(status=404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        asked = self.headers.get("Range", "") if answer.ranges and answer.status == 200 else ""
        mark = answer.headers.get("ETag", answer.headers.get("Last-Modified"))
        if answer.confirms and self.headers.get("If-Range", mark) != mark:
            asked = ""
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self._send(answer, start, partial=bool(asked))

    def _send(self, answer: Answer, start: int, *, partial: bool) -> None:
        size = len(answer.body)
        if partial and start >= size:
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if partial else answer.status)
        if partial:
            told = f"bytes {start}-{size - 1}/{size}" if answer.content_range is None else answer.content_range
            self.send_header("Content-Range", told)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if answer.length != -1:
            self.send_header("Content-Length", str(size - start if answer.length is None else answer.length))
        self.end_headers()
        time.sleep(answer.wait_s)
        self.wfile.write(answer.body[start : answer.cut_at])
        self.close_connection = answer.cut_at is not None or answer.length is not None


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None: ...  # a client that left is no fault


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server that runs while the block does."""
    with _Quiet(("127.0.0.1", 0), _Handler) as running:
        running.says = Server(running.server_address[1])  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield running.says  # type: ignore[attr-defined]
        finally:
            running.shutdown()
            thread.join()
