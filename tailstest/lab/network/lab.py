"""A lab: an emulated network for the machines of one run, as the run sees it."""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.text import printable
from tailstest.lab.network.neighbour import Neighbour, neighbours_in
from tailstest.lab.network.plan import MOST_NEIGHBOURS, MOST_NETWORKS, Kind, Network, Seat
from tailstest.lab.network.programs import PROGRAM_FOLDERS
from tailstest.lab.network.quality import Quality

#: Seconds, before scaling, for the namespaces and the first process in them: 0.5 on an idle host.
START_LIMIT = 30.0
#: Seconds, before scaling, for one request that starts no slow server.
REQUEST_LIMIT = 60.0
#: Seconds for the processes of a lab to end when it is closed.
END_LIMIT = 5.0

#: Programs of the host that a lab is made with, and the Debian packages that have them.
PROGRAMS = {"unshare": "util-linux", "ip": "iproute2", "dnsmasq": "dnsmasq-base"}

#: Namespaces of its own for everything that a lab could disturb, or be disturbed by.
_UNSHARE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)

#: With -m, Python looks for modules in the current folder first.
_IMPORT_FOLDER = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class WireState:
    """What passed a wire: frames by direction, frames lost, and why it is dead ("": it is not).

    Attributes:
        senders: MAC addresses that the machine has sent from, as many as are kept.
    """

    sent: int
    received: int
    lost: int
    connected: bool
    recorded: int
    full: bool
    trouble: str
    senders: tuple[str, ...] = ()


def why_no_lab() -> str:
    """Return why this user cannot have a lab on this host; "" if he can."""
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=PROGRAM_FOLDERS) is None:
            return f"the program {program} is missing (Debian package {package})"
    done = subprocess.run(
        [*_UNSHARE, "ip", "link", "add", "probe", "type", "bridge"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": PROGRAM_FOLDERS},
    )
    if done.returncode:
        said = printable(done.stderr.strip().splitlines()[-1]) if done.stderr.strip() else ""
        return f"network namespaces are not allowed to this user ({said or 'no reason given'})"
    return ""


class Lab:
    """An emulated network in namespaces of its own.

    Nothing in it reaches a network of the host, its loopback included, and no names in it clash
    with those of another lab. When the run ends in whatever way, all of it is gone.

    Args:
        folder: private; gets logs and state of the lab's servers.
        deadline_scale: factor of the host's slowness on every deadline.

    Raises:
        SetupError: this user may not make namespaces, or a program is missing.
        InfrastructureError: it does not start for another reason.
    """

    def __init__(self, folder: Path, *, deadline_scale: float = 1.0) -> None:
        if reason := why_no_lab():
            raise SetupError(
                f"there can be no lab on this host: {reason}",
                hint="install what is missing, or allow user namespaces: "
                "sysctl kernel.unprivileged_userns_clone=1 (on Ubuntu also "
                "kernel.apparmor_restrict_unprivileged_userns=0)",
            )
        self.folder = folder
        self.networks: list[Network] = []
        self.neighbours: list[Neighbour] = []
        self._scale = deadline_scale
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._troubles: list[str] = []
        self._is_closed = False
        self._one_at_a_time = threading.Lock()
        self._log = (folder / "warden.log").open("wb")
        self._process = subprocess.Popen(
            [*_UNSHARE, sys.executable, "-m", "tailstest.lab.network.warden", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=_IMPORT_FOLDER,
            env={"PATH": PROGRAM_FOLDERS, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
            # Ctrl-C in a terminal must not end it before the machines.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="lab", daemon=True)
        self._reader.start()
        try:
            self._next_answer(START_LIMIT, "start")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Number of the process that all others of the lab descend from."""
        return self._process.pid

    def resolver(self) -> Path:
        """Return a `resolv.conf` for servers that shall ask the lab for names; it has a network."""
        file = self.folder / "resolv.conf"
        file.write_text(f"nameserver {self.networks[0].gateway}\n")
        return file

    def add_network(self, kind: Kind) -> Network:
        """Make a network.

        Raises:
            InfrastructureError: its server does not start; names it.
        """
        number = len(self.networks) + 1
        if number > MOST_NETWORKS:
            raise InfrastructureError(f"a lab has no more than {MOST_NETWORKS} networks")
        self.ask("add_network", number=number, kind=kind)
        self.networks.append(Network(number, kind))
        return self.networks[-1]

    def add_neighbour(self, network: Network) -> Neighbour:
        """Put another computer into a network, which tries what the machines there answer.

        Raises:
            InfrastructureError: it does not start.
        """
        number = 1 + len(neighbours_in(network, self.neighbours))
        if number > MOST_NEIGHBOURS:
            raise InfrastructureError(f"a network has no more than {MOST_NEIGHBOURS} neighbours")
        seat = Seat(network, number)
        neighbour = Neighbour(seat, self.folder / seat.name, deadline_scale=self._scale)
        self.ask(
            "add_neighbour",
            network=network.number,
            number=number,
            path=str(neighbour.socket),
            seconds=START_LIMIT * self._scale,
        )
        self.neighbours.append(neighbour)
        return neighbour

    def attach(
        self, name: str, network: Network, *, socket: Path, capture: Path, limit: int
    ) -> None:
        """Make a wire from a network to a machine that will connect to a socket.

        Args:
            name: of the wire; one that exists is replaced.
            socket: that QEMU will connect to (`-netdev stream`).
            capture: file that gets every packet; what is in it stays.
            limit: bytes of that file.
        """
        self.ask(
            "attach",
            name=name,
            network=network.number,
            path=str(socket),
            capture=str(capture),
            limit=limit,
        )

    def detach(self, name: str) -> None:
        """Take a wire away."""
        self.ask("detach", name=name)

    def shape(self, name: str, quality: Quality) -> None:
        """Make a wire as good or bad as that."""
        self.ask("shape", name=name, **quality.to_json())

    def block(self, network: Network, protocol: str, port: int) -> None:
        """Let packets from a network to a port vanish."""
        self.ask("block", network=network.number, protocol=protocol, port=port)

    def answer(self, network: Network, name: str, addresses: Sequence[str]) -> None:
        """Let the name server of a network tell these addresses; none: there is no such name."""
        self.ask("answer", network=network.number, name=name, addresses=list(addresses))

    def start(self, name: str, argv: Sequence[str], ready: str, seconds: float) -> None:
        """Start a server inside the lab.

        Args:
            name: for messages, and of its log.
            ready: what its log says when it can be used.
            seconds: that it may take until then, before scaling.

        Raises:
            InfrastructureError: it ended, or was not ready in time; quotes what it said.
        """
        self.start_all({name: argv}, ready, seconds)

    def start_all(self, argvs: Mapping[str, Sequence[str]], ready: str, seconds: float) -> None:
        """Start servers that do not need one another, all at once.

        Args:
            argvs: name of each to its command.
            ready, seconds: of each of them; see `start`.

        Raises:
            InfrastructureError: one ended, or was not ready in time; quotes what it said.
        """
        self.ask(
            "start_all",
            within=seconds + REQUEST_LIMIT,
            argvs={name: list(argv) for name, argv in argvs.items()},
            ready=ready,
            seconds=seconds * self._scale,
        )

    def stop(self, name: str) -> None:
        """End a server of the lab."""
        self.ask("stop", name=name)

    def services(self) -> dict[str, int]:
        """Return the names of the servers that run, to their process numbers inside the lab."""
        return dict(self.ask("state")["services"])

    def wires(self) -> dict[str, WireState]:
        """Return what passed each wire."""
        return {name: WireState(**state) for name, state in self.ask("state")["wires"].items()}

    def check(self) -> None:
        """Raise if the lab is no longer what it should be; takes no time.

        Raises:
            InfrastructureError: names the server that died, or the wire that is dead.
        """
        if self._is_closed:
            raise InfrastructureError("the lab was closed")
        if self._troubles:
            text = self._troubles[0]
            raise InfrastructureError(
                text,
                hint="raise the setting capture_limit, or find out why so much was sent"
                if "is full" in text
                else f"this is no trouble of the image; logs: {self.folder}",
            )
        if self._process.poll() is not None:
            raise InfrastructureError(
                f"the lab is gone: its first process ended (status {self._process.returncode})",
                hint=f"see {self.folder / 'warden.log'}",
            )

    def ask(self, what: str, *, within: float = REQUEST_LIMIT, **values: Any) -> Any:
        """Send one request into the lab and return the answer; see `warden.REQUESTS`.

        Raises:
            InfrastructureError: it could not be done; says why.
        """
        with self._one_at_a_time:
            self.check()
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps({"do": what, **values}).encode() + b"\n")
                self._process.stdin.flush()
            except OSError as error:
                raise InfrastructureError(
                    f"the lab does not listen any more: {error.strerror}",
                    hint=f"see {self.folder / 'warden.log'}",
                ) from error
            return self._next_answer(within, what)

    def close(self) -> None:
        """End the lab and everything in it; may be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its child dies with it (--kill-child), and all others with that
            self._process.wait()
        self._reader.join(END_LIMIT)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _next_answer(self, seconds: float, what: str) -> Any:
        try:
            answer = self._answers.get(timeout=seconds * self._scale)
        except queue.Empty:
            answer = {"error": f"no answer after {seconds * self._scale:.0f} s"}
        if "error" in answer:
            raise InfrastructureError(
                f"the lab cannot {what.replace('_', ' ')}: {printable(answer['error'])}",
                hint=f"this is no trouble of the image; logs: {self.folder}",
            )
        return answer.get("answer")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("event") == "trouble":
                self._troubles.append(printable(message["text"]))
            else:
                self._answers.put(message)
        self._answers.put({"error": "its first process ended"})
