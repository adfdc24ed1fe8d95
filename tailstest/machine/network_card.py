"""The network card of a machine: what it is plugged into, its cable, the capture of its packets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.lab import WireState
from tailstest.lab.network.plan import Kind, Network
from tailstest.lab.network.quality import Quality
from tailstest.machine.definition import MachineDefinition

#: What QEMU calls the card and what it is plugged into.
CARD, BACKEND = "network-card", "network"

#: Place of the card on the board: out of the way of those that libvirt hands out.
SLOT = "0x10"

#: Bytes kept of a packet by QEMU's own capture: more than any packet has.
WHOLE_PACKET = 262_144

_KINDS: dict[str, Kind] = {"isolated": "isolated", "lab": "full"}


class NetworkCard:
    """The card of one machine.

    On a network of the lab every packet is recorded by the lab's wire, with the time of the host.
    On QEMU's own network, QEMU records (filter-dump): its times begin with the whole second in
    which the machine was switched on, and stand still while it is paused.

    Args:
        name: of the machine.
        definition: of the machine.
        folder: private to the machine; the socket is in it.
        capture: file for its packets.
        labs: gives out the lab; None: there is none here.
        limit: bytes of the capture.
        warn: told what is missing where there can be no lab.
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
    ) -> None:
        self.name = name
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
                number = len(self.earlier) + 1
                before = self.capture.with_name(f"{self.capture.stem}-start-{number}.pcap")
                self.earlier.append(self.capture.rename(before))
        elif not self._is_attached:
            network = self.network
            self._keeper().lab.attach(
                self.name, network, socket=self._socket, capture=self.capture, limit=self._limit
            )
            self._is_attached = True

    def plug(self, domain: Any, *, plugged: bool) -> None:
        """Plug the cable in or pull it out, as the card of a running machine sees it.

        Args:
            domain: the `virDomain`.

        Raises:
            InfrastructureError: QEMU refuses.
        """
        import libvirt
        import libvirt_qemu

        command = {"execute": "set_link", "arguments": {"name": CARD, "up": plugged}}
        try:
            libvirt_qemu.qemuMonitorCommand(domain, json.dumps(command), 0)
        except libvirt.libvirtError as error:
            raise InfrastructureError(
                f"the network cable of {self.name} cannot be moved: {error.get_error_message()}"
            ) from error
        self.is_plugged = plugged

    def renew(self, domain: Any) -> None:
        """Let the system notice that it is on another network than before: it ran on from a saved
        state, and its addresses may have been given to somebody else.
        """
        plugged = self.is_plugged
        if plugged:
            self.plug(domain, plugged=False)
        self.plug(domain, plugged=plugged)

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
        elif self.capture.exists() and self.capture.stat().st_size > self._limit:
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

    def _keeper(self) -> LabKeeper:
        self._of_lab()
        assert self._labs is not None
        return self._labs


def _json(option: str, values: dict[str, Any]) -> list[str]:
    return [option, json.dumps(values, ensure_ascii=False)]
