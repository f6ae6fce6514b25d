"""Long work: done once, told, stopped, and begun anew after a death."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import people
import pytest

from layers.errors import LayerError
from server import worker
from server.app import create_app
from server.jobs import ATTEMPTS, Jobs, Stopped
from server.people import User
from server.services import open_city
from server.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PLANNER = User(7, "planner", "Planner", "planner")


@pytest.fixture
def jobs(tmp_path):
    kept = Jobs(tmp_path)
    yield kept
    kept.close()


def do(jobs, perform):
    jobs.work(perform, once=True)


def test_a_job_is_done_once_in_order_and_its_result_is_kept(jobs):
    first = jobs.start("sum", {"numbers": [1, 2, 3]}, who=PLANNER)
    second = jobs.start("sum", {"numbers": [4]}, who=PLANNER)
    seen = []

    def perform(task):
        seen.append(task.id)
        task.tell(0.5, "Adding %(n)s numbers", n=len(task.payload["numbers"]))
        return {"total": sum(task.payload["numbers"])}

    assert jobs.get(first).state == "waiting" and jobs.unfinished() == 2
    do(jobs, perform)
    do(jobs, perform)
    assert seen == [first, second]
    job = jobs.get(first)
    assert (job.state, job.share, job.result, job.attempts) == ("done", 1.0, {"total": 6}, 1)
    assert job.words == "Adding %(n)s numbers" and job.values == {"n": 3}
    assert [text for _, text in jobs.log(first)] == ["begun", "done"]
    assert [j.id for j in jobs.of("sum", PLANNER.id)] == [second, first]
    assert jobs.of("other") == [] and jobs.of(who_id=8) == []
    assert jobs.unfinished() == 0
    with pytest.raises(KeyError):
        jobs.get("no such job")


def test_an_error_for_people_is_kept_in_both_languages_and_a_mistake_does_not_leak(jobs, caplog):
    class Wrong(Exception):
        en, vi = "The area is empty.", "Vùng trống."

    for error, english in (
        (Wrong(), "The area is empty."),
        (LayerError("wards has no rows."), "wards has no rows."),
        (ZeroDivisionError("secret inside"), "The work failed because of a mistake"),
    ):
        id = jobs.start("x", {}, who=PLANNER)

        def perform(task, error=error):
            raise error

        do(jobs, perform)
        job = jobs.get(id)
        assert job.state == "failed" and job.error["en"].startswith(english) and job.error["vi"]
        assert "secret" not in json.dumps(job.error)
    assert "secret inside" in jobs.log(id)[-2][1]
    assert "ZeroDivisionError" in caplog.text and "Wrong" not in caplog.text


def test_stopping(jobs):
    waiting = jobs.start("x", {}, who=PLANNER)
    assert jobs.cancel(waiting, PLANNER) is True
    assert jobs.get(waiting).state == "cancelled"
    running = jobs.start("x", {}, who=PLANNER)

    def perform(task):
        assert task.id == running, "the cancelled one is not done"
        assert not task.stop()
        jobs.cancel(running, PLANNER)
        end = time.monotonic() + 300
        while not task.stop():
            assert time.monotonic() < end
            time.sleep(0.05)
        raise Stopped

    do(jobs, perform)
    assert jobs.get(running).state == "cancelled"
    assert jobs.cancel(running, PLANNER) is False
    assert [text for _, text in jobs.log(running)] == ["begun", "asked to stop by planner", "cancelled"]


def test_a_job_that_never_came_into_the_queue_is_found_again(tmp_path, jobs):
    id = jobs.start("x", {}, who=PLANNER)
    assert jobs.queue.dequeue() is not None  # lost on its way
    assert jobs.queue.dequeue() is None
    other = Jobs(tmp_path)
    do(other, lambda task: {"who": task.who_id})
    assert jobs.get(id).result == {"who": 7}
    other.close()


def test_two_workers_never_do_the_same_job(tmp_path, jobs):
    id = jobs.start("x", {}, who=PLANNER)
    jobs._perform(id)  # in the queue twice, as after a repair
    done = []
    do(jobs, lambda task: done.append(task.id) or {})
    assert done == [id]


def test_what_a_dead_worker_held_is_begun_anew_a_few_times(jobs, monkeypatch):
    import server.jobs as module

    monkeypatch.setattr(module, "DEAD_AFTER", 0.0)
    id = jobs.start("x", {}, who=PLANNER)

    class Killed(BaseException):
        pass

    def dies(task):
        raise Killed

    for attempt in range(1, ATTEMPTS + 1):
        with pytest.raises(Killed):
            do(jobs, dies)
        assert (jobs.get(id).state, jobs.get(id).attempts) == ("running", attempt)
        time.sleep(0.01)
    do(jobs, dies)
    assert jobs.get(id).state == "failed" and f"{ATTEMPTS} times" in jobs.get(id).error["en"]


def test_a_worker_that_is_asked_to_end_puts_its_work_back_uncounted(jobs):
    id = jobs.start("x", {}, who=PLANNER)

    def perform(task):
        jobs.release()
        raise KeyboardInterrupt  # stands for the end of the process

    do(jobs, perform)
    assert (jobs.get(id).state, jobs.get(id).attempts) == ("waiting", 0)
    do(jobs, lambda task: {"n": 1})
    assert jobs.get(id).result == {"n": 1}


# A worker whose only kind of job writes that it began, and then waits for a file.
SLOW = textwrap.dedent(
    """
    import sys, time, pathlib
    sys.path.insert(0, sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    from server import jobs
    jobs.DEAD_AFTER = 1.0
    def perform(task):
        (folder / f"begun-{time.time_ns()}").touch()
        while not (folder / "go").exists():
            task._jobs.beat(); time.sleep(0.1)
        return {"ok": True}
    jobs.Jobs(folder).work(perform)
    """
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_kill_9_of_the_worker_loses_no_job(tmp_path, jobs):
    id = jobs.start("slow", {}, who=PLANNER)

    def begin():
        return subprocess.Popen([sys.executable, "-c", SLOW, str(ROOT), str(tmp_path)])

    def wait(what):
        end = time.monotonic() + 300
        while not what():
            assert time.monotonic() < end
            time.sleep(0.05)

    first = begin()
    wait(lambda: len(list(tmp_path.glob("begun-*"))) == 1)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert jobs.get(id).state == "running"
    second = begin()
    try:
        wait(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
        (tmp_path / "go").touch()
        wait(lambda: jobs.get(id).over)
    finally:
        second.kill()
        second.wait()
    assert jobs.get(id).result == {"ok": True} and jobs.get(id).attempts == 2


def double(services, task):
    """The function of a job of these tests, found by its name."""
    return {"twice": 2 * task.payload["n"], "who": task.who.login, "data": str(services.store.data_dir)}


@pytest.fixture
def services(filled):
    filled.close()
    city = open_city(filled.data_dir)
    yield city
    city.close()


def test_the_function_of_a_kind_is_found_and_gets_the_person(services, monkeypatch):
    monkeypatch.setitem(worker.KINDS, "double", "test_jobs:double")
    planner = people.person(services, "planner")
    mine = services.jobs.start("double", {"n": 21}, who=planner)
    keyboard = services.jobs.start("double", {"n": 2}, who=User(0, "console", "x", "administrator"))
    worker.work_off(services)
    assert services.jobs.get(mine).result == {
        "twice": 42, "who": planner.login, "data": str(services.store.data_dir)
    }  # fmt: skip
    assert services.jobs.get(keyboard).result["who"] == "console"


def test_the_keeper_starts_one_worker_and_lets_it_go(services):
    keeper = worker.Keeper(services)
    services.jobs.wake = keeper.wake
    id = services.jobs.start("no such kind", {}, who=people.person(services, "planner"))
    child = keeper._child
    keeper.wake()
    assert keeper._child is child, "one worker is enough"
    end = time.monotonic() + 300
    while not services.jobs.get(id).over:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert services.jobs.get(id).state == "failed"
    keeper._busy -= 10_000
    keeper.look()
    assert child.poll() is not None and keeper._child is None
    keeper.close()


def test_pages_show_a_job_to_its_owner_and_to_administrators_only(services):
    app = create_app(Settings(data_dir=services.store.data_dir), services)
    planner = people.person(services, "planner")
    id = services.jobs.start("double", {"n": 1}, who=planner)
    own = people.signed_in(app, planner)
    page = own.get(f"/jobs/{id}?lang=en").get_data(as_text=True)
    assert "Waiting for other work to end" in page and 'class="job-bar"' in page
    told = own.get(f"/jobs/{id}.json?lang=vi").get_json()
    assert told["words"] == "Đang chờ công việc khác kết thúc …" and told["state"] == "waiting"
    other = people.signed_in(app, people.person(services, "planner", number=2))
    assert (
        other.get(f"/jobs/{id}").status_code
        == other.post(f"/jobs/{id}/cancel", data={"csrf": other.csrf}).status_code
        == 404
    )
    admin = people.signed_in(app, people.person(services, "administrator"))
    assert admin.get(f"/jobs/{id}").status_code == 200
    assert own.get("/jobs/nothing").status_code == 404
    assert own.post(f"/jobs/{id}/cancel", data={"csrf": own.csrf}).status_code == 303
    assert own.get(f"/jobs/{id}.json?lang=en").get_json()["words"] == "Stopped."
