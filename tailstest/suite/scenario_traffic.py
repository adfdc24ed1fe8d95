"""What the machine of a scenario sent: what steps check of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.settings import validated
from tailstest.lab.capture_check import check_captures
from tailstest.lab.capture_file import CaptureFile, packets_in
from tailstest.lab.leak import LeakReport
from tailstest.lab.leak_view import report_text
from tailstest.lab.network.plan import DOMAIN, NAMES
from tailstest.lab.network.tor import DIR_PORT, OR_PORT, TorNetwork
from tailstest.lab.network.tor_bridge import HOST as BRIDGE
from tailstest.lab.packet import Packet
from tailstest.lab.policy import Policy, load_policy
from tailstest.lab.sent_check import sent_before, told
from tailstest.machine.machine import Machine
from tailstest.suite.step_clock import StepClock
from tailstest.suite.suite_files import SuiteFiles

#: Where servers for addresses are asked: everybody, and ff02::1:2 (RFC 8415, 7.1).
DHCP_SERVERS = ("255.255.255.255", "ff02::1:2")

#: What a table of hosts calls all relays of the lab's Tor network.
TOR_RELAYS = "Tor relays"

_SEE_CAPTURE = "the capture is in the report; look at it with `tailstest capture show FILE`"


class ScenarioTraffic:
    """What steps find as `context.test.network.traffic`.

    Args:
        machine: returns the machine of the scenario; raises a UsageError if there is none.
        tor: returns the lab's Tor network; raises a UsageError if there is none.
        clock: knows during which step something happened.
        owners: says which program inside has which socket open: protocol and own port, to its name.
        files: told which files of the suite were used.
    """

    def __init__(
        self,
        machine: Callable[[], Machine],
        tor: Callable[[], TorNetwork],
        clock: StepClock,
        owners: Callable[[], Mapping[tuple[str, int], str]],
        files: SuiteFiles,
    ) -> None:
        self._machine = machine
        self._tor = tor
        self._clock = clock
        self._owners = owners
        self._files = files
        #: Moments that were given a name, in nanoseconds since 1970.
        self.moments: dict[str, int] = {}

    def remember(self, moment: str) -> None:
        """Give this moment a name."""
        self.moments[moment] = time.time_ns()

    def check_silent(self, moment: str = "") -> None:
        """Check that the machine sent no packet at all, before a moment or until now.

        Args:
            moment: as `remember` named it; "" is now.

        Raises:
            CheckFailed: lists what it sent.
            UsageError: no such moment, or the machine has no network card.
        """
        if moment and moment not in self.moments:
            known = ", ".join(f'"{each}"' for each in self.moments) or "none"
            raise UsageError(
                f'no moment is called "{moment}"; known: {known}',
                hint=f'put "When I call this moment "{moment}"" where it was',
            )
        end = self.moments[moment] if moment else time.time_ns()
        report = sent_before(self._packets(), self._policy(), end)
        before = f'before "{moment}"' if moment else "by now"
        self._judge(report, f"the machine should have sent nothing {before}, but it did")

    def check_real_mac(self) -> None:
        """Check that no packet tells the MAC address of the machine's card.

        Raises:
            CheckFailed: lists the packets.
            UsageError: nothing was sent, so nothing is proven.
        """
        report = self._telling(macs=[self._machine().card.mac])
        self._judge(report, f"packets tell the real MAC address {self._machine().card.mac}")

    def check_real_mac_is_told(self) -> None:
        """Check that packets tell the MAC address of the machine's card, as is wanted here.

        Raises:
            CheckFailed: none does.
            UsageError: nothing was sent, so nothing is proven.
        """
        report = self._telling(macs=[self._machine().card.mac])
        if report.clean:
            raise CheckFailed(
                f"none of the {report.of_machine} packets of the machine tells its real MAC "
                f"address {self._machine().card.mac}",
                hint=_SEE_CAPTURE,
            )

    def check_host_name(self, name: str) -> None:
        """Check that no packet tells a name of the computer.

        In DHCP, DNS, mDNS, LLMNR and NetBIOS any name is found, as a word and in any case; a name
        with fewer than six characters in these only.

        Raises:
            CheckFailed: lists the packets.
            UsageError: it is no name, or nothing was sent, so nothing is proven.
        """
        if not name or any(letter.isspace() for letter in name):
            raise UsageError(
                f'"{name}" is no host name', hint="write it as `hostname` prints it, without spaces"
            )
        self._judge(self._telling(host_names=[name]), f'packets tell the host name "{name}"')

    def check_policy(self, file: str) -> None:
        """Check that the machine sent nothing but what a policy of the suite allows.

        Who the others on the network are need not stand in it.

        Args:
            file: absolute, or relative to the suite; see docs/leak-checks.md.

        Raises:
            CheckFailed: lists every other conversation.
            UsageError: the policy is wrong, or fewer packets were sent than it expects, so nothing
                is proven.
        """
        place = self._files.path_of(file)
        policy = load_policy(place)
        self._files.use(place)
        report = self._checked(policy.with_others(self._machine().card.other_macs))
        self._judge(report, f'what was sent does not obey the policy "{file}"')

    def check_only_hosts(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Check that the machine talked to these hosts and to nobody else.

        ARP, neighbour discovery and DHCP are always allowed.

        Args:
            rows: host (an address, a name of the lab, "router", "Tor relays" or "bridge"),
                protocol, port; the port is empty for ICMP.

        Raises:
            CheckFailed: lists every other conversation.
            UsageError: a row is wrong or names a bridge that is not there, or nothing was sent, so
                nothing is proven.
        """
        rules: list[dict[str, object]] = [
            {
                "title": f"{host} {protocol} {port}".strip(),
                "to": self._addresses_of(host),
                "protocol": protocol.lower(),
                "ports": [_port(port)] if port else [],
            }
            for host, protocol, port in rows
        ]
        self._check(rules, "the machine contacted others than these hosts")

    def check_only_tor(self) -> None:
        """Check that the machine talked to relays of the lab's Tor network and to nobody else.

        A bridge that was started is one of them, on the port of its transport.
        ARP, neighbour discovery and DHCP are always allowed; looking up names is a leak.

        Raises:
            CheckFailed: lists every other conversation.
            UsageError: there is no Tor network, or nothing was sent, so nothing is proven.
        """
        tor = self._tor()
        ways = [("the lab's Tor relays", tor.addresses, [OR_PORT, DIR_PORT])]
        if tor.has_bridge:
            ways.append(("the bridge to them", [tor.bridge.address], [tor.bridge.port]))
        self._check(
            [
                {"title": title, "to": addresses, "protocol": "tcp", "ports": ports}
                for title, addresses, ports in ways
            ],
            "not all Internet traffic flowed through Tor",
        )

    def _telling(self, **forbidden: Sequence[str]) -> LeakReport:
        card = self._machine().card
        card.check()
        captures = [CaptureFile(path) for path in card.captures]
        report = told(captures, self._policy(forbidden=forbidden))
        self._expect_packets(report)
        return report

    def _check(self, rules: Sequence[dict[str, object]], what: str) -> None:
        # Asking for an address is no contact to a host of the Internet, whatever is told then.
        # A neighbour who tries its addresses is told the MAC address, as the router is.
        card = self._machine().card
        near = {"to": [*card.router_addresses, *card.neighbour_addresses], "protocol": "icmp6"}
        dhcp = {"to": [*DHCP_SERVERS, card.gateway], "protocol": "udp"}
        usual = [
            {"title": "router and neighbours are there", **near},
            {"title": "an address is asked for", **dhcp, "ports": [67, 547]},
        ]
        policy = self._policy(allow=[*usual, *rules], usual={"dhcp": False})
        self._judge(self._checked(policy), what)

    def _checked(self, policy: Policy) -> LeakReport:
        card = self._machine().card
        card.check()
        paths = card.captures
        if not paths:
            raise UsageError("nothing was captured, so nothing is proven")
        return check_captures(paths, policy)

    def _judge(self, report: LeakReport, what: str) -> None:
        if not report.clean:
            name = self._machine().name
            owners = self._owners()
            shown = report_text(
                report,
                name,
                self._clock.step_at,
                lambda leak: owners.get((leak.protocol[:3].lower(), leak.source_port), ""),
            )
            raise CheckFailed(
                f"{what}:\n{shown}",
                hint=_SEE_CAPTURE,
            )

    def _expect_packets(self, report: LeakReport) -> None:
        if not report.of_machine:
            raise UsageError(
                f"the machine sent none of the {report.packets} packets of its capture, so nothing "
                "is proven",
                hint="let it use its network before this step",
            )
        if report.clean and report.lost:
            raise UsageError(
                f"{report.lost} packets were lost when they were recorded, so nobody knows what "
                "was in them"
            )

    def _packets(self) -> Iterator[Packet]:
        self._machine().card.check()
        return packets_in(self._machine().card.captures)

    def _policy(self, **parts: object) -> Policy:
        """Return a policy that knows who the others are."""
        values = {"others": {"macs": self._machine().card.other_macs}, **parts}
        return validated(Policy, values, lambda key: f"the step's table ({key})")

    def _addresses_of(self, host: str) -> list[str]:
        if host in ("router", f"router.{DOMAIN}"):
            return self._machine().card.router_addresses
        if host == TOR_RELAYS:
            return self._tor().addresses
        if host == BRIDGE:
            return [self._tor().bridge.address]
        return list(NAMES.get(host, (host,)))


def _port(text: str) -> int | str:
    return int(text) if text.isdigit() else text
