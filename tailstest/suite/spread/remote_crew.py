"""Workers of a scheduler that somebody has started, on one host or many."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import distributed

from tailstest import __version__
from tailstest.core.errors import InfrastructureError, SetupError, TailstestError
from tailstest.core.text import printable
from tailstest.machine.profile import load_profiles
from tailstest.suite.assembly import RunOrder
from tailstest.suite.needs import Needs, needs_of
from tailstest.suite.plan import Plan
from tailstest.suite.spread.abilities import Worker, as_announced, resources_for
from tailstest.suite.spread.calls import announced, ask_card, ask_host, keep_alive, offer
from tailstest.suite.spread.delivery import FileLost, fetch_file, send_files
from tailstest.suite.spread.host_card import Abilities, HostCard, own_card
from tailstest.suite.spread.remote_place import RemotePlace
from tailstest.suite.spread.scheduler import (
    check_trust,
    check_versions,
    connected,
    scheduler_address,
)
from tailstest.suite.spread.supplies import Packed, packed
from tailstest.suite.spread.worker import plugin_name
from tailstest.suite.spread.workplace import Workplace

#: Seconds between two words to the workers; they give a run up when they hear nothing.
_WORD = 5.0
#: Seconds without a word after which a worker gives a run up.
PATIENCE = 45.0


class RemoteCrew:
    """The workers of a scheduler.

    Args:
        client: connected to it.
        packed: what they need.
        needs: scenario id to what it needs.
        names: scenario id to what people call it.

    Raises:
        UsageError, SetupError: a worker is not trusted, or of another version, or a scenario
            cannot be run by anybody.
        InfrastructureError: there is no worker.

    Attributes:
        warning: for the user; "" without one.
    """

    patience = PATIENCE

    def __init__(
        self,
        client: distributed.Client,
        packed: Packed,
        needs: Mapping[str, Needs],
        names: Mapping[str, str],
    ) -> None:
        self._client = client
        self._packed = packed
        settings = packed.supplies.order.settings
        check_versions(client)
        threads: dict[str, int] = dict(client.nthreads())
        parties = {client.scheduler.address: "the scheduler"}
        parties |= dict.fromkeys(threads, "the worker")
        self.warning = check_trust(parties, trust_network=settings.trust_network)
        self._own = own_card()
        self._cards = self._checked(list(threads))
        self._one_of = {card.host: address for address, card in self._cards.items()}
        self.hosts = self._asked_hosts(list(self._one_of.values()))
        self._workers = self._known_workers(threads)
        self.resources: Mapping[str, Mapping[str, float]] = resources_for(
            needs, list(self._workers.values()), names
        )
        crowds: Counter[str] = Counter()
        for address, card in self._cards.items():
            crowds[card.host] += threads[address]
        self.place: Workplace = RemotePlace(packed.supplies, crowds, self._own.code)
        self._plugin = ""
        self._folder = Path()

    @property
    def host_report(self) -> dict[str, Any]:
        """What is known of the host of the first worker that can run machines; {} of none."""
        return next((each.report for each in self.hosts.values() if each.report), {})

    def facts(self) -> list[dict[str, Any]]:
        """Return what the report says about the hosts of the workers."""
        return [
            {
                "host": card.name,
                "workers": sum(other.host == card.host for other in self._cards.values()),
                "accelerator": self.hosts[card.host].accelerator,
                "memory_mib": self.hosts[card.host].memory_mib,
            }
            for card in {each.host: each for each in self._cards.values()}.values()
        ]

    @contextmanager
    def at_work(self, run: str, folder: Path) -> Iterator[distributed.Client]:
        """Return a context in which they wait for tasks."""
        self._plugin, self._folder = plugin_name(run), folder
        over = threading.Event()
        words = threading.Thread(target=self._keep_word, args=(over,), daemon=True)
        words.start()
        try:
            if self.resources:
                for address, worker in self._workers.items():
                    self._client.run(offer, worker.resources, workers=[address], on_error="ignore")
            yield self._client
        finally:
            over.set()
            words.join(_WORD)

    def supply(self) -> None:
        """Send what the workers need; they know the run by now.

        Raises:
            InfrastructureError: a host cannot keep it.
        """
        send_files(self._client, self._plugin, self._packed.files, list(self._one_of.values()))

    def fetch(self, place: str, files: Sequence[str]) -> list[str]:
        """Bring files of a worker into the run's folder; return those that are lost.

        Raises:
            InfrastructureError: the run's folder does not take them.
        """
        lost = []
        for name in files:
            try:
                fetch_file(self._client, self._plugin, place, name, self._folder)
            except FileLost:
                lost.append(name)
        return lost

    def _keep_word(self, over: threading.Event) -> None:
        """Tell the workers now and then that we live, and supply those that are new."""
        while not over.wait(_WORD):
            with suppress(Exception):  # lost connections are the business of the main thread
                self._client.run(keep_alive, self._plugin, on_error="ignore")
                new = [each for each in self._client.nthreads() if each not in self._cards]
                if new:
                    self._welcome(new)

    def _welcome(self, new: list[str]) -> None:
        """Supply workers that have come after the run began, or have been started again."""
        cards = self._client.run(ask_card, workers=new, on_error="ignore")
        for address, card in cards.items():
            self._cards[address] = card
            if (card.version, card.code) != (self._own.version, self._own.code):
                continue  # it refuses by itself
            if card.host not in self._one_of:
                self._one_of[card.host] = address
                self.hosts |= self._asked_hosts([address])
            if self.resources:
                workers = self._known_workers({address: self._client.nthreads()[address]})
                offered = workers[address].resources
                self._client.run(offer, offered, workers=[address], on_error="ignore")
            send_files(self._client, self._plugin, self._packed.files, [address])

    def _checked(self, addresses: list[str]) -> dict[str, HostCard]:
        """Ask workers who they are.

        Raises:
            SetupError: one has no tailstest, or another one.
        """
        answers = self._client.run(ask_card, workers=addresses, on_error="return")
        for address, card in answers.items():
            if isinstance(card, TailstestError):
                raise card
            if isinstance(card, ImportError):
                raise SetupError(
                    f"the worker {address} has no tailstest, or another one: "
                    f"{printable(str(card))[:200]}",
                    hint=f"install tailstest {__version__} in the Python that runs the worker",
                )
            if not isinstance(card, HostCard):
                raise InfrastructureError(
                    f"the worker {address} does not answer: {printable(repr(card))[:200]}"
                )
            if (card.version, card.code) != (self._own.version, self._own.code):
                same = "the same version, but other files" if card.version == __version__ else ""
                raise SetupError(
                    f"the worker {address} on {printable(card.name)} has tailstest "
                    f"{same or printable(card.version)}, and this is {__version__}",
                    hint="install the same tailstest everywhere, and start the workers again",
                )
        if not answers:
            raise InfrastructureError("all workers of the scheduler have gone")
        return dict(answers)

    def _asked_hosts(self, addresses: list[str]) -> dict[str, Abilities]:
        settings = self._packed.supplies.order.settings
        answers = self._client.run(ask_host, settings, workers=addresses, on_error="return")
        nothing = Abilities(0, "", "the host did not answer", trouble="the host did not answer")
        return {
            self._cards[address].host: found if isinstance(found, Abilities) else nothing
            for address, found in answers.items()
        }

    def _known_workers(self, threads: Mapping[str, int]) -> dict[str, Worker]:
        said = self._client.run(announced, workers=list(threads), on_error="ignore")
        return {
            address: Worker(
                f"{printable(self._cards[address].name)} ({address})",
                threads[address],
                as_announced(self.hosts[self._cards[address].host], said.get(address, {})),
            )
            for address in threads
            if address in self._cards and self._cards[address].host in self.hosts
        }


@contextmanager
def remote_crew(order: RunOrder, plan: Plan) -> Iterator[RemoteCrew]:
    """Connect to the scheduler that was named, and look at its workers.

    Args:
        order: the run, which has no folder yet.

    Raises:
        UsageError, SetupError, InfrastructureError: see `RemoteCrew`, `connected` and `packed`.
    """
    profiles = load_profiles(plan.suite.images_folders)
    needs = needs_of(plan, profiles, order.image, order.settings)
    names = {each.id: f"{each.location} {each.name}" for each in plan.scenarios}
    address = scheduler_address(order.options.scheduler)
    # Before anything is sent or taken.
    check_trust({address: "the scheduler"}, trust_network=order.settings.trust_network)
    with connected(address) as client, packed(order, plan) as supplies:
        yield RemoteCrew(client, supplies, needs, names)
