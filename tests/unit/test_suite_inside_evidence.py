"""What is kept of the inside when a step failed."""

from types import SimpleNamespace

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import ArtifactKept, Events, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.suite.inside_evidence import InsideEvidence


def kept(tmp_path, inside=None, tree=None):
    seen = []
    events = Events()
    events.subscribe(seen.append)
    InsideEvidence(events, EvidenceFolder(tmp_path)).keep(inside, tree)
    return seen


def inside(run):
    return SimpleNamespace(last_channel=SimpleNamespace(run=run))


def test_journal_and_tree_are_kept_as_text_that_is_safe_to_show(tmp_path):
    journal = inside(lambda _command, **_limits: SimpleNamespace(out="it broke \x1b[31mhere"))
    tree = SimpleNamespace(dump=lambda: "frame “Welcome”")
    first, second = kept(tmp_path, journal, tree)
    assert isinstance(first, ArtifactKept)
    assert "\x1b" not in (tmp_path / first.path).read_text()
    assert "it broke" in (tmp_path / first.path).read_text()
    assert "Welcome" in (tmp_path / second.path).read_text()


def test_a_guest_that_does_not_answer_any_more_is_noted_and_nothing_else_is_lost(tmp_path):
    def refuse(_command, **_limits):
        raise InfrastructureError("nobody answers")

    note, artifact = kept(tmp_path, inside(refuse), SimpleNamespace(dump=lambda: "the tree"))
    assert isinstance(note, Noted)
    assert "nobody answers" in note.text
    assert isinstance(artifact, ArtifactKept)


def test_what_a_scenario_never_looked_at_is_not_asked_for(tmp_path):
    assert kept(tmp_path) == []
