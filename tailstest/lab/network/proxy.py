"""The lab's web proxy: tinyproxy, behind `proxy.lab.test`."""

from __future__ import annotations

from tailstest.lab.network.lab import Lab
from tailstest.lab.network.plan import PROXY
from tailstest.lab.network.private_mount import with_mount
from tailstest.lab.network.programs import program

#: Port of web proxies (that of Squid; no number is registered).
PORT = 3128
#: Seconds, before scaling; 0.05 on an idle host.
START_LIMIT = 30.0

_CONFIGURATION = f"""\
Listen {PROXY}
Port {PORT}
Timeout 60
MaxClients 50
LogLevel Notice
"""


def start_proxy(lab: Lab) -> None:
    """Start the proxy; it asks the name server of the lab's first network.

    Raises:
        SetupError: tinyproxy is not installed.
        InfrastructureError: it does not start; quotes what it said.
    """
    configuration = lab.folder / "tinyproxy.conf"
    argv = [
        program("tinyproxy", "tinyproxy-bin", "the lab's proxy"),
        "-d",
        "-c",
        str(configuration),
    ]
    configuration.write_text(_CONFIGURATION)
    # glibc has no other way to be told which name server to ask.
    argv = with_mount(lab.resolver(), "/etc/resolv.conf", argv)
    lab.start("proxy", argv, "Reloading config file finished", START_LIMIT)
