"""A bridge of a lab's Tor network: a way in that is in no directory and looks like nothing.

It speaks obfs4 (Debian's obfs4proxy), so who sees the packets sees random bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailstest.lab.network.tor_keys import BridgeKeys

#: Where it is: in the lab's Internet, away from the relays.
ADDRESS = "198.51.100.31"
#: Port of its transport; no number is registered for bridges.
PORT = 4443
#: What the tables of steps call it. It has no name in the lab's DNS, as bridges have none.
HOST = "bridge"

#: In addition to what every relay has. Nothing of it gets into the consensus, because no authority
#: is told of it.
_BRIDGE = """\
BridgeRelay 1
PublishServerDescriptor 0
BridgeDistribution none
BridgeRecordUsageByCountry 0
ExtORPort auto
ServerTransportPlugin obfs4 exec {obfs4}
ServerTransportListenAddr obfs4 {address}:{port}
"""

#: In a machine obfs4proxy is where Debian's package has it.
_CLIENT = """\
UseBridges 1
ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy
Bridge obfs4 {address}:{port} {fingerprint} {arguments}
"""


@dataclass(frozen=True)
class TorBridge:
    """One bridge.

    Attributes:
        keys: its identity, and what clients must know of its transport.
        address: IPv4 address in the lab's Internet.
        port: TCP port of the transport; nobody is told of any other.
    """

    keys: BridgeKeys
    address: str = ADDRESS
    port: int = PORT

    @property
    def client_lines(self) -> str:
        """Configuration for a client in a machine that shall use it and nothing else."""
        return _CLIENT.format(
            address=self.address,
            port=self.port,
            fingerprint=self.keys.fingerprint,
            arguments=self.keys.arguments,
        )

    def server_lines(self, obfs4: str) -> str:
        """Return its own configuration, in addition to that of every relay.

        Args:
            obfs4: path of obfs4proxy on this host.
        """
        return _BRIDGE.format(obfs4=obfs4, address=self.address, port=self.port)
