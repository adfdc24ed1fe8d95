"""The lab's web server: a page for every name, own sites, certificates, a hotspot's login."""

import functools
import http.client
import socket
import ssl
import threading

import pytest

from tailstest.lab.network.servers.authority import Authority
from tailstest.lab.network.servers.web import Pages, SecureServer, Server, Sites, context_for_all


@pytest.fixture
def serve(tmp_path):
    """Return a function that starts a server and returns its port."""
    servers = []

    def start(*, sites=None, login=False, context=None):
        shown = Sites({"folder": str(tmp_path), "sites": sites or {}, "login": login})
        handler = functools.partial(Pages, shown)
        place = ("::1", 0)
        server = SecureServer(context, place, handler) if context else Server(place, handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def asked(port, host, path="/", method="GET"):
    line = http.client.HTTPConnection("::1", port, timeout=10)
    line.request(method, path, headers={"Host": host})
    answer = line.getresponse()
    return answer, answer.read().decode()


def test_every_name_has_a_page_and_a_name_is_no_html(serve):
    port = serve()
    assert asked(port, "any.example")[1] == (
        "<!doctype html><title>This is any.example.</title><h1>This is any.example.</h1>\n"
    )
    assert "<script>" not in asked(port, "<script>")[1]
    assert asked(port, "any.example", "/generate_204")[0].status == 204
    assert "online" in asked(port, "nmcheck.gnome.org", "/check_network_status.txt")[1]


def test_a_folder_is_a_site_and_nothing_else_of_the_host_is(serve, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "Release").write_text("packages\n")
    (tmp_path / "secret").write_text("secret\n")
    port = serve(sites={"deb.example.org": str(site)})
    assert asked(port, "deb.example.org", "/Release")[1] == "packages\n"
    assert asked(port, "deb.example.org", "/Release", "HEAD")[0].headers["Content-Length"] == "9"
    for path in ("/../secret", "/%2e%2e/secret", "//secret"):
        assert asked(port, "deb.example.org", path)[0].status == 404
    assert asked(port, "other.example", "/pyproject.toml", "HEAD")[0].status == 404


def test_a_hotspot_lets_nobody_through_who_has_not_logged_in(serve):
    port = serve(login=True)
    answer, _ = asked(port, "www.example.org", "/page")
    assert (answer.status, answer.headers["Location"]) == (302, "http://login.lab.test/")
    assert "Log in" in asked(port, "login.lab.test")[1]
    assert asked(port, "www.example.org", "/generate_204")[0].status == 302
    assert "logged in" in asked(port, "login.lab.test", method="POST")[1]
    assert "This is www.example.org" in asked(port, "www.example.org")[1]


def test_whoever_trusts_the_labs_authority_trusts_any_name_and_others_do_not(serve, tmp_path):
    authority = Authority(tmp_path, tmp_path / "keys" / "authority")
    port = serve(context=context_for_all(authority))
    trusting = ssl.create_default_context(cafile=authority.path)
    for name in ("www.lab.test", "deb.debian.org", "www.lab.test"):
        with (
            socket.create_connection(("::1", port), 10) as line,
            trusting.wrap_socket(line, server_hostname=name) as secure,
        ):
            secure.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
            assert secure.recv(100).startswith(b"HTTP/1.0 200")
    with socket.create_connection(("::1", port), 10) as line, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(line, server_hostname="www.lab.test")
