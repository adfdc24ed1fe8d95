"""Files that come from workers which may be gone."""

import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.suite.spread.delivery import FileLost, WorkerLost, fetch_file, send_files
from tailstest.suite.spread.remote_crew import RemoteCrew

HERE = "tls://here:1"


class Asked:
    """A client whose workers answer as they are told to."""

    def __init__(self, *answers, workers=(HERE,)):
        self.answers = list(answers)
        self.workers = workers
        self.asked = []

    def nthreads(self):
        if isinstance(self.workers, Exception):
            raise self.workers
        return dict.fromkeys(self.workers, 1)

    def run(self, _call, _plugin, name, _offset, _length, *, workers, on_error):
        self.asked.append(name)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException) and workers == ["raise"]:
            raise answer
        return {} if answer is None else {workers[0]: answer}


def crew_of(client, folder):
    crew = object.__new__(RemoteCrew)  # without a scheduler
    crew.__dict__.update(_client=client, _plugin="tailstest-1", _folder=folder)
    return crew


FILES = ["worker-1/a", "worker-1/b", "worker-1/c"]


def test_a_file_that_is_not_there_does_not_keep_the_others_back(tmp_path):
    client = Asked(b"one", InfrastructureError("no such file"), b"three")
    assert crew_of(client, tmp_path).fetch(HERE, FILES) == ["worker-1/b"]
    assert (tmp_path / "worker-1/a").read_bytes() == b"one"
    assert (tmp_path / "worker-1/c").read_bytes() == b"three"


@pytest.mark.parametrize("answer", [OSError("timed out"), None])
def test_a_worker_that_does_not_answer_is_asked_once(tmp_path, answer):
    client = Asked(b"one", answer)
    assert crew_of(client, tmp_path).fetch(HERE, FILES) == ["worker-1/b", "worker-1/c"]
    assert client.asked == FILES[:2]
    assert sorted(each.name for each in (tmp_path / "worker-1").iterdir()) == ["a"]


@pytest.mark.parametrize("workers", [(), ("tls://other:1",), OSError("the scheduler is gone")])
def test_a_worker_that_the_scheduler_does_not_know_is_not_asked(tmp_path, workers):
    client = Asked(workers=workers)
    assert crew_of(client, tmp_path).fetch(HERE, FILES) == FILES
    assert client.asked == []


def test_nobody_is_asked_when_nothing_was_kept(tmp_path):
    assert crew_of(Asked(workers=OSError()), tmp_path).fetch(HERE, []) == []


def test_a_scheduler_that_is_lost_meanwhile_is_no_trouble_of_our_disk(tmp_path):
    client = Asked(OSError("connection closed"))
    with pytest.raises(WorkerLost):
        fetch_file(client, "tailstest-1", "raise", "worker-1/a", tmp_path)
    assert list((tmp_path / "worker-1").iterdir()) == []


def test_a_strange_answer_is_a_file_that_is_lost(tmp_path):
    with pytest.raises(FileLost) as error:
        fetch_file(Asked(ValueError("null byte")), "p", HERE, "worker-1/a", tmp_path)
    assert not isinstance(error.value, WorkerLost)


class Hosts:
    """A client whose workers take files until they are gone."""

    def __init__(self, gone_after):
        self.gone_after = dict(gone_after)  # questions that a worker answers
        self.began = []

    def run(self, call, _plugin, digest, *arguments, workers, on_error):
        answers = {}
        for each in workers:
            self.gone_after[each] -= 1
            if self.gone_after[each] < 0:
                answers[each] = OSError("gone")
            elif len(arguments) == 1:  # begins
                self.began.append((each, digest))
                answers[each] = 0
            else:
                answers[each] = arguments[0] + len(arguments[1])
        return answers


def test_only_workers_that_have_all_files_count_as_supplied(tmp_path):
    files = {"1": tmp_path / "one", "2": tmp_path / "two"}
    for each in files.values():
        each.write_bytes(b"x" * 10)
    client = Hosts({"whole": 9, "begins": 1, "half": 2, "almost": 3, "absent": 0})
    assert send_files(client, "p", files, list(client.gone_after)) == ["whole"]
    assert {who for who, digest in client.began if digest == "2"} == {"whole", "almost"}
