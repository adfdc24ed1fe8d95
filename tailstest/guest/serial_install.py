"""Brings our agent into a guest through a shell on its serial port, and starts it."""

from __future__ import annotations

import re
import shlex
import zlib
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.deadline import poll
from tailstest.core.errors import SetupError
from tailstest.core.text import printable, shortened
from tailstest.guest.errors import GuestUnreachable
from tailstest.guest.serial_requests import digest
from tailstest.guest.serial_shell import SerialShell

#: Seconds in which the port must be in the guest, and the agent must run; before stretching.
PORT_WITHIN = 30.0
RUNNING_WITHIN = 30.0

_LOOK = """
printf 'uid=%s\\n' "$(id -u)"
printf 'python=%s\\n' "$(command -v python3)"
modprobe virtio_console 2>/dev/null
if [ -e DEVICE ]; then
    printf 'device=%s\\n' DEVICE
else
    # Without udev there are no links with the names of the ports.
    for name in /sys/class/virtio-ports/*/name; do
        if [ "$(cat "$name" 2>/dev/null)" = PORT ]; then
            folder=${name%/name}
            printf 'device=/dev/%s\\n' "${folder##*/}"
        fi
    done
fi
"""

# Nothing depends on a quiet console, but everything goes faster on one. Signal 55 is SIGRTMIN+21:
# systemd (only systemd) writes no more status messages.
_QUIETEN = """
dmesg -n 1
[ -d /run/systemd/system ] && kill -55 1
true
"""

# The interpreter that unpacks the agent also sees that it can be loaded: it shows its usage, and
# ends with status 2. In a guest that is starting, every process costs dearly.
_UNPACK = """
import hashlib, os, runpy, sys, zlib
source, path = sys.argv[1:]
folder = os.path.dirname(path)
os.makedirs(folder, mode=0o700, exist_ok=True)
os.chmod(folder, 0o700)
with open(source, "rb") as file:
    code = zlib.decompress(file.read())
with open(path + ".new", "wb") as file:
    file.write(code)
os.replace(path + ".new", path)
with open(path, "rb") as file:
    print(hashlib.sha256(file.read()).hexdigest(), flush=True)
sys.argv = [path, "--help"]
runpy.run_path(path, run_name="__main__")
"""

# The agent of an earlier call holds the port, which only one process can open.
_START = """
cd FOLDER || exit
if [ -s pid ]; then
    kill -9 "-$(cat pid)" 2>/dev/null
    rm -f pid
fi
service() {
    systemd-run --unit=UNIT --collect --property=Restart=always --property=RestartSec=1 \\
        --property=StartLimitIntervalSec=0 "$@" -- "$(command -v python3)" -I AGENT DEVICE
}
if [ -n "WITH_SERVICE" ] && command -v systemd-run >/dev/null 2>&1; then
    systemctl stop UNIT 2>/dev/null
    systemctl reset-failed UNIT 2>/dev/null
    # Early in a boot, a service with dependencies would wait for the rest of it; and a test may
    # isolate a target.
    service --property=DefaultDependencies=no --property=IgnoreOnIsolate=yes || service && exit
fi
cat >run.sh <<'END'
echo $$ >FOLDER/pid
while :; do
    python3 -I AGENT DEVICE 2>FOLDER/log
    sleep 1
done
END
setsid sh run.sh </dev/null >/dev/null 2>&1 &
"""

_RUNS = """
if [ -n "WITH_SERVICE" ] && systemctl is-active --quiet UNIT 2>/dev/null; then
    exit 0
fi
[ -s FOLDER/pid ] && kill -0 "$(cat FOLDER/pid)"
"""

# All in one script: each request to a guest that is starting takes long, whatever it asks for. 2 is
# what the agent ends with when it shows its usage.
_INSTALL = f"""
python3 -I -c {shlex.quote(_UNPACK)} SOURCE AGENT
checked=$?
printf '\\nchecked=%s\\n' "$checked"
[ "$checked" = 2 ] || exit
({_START})
printf '\\nstarted=%s\\n' "$?"
left=5
until ({_RUNS}) || [ "$left" -eq 0 ]; do
    sleep 1
    left=$((left - 1))
done
({_RUNS}) && printf 'running=yes\\n'
"""


@dataclass(frozen=True)
class AgentPlace:
    """Where an agent goes in a guest, and how it is kept alive.

    Args:
        folder: private to the agent, in memory.
        unit: name of the service that runs it, if the guest has systemd.
        devices: folder of the guest with the ports.
        service: whether systemd runs it, if the guest has systemd; else, a loop of a shell does.
        own_system: whether this is a machine of its own, so that we must be root and its console
            is made quiet.
    """

    folder: str = "/run/tailstest"
    unit: str = "tailstest-agent"
    devices: str = "/dev/virtio-ports"
    service: bool = True
    own_system: bool = True


def install_agent(
    shell: SerialShell,
    agent_file: Path,
    *,
    port: str = "org.tailstest.agent.0",
    place: AgentPlace = AgentPlace(),
) -> None:
    """Copy the agent into the guest and start it on a port; it outlives the shell.

    It is started again when it ends. An agent that was installed before is replaced.

    Args:
        shell: a shell of root that is ready.
        agent_file: a file of Python; see `tailstest.guest.agent.AGENT_FILE`.
        port: name of the virtio-serial port that the host has attached.

    Raises:
        SetupError: what the image or the machine lacks.
        GuestUnreachable: an InfrastructureError; the shell does not answer.
    """
    agent = f"{place.folder}/tailstest_agent.py"
    names = {
        "AGENT": shlex.quote(agent),
        "DEVICE": shlex.quote(_find_device(shell, port, place)),
        "FOLDER": shlex.quote(place.folder),
        "UNIT": shlex.quote(place.unit),
        "WITH_SERVICE": "yes" if place.service else "",
    }
    code = agent_file.read_bytes()
    source = shell.upload(zlib.compress(code, 9))
    try:
        script = _filled(_INSTALL, {**names, "SOURCE": shlex.quote(source)})
        output = shell.run(script)[1].decode("utf-8", "replace")
    finally:
        shell.remove(source)
    if output.lstrip().partition("\n")[0].strip() != digest(code):
        raise GuestUnreachable(
            f"the agent could not be written to {place.folder} in the guest: {_said(output)}",
            hint="Is the guest's memory full?",
        )
    if "\nchecked=2\n" not in output or "Usage" not in output:
        raise SetupError(
            "the image's python3 cannot run the agent, which needs Python 3.9 with its whole "
            f"standard library: {_said(output.partition(chr(10))[2])}",
            hint="Add the complete python3 to the image (in Debian, python3-minimal is too little)",
        )
    if "\nrunning=yes\n" not in output:
        _wait_running(shell, _filled(_RUNS, names), output)


def _wait_running(shell: SerialShell, runs: str, said: str) -> None:
    """Wait until the agent runs, which it did not at once."""

    def look() -> bool | None:
        return shell.run(runs)[0] == 0 or None

    deadline = shell.line.deadline(RUNNING_WITHIN)
    started = "\nstarted=0\n" in said
    if not started or poll(look, deadline, interval=0.5, watches=shell.line.watches) is None:
        raise GuestUnreachable(
            f"the agent was installed but does not run; the guest says: {_said(said)}"
        )


def _find_device(shell: SerialShell, port: str, place: AgentPlace) -> str:
    """Return the port's device, which may come late in a boot."""
    names = {"DEVICE": shlex.quote(f"{place.devices}/{port}"), "PORT": shlex.quote(port)}
    script = _filled(_LOOK, names)
    first = f"{_QUIETEN if place.own_system else ''}{script}"

    def look() -> str | None:
        nonlocal first
        text, first = first, script
        output = shell.run(text)[1].decode("utf-8", "replace")
        found = dict(re.findall(r"^(uid|python|device)=(.*)$", output, re.MULTILINE))
        if place.own_system and found.get("uid") != "0":
            raise SetupError(
                "the agent must be root, but the shell on the serial port is that of user "
                f"{printable(found.get('uid', '?'))}",
                hint="Log in as root, or start the image with systemd.debug_shell=ttyS0.",
            )
        if not found.get("python"):
            raise SetupError(
                "the image has no python3, which the agent in the guest needs",
                hint="Add python3 to the image, or test it by its screen only.",
            )
        return found.get("device")

    deadline = shell.line.deadline(PORT_WITHIN)
    device = poll(look, deadline, interval=0.5, watches=shell.line.watches)
    if device is None:
        raise SetupError(
            f"the guest has no virtio-serial port {port} ({place.devices}/{port}), in "
            f"{deadline.seconds:.0f} seconds",
            hint="The machine must have this port, and the image's kernel the module "
            "virtio_console.",
        )
    return device


def _filled(script: str, names: dict[str, str]) -> str:
    """Return the script with its words in capitals replaced, all at once."""
    return re.sub(rf"\b({'|'.join(names)})\b", lambda found: names[found[1]], script)


def _said(output: str) -> str:
    return shortened(printable(output).strip(), 500) or "nothing"
