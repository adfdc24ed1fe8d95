"""Folders of workers that are gone."""

import fcntl
import os

from tailstest.suite.spread.assignment import LOCK, remove_abandoned


def test_the_folder_of_a_dead_worker_is_removed_also_after_a_removal_that_was_cut_off(tmp_path):
    for names in ((LOCK, "video"), ("video",)):
        folder = tmp_path / "worker"
        folder.mkdir()
        for name in names:
            (folder / name).touch()
        remove_abandoned(folder)
        assert not folder.exists()
    remove_abandoned(tmp_path / "worker")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_worker_that_lives_stays(tmp_path):
    lock = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_abandoned(tmp_path)
        assert [each.name for each in tmp_path.iterdir()] == [LOCK]
    finally:
        os.close(lock)
