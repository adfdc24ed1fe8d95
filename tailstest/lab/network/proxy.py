"""The lab's web proxy: tinyproxy, behind `proxy.lab.test`."""

from __future__ import annotations

import shutil

from tailstest.core.errors import SetupError
from tailstest.lab.network.lab import PROGRAM_FOLDERS, Lab
from tailstest.lab.network.plan import PROXY
from tailstest.lab.network.private_mount import with_mount

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
    tinyproxy = shutil.which("tinyproxy", path=PROGRAM_FOLDERS)
    if tinyproxy is None:
        raise SetupError(
            "the lab's proxy needs tinyproxy, which is not installed",
            hint="install Debian's package tinyproxy-bin",
        )
    configuration, resolver = lab.folder / "tinyproxy.conf", lab.folder / "resolv.conf"
    configuration.write_text(_CONFIGURATION)
    resolver.write_text(f"nameserver {lab.networks[0].gateway}\n")
    # glibc has no other way to be told which name server to ask.
    argv = with_mount(resolver, "/etc/resolv.conf", [tinyproxy, "-d", "-c", str(configuration)])
    lab.start("proxy", argv, "Reloading config file finished", START_LIMIT)
