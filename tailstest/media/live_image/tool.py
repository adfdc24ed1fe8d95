"""Running the programs that make an image: with a limit, with progress, and never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.text import printable, shortened

#: Seconds a stage may take; the slowest one measured took 50 s on two cores.
STAGE_LIMIT = 3600

#: Lines of a failed program's messages that are shown, and the longest of them.
_LAST_LINES, _LINE = 12, 300

#: Seconds for a program that was told to end to clean up its mounts.
GRACE = 30.0

#: Debian package of each program.
PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "grub-mkimage": "grub-common grub-pc-bin grub-efi-amd64-bin",
    "xorriso": "xorriso",
    "mformat": "mtools",
}


def need(*programs: str) -> None:
    """Check that some programs are installed.

    Raises:
        SetupError: names those that are missing and their packages.
    """
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise SetupError(
            f"{', '.join(missing)}: not installed, and needed to build a live image",
            hint="run: sudo apt install " + " ".join(PACKAGES[name] for name in missing),
        )


def run_tool(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    on_line: Callable[[str], None] = lambda _line: None,
    pipe_to: Sequence[str] = (),
    stdin: Path | None = None,
    limit: float = STAGE_LIMIT,
    grace: float = GRACE,
) -> list[str]:
    """Run one program, or two of which the second reads what the first writes.

    Args:
        environment: added to ours.
        on_line: told each line of the first program's messages.
        pipe_to: the second program.
        stdin: file that the first one reads.
        limit: seconds for all of it.
        grace: seconds for a program that was told to end, before it is killed.

    Returns:
        The lines of the first program's messages.

    Raises:
        InfrastructureError: one failed or took too long; quotes its last messages.
    """
    variables = {**os.environ, "LC_ALL": "C.UTF-8", **environment}
    commands = [list(command), *([list(pipe_to)] if pipe_to else [])]
    started: list[subprocess.Popen[bytes]] = []
    with ExitStack() as opened:
        first = opened.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        opened.callback(_end, started, grace)
        for number, each in enumerate(commands):
            started.append(
                subprocess.Popen(
                    each,
                    stdin=started[0].stdout if number else first,
                    stdout=subprocess.PIPE if number < len(commands) - 1 else subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=variables,
                    start_new_session=True,  # ended by us, in order, not by the terminal
                )
            )
        if pipe_to and started[0].stdout is not None:
            started[0].stdout.close()  # so that the first one notices when the second one ends
        return _follow(started, commands, on_line, limit, grace)


def _follow(
    started: Sequence[subprocess.Popen[bytes]],
    commands: Sequence[Sequence[str]],
    on_line: Callable[[str], None],
    limit: float,
    grace: float,
) -> list[str]:
    messages: list[list[str]] = [[] for _ in started]
    too_long = threading.Event()

    def give_up() -> None:
        too_long.set()
        _end(started, grace)

    def collect(number: int) -> None:
        stream = started[number].stderr
        assert stream is not None
        for raw in stream:
            line = shortened(printable(raw.decode("utf-8", "replace").rstrip()), _LINE)
            messages[number].append(line)
            if number == 0:
                on_line(line)

    timer = threading.Timer(limit, give_up)
    timer.start()
    second = threading.Thread(target=collect, args=(1,)) if len(started) > 1 else None
    try:
        if second:
            second.start()
        collect(0)
        statuses = [process.wait() for process in started]
    finally:
        timer.cancel()
        if second:
            _end(started, grace)
            second.join()
    name = " | ".join(Path(command[0]).name for command in commands)
    if too_long.is_set():
        raise InfrastructureError(
            f"{name} did not end within {limit:.0f} s",
            hint="is the disk very slow, the network gone, or the host overloaded?",
        )
    failed = [number for number in range(len(started)) if statuses[number] != 0]
    if failed:
        said = "".join(
            f"\n  {Path(commands[number][0]).name} said:\n    "
            + ("\n    ".join(messages[number][-_LAST_LINES:]) or "nothing")
            for number in failed
        )
        raise InfrastructureError(
            f"{name} failed with status {statuses[failed[0]]}{said}",
            hint="look for the first error above; often the network or the disk is the cause",
        )
    return messages[0]


def _end(started: Sequence[subprocess.Popen[bytes]], grace: float) -> None:
    for process in started:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)  # mmdebstrap cleans up on this one
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever of it did not obey
        process.wait()
