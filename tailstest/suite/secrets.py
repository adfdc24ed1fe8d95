"""Secrets that are planted inside, and the search for them in memory and media."""

from __future__ import annotations

import secrets as random
from collections.abc import Callable, Iterable, Mapping

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.text import printable
from tailstest.guest import secret_keeper
from tailstest.guest.own_programs import run_module
from tailstest.machine.inside import Inside
from tailstest.machine.machine import Machine
from tailstest.media.pattern_search import SearchResult, forms_of
from tailstest.suite.checkpoints.state import SecretsState, SecretState
from tailstest.suite.shelf import BOOT_STICK, Shelf

#: Stands in the memory of every Linux from its start to its end: its own version. A search that
#: found it before and does not find it any more is blind.
LINUX = b"Linux version "

_MEMORY = "memory of the machine"


class Secrets:
    """Plants secrets and looks for them.

    Args:
        events: told what each search found.
        inside: returns the inside of the machine.
        machine: returns the machine.
        shelf: the media of the scenario.
    """

    def __init__(
        self,
        events: Events,
        *,
        inside: Callable[[], Inside],
        machine: Callable[[], Machine],
        shelf: Shelf,
    ) -> None:
        self._events = events
        self._inside = inside
        self._machine = machine
        self._shelf = shelf
        self._known: dict[str, SecretState] = {}
        self._saw_linux = False

    @property
    def state(self) -> SecretsState:
        """All that is known of them."""
        return SecretsState(known=dict(self._known), saw_linux=self._saw_linux)

    def take_up(self, state: SecretsState) -> None:
        """Go on with what was known at a checkpoint; nothing is known when a scenario begins."""
        self._known, self._saw_linux = dict(state.known), state.saw_linux

    # Planting

    def plant_in_program(self, name: str) -> None:
        """Start a program inside that holds a new secret in its memory.

        Raises:
            UsageError: the name is taken.
            CheckFailed: the program cannot be started.
        """
        seed = self._new_seed(name)
        self._plant(name, seed, process=int(self._keep("program", seed)))

    def plant_in_file(self, name: str, path: str) -> None:
        """Write a file inside that holds a new secret.

        Raises:
            UsageError: the name is taken.
            CheckFailed: the file cannot be written.
        """
        seed = self._new_seed(name)
        self._keep("file", seed, path)
        self._plant(name, seed)

    def kill_program(self, name: str) -> None:
        """End the program that holds a secret, so that it can do nothing about it itself.

        Raises:
            UsageError: no program holds it.
            CheckFailed: it has ended before.
        """
        process = self._planted(name).process
        if process is None:
            raise UsageError(f'no program holds the secret "{printable(name)}"')
        done = self._inside().channel.run(f"kill -KILL {process}")
        if not done.ok:
            raise CheckFailed(f"the program with the secret had ended before. {done.explain()}")
        self._inside().wait_until_succeeds(f"! test -e /proc/{process}", "the program to end")

    # Looking

    def check_memory(self, names: Iterable[str] | None, *, held: bool) -> None:
        """Search the memory of the machine for secrets.

        Args:
            names: of what is looked for; all that was planted if None.
            held: whether each of them, or none of them, must be there.

        Raises:
            CheckFailed: it is not so; says where they are.
            UsageError: no search ever found one that must be gone: that would prove nothing.
            InfrastructureError: the memory cannot be seen.
        """
        wanted = self._wanted(names, held=held)
        result = self._machine().search_memory(self._needles(wanted) | {"Linux": LINUX})
        has_linux = result.copies["Linux"].count > 0
        if self._saw_linux and not has_linux:
            raise InfrastructureError(
                "the memory of the machine cannot be seen any more: not even the kernel is there",
                hint="was the machine started anew before its memory was searched?",
            )
        self._saw_linux = has_linux
        self._judge(wanted, result, _MEMORY, held=held)

    def check_stick(self, stick: str, names: Iterable[str] | None, *, held: bool) -> None:
        """Search one stick for secrets; see `check_memory`.

        Raises:
            UsageError: there is no such stick, or a machine that runs may write to it.
        """
        wanted = self._wanted(names, held=held)
        result = self._shelf.look_at(stick).search(self._needles(wanted))
        self._judge(wanted, result, f'USB stick "{printable(stick)}"', held=held)

    def check_media(self) -> None:
        """Search all media of the scenario for all secrets, none of which may be there.

        Those without a name are searched, too: what a machine was started from.

        Raises:
            CheckFailed: one is; says where.
            UsageError: see `check_stick`; or there is no medium that could be written to.
        """
        boot_stick = self._shelf.look_at_boot_stick()
        if not self._shelf.names and boot_stick is None:
            raise UsageError(
                "this scenario has no medium that could keep anything",
                hint='give it one, such as: Given a USB stick "mine" of 2 GiB with the image '
                "under test",
            )
        for name in self._shelf.names:
            self.check_stick(name, None, held=False)
        if boot_stick is not None:
            wanted = self._wanted(None, held=False)
            self._judge(wanted, boot_stick.search(self._needles(wanted)), BOOT_STICK, held=False)

    # How it is done

    def _new_seed(self, name: str) -> str:
        if name in self._known:
            raise UsageError(f'there is a secret "{printable(name)}" already')
        return random.token_hex(16)

    def _keep(self, *words: str) -> str:
        done = run_module(self._inside().channel, secret_keeper, words)
        if not done.ok:
            raise CheckFailed(f"the secret could not be planted. {printable(done.err[-300:])}")
        return done.out.strip()

    def _plant(self, name: str, seed: str, process: int | None = None) -> None:
        self._known[name] = SecretState(text=secret_keeper.secret_of(seed), process=process)

    def _planted(self, name: str) -> SecretState:
        if name not in self._known:
            known = ", ".join(f'"{printable(each)}"' for each in self._known) or "none"
            raise UsageError(
                f'there is no secret "{printable(name)}" in this scenario; there are: {known}',
                hint=f'plant it with: Given a program inside holds the secret "{printable(name)}"',
            )
        return self._known[name]

    def know_text(self, text: str) -> None:
        """Let a text that a step gives be looked for under itself as its name.

        Raises:
            UsageError: it is too short or too long to be looked for.
        """
        forms_of(text)
        self._known.setdefault(text, SecretState(text=text))

    def _wanted(self, names: Iterable[str] | None, *, held: bool) -> dict[str, SecretState]:
        chosen = list(self._known) if names is None else list(names)
        wanted = {name: self._planted(name) for name in chosen}
        if not wanted:
            raise UsageError(
                "no secret was planted in this scenario",
                hint='plant one with: Given a program inside holds the secret "letter"',
            )
        unseen = [name for name, secret in wanted.items() if not secret.seen]
        if unseen and not held:
            raise UsageError(
                f'"{printable(unseen[0])}" was never found, so that it is gone proves nothing',
                hint="let a step before find it: Then the memory of the machine holds ...",
            )
        return wanted

    def _needles(self, wanted: Mapping[str, SecretState]) -> dict[str, bytes]:
        return {
            f"{number}: {form}": needle
            for number, secret in enumerate(wanted.values())
            for form, needle in forms_of(secret.text).items()
        }

    def _judge(
        self, wanted: Mapping[str, SecretState], result: SearchResult, place: str, *, held: bool
    ) -> None:
        wrong = []
        for number, (name, secret) in enumerate(wanted.items()):
            own = result.only(str(number))
            said = f'"{printable(name)}" in the {place}: {own.explain()}'
            self._events.publish(Noted(text=said))
            if own.found:
                self._known[name] = secret.model_copy(update={"seen": True})
            if own.found is not held:
                wrong.append(said)
        if wrong:
            wish = "to be there" if held else "not to be there any more"
            raise CheckFailed(f"expected {wish}: {'; '.join(wrong)}")
