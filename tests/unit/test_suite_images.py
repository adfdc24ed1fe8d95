"""Which image a scenario gets, and how often it is asked for."""

from types import SimpleNamespace

from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.suite.session import Session


def test_an_image_that_is_built_here_is_asked_for_once_in_a_run(tmp_path, monkeypatch):
    asked = []

    def find(wanted, _profiles, _suite):
        asked.append(wanted)
        recipe = "recipe" if wanted.startswith("demo") else ""
        return tmp_path / wanted, SimpleNamespace(image=SimpleNamespace(recipe=recipe))

    monkeypatch.setattr("tailstest.suite.image_catalogue.find_image", find)
    session = Session(
        settings=Settings(),
        events=Events(),
        evidence=EvidenceFolder(tmp_path),
        suite=tmp_path,
        images=[],
        image_under_test="demo",
    )
    for wanted in (None, "demo", "demo:broken-dns", "demo:broken-dns", "ipxe", "ipxe"):
        session.use_image(wanted)
    # A file may change or vanish between two scenarios, so it is looked at each time.
    assert asked == ["demo", "demo:broken-dns", "ipxe", "ipxe"]
