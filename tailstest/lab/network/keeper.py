"""The lab of a scenario: made when a machine wants a network, gone when the scenario ends."""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path

from tailstest.lab.network.internet import Internet
from tailstest.lab.network.lab import Lab, why_no_lab
from tailstest.lab.network.plan import Kind, Network
from tailstest.lab.network.proxy import start_proxy
from tailstest.lab.network.tor import TorNetwork


class LabKeeper:
    """Gives out the lab of the present scenario.

    Args:
        folder: of the run, private, with a short path; the lab's own folder is made in it.
        deadline_scale: factor of the host's slowness on every deadline.
    """

    def __init__(self, folder: Path, *, deadline_scale: float) -> None:
        self._folder = folder
        self._scale = deadline_scale
        self._lab: Lab | None = None
        self._internet: Internet | None = None
        self._has_proxy = False
        #: Machines that are or were on its networks, to the MAC address of their card.
        self.cards: dict[str, str] = {}
        #: The private Tor network, if one was started.
        self.tor: TorNetwork | None = None

    @cached_property
    def why_not(self) -> str:
        """Why there can be no lab on this host; "" if there can."""
        return why_no_lab()

    @property
    def is_up(self) -> bool:
        """Whether there is a lab now."""
        return self._lab is not None

    @property
    def lab(self) -> Lab:
        """The lab; started now if there is none.

        Raises:
            SetupError, InfrastructureError: there can be none.
        """
        if self._lab is None:
            folder = Path(tempfile.mkdtemp(prefix="lab-", dir=self._folder))
            self._lab = Lab(folder, deadline_scale=self._scale)
        return self._lab

    def network(self, kind: Kind) -> Network:
        """Return the first network of this kind; made now if there is none.

        Raises:
            SetupError, InfrastructureError: there can be none.
        """
        for network in self.lab.networks:
            if network.kind == kind:
                return network
        if kind == "full":
            self.internet  # noqa: B018  its servers are there before a machine may ask for them
        return self.lab.add_network(kind)

    @property
    def internet(self) -> Internet:
        """The lab's Internet; its servers are started now if they do not run.

        Raises:
            SetupError, InfrastructureError: there can be none.
        """
        if self._internet is None:
            self._internet = Internet(self.lab)
            self._internet.start()
        return self._internet

    def start_tor(self) -> TorNetwork:
        """Start a private Tor network; one that runs stays.

        Raises:
            SetupError, InfrastructureError: it does not start; says what.
        """
        if self.tor is None:
            tor = TorNetwork(self.lab, deadline_scale=self._scale)
            tor.start()
            self.tor = tor
        return self.tor

    def start_proxy(self) -> None:
        """Start a web proxy; one that runs stays.

        Raises:
            SetupError, InfrastructureError: it does not start; says what.
        """
        if not self._has_proxy:
            start_proxy(self.lab)
            self._has_proxy = True

    def check(self) -> None:
        """Raise if the lab is no longer what it should be.

        Raises:
            InfrastructureError: names the server that died.
        """
        if self._lab is not None:
            self._lab.check()

    def end(self) -> None:
        """End the lab, if there is one; the next scenario begins with a new one."""
        lab, self._lab = self._lab, None
        self._internet = self.tor = None
        self._has_proxy = False
        self.cards = {}
        if lab is not None:
            lab.close()
            shutil.rmtree(lab.folder, ignore_errors=True)
