"""The web server of a lab, for every name: `python -m tailstest.lab.network.servers.web FILE`.

FILE is JSON: `folder`, where certificates may be kept; `authority`, the file with the keys of the
lab's authority; `sites`, host name to folder that is shown; `login`, whether it is a hotspot that
wants a login first. Port 80 and, with certificates of that authority for whatever name is asked
for, port 443.
"""

from __future__ import annotations

import functools
import html
import http.server
import json
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from tailstest.lab.network.servers.authority import Authority

#: Names that certificates are made for in one lab; further ones get the certificate of the first.
MOST_NAMES = 200
#: Seconds that a client may take for a request.
PATIENCE = 30

#: What NetworkManager asks for to find out whether there is an Internet, and what it wants to see.
CONNECTIVITY = {
    "/nm": b"NetworkManager is online\n",
    "/check_network_status.txt": b"NetworkManager is online\n",
}

#: Where a hotspot sends people.
LOGIN_PAGE = "http://login.lab.test/"


class Sites:
    """What is shown, and who has logged in."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.nothing = Path(description["folder"]) / "nothing"
        self.nothing.mkdir(exist_ok=True)
        self.folders = {name: Path(folder) for name, folder in description["sites"].items()}
        self.wants_login = bool(description["login"])
        self.known: set[str] = set()


class Pages(http.server.SimpleHTTPRequestHandler):
    """Answers one client."""

    timeout = PATIENCE
    server_version = "lab"
    sys_version = ""

    def __init__(self, sites: Sites, *rest: Any, **more: Any) -> None:
        self._sites = sites
        super().__init__(*rest, directory=str(sites.nothing), **more)

    @property
    def _host(self) -> str:
        return self.headers.get("Host", "").partition(":")[0].lower()[:255]

    def do_GET(self) -> None:
        """Show the site of the host that was asked for, or a page that says which host that is."""
        if self._sites.wants_login and self.client_address[0] not in self._sites.known:
            self._ask_for_login()
        elif self._host in self._sites.folders:
            self.directory = str(self._sites.folders[self._host])
            super().do_GET()
        elif self.path in CONNECTIVITY:
            self._show(CONNECTIVITY[self.path], "text/plain")
        elif self.path == "/generate_204":
            self.send_response(204)
            self.end_headers()
        else:
            self._show(_page(f"This is {self._host or 'the lab'}."), "text/html; charset=utf-8")

    def do_HEAD(self) -> None:
        """Tell about a file of a site; pages of our own have no head without a body."""
        if self._host in self._sites.folders:
            self.directory = str(self._sites.folders[self._host])
        super().do_HEAD()

    def do_POST(self) -> None:
        """Log in at the hotspot."""
        self._sites.known.add(self.client_address[0])
        self._show(_page("You are logged in."), "text/html; charset=utf-8")

    def log_message(self, *_values: Any) -> None:
        """Say nothing: what was asked for is in the capture."""

    def _ask_for_login(self) -> None:
        if self._host != "login.lab.test":
            self.send_response(302)
            self.send_header("Location", LOGIN_PAGE)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        form = '<form method="post" action="/"><button>Log in</button></form>'
        self._show(_page("Welcome to the hotspot.", form), "text/html; charset=utf-8")

    def _show(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    """Listens on one port, for IPv6 and IPv4."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        """Listen for IPv4, too."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = "lab", self.server_address[1]

    def handle_error(self, *_values: Any) -> None:
        """Say nothing when a client goes away."""


class SecureServer(Server):
    """The same with TLS; the handshake of a client holds up nobody else.

    Args:
        context: of the first certificate.
    """

    def __init__(self, context: ssl.SSLContext, *rest: Any) -> None:
        self._context = context
        super().__init__(*rest)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, then answer; called in the client's own thread."""
        request.settimeout(PATIENCE)
        with self._context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)


def context_for_all(authority: Authority) -> ssl.SSLContext:
    """Return what makes a certificate for each name that a client asks for."""
    made: dict[str, ssl.SSLContext] = {}
    lock = threading.Lock()

    def made_for(name: str) -> ssl.SSLContext:
        with lock:
            if name not in made and len(made) < MOST_NAMES:
                made[name] = _context(authority.certify(name))
            return made.get(name, first)

    def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name:
            connection.context = made_for(name.lower())

    first = _context(authority.certify("www.lab.test"))
    first.sni_callback = choose
    return first


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _page(text: str, more: str = "") -> bytes:
    shown = html.escape(text)
    return f"<!doctype html><title>{shown}</title><h1>{shown}</h1>{more}\n".encode()


def serve(description: dict[str, Any]) -> None:
    """Answer until somebody ends the process."""
    handler = functools.partial(Pages, Sites(description))
    plain = Server(("::", 80), handler)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    context = context_for_all(
        Authority(Path(description["folder"]), Path(description["authority"]))
    )
    secure = SecureServer(context, ("::", 443), handler)
    print("ready", flush=True)
    secure.serve_forever()


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
