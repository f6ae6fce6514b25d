"""Putting a version back: small ones at once, large ones as work with a bar; never over what nobody saw."""

import re

import people
import pytest
import staffroom

from layers.catalogue import ALL
from layers.checks import check
from layers.errors import StoreError
from server import jobs, putbacks, worker

SITES = "/admin/layers/waste_sites"


@pytest.fixture
def office(starter_store, tmp_path):
    with staffroom.office(starter_store, tmp_path / "data") as made:
        yield made


@pytest.fixture
def large(office, monkeypatch):
    """An office in which ten rows are many; version 2 of the waste sites has one row fewer."""
    monkeypatch.setattr(putbacks, "AT_ONCE", 10)
    fewer(office, 12)
    return office


def fewer(office, rows):
    store = office.services.store
    store.write(check(ALL["waste_sites"], store.snapshot("waste_sites").iloc[:rows]), source="test")


def back(office, number, role="planner", **fields):
    return office.send(role, f"{SITES}/versions/{number}/restore", {"sure": "yes"} | fields)


def test_a_small_version_is_put_back_at_once(office):
    fewer(office, 5)
    answer = back(office, 1, base="2")
    assert answer.status_code == 303 and answer.headers["Location"].endswith("done=3")
    assert office.services.store.history("waste_sites")[0]["rows"] == 13 and office.services.jobs.of() == []


@pytest.mark.parametrize("rows", [12, 5])
def test_what_somebody_changed_meanwhile_is_not_written_over(office, monkeypatch, rows):
    monkeypatch.setattr(putbacks, "AT_ONCE", 10)
    fewer(office, rows)
    fewer(office, 4)
    before = office.services.store.history()
    answer = back(office, 2, base="2")
    if rows == 5:
        assert answer.status_code == 409 and "đã bị thay đổi trong lúc đó" in answer.get_data(as_text=True)
    else:
        worker.work_off(office.services)
        (job,) = office.services.jobs.of(putbacks.KIND)
        assert job.state == "failed" and "was changed meanwhile" in job.error["en"] and "thay đổi" in job.error["vi"]
        page = office.page("planner", answer.headers["Location"])
        assert "was changed meanwhile" in page and re.search(rf'data-job-back href="{SITES}/versions"(?! hidden)', page)
    assert office.services.store.history() == before


def test_a_large_version_is_put_back_with_a_bar_and_the_page_goes_on(large, monkeypatch):
    monkeypatch.setattr(jobs, "TELL_EVERY", 0)  # else how far it is goes untold between two moments
    store = large.services.store
    answer = back(large, 1, base="2")
    address = answer.headers["Location"]
    assert answer.status_code == 303 and store.versions()["waste_sites"] == 2, "the page does not wait"
    page = large.page("planner", address)
    assert "<progress" in page and "Version 1 is put back" in page and "version 2 stays in use" in page
    worker.work_off(large.services)
    (job,) = large.services.jobs.of(putbacks.KIND)
    assert job.result == {"version": 3} and "13 of 13 rows" in f"{job.values['n']} of {job.values['total']} rows"
    gone_on = large.planner.get(address)
    assert gone_on.status_code == 303 and gone_on.headers["Location"] == f"{SITES}/versions?done=3"
    assert "that is version 3 now" in large.page("planner", gone_on.headers["Location"])
    newest, _, first = store.history("waste_sites")
    assert newest["sha256"] == first["sha256"] and newest["who"] == large.users["planner"].name
    assert 'name="base" value="3"' in large.page("planner", f"{SITES}/versions")


def test_whose_work_it_is(large):
    address = back(large, 1).headers["Location"]
    assert large.administrator.get(address).status_code == 200
    other = people.signed_in(large.app, people.person(large.services, "planner", number=2))
    assert other.get(address).status_code == 404
    assert large.planner.get(address.replace("waste_sites", "norms")).status_code == 404
    assert large.planner.get(f"{SITES}/versions/restoring/nothing").status_code == 404
    assert back(large, 99).status_code == 404


def test_work_that_is_stopped_leaves_all_as_it_was(large, monkeypatch):
    store, before = large.services.store, large.services.store.history()
    address = back(large, 1).headers["Location"]
    (job,) = large.services.jobs.of(putbacks.KIND)
    monkeypatch.setattr(jobs, "LOOK_EVERY", -1.0)
    whole, said = store.write_parts, []

    def told(*given, **more):
        said.append(large.send("planner", f"/jobs/{job.id}/cancel").status_code)
        return whole(*given, **more)

    monkeypatch.setattr(store, "write_parts", told)
    worker.work_off(large.services)
    assert said and large.services.jobs.get(job.id).state == "cancelled" and store.history() == before
    assert len(store.snapshot("waste_sites")) == 12 and "Stopped." in large.page("planner", address)


def test_work_that_died_after_writing_does_not_write_again(large, monkeypatch):
    back(large, 1)
    whole = putbacks.job
    monkeypatch.setattr(putbacks, "job", lambda *given: (whole(*given), whole(*given))[1])
    worker.work_off(large.services)
    (job,) = large.services.jobs.of(putbacks.KIND)
    assert job.result == {"version": 3} and large.services.store.versions()["waste_sites"] == 3


def test_the_store_puts_back_only_what_is_kept_and_expected(filled):
    store, seen = filled, []
    with pytest.raises(StoreError, match="not kept"):
        store.restore("norms", 9)
    with pytest.raises(StoreError, match="changed meanwhile"):
        store.restore("norms", 1, expected=7)
    store.restore("plant_states", 1, expected=1, step=seen.append)
    assert seen == [1.0] and store.history("plant_states")[0]["rows"] == len(store.snapshot("plant_states"))
