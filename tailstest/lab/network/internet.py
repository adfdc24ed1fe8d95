"""The lab's Internet: a web server for every name, a clock; mail and upgrades on demand."""

from __future__ import annotations

import json
import sys
from functools import cached_property
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.paths import cache_folder
from tailstest.lab.network.apt_repository import AptRepository
from tailstest.lab.network.lab import Lab
from tailstest.lab.network.mail import MailServer
from tailstest.lab.network.upgrade_server import HOST as UPGRADE_HOST
from tailstest.lab.network.upgrade_server import UpgradeServer

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
        self._keys = cache_folder() / "lab"
        self._authority = self._keys / "authority"
        self._sites: dict[str, str] = {}
        self._wants_login = False
        self._offset = 0.0
        #: Its repositories of Debian packages, by host name.
        self.repositories: dict[str, AptRepository] = {}

    @property
    def authority(self) -> Path:
        """Certificate of the authority that signs the lab's certificates (PEM)."""
        return self._folder / "authority.pem"

    @cached_property
    def mail(self) -> MailServer:
        """The mail server; it runs as soon as there is a mailbox."""
        return MailServer(self._lab, self._authority)

    @cached_property
    def upgrades(self) -> UpgradeServer:
        """The server of upgrades; it is shown as soon as somebody asks for it.

        Raises:
            SetupError: a program is missing that signs.
        """
        server = UpgradeServer(self._lab.folder / "upgrade", self._keys / "upgrade")
        self.show(UPGRADE_HOST, server.site)
        return server

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

    def repository(self, host: str) -> AptRepository:
        """Return the APT repository of this name; made now if there is none.

        Raises:
            SetupError: a program is missing that makes one.
        """
        if host not in self.repositories:
            folder = self._lab.folder / f"apt-{len(self.repositories) + 1}"
            self.repositories[host] = AptRepository(folder, self._keys / "apt")
            self.show(host, self.repositories[host].site)
        return self.repositories[host]

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
            "authority": str(self._authority),
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
