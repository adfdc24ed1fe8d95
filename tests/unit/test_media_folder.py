"""The folder of media belongs to the run before anything is in it, and is emptied as a whole."""

import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.core.evidence import EvidenceFolder
from tailstest.media.media_folder import MediaFolder


def test_somebody_answers_for_the_folder_before_it_is_made(tmp_path):
    owned = []
    media = MediaFolder(EvidenceFolder(tmp_path), lambda path: owned.append((path, path.exists())))
    first = media.path("my stick", ".qcow2")
    assert owned == [(first.parent, False)]
    assert first.suffix == ".qcow2"
    assert first.parent.stat().st_mode & 0o777 == 0o700
    assert media.path("my stick", ".qcow2").name != first.name
    assert len(owned) == 1


def test_nothing_is_made_that_nobody_answers_for(tmp_path):
    def refuse(_path):
        raise InfrastructureError("no space")

    with pytest.raises(InfrastructureError):
        MediaFolder(EvidenceFolder(tmp_path), refuse).path("a", ".raw")
    assert not list(tmp_path.iterdir())


def test_whatever_is_in_it_goes_and_the_next_scenario_has_the_same_again(tmp_path):
    media = MediaFolder(EvidenceFolder(tmp_path), lambda _path: None)
    media.clear()
    folder = media.path("a", ".qcow2").parent
    (folder / "look-x").mkdir()
    (folder / "look-x" / "whole").touch()
    media.clear()
    assert not list(tmp_path.iterdir())
    assert media.path("b", ".qcow2").parent == folder


def test_no_two_runs_have_the_same_folder(tmp_path):
    media = [MediaFolder(EvidenceFolder(tmp_path), lambda _path: None) for _ in range(2)]
    assert len({each.path("a", ".qcow2").parent for each in media}) == 2
