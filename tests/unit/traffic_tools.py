"""The network of a scenario whose machine sends what a test says; nothing runs."""

from types import SimpleNamespace

import packet_kit as kit

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Events
from tailstest.lab.network.recording import Recording
from tailstest.media.image_file import Digests
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.suite_files import SuiteFiles

NEAR = "2001:db8:76:1::c8"


class Card:
    """What a check wants to know of a network card."""

    mac = kit.GUEST
    gateway = kit.LAB_IP
    router_addresses = (kit.LAB_IP,)
    other_macs = (kit.LAB,)
    neighbour_addresses = (NEAR,)
    trouble = ""

    def __init__(self, path):
        self.captures = [path]

    def check(self):
        if self.trouble:
            raise InfrastructureError(self.trouble)


class Traffic:
    """A network of a scenario, its events, and what records a packet in its capture.

    Args:
        folder: of the suite, and of the capture.
    """

    def __init__(self, folder):
        self.events = Events()
        self.card = Card(folder / "one.pcapng")
        self.tor = SimpleNamespace(addresses=[kit.RELAY], has_bridge=False)
        self.owners = {}
        self.files = SuiteFiles(folder, Digests())
        machine = SimpleNamespace(name="one", card=self.card, is_on=True)
        labs = SimpleNamespace(tor=self.tor)
        self.network = ScenarioNetwork(
            lambda: machine, lambda: labs, self.events, lambda: self.owners, files=self.files
        )
        self._recording = Recording(self.card.captures[0], 10**8)

    def record(self, frame, sent=None):
        """Keep a packet: from the lab if it has its address, unless the test says otherwise."""
        is_given = frame[6:12] == kit.mac(kit.LAB)
        self._recording.keep(frame, sent=not is_given if sent is None else sent)

    def close(self):
        self._recording.close()
