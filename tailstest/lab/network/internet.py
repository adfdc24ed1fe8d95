"""The lab's Internet: a web server for every name, and a clock."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.lab.network.lab import Lab

#: Seconds, before scaling, for one of our own servers: Python and a certificate.
START_LIMIT = 30.0

_MODULES = "tailstest.lab.network.servers"


class Internet:
    """What a full lab has behind its routers.

    Args:
        lab: that it is in.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._folder = lab.folder / "web"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._sites: dict[str, str] = {}
        self._wants_login = False
        self._offset = 0.0

    @property
    def authority(self) -> Path:
        """Certificate of the authority that signs the lab's certificates (PEM)."""
        return self._folder / "authority.pem"

    def start(self) -> None:
        """Start the servers.

        Raises:
            InfrastructureError: one of them does not start.
        """
        self._start_web()
        self._start_clock()

    def show(self, host: str, folder: Path) -> None:
        """Show the files of a folder as a site: a repository of packages, an upgrade, a page.

        Raises:
            UsageError: there is no such folder.
        """
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder} to be shown as {host}")
        self._sites[host.lower()] = str(folder.absolute())
        self._lab.stop("web")
        self._start_web()

    def ask_for_login(self) -> None:
        """Be a hotspot: every page leads to a login page until the machine has logged in."""
        self._wants_login = True
        self._lab.stop("web")
        self._start_web()

    def set_clock(self, offset: float) -> None:
        """Tell a time that is some seconds ahead of the right one, or behind it."""
        self._offset = offset
        self._lab.stop("clock")
        self._start_clock()

    def _start_web(self) -> None:
        file = self._lab.folder / "web.json"
        values = {
            "folder": str(self._folder),
            "sites": self._sites,
            "login": self._wants_login,
        }
        file.write_text(json.dumps(values), encoding="utf-8")
        self._run("web", str(file))

    def _start_clock(self) -> None:
        self._run("clock", str(self._offset))

    def _run(self, name: str, argument: str) -> None:
        argv = [sys.executable, "-m", f"{_MODULES}.{name}", argument]
        self._lab.start(name, argv, "ready", START_LIMIT)
