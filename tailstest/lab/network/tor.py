"""A private Tor network inside the lab, made of Debian's tor: authorities, relays, a bridge.

The options are those of tor's manual, section "Testing network options"; the intervals are the
shortest ones at which chutney, the Tor project's own tool for this, calls a network stable.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.paths import cache_folder
from tailstest.lab.network.lab import Lab
from tailstest.lab.network.plan import DOMAIN
from tailstest.lab.network.programs import program
from tailstest.lab.network.tor_bridge import ADDRESS as BRIDGE_ADDRESS
from tailstest.lab.network.tor_bridge import TorBridge
from tailstest.lab.network.tor_keys import authority_keys, bridge_keys
from tailstest.lab.network.tor_memory import TorMemory

#: Seconds, before scaling, until a client has a circuit.
START_LIMIT = 60.0
#: Seconds, before scaling, until a relay listens; it makes its keys before.
LISTEN_LIMIT = 30.0

AUTHORITIES, RELAYS = 3, 2
OR_PORT, DIR_PORT, SOCKS_PORT = 9001, 9030, 9050

#: Program that tries whether the network works.
PROBE = "tailstest.lab.network.servers.tor_probe"

#: Seconds between two votes, and for voting and for spreading the result; chutney: 10, 2, 2.
VOTING = (10, 2, 2)

COMMON = """\
TestingTorNetwork 1
AssumeReachable 1
PathsNeededToBuildCircuits 0.67
DisableDebuggerAttachment 0
ShutdownWaitLength 0
ProtocolWarnings 1
SafeLogging 0
Log notice stdout
"""

RELAY = """\
SocksPort 0
ORPort {address}:{or_port}
Address {address}
OutboundBindAddress {address}
Nickname {name}
ContactInfo lab@lab.test
ExitRelay {is_exit}
"""

#: The exit lets everything out: its Internet is the lab's.
EXIT = """\
ExitPolicy accept *:*
ExitPolicyRejectPrivate 0
ServerDNSResolvConfFile {resolver}
ServerDNSDetectHijacking 0
ServerDNSTestAddresses
ServerDNSAllowBrokenConfig 1
"""

AUTHORITY = """\
DirPort {address}:{dir_port}
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
TestingV3AuthInitialVotingInterval {interval}
TestingV3AuthInitialVoteDelay {vote}
TestingV3AuthInitialDistDelay {spread}
V3AuthVotingInterval {interval}
V3AuthVoteDelay {vote}
V3AuthDistDelay {spread}
V3AuthNIntervalsValid 2
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
ConsensusParams cc_alg=0
"""


@dataclass(frozen=True)
class Node:
    """One tor of the network.

    Attributes:
        name: its nickname.
        address: IPv4 address in the lab's Internet.
        folder: its data.
        is_authority: whether it votes; an authority is an ordinary relay, too.
    """

    name: str
    address: str
    folder: Path
    is_authority: bool

    @property
    def torrc(self) -> Path:
        """Its configuration."""
        return self.folder / "torrc"


class TorNetwork:
    """The Tor network of a lab.

    Args:
        lab: that it is in.
        deadline_scale: factor of the host's slowness on every deadline.
    """

    def __init__(self, lab: Lab, *, deadline_scale: float) -> None:
        self._lab = lab
        self._scale = deadline_scale
        folder = lab.folder / "tor"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self.nodes = [
            Node(
                f"{'auth' if number < AUTHORITIES else 'relay'}{number}",
                f"198.51.100.{number + 11}",
                folder / str(number),
                number < AUTHORITIES,
            )
            for number in range(AUTHORITIES + RELAYS)
        ]
        self._lines: list[str] = []
        self._bridge: TorBridge | None = None

    @property
    def addresses(self) -> list[str]:
        """Addresses of its relays: all that a client without a bridge talks to."""
        return [node.address for node in self.nodes]

    @property
    def has_bridge(self) -> bool:
        """Whether a bridge was started."""
        return self._bridge is not None

    @property
    def bridge(self) -> TorBridge:
        """The bridge.

        Raises:
            UsageError: it has none.
        """
        if self._bridge is None:
            raise UsageError(
                "the lab's Tor network has no bridge",
                hint='put "Given the lab\'s Tor network has an obfs4 bridge" before this step',
            )
        return self._bridge

    @property
    def client_lines(self) -> str:
        """Configuration for a client in a machine, in addition to its own."""
        return "TestingTorNetwork 1\n" + "".join(f"{line}\n" for line in self._lines)

    @property
    def client_lines_by_bridge(self) -> str:
        """The same for a client that shall use the bridge and nothing else.

        Raises:
            UsageError: it has none.
        """
        return self.client_lines + self.bridge.client_lines

    @property
    def _client_folder(self) -> Path:
        return self._folder / "client"

    def start(self) -> None:
        """Start it, and wait until a client of the lab has a circuit.

        Its relays begin with what they knew in an earlier lab, if that is known.

        Raises:
            SetupError: tor is not installed.
            InfrastructureError: a part of it does not start; names it and quotes what it said.
        """
        voters = [node for node in self.nodes if node.is_authority]
        keys = authority_keys(
            cache_folder() / "tor",
            [node.address for node in voters],
            DIR_PORT,
            deadline_scale=self._scale,
        )
        self._lines = [
            f"DirAuthority {node.name} orport={OR_PORT} no-v2 v3ident={each.identity} "
            f"{node.address}:{DIR_PORT} {each.fingerprint}"
            for node, each in zip(voters, keys, strict=True)
        ]
        self._lab.ask("add_addresses", addresses=self.addresses)
        memory = TorMemory(cache_folder() / "tor", self._lines)
        folders = {node.name: node.folder for node in self.nodes}
        folders["client"] = self._client_folder
        if memory.recall(folders):
            self._start_nodes()
            return
        for node, each in zip(voters, keys, strict=True):
            shutil.copytree(each.folder / "keys", node.folder / "keys")
        self._start_nodes()
        memory.keep(folders)  # only here: what was recalled may be old already

    def _start_nodes(self) -> None:
        resolver = self._lab.resolver()
        for node in self.nodes:
            is_exit = not node.is_authority
            self._configure(node, is_exit, EXIT.format(resolver=resolver) if is_exit else "")
        # A relay is ready when it listens; the network is, when the client is. The other relays
        # look for the authorities at once, which must be there by then.
        for are_authorities in (True, False):
            nodes = [node for node in self.nodes if node.is_authority is are_authorities]
            commands = {node.name: self._command(node.torrc) for node in nodes}
            self._lab.start_all(commands, "Opened OR listener connection", LISTEN_LIMIT)
        client = self._client_folder
        client.mkdir(mode=0o700, exist_ok=True)
        torrc = client / "torrc"
        torrc.write_text(
            f"{COMMON}{self.client_lines}DataDirectory {client}\nSocksPort {SOCKS_PORT}\n"
        )
        self._run("tor-client", torrc, "Bootstrapped 100%", START_LIMIT)
        probe = [sys.executable, "-m", PROBE, str(SOCKS_PORT), f"www.{DOMAIN}"]
        self._lab.start("tor-probe", probe, "ready", START_LIMIT)
        self._lab.stop("tor-probe")

    def start_bridge(self) -> None:
        """Start a bridge that speaks obfs4, and wait until it takes clients; one that runs stays.

        Raises:
            SetupError: obfs4proxy is not installed.
            InfrastructureError: it does not start; quotes what it said.
        """
        if self._bridge is not None:
            return
        obfs4 = program("obfs4proxy", "obfs4proxy", "a bridge of the lab's Tor network")
        scale = self._scale
        keys = bridge_keys(cache_folder() / "tor", BRIDGE_ADDRESS, obfs4, deadline_scale=scale)
        bridge = TorBridge(keys)
        node = Node("bridge", bridge.address, self._folder / "bridge", is_authority=False)
        for part in ("keys", "pt_state"):
            shutil.copytree(keys.folder / part, node.folder / part)
        self._lab.ask("add_addresses", addresses=[bridge.address])
        self._configure(node, is_exit=False, more=bridge.server_lines(obfs4))
        self._run(node.name, node.torrc, "Bootstrapped 100%", START_LIMIT)
        self._bridge = bridge

    def _configure(self, node: Node, is_exit: bool, more: str) -> None:
        node.folder.mkdir(mode=0o700, exist_ok=True)
        node.folder.chmod(0o700)
        lines = "".join(f"{line}\n" for line in self._lines)
        node.torrc.write_text(f"{COMMON}{lines}{self._of(node, is_exit)}{more}")

    def _run(self, name: str, torrc: Path, ready: str, seconds: float) -> None:
        self._lab.start(name, self._command(torrc), ready, seconds)

    def _command(self, torrc: Path) -> list[str]:
        empty = self._folder / "empty"
        empty.touch()
        return ["tor", "-f", str(torrc), "--defaults-torrc", str(empty)]

    def _of(self, node: Node, is_exit: bool) -> str:
        interval, vote, spread = VOTING
        text = f"DataDirectory {node.folder}\n" + RELAY.format(
            address=node.address,
            or_port=OR_PORT,
            name=node.name,
            is_exit=int(is_exit),
        )
        if node.is_authority:
            text += AUTHORITY.format(
                address=node.address,
                dir_port=DIR_PORT,
                interval=interval,
                vote=vote,
                spread=spread,
            )
        return text
