"""Real servers on this host that play a mail server, a webhook and the interface of a forge."""

from __future__ import annotations

import email.message
import email.parser
import email.policy
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """What a mail server got."""

    port: int = 0
    mails: list[email.message.EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        parser = email.parser.BytesParser(policy=email.policy.default)
        self.mails.append(parser.parsebytes(envelope.content))  # type: ignore[arg-type]
        return "250 Message accepted for delivery"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox(free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class WebServer:
    """A web server that remembers requests and answers what `answer` says: status and JSON.

    Bytes are answered as they are.
    """

    url: str
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], tuple[int, Any]] = lambda _request: (200, {})

    @property
    def hook(self) -> str:
        """The address as apprise writes that of a webhook that takes JSON."""
        return self.url.replace("http", "json", 1)


@contextmanager
def web_server(answer: Callable[[Request], tuple[int, Any]] | None = None) -> Iterator[WebServer]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            site.requests.append(request)
            status, told = site.answer(request)
            data = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = _any  # noqa: N815

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = WebServer(f"http://127.0.0.1:{server.server_address[1]}")
    if answer is not None:
        site.answer = answer
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
