"""What a session knows of what was set up before any step."""

import pytest

from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.suite.checkpoints.state import CutCopy
from tailstest.suite.run_host import RunHost
from tailstest.suite.session import Session

COPY = CutCopy(name="c", written=1, confirmed=0)


@pytest.fixture(autouse=True)
def without_libvirt(monkeypatch):
    """Let nobody look after the files of media: that would need a connection to libvirt."""
    monkeypatch.setattr(RunHost, "own", lambda *_: None)


@pytest.fixture
def session(tmp_path):
    (tmp_path / "x.iso").write_bytes(bytes(510) + b"\x55\xaa" + bytes(65024))
    return Session(
        settings=Settings(),
        events=Events(),
        evidence=EvidenceFolder(tmp_path),
        suite=tmp_path,
        images=[],
    )


@pytest.mark.parametrize(
    "set_up",
    [
        lambda session: session.define(firmware="uefi"),
        lambda session: session.use_image("x.iso"),
        lambda session: session.use_layout("de"),
        lambda session: session.shelf.add_blank("mine", 1 << 20),
        lambda session: session.network.shape(delay=0.1),
        lambda session: session.network.traffic.moments.update(now=1),
        lambda session: session.secrets.know_text("something long enough"),
        lambda session: session.power_cuts.copies.update(mine=[COPY]),
    ],
)
def test_a_session_is_bare_until_something_is_set_up_and_in_the_next_scenario(session, set_up):
    session.begin_scenario("1", "a")
    assert session.resting.is_bare
    set_up(session)
    assert not session.resting.is_bare
    session.begin_scenario("2", "b")
    assert session.resting.is_bare
