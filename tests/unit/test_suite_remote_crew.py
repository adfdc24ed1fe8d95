"""Workers of a scheduler that come after the run began."""

import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import distributed
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.core.settings import Settings
from tailstest.suite.needs import Needs
from tailstest.suite.spread import remote_crew
from tailstest.suite.spread.cluster import local_cluster, submit
from tailstest.suite.spread.host_card import Abilities, HostCard, own_card
from tailstest.suite.spread.remote_crew import RemoteCrew
from tailstest.suite.spread.supplies import Packed
from tailstest.suite.spread.turns import Turn

RUN = "r"
NAMES = {"plain": "f:2 plain", "fast": "f:4 fast", "last": "f:6 last"}
NEEDS = {"plain": Needs(), "fast": Needs(512, kvm=True), "last": Needs()}


class Hosts:
    """What is told of workers, by their names, and what happens to those that come."""

    def __init__(self):
        self.cards = {}
        self.abilities = {}
        self.heard = []
        self.sent = []
        self.refusals = {}
        self.held = None

    def send(self, client, plugin, files, workers):
        for address in workers:
            name = names_in(client)[address]
            self.sent.append(name)
            if self.held is not None and name == 1:
                assert self.held.wait(60)
            if self.refusals.get(name, 0):
                self.refusals[name] -= 1
                raise InfrastructureError("no space")
        return list(workers)


def names_in(client):
    return {key: each["name"] for key, each in client.scheduler_info(-1)["workers"].items()}


@pytest.fixture
def hosts(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = Hosts()
    own = own_card()

    async def ask_card(dask_worker):
        usual = replace(own, name=f"host-{dask_worker.name}", host=f"host-{dask_worker.name}")
        return found.cards.get(dask_worker.name, usual)

    async def ask_host(settings, dask_worker):
        return found.abilities.get(dask_worker.name, Abilities(4096, "kvm", ""))

    async def keep_alive(plugin, dask_worker):
        found.heard.append(dask_worker.name)

    # They are sent by name to what is a thread of this process.
    for call in (ask_card, ask_host, keep_alive):
        monkeypatch.setitem(globals(), call.__name__, call)
        call.__module__, call.__qualname__ = __name__, call.__name__
        monkeypatch.setattr(remote_crew, call.__name__, call)
    monkeypatch.setattr(remote_crew, "send_files", found.send)
    monkeypatch.setattr(remote_crew, "_WORD", 0.1)
    return found


@contextmanager
def at_work(folder):
    """Return a crew of one worker at work, its client, and a function that adds a worker."""
    with local_cluster(1, folder) as client:
        supplies = SimpleNamespace(order=SimpleNamespace(settings=Settings(trust_network=True)))
        crew = RemoteCrew(client, Packed(supplies, {}), NEEDS, NAMES)
        cluster = client.cluster
        cluster.new_spec = dict(cluster.worker_spec[0])

        def add():
            before = names_in(client)
            cluster.scale(len(cluster.worker_spec) + 1)
            assert waited(lambda: set(names_in(client)) - set(before))

        with crew.at_work(RUN, folder):
            crew.supply()
            yield crew, client, add


def who_ran(_scenario, _after):
    return distributed.get_worker().name


def ran(client, crew, *scenarios):
    """Return which worker runs each of some scenarios."""
    turns = [Turn(each, None, 1.0) for each in scenarios]
    futures = submit(client, turns, who_ran, name=uuid.uuid4().hex, resources=crew.resources)
    return {futures[each]: each for each in futures}


def results(found):
    return {scenario: future.result(timeout=30) for scenario, future in found.items()}


def waited(look, seconds=30.0):
    return poll(lambda: look() or None, Deadline.after(seconds))


def close(client, name):
    address = next(key for key, each in names_in(client).items() if each == name)
    client.retire_workers([address], close_workers=True, remove=True)


def test_a_worker_that_comes_late_gets_what_it_needs_and_then_scenarios(hosts, tmp_path):
    with at_work(tmp_path) as (crew, client, add):
        assert results(ran(client, crew, *NAMES)) == dict.fromkeys(NAMES, 0)
        add()
        close(client, 0)
        waiting = ran(client, crew, *NAMES)  # there is nobody who may have them
        assert results(waiting) == dict.fromkeys(NAMES, 1)
        assert hosts.sent == [0, 1]
        assert crew.notes() == []


def test_what_had_to_wait_for_a_worker_begins_in_the_order_of_its_turns(
    hosts, tmp_path, monkeypatch
):
    began = []

    def begin(scenario, _after):
        began.append(scenario)

    begin.__module__, begin.__qualname__ = __name__, "begin"
    monkeypatch.setitem(globals(), "begin", begin)
    turns = [
        Turn(each, None, weight) for each, weight in zip("abcdef", [1, 1, 3, 1, 3, 2], strict=True)
    ]
    with at_work(tmp_path) as (crew, client, add):
        close(client, 0)
        offered = {each.scenario: crew.resources["plain"] for each in turns}
        futures = submit(client, turns, begin, name=uuid.uuid4().hex, resources=offered)
        assert waited(lambda: len(client.cluster.scheduler.unrunnable) == len(turns))
        add()
        distributed.wait(list(futures), timeout=30)
    assert began == ["c", "e", "f", "a", "b", "d"]


def test_what_nobody_could_run_goes_to_a_worker_that_was_started_again(hosts, tmp_path):
    with at_work(tmp_path) as (crew, client, add):
        close(client, 0)
        waiting = ran(client, crew, *NAMES)
        add()
        assert results(waiting) == dict.fromkeys(NAMES, 1)


def test_the_others_hear_of_us_while_one_is_supplied(hosts, tmp_path):
    hosts.held = threading.Event()
    with at_work(tmp_path) as (crew, client, add):
        add()
        assert waited(lambda: 1 in hosts.sent)
        hosts.heard.clear()
        assert waited(lambda: hosts.heard.count(0) >= 3 and hosts.heard.count(1) >= 3)
        # Nobody is given anything before it has all.
        assert results(ran(client, crew, "plain", "last")) == {"plain": 0, "last": 0}
        hosts.held.set()


def test_a_host_that_can_do_less_gets_only_what_it_can(hosts, tmp_path):
    hosts.abilities[1] = Abilities(4096, "tcg", "")
    with at_work(tmp_path) as (crew, client, add):
        add()
        assert waited(lambda: crew.facts()[1:])
        close(client, 0)
        found = ran(client, crew, *NAMES)
        assert found["plain"].result(timeout=30) == found["last"].result(timeout=30) == 1
        assert found["fast"].status == "pending"
        hosts.abilities.clear()
        add()
        assert found["fast"].result(timeout=30) == 2


def test_a_worker_with_another_tailstest_gets_nothing_and_a_note_says_so(hosts, tmp_path):
    hosts.cards[1] = HostCard("old", "old", "0.0.1", "x")
    with at_work(tmp_path) as (crew, client, add):
        add()
        notes = []
        assert waited(lambda: notes.extend(crew.notes()) or notes)
        assert "the worker inproc://" in notes[0]
        assert "on old has tailstest 0.0.1" in notes[0]
        assert results(ran(client, crew, *NAMES)) == dict.fromkeys(NAMES, 0)
        assert hosts.sent == [0]
        close(client, 0)
        waiting = ran(client, crew, *NAMES)
        assert not waited(lambda: any(each.done() for each in waiting.values()), 1.0)
        add()
        assert results(waiting) == dict.fromkeys(NAMES, 2)
        assert crew.notes() == []


@pytest.mark.parametrize("refusals", [2, 99])
def test_a_worker_that_could_not_be_supplied_is_tried_again_and_then_left(
    hosts, tmp_path, refusals
):
    hosts.refusals[1] = refusals
    with at_work(tmp_path) as (crew, client, add):
        add()
        notes = []
        if refusals == 2:
            assert waited(lambda: hosts.sent.count(1) == 3)
            close(client, 0)
            assert results(ran(client, crew, *NAMES)) == dict.fromkeys(NAMES, 1)
            assert crew.notes() == []
        else:
            assert waited(lambda: notes.extend(crew.notes()) or notes)
            assert notes == ["a worker that came late gets no scenario of this run: no space"]
            assert results(ran(client, crew, *NAMES)) == dict.fromkeys(NAMES, 0)
            assert not waited(lambda: hosts.sent.count(1) > 3, 1.0)


def test_the_crew_goes_home_when_the_run_has_ended(hosts, tmp_path):
    def ours():
        return [each.name for each in threading.enumerate() if "_keep_" in each.name]

    with at_work(tmp_path):
        assert len(ours()) == 2
    assert ours() == []
