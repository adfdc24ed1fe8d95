"""The network card of a machine: what it is plugged into, its cable, the capture of its packets."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailstest.core.deadline import pause
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Noted
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.conversations import Conversations
from tailstest.lab.conversations_view import conversations_text
from tailstest.lab.network.frames import LARGEST_FRAME
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.lab import WireState
from tailstest.lab.network.neighbour import neighbours_in
from tailstest.lab.network.plan import Kind, Network, Seat
from tailstest.lab.network.quality import Quality
from tailstest.machine.bench import Bench
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.qemu_monitor import QemuMonitor
from tailstest.machine.saved_machine import CAPTURE
from tailstest.media.file_copy import copy_file

#: What QEMU calls the card and what it is plugged into.
CARD, BACKEND = "network-card", "network"

#: Place of the card on the board: out of the way of those that libvirt hands out.
SLOT = "0x10"

#: Bytes kept of a packet by QEMU's own capture: more than any packet has.
WHOLE_PACKET = 262_144

#: Seconds after the end of the second in which a cable was pulled out until it can be plugged in
#: again; no hand is faster. What is acknowledged then is of a later second than what was before:
#: the lab's server writes down whole ones, of a clock that may be some milliseconds late.
LATER_SECOND = 0.05

#: What libslirp calls its router, for IPv4 and IPv6 (slirp.c: special_ethaddr and IPv6's).
SLIRP_MACS = ("52:55:0a:00:02:02", "52:56:00:00:00:02", "52:55:0a:00:02:03")

#: The router of QEMU's own network.
SLIRP_ROUTER = "10.0.2.2"

#: Columns and rows of the table of conversations.
TABLE_WIDTH, MOST_SHOWN = 160, 500

_KINDS: dict[str, Kind] = {"isolated": "isolated", "lab": "full"}


class NetworkCard:
    """The card of one machine.

    On a network of the lab every packet is recorded by the lab's wire, with the time of the host,
    and with who sent it.
    On QEMU's own network, QEMU records (filter-dump): its times begin with the whole second in
    which the machine was switched on, and stand still while it is paused.

    Args:
        name: of the machine.
        definition: of the machine.
        folder: private to the machine; the socket is in it.
        capture: file for its packets; of a wire of the lab, with another suffix.
        labs: gives out the lab; None: there is none here.
        limit: bytes of the capture.
        warn: told what is missing where there can be no lab.
        clock: of the host, which is that of the lab's servers, too.
    """

    def __init__(
        self,
        name: str,
        definition: MachineDefinition,
        folder: Path,
        capture: Path,
        labs: LabKeeper | None,
        *,
        limit: int,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._clock = clock
        #: Seconds since 1970; an address that was given to the machine before is not its own any
        #: more: it has started anew since, or its cable was pulled out. 0: every one counts, as for
        #: a machine that runs on from a checkpoint, in a new lab.
        self.no_address_before = 0.0
        self.mac = definition.mac
        self.capture = capture
        #: Captures of earlier starts, where each start begins a new one.
        self.earlier: list[Path] = []
        #: Whether the cable is plugged in.
        self.is_plugged = definition.cable
        self._socket = folder / "network"
        self._limit = limit
        self._labs = labs
        self._is_attached = False
        self.kind = _KINDS.get(definition.network)
        if self.kind is not None and (labs is None or labs.why_not):
            reason = labs.why_not if labs is not None else "nobody made one"
            warn(
                f"there is no lab here: {reason}; the machine is on QEMU's own restricted network, "
                "with addresses but without names, servers and IPv6, and its wire is always good"
            )
            self.kind = None
        if self.kind is not None:
            self.capture = capture.with_suffix(".pcapng")

    @property
    def captures(self) -> list[Path]:
        """Files with all of its packets, in the order of time."""
        return [path for path in (*self.earlier, self.capture) if path.exists()]

    @property
    def other_macs(self) -> tuple[str, ...]:
        """MAC addresses of the others on its network: routers, servers, neighbours, machines.

        Of what machines sent from besides the address of their card, not what this one sent from,
        too: somebody else may have taken it from it.
        """
        if self.kind is None:
            return SLIRP_MACS
        keeper = self._keeper()
        cards = [mac for name, mac in keeper.cards.items() if name != self.name]
        machines = dict.fromkeys(mac for mac in cards if mac != self.mac)
        wires = keeper.lab.wires() if self._is_attached else {}
        own = set(wires[self.name].senders) if self.name in wires else set()
        for name, wire in wires.items():
            if name != self.name:
                machines |= dict.fromkeys(each for each in wire.senders if each not in own)
        return (self.network.mac, *(each.mac for each in self._neighbours()), *machines)

    @property
    def neighbour_addresses(self) -> list[str]:
        """All addresses of its neighbours."""
        return [
            address
            for each in self._neighbours()
            for address in (each.address, each.address6, each.link_local)
        ]

    @property
    def gateway(self) -> str:
        """IPv4 address of its router."""
        return SLIRP_ROUTER if self.kind is None else self.network.gateway

    @property
    def router_addresses(self) -> list[str]:
        """All addresses of its router, which also answers for names."""
        if self.kind is None:
            return [SLIRP_ROUTER, "10.0.2.3"]
        network = self.network
        return [network.gateway, network.gateway6, network.link_local]

    def is_full(self, size: int) -> bool:
        """Return whether a capture of this size has no room for another packet."""
        return size + LARGEST_FRAME > self._limit

    @property
    def arguments(self) -> list[str]:
        """Arguments of QEMU; libvirt has no words for them."""
        device = {
            "driver": "virtio-net-pci",
            "netdev": BACKEND,
            "id": CARD,
            "mac": self.mac,
            "addr": SLOT,
        }
        if self.kind is None:
            backend: dict[str, Any] = {"type": "user", "id": BACKEND, "restrict": True}
            dump = {
                "qom-type": "filter-dump",
                "id": "network-capture",
                "netdev": BACKEND,
                "file": str(self.capture),
                "maxlen": WHOLE_PACKET,
            }
            return [*_json("-netdev", backend), *_json("-device", device), *_json("-object", dump)]
        backend = {
            "type": "stream",
            "id": BACKEND,
            "server": False,
            "addr": {"type": "unix", "path": str(self._socket)},
        }
        # Without a ROM the firmware does not try to start from the network: what is recorded is
        # what the image sends.
        return [*_json("-netdev", backend), *_json("-device", {**device, "romfile": ""})]

    @property
    def network(self) -> Network:
        """The network that it is on.

        Raises:
            UsageError: it is on none of the lab.
        """
        return self._keeper().network(self._of_lab())

    def get_ready(self) -> None:
        """Lay the wire, before each start of QEMU.

        Raises:
            InfrastructureError: the lab cannot do it.
        """
        if self.kind is None:
            if self.capture.exists():  # QEMU would begin it anew
                self.earlier.append(self.capture.rename(self._next_earlier))
        elif not self._is_attached:
            network = self.network
            self._keeper().cards[self.name] = self.mac
            self._keeper().lab.attach(
                self.name, network, socket=self._socket, capture=self.capture, limit=self._limit
            )
            self._is_attached = True

    def rest(self, folder: Path) -> None:
        """Copy all captures into the folder of a machine that is saved.

        Raises:
            InfrastructureError: no space, no permission.
        """
        for number, path in enumerate(self.captures):
            copy_file(path, folder / f"{CAPTURE}-{number:06}")

    def resume(self, folder: Path, *, plugged: bool) -> None:
        """Take up what a saved machine had sent, which still counts; call it before `get_ready`.

        Args:
            folder: of the saved machine.
            plugged: whether its cable was plugged in.

        Raises:
            InfrastructureError: no space, no permission.
        """
        self.is_plugged = plugged
        saved = sorted(folder.glob(f"{CAPTURE}-*"))
        for path in saved[:-1]:
            target = self._next_earlier
            copy_file(path, target)
            self.earlier.append(target)
        for path in saved[-1:]:
            copy_file(path, self.capture)

    @property
    def _next_earlier(self) -> Path:
        number = len(self.earlier) + 1
        return self.capture.with_name(f"{self.capture.stem}-start-{number}.pcap")

    def forget_addresses(self) -> None:
        """Let no address count that was given to the machine before: it starts anew."""
        self.no_address_before = self._clock()

    def plug(self, monitor: QemuMonitor, *, plugged: bool) -> None:
        """Plug the cable in or pull it out, as the card of a running machine sees it.

        Args:
            monitor: of the machine.

        Raises:
            InfrastructureError: QEMU refuses.
        """
        was_plugged = self.is_plugged
        if plugged and not was_plugged:
            after = math.floor(self.no_address_before) + 1 + LATER_SECOND - self._clock()
            # Not for ever if the clock was set back.
            if after > 0:
                pause(min(after, 1 + LATER_SECOND))
        self._set_link(monitor, plugged=plugged)
        self.is_plugged = plugged
        if was_plugged and not plugged:
            self.forget_addresses()

    def _set_link(self, monitor: QemuMonitor, *, plugged: bool) -> None:
        try:
            monitor.ask("set_link", name=CARD, up=plugged)
        except InfrastructureError as error:
            raise InfrastructureError(
                f"the network cable of {self.name} cannot be moved: {error.message}"
            ) from error

    def renew(self, monitor: QemuMonitor) -> None:
        """Let the system notice that it is on another network than before: it ran on from a saved
        state, and its addresses may have been given to somebody else.
        """
        if self.is_plugged:
            self._set_link(monitor, plugged=False)
        self._set_link(monitor, plugged=self.is_plugged)

    def shape(self, quality: Quality) -> None:
        """Make the wire as good or bad as that.

        Raises:
            UsageError: it is on no network of the lab.
        """
        self._of_lab()
        self._keeper().lab.shape(self.name, quality)

    def state(self) -> WireState:
        """Return what has passed the wire."""
        self._of_lab()
        return self._keeper().lab.wires()[self.name]

    def check(self) -> None:
        """Raise if packets are no longer carried and kept as they should be; a watch.

        Raises:
            InfrastructureError: a server of the lab died, or the capture is full.
        """
        if self.kind is not None:
            self._keeper().check()
        elif any(path.stat().st_size > self._limit for path in self.captures):
            raise InfrastructureError(
                f"the capture of {self.name} is full ({self._limit} bytes)",
                hint="raise the setting capture_limit, or find out why it sends so much",
            )

    def close(self) -> None:
        """Take the wire away; may be called twice."""
        if self._is_attached and self._labs is not None and self._labs.is_up:
            self._is_attached = False
            self._labs.lab.detach(self.name)

    def _of_lab(self) -> Kind:
        if self.kind is None:
            raise UsageError(
                f"the machine {self.name} is on no network of the lab",
                hint='use "Given the machine is in the lab"; where namespaces are not allowed '
                "there is none (`tailstest host`)",
            )
        return self.kind

    def _neighbours(self) -> list[Seat]:
        if self.kind is None:
            return []
        there = neighbours_in(self.network, self._keeper().lab.neighbours)
        return [each.seat for each in there]

    def _keeper(self) -> LabKeeper:
        self._of_lab()
        assert self._labs is not None
        return self._labs


def keep_captures(card: NetworkCard, bench: Bench, *, wanted: bool) -> None:
    """Tell where the packets of a machine that has ended are, and write down who talked to whom.

    Args:
        wanted: whether they are evidence; not if a saved machine goes on with them.
    """
    for path in card.captures:
        if not wanted:
            path.unlink(missing_ok=True)
            continue
        size = path.stat().st_size
        bench.keep("capture", path, f"Network packets of {card.name}", truncated=card.is_full(size))
        talk = Conversations()
        try:
            talk.add(CaptureFile(path))
        except UsageError as error:
            bench.events.publish(Noted(text=str(error), level="warning"))
        table = bench.evidence.path("captures", f"{card.name}-conversations", ".txt")
        text = conversations_text(talk, path.name, TABLE_WIDTH, MOST_SHOWN)
        table.write_text(text + "\n", encoding="utf-8")
        bench.keep("log", table, f"Who {card.name} talked to on the network")


def _json(option: str, values: dict[str, Any]) -> list[str]:
    return [option, json.dumps(values, ensure_ascii=False)]
