"""`tailstest boot`: a first look at an image, without any scenario."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import click

from tailstest.core.events import Event, Events, MachineChanged, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.interruption import sigterm_interrupts
from tailstest.core.paths import bundled
from tailstest.core.settings import load_settings
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict
from tailstest.hypervisor.leftovers import remove_leftovers
from tailstest.suite.session import Session


@click.command("boot")
@click.argument("image")
@click.option("--wait-text", metavar="TEXT", help="Wait until TEXT can be read.")
@click.option("--wait-image", metavar="REF", help="Wait for a reference image, by name or tag.")
@click.option("--within", type=float, default=60.0, show_default=True, help="Seconds to wait.")
@click.option("--still", type=float, default=3.0, help="Without a wait: seconds of stillness.")
@click.option(
    "--screenshot", type=click.Path(path_type=Path), help="Write the screen to this PNG file."
)
@click.option("--medium", type=click.Choice(["dvd", "usb"]), default="dvd", show_default=True)
@click.option("--firmware", type=click.Choice(["bios", "uefi"]), default="bios", show_default=True)
@click.option("--memory", type=int, default=None, help="MiB of memory.")
def command(
    image: str,
    wait_text: str | None,
    wait_image: str | None,
    within: float,
    still: float,
    screenshot: Path | None,
    medium: str,
    firmware: str,
    memory: int | None,
) -> None:
    """Boot IMAGE (a file or a name), say what can be read, and switch it off again."""
    for text in remove_leftovers():
        click.echo(f"left over from an earlier run, removed: {text}", err=True)
    with sigterm_interrupts(), tempfile.TemporaryDirectory(prefix="tailstest-boot-") as folder:
        events = Events()
        events.subscribe(_tell)
        session = Session(
            settings=load_settings(Path.cwd()),
            events=events,
            evidence=EvidenceFolder(Path(folder)),
            suite=Path.cwd(),
            images=[bundled("images"), *([Path("images")] if Path("images").is_dir() else [])],
        )
        with closing(session):
            try:
                session.begin_scenario("boot", f"boot {image}")
                session.use_image(image)
                session.define(firmware=firmware, **({"memory_mib": memory} if memory else {}))
                session.start("usb" if medium == "usb" else "dvd")
                _wait(session, wait_text, wait_image, within, still)
                for line in session.screen.read():
                    click.echo(f"  {printable(line.text)}")
            finally:
                frame = session.screen.last_frame if session.has_machine else None
                if frame is not None and screenshot is not None:
                    frame.save(screenshot)
                    click.echo(f"screen: {screenshot}")
                session.end_scenario(Verdict.PASSED)


def _wait(
    session: Session, text: str | None, reference: str | None, within: float, still: float
) -> None:
    if text:
        session.screen.wait_text(text, within=within)
    if reference:
        session.screen.wait_for(reference, within=within)
    if not text and not reference:
        session.screen.wait_not_blank(within=within)
        session.screen.wait_still(seconds=still, within=within)


def _tell(event: Event) -> None:
    if isinstance(event, MachineChanged):
        click.echo(f"machine: {event.state} ({event.detail})", err=True)
    elif isinstance(event, Noted):
        click.echo(printable(event.text), err=True)
