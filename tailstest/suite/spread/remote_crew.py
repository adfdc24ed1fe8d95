"""Workers of a scheduler that somebody has started, on one host or many."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import distributed

from tailstest import __version__
from tailstest.core.errors import InfrastructureError, SetupError, TailstestError, UsageError
from tailstest.core.text import printable
from tailstest.machine.profile import load_profiles
from tailstest.suite.assembly import RunOrder
from tailstest.suite.needs import Needs, needs_of
from tailstest.suite.plan import Plan
from tailstest.suite.spread.abilities import Worker, as_announced, resources_for
from tailstest.suite.spread.calls import announced, ask_card, ask_host, keep_alive, offer
from tailstest.suite.spread.delivery import FileLost, WorkerLost, fetch_file, send_files
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
#: How often it is tried to supply a worker that came late.
_TRIES = 3


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
        self.hosts = self._asked_hosts(
            {address: self._cards[address] for address in self._one_of.values()}
        )
        self._workers = self._known_workers(threads, self._cards)
        # Runs of another tailstest, or with another accelerator, use the same workers.
        self._mark = f"{self._own.code[:12]}-{settings.accelerator}"
        resources = resources_for(needs, list(self._workers.values()), names)
        self.resources: Mapping[str, Mapping[str, float]] = {
            scenario: self._marked(taken) for scenario, taken in resources.items()
        }
        crowds: Counter[str] = Counter()
        for address, card in self._cards.items():
            crowds[card.host] += threads[address]
        self.place: Workplace = RemotePlace(packed.supplies, crowds, self._own.code)
        self._plugin = ""
        self._folder = Path()
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def _marked(self, resources: Mapping[str, float]) -> dict[str, float]:
        return {f"{name}-{self._mark}": amount for name, amount in resources.items()}

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
        # Two, for it takes minutes to supply a host, and the others must hear of us meanwhile.
        threads = [
            threading.Thread(target=each, args=(over,), daemon=True)
            for each in (self._keep_word, self._keep_door)
        ]
        try:
            for address, worker in self._workers.items():
                offered = self._marked(worker.resources)
                taken = self._client.run(offer, offered, workers=[address], on_error="ignore")
                if not taken:
                    self._cards.pop(address)  # if it is there after all, it has come late
            for each in threads:
                each.start()
            yield self._client
        finally:
            over.set()
            for each in threads:
                if each.is_alive():
                    each.join(_WORD)

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
        lost: list[str] = []
        if not files or not self._is_there(place):
            return list(files)
        for number, name in enumerate(files):
            try:
                fetch_file(self._client, self._plugin, place, name, self._folder)
            except WorkerLost:  # each further question might wait for its host as long
                return [*lost, *files[number:]]
            except FileLost:
                lost.append(name)
        return lost

    def _is_there(self, place: str) -> bool:
        try:
            return place in self._client.nthreads()
        except Exception:  # noqa: BLE001 - the scheduler is gone, and the worker with it
            return False

    def _keep_word(self, over: threading.Event) -> None:
        """Tell the workers now and then that we live."""
        while not over.wait(_WORD):
            with suppress(Exception):  # lost connections are the business of the main thread
                self._client.run(keep_alive, self._plugin, on_error="ignore")

    def _keep_door(self, over: threading.Event) -> None:
        """Welcome workers that have come after the run began, or have been started again."""
        tries: Counter[str] = Counter()
        while not over.wait(_WORD):
            threads: dict[str, int] = {}
            with suppress(Exception):  # lost connections are the business of the main thread
                threads = dict(self._client.nthreads())
            for address in threads:
                if address in self._cards or tries[address] >= _TRIES or over.is_set():
                    continue
                try:
                    self._welcome(address, threads[address])
                except Exception as error:  # noqa: BLE001 - no reason to end the run
                    is_final = isinstance(error, UsageError)
                    tries[address] = _TRIES if is_final else tries[address] + 1
                    if tries[address] >= _TRIES and not over.is_set():
                        self._notes.put(
                            "a worker that came late gets no scenario of this run: "
                            + printable(_words(error))
                        )

    def _welcome(self, address: str, threads: int) -> None:
        """Supply a worker; it gets no scenario before, since each takes what is offered last.

        Raises:
            UsageError: it never will get one: it is not trusted, or has another tailstest.
            InfrastructureError: it did not answer, or cannot keep what it needs.
        """
        settings = self._packed.supplies.order.settings
        check_trust({address: "the worker"}, trust_network=settings.trust_network)
        cards = self._checked([address])
        if cards[address].host not in self.hosts:
            self.hosts |= self._asked_hosts(cards)
        offered = self._marked(self._known_workers({address: threads}, cards)[address].resources)
        supplied = send_files(self._client, self._plugin, self._packed.files, [address])
        answers = self._client.run(offer, offered, workers=supplied, on_error="ignore")
        if address not in answers:
            raise InfrastructureError(f"the worker {address} has gone while it was supplied")
        self._cards |= cards

    def notes(self) -> list[str]:
        """Return what users should know of workers that came late; each is returned once."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._notes.get_nowait())
        return found

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

    def _asked_hosts(self, cards: Mapping[str, HostCard]) -> dict[str, Abilities]:
        settings = self._packed.supplies.order.settings
        answers = self._client.run(ask_host, settings, workers=list(cards), on_error="return")
        nothing = Abilities(0, "", "the host did not answer", trouble="the host did not answer")
        return {
            cards[address].host: found if isinstance(found, Abilities) else nothing
            for address, found in answers.items()
        }

    def _known_workers(
        self, threads: Mapping[str, int], cards: Mapping[str, HostCard]
    ) -> dict[str, Worker]:
        said = self._client.run(announced, workers=list(threads), on_error="ignore")
        return {
            address: Worker(
                f"{printable(cards[address].name)} ({address})",
                threads[address],
                as_announced(self.hosts[cards[address].host], said.get(address, {})),
            )
            for address in threads
            if address in cards and cards[address].host in self.hosts
        }


def _words(error: Exception) -> str:
    if isinstance(error, TailstestError):
        return error.message
    return f"{type(error).__name__}: {error}"


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
