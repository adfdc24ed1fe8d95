"""The servers of a scenario's lab: what steps want of them, and what has come to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.text import printable, shortened
from tailstest.lab.network.apt_repository import AptRepository
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.tor import TorNetwork
from tailstest.lab.network.upgrade_server import USUAL_SIZE
from tailstest.machine.machine import Machine
from tailstest.suite.suite_files import SuiteFiles

#: Seconds, before scaling, for a mail to come; who sends it may have to find its server first.
MAIL_LIMIT = 30.0
#: Subjects that a message about a missing mail lists.
_MOST_SUBJECTS = 10

#: What is done again to a new lab when a machine runs on from a checkpoint.
CHANGES = frozenset(
    {
        "answer",
        "show_folder",
        "ask_for_login",
        "set_clock",
        "start_tor",
        "start_tor_bridge",
        "start_proxy",
        "add_mailbox",
        "put_mail",
        "add_packages",
        "damage_package",
        "sign_with_another_key",
        "offer_upgrade",
        "offer_file_as_upgrade",
        "offer_no_upgrade",
        "damage_upgrade",
        "sign_upgrade_with_another_key",
    }
)


class ScenarioServices:
    """What steps find as `context.test.network.services`.

    Args:
        machine: returns the machine of the scenario; raises a UsageError if there is none.
        labs: returns who gives out the lab.
        note: told the name and the values of each change, for a checkpoint.
        files: told which files of the suite were used.
    """

    def __init__(
        self,
        machine: Callable[[], Machine],
        labs: Callable[[], LabKeeper],
        note: Callable[..., None],
        files: SuiteFiles,
    ) -> None:
        self._machine = machine
        self._labs = labs
        self._note = note
        self._files = files

    def change(self, name: str, values: Sequence[Any]) -> None:
        """Do again what was noted."""
        if name not in CHANGES:
            raise UsageError(f"a checkpoint wants to {name}, which nobody can do")
        getattr(self, name)(*values)

    def answer(self, name: str, addresses: Sequence[str]) -> None:
        """Let the lab's name server tell these addresses; none: there is no such name."""
        self._note("answer", name, list(addresses))
        self._labs().lab.answer(self._labs().network("full"), name, addresses)

    def show_folder(self, host: str, folder: str) -> None:
        """Show the files of a folder as a web site of the lab.

        Args:
            folder: absolute, or relative to the suite.
        """
        place = self._files.path_of(folder)
        if place.is_dir():
            self._files.use(place)
        self._note("show_folder", host, self._files.name_of(place))
        self._labs().internet.show(host, place)

    def ask_for_login(self) -> None:
        """Let the lab be a hotspot with a login page."""
        self._note("ask_for_login")
        self._labs().internet.ask_for_login()

    def set_clock(self, offset: float) -> None:
        """Let the lab's time server be some seconds ahead (or behind)."""
        self._note("set_clock", offset)
        self._labs().internet.set_clock(offset)

    @property
    def authority(self) -> str:
        """Certificate of the lab's authority, which vouches for all its servers (PEM)."""
        self._labs().network("full")
        return self._labs().internet.authority.read_text(encoding="ascii")

    # Tor, and a proxy

    def start_tor(self) -> None:
        """Start a private Tor network in the lab."""
        self._note("start_tor")
        self._labs().network("full")
        self._labs().start_tor()

    @property
    def tor(self) -> TorNetwork:
        """The private Tor network.

        Raises:
            UsageError: the lab has none.
        """
        tor = self._labs().tor
        if tor is None:
            raise UsageError(
                "the lab has no Tor network",
                hint='put "Given the lab has a Tor network" before the machine starts',
            )
        return tor

    def start_tor_bridge(self) -> None:
        """Start a bridge of the private Tor network; one that runs stays.

        Raises:
            UsageError: the lab has no Tor network; or (`SetupError`) obfs4proxy is missing.
        """
        self._note("start_tor_bridge")
        self.tor.start_bridge()

    def start_proxy(self) -> None:
        """Start a web proxy in the lab; one that runs stays."""
        self._note("start_proxy")
        self._labs().network("full")
        self._labs().start_proxy()

    # Mail

    def add_mailbox(self, address: str, password: str) -> None:
        """Give somebody a mailbox in the lab."""
        self._note("add_mailbox", address, password)
        self._labs().internet.mail.add_mailbox(address, password)

    def put_mail(self, address: str, sender: str, subject: str, text: str) -> None:
        """Put a mail into a mailbox of the lab, as if it had come."""
        self._note("put_mail", address, sender, subject, text)
        self._labs().internet.mail.put(address, sender, subject, text)

    def wait_mail(self, address: str, subject: str, text: str = "") -> None:
        """Wait until a mail has come to an address, whether it has a mailbox or not.

        Args:
            text: must be somewhere in it.

        Raises:
            CheckFailed: none came in time; lists what came instead.
        """
        mail, machine = self._labs().internet.mail, self._machine()
        deadline = Deadline.after(MAIL_LIMIT, scale=machine.deadline_scale)

        def came() -> bool | None:
            return (
                any(
                    str(each["Subject"]).strip() == subject and text in _text_of(each)
                    for each in mail.mails(address)
                )
                or None
            )

        if poll(came, deadline, watches=[machine.check]) is None:
            others = [
                f'"{shortened(printable(str(each["Subject"])), 100)}"'
                for each in mail.mails(address)
            ]
            holding = f' that holds "{text}"' if text else ""
            raise CheckFailed(
                f'waited {deadline.elapsed:.0f} s for a mail "{subject}"{holding} to come to '
                f"{address}; what came: {', '.join(others[:_MOST_SUBJECTS]) or 'nothing'}",
                hint="the capture in the report shows whom the machine talked to",
            )

    # Packages

    def add_packages(self, host: str, packages: Sequence[tuple[str, str]]) -> None:
        """Add packages to an APT repository of the lab; it is made and shown if it is new.

        Args:
            packages: names and versions.

        Raises:
            UsageError: there is none, so that a package that cannot be installed proves nothing.
        """
        if not packages:
            raise UsageError(
                "no package for the APT repository was given",
                hint="the first row of a table is its heading: name, version",
            )
        self._note("add_packages", host, [list(each) for each in packages])
        repository = self._labs().internet.repository(host)
        for name, version in packages:
            repository.add(name, version)
        repository.publish()

    def damage_package(self, host: str, name: str) -> None:
        """Damage a package of a repository, as a bad mirror would."""
        self._note("damage_package", host, name)
        self.repository(host).damage(name)

    def sign_with_another_key(self, host: str) -> None:
        """Let a repository be signed by somebody whom no machine trusts."""
        self._note("sign_with_another_key", host)
        self.repository(host).change_key()
        self.repository(host).publish()

    def repository(self, host: str) -> AptRepository:
        """Return an APT repository of the lab.

        Raises:
            UsageError: there is none of this name.
        """
        known = self._labs().internet.repositories
        if host not in known:
            raise UsageError(
                f'the lab has no APT repository "{host}"; known: {", ".join(known) or "none"}',
                hint='put "Given the lab has the APT repository ..." before it',
            )
        return known[host]

    # Upgrades

    @property
    def upgrade_key(self) -> str:
        """What a machine must have to trust what the lab says about upgrades, as text."""
        return self._labs().internet.upgrades.public_key

    def offer_upgrade(
        self, product: str, installed: str, version: str, size: int = USUAL_SIZE
    ) -> None:
        """Offer an upgrade of some bytes to those who have a version of a product."""
        self._note("offer_upgrade", product, installed, version, size)
        self._labs().internet.upgrades.offer(product, installed, version, size)

    def offer_file_as_upgrade(self, product: str, installed: str, version: str, file: str) -> None:
        """Offer a file as an upgrade to those who have a version of a product.

        Args:
            file: absolute, or relative to the suite.
        """
        place = self._files.path_of(file)
        if place.is_file():
            self._files.use(place)
        name = self._files.name_of(place)
        self._note("offer_file_as_upgrade", product, installed, version, name)
        self._labs().internet.upgrades.offer_file(product, installed, version, place)

    def offer_no_upgrade(self, product: str, installed: str) -> None:
        """Say that a version of a product is the newest one."""
        self._note("offer_no_upgrade", product, installed)
        self._labs().internet.upgrades.offer_nothing(product, installed)

    def damage_upgrade(self, product: str) -> None:
        """Damage the upgrades of a product, as a bad mirror would."""
        self._note("damage_upgrade", product)
        self._labs().internet.upgrades.damage(product)

    def sign_upgrade_with_another_key(self, product: str) -> None:
        """Let what is said about a product be signed by somebody whom no machine trusts."""
        self._note("sign_upgrade_with_another_key", product)
        self._labs().internet.upgrades.sign_with_another_key(product)


def _text_of(message: Any) -> str:
    body = message.get_body(("plain", "html"))
    try:
        return str(body.get_content()) if body else ""
    except (LookupError, UnicodeError):
        return ""  # in a character set that nobody knows
