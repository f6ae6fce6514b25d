"""The book of studies: revisions, journal, runs through the queue, blocks and forces, and the answer of the starter city."""

import json
import shutil

import people
import pyogrio
import pytest
import sqlalchemy as sa

from layers import audit
from server import sitespec, siting, worker
from server.casebook import CaseError, Conflict, NotYours
from server.services import open_city
from server.sitespec import SpecError, default


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    """A city of the starter facts with a planner: (services, planner)."""
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("studies") / "data")
    services = open_city(folder)
    yield services, people.person(services, "planner")
    services.close()


def small(services, **fields):
    """The default question, of three units and coarse cells."""
    own = {"cell_m": 250, "area": {"units": ["11560", "11581", "11680"]}, "candidates": {"count": 12, "apart_m": 800}}
    return sitespec.checked(default(services) | own | {"robustness": {"runs": 20, "top": 3}} | fields)


@pytest.fixture(scope="module")
def ran(city):
    """A study that was run through the queue: its code."""
    services, planner = city
    code = services.studies.create(planner, small(services, name="Đã chạy"))
    services.studies.run(planner, code)
    worker.work_off(services)
    return code


def rows(services, code):
    with services.store.reading() as con:
        return [(r["action"], r["who"]) for r in audit.rows(con, thing=f"siting:{code}")][::-1]


def test_a_new_study_is_checked_and_written_down(city):
    services, planner = city
    code = services.studies.create(planner, small(services, name="Một"))
    study = services.studies.get(code)
    assert (study["name"], study["revision"], study["state"], study["summary"]) == ("Một", 1, "draft", None)
    assert study["created_name"] == planner.name
    assert rows(services, code) == [("siting.create", planner.name)]
    with pytest.raises(SpecError):
        services.studies.create(planner, {"format": "cangxanh-siting/1"})
    with pytest.raises(KeyError):
        services.studies.get("S-9999")


def test_others_may_read_but_not_write(city):
    services, planner = city
    code = services.studies.create(planner, small(services))
    for role in ("inspector", "approver", "commune_officer"):
        other = people.person(services, role)
        for act in (
            lambda who: services.studies.create(who, small(services)),
            lambda who: services.studies.save(who, code, 1, small(services, name="x")),
            lambda who: services.studies.run(who, code),
            lambda who: services.studies.delete(who, code, 1),
            lambda who: services.studies.block(who, code, 1, (106.7, 20.8), "vì"),
        ):
            with pytest.raises(NotYours):
                act(other)
    assert rows(services, code) == [("siting.create", planner.name)]


def test_of_two_people_the_second_hears_of_the_first(city):
    services, planner = city
    other = people.person(services, "planner", number=2)
    code = services.studies.create(planner, small(services, name="Trước"))
    assert services.studies.save(other, code, 1, small(services, name="Sau")) == 2
    with pytest.raises(Conflict) as told:
        services.studies.save(planner, code, 1, small(services, name="Khác"))
    assert (told.value.case["name"], told.value.case["revision"]) == ("Sau", 2)
    assert services.studies.get(code)["name"] == "Sau"
    assert rows(services, code)[-1] == ("siting.save", other.name)


def test_writing_the_same_is_no_change(city):
    services, planner = city
    code = services.studies.create(planner, small(services))
    assert services.studies.save(planner, code, 1, services.studies.get(code)["spec"]) == 1
    assert len(rows(services, code)) == 1


def test_a_change_that_fails_leaves_no_row(city, monkeypatch):
    services, planner = city
    code = services.studies.create(planner, small(services, name="Trước"))

    def broken(*args, **values):
        raise OSError("disk")

    monkeypatch.setattr(audit, "append", broken)
    with pytest.raises(OSError, match="disk"):
        services.studies.save(planner, code, 1, small(services, name="Sau"))
    monkeypatch.undo()
    assert (services.studies.get(code)["name"], services.studies.get(code)["revision"]) == ("Trước", 1)


def test_a_question_from_before_a_field_was_known_opens_and_is_saved_whole(city):
    services, planner = city
    spec = small(services, name="Từ trước", seed=7)
    code = services.studies.create(planner, spec)
    earlier = {k: v for k, v in spec.items() if k != "network"}
    earlier["effort"] = {k: v for k, v in spec["effort"].items() if k != "looks"}
    with services.store.transaction() as con:
        text = sitespec.canonical(earlier)
        con.execute(siting.studies.update().where(siting.studies.c.code == code).values(spec=text))
    assert services.studies.get(code)["spec"] == spec, (
        "what was missing has the value of a new question, the rest its own"
    )
    services.studies.save(planner, code, 1, spec | {"seed": 8})
    with services.store.reading() as con:
        stored = con.scalar(sa.select(siting.studies.c.spec).where(siting.studies.c.code == code))
    assert json.loads(stored) == spec | {"seed": 8}


def test_a_copy_and_a_hidden_study(city):
    services, planner = city
    code = services.studies.create(planner, small(services, name="Gốc"))
    copy = services.studies.copy(planner, code)
    assert services.studies.get(copy)["name"] == "Gốc (bản sao)"
    assert services.studies.get(copy)["spec"] | {"name": ""} == services.studies.get(code)["spec"] | {"name": ""}
    revision = services.studies.delete(planner, code, 1)
    assert code not in [s["code"] for s in services.studies.all()]
    assert code in [s["code"] for s in services.studies.all(hidden=True)]
    services.studies.delete(planner, code, revision, hidden=False)
    assert code in [s["code"] for s in services.studies.all()]


# --- runs ---


def test_a_run_through_the_queue_is_whole(city, ran):
    services, _ = city
    study = services.studies.get(ran)
    job = services.jobs.get(study["job"])
    assert (study["state"], job.state, job.share, study["stale"]) == ("done", "done", 1.0, False)
    assert study["summary"] == job.result
    paths = services.studies.paths(ran)
    assert {p.name for p in paths.values() if p.is_file()} == {
        *("spec.json", "result.json", "suitability.tif", "reasons.tif", "study.gpkg", "study.xlsx", "replay.json")
    }
    result = services.studies.result(ran)
    assert result["plan"]["status"] == "optimal"
    assert [a for a, _ in rows(services, ran)] == ["siting.create", "siting.run", "siting.finish"]
    assert any("ledger" in text for _, text in services.jobs.log(study["job"]))


def test_the_answer_of_the_starter_city_is_sensible(city, ran):
    """Three new plants are filled, the standing one keeps what its flow leaves, and what nobody knows is told."""
    services, _ = city
    made = services.studies.result(ran)
    plants = {p["code"]: p for p in made["plants"]}
    assert plants["WW01"]["why"] == "computed"
    assert plants["WW01"]["spare_m3_day"] == pytest.approx(36_000 - plants["WW01"]["flow_m3_day"])
    assert {plants[c]["why"] for c in ("WW03", "WW02", "WW09")} == {"capacity_unknown", "own_use", "not_working"}
    assert all(p["spare_m3_day"] == 0 for c, p in plants.items() if c != "WW01")
    assert made["demand"]["m3_day"] >= made["plan"]["served_m3_day"] > made["plan"]["standing_m3_day"]
    told = {u["code"] for u in made["unchecked"]}
    assert told >= {"receptors", "intakes", "protected", "upstream"}
    assert all(s["card"]["people_rough"] for s in made["sites"])
    units = {"11560", "11581", "11680"}
    assert {c["ward"] for c in made["candidates"]} <= units
    assert {d["unit"] for d in made["demands"]} <= units | set(services.figures.inputs().units.index)


def test_an_answer_from_before_its_unit_was_named_has_one(city, ran):
    services, _planner = city
    path, whole = services.studies.paths(ran)["result"], services.studies.result(ran)
    earlier = {k: v for k, v in json.loads(path.read_text("utf-8")).items() if k != "unit"}
    before = path.read_bytes()
    path.write_text(json.dumps(earlier), "utf-8")
    assert services.studies.result(ran) == whole and whole["unit"] == "m3_day"
    path.write_bytes(before)


def test_the_same_run_again_gives_the_same_tables(city, ran):
    services, planner = city
    before = services.studies.paths(ran)["result"].read_bytes()
    services.studies.run(planner, ran)
    worker.work_off(services)
    assert services.studies.paths(ran)["folder"].name == "0002"
    assert services.studies.paths(ran)["result"].read_bytes() == before
    assert services.studies.paths(ran, "0001")["result"].read_bytes() == before


def test_a_changed_question_makes_the_answer_stale(city, ran):
    services, planner = city
    revision = services.studies.get(ran)["revision"]
    spec = services.studies.get(ran)["spec"]
    services.studies.save(planner, ran, revision, spec | {"number": 2})
    assert services.studies.get(ran)["stale"] is True
    services.studies.save(planner, ran, revision + 1, spec)
    assert services.studies.get(ran)["stale"] is False


def test_a_second_wish_to_run_gives_the_waiting_job(city):
    services, planner = city
    code = services.studies.create(planner, small(services))
    job = services.studies.run(planner, code)
    assert services.studies.run(planner, code) == job
    services.jobs.cancel(job, planner)
    assert services.studies.get(code)["state"] == "cancelled"
    assert services.studies.result(code) is None
    assert services.studies.run(planner, code) != job
    services.jobs.cancel(services.studies.get(code)["job"], planner)


def test_a_run_that_fails_says_why(city):
    services, planner = city
    code = services.studies.create(planner, small(services, area={"units": ["00000"]}))
    job = services.studies.run(planner, code)
    worker.work_off(services)
    assert services.studies.get(code)["state"] == "failed"
    assert "There are no such units: 00000." in services.jobs.get(job).error["en"]
    assert "Không có đơn vị này: 00000." in services.jobs.get(job).error["vi"]


# --- blocks, forces, why not here ---


def test_block_and_force_and_run_again(city):
    services, planner = city
    studies = services.studies
    code = studies.create(planner, small(services, number=1))
    studies.run(planner, code)
    worker.work_off(services)
    first = studies.result(code)["sites"][0]
    revision = studies.block(planner, code, 1, first["code"], "đất đã giao")
    studies.run(planner, code)
    worker.work_off(services)
    second = studies.result(code)["sites"][0]
    assert second["code"] != first["code"]
    assert [r["code"] for r in studies.result(code)["rules"]][-1] == "blocked"
    broken = [r for r in studies.explain(code, first["lon"], first["lat"])["rules"] if r["broken"]]
    assert [(r["code"], r["source"]) for r in broken] == [("blocked", "đất đã giao")]
    revision = studies.unblock(planner, code, revision, 0)
    other = next(c for c in studies.result(code)["candidates"] if not c["chosen"])
    revision = studies.force(planner, code, revision, other["code"])
    studies.run(planner, code)
    worker.work_off(services)
    assert [s["code"] for s in studies.result(code)["sites"]] == [other["code"]]
    assert studies.unforce(planner, code, revision, other["code"]) == revision + 1
    assert studies.get(code)["spec"]["given"][0]["code"] == other["code"]
    with pytest.raises(CaseError):
        studies.unblock(planner, code, revision + 1, 0)
    with pytest.raises(CaseError, match="no site X"):
        studies.force(planner, code, revision + 1, "X")
    with pytest.raises(SpecError, match="reason"):
        studies.block(planner, code, revision + 1, (106.7, 20.8), " ")


def test_a_point_is_forced_under_a_name_of_its_own(city):
    services, planner = city
    code = services.studies.create(planner, small(services))
    services.studies.force(planner, code, 1, (106.68, 20.87))
    services.studies.force(planner, code, 2, (106.69, 20.87))
    spec = services.studies.get(code)["spec"]
    assert (spec["force"], [g["code"] for g in spec["given"]]) == (["P1", "P2"], ["P1", "P2"])


def test_why_not_here_in_the_sea_and_in_a_zone(city, ran):
    services, _ = city
    sea = services.studies.explain(ran, 106.95, 20.55)
    assert (sea["allowed"], sea["rules"][0]["code"]) == (False, "outside")
    code = services.studies.create(city[1], small(services, area={}))
    zone = services.store.snapshot("industrial_zones").set_index("code").geometry["KCN01"].centroid
    told = services.studies.explain(code, zone.x, zone.y)
    assert told["rules"][0]["broken"] is True
    assert "zones" in [r["code"] for r in told["rules"] if r["broken"]]
    assert [s["allowed"] for s in told["sizes"]] == [False, False]


# --- files ---


def test_the_geopackage_opens_in_a_gis(city, ran):
    services, _ = city
    path, made = services.studies.paths(ran)["gpkg"], services.studies.result(ran)
    names = dict(pyogrio.list_layers(path))
    assert {"sites", "allocation", "demands", "candidates", "plants", "excluded", "curve", "rules", "summary"} <= set(
        names
    )
    for layer, key in (
        ("sites", "sites"),
        ("allocation", "flows"),
        ("demands", "demands"),
        ("candidates", "candidates"),
    ):
        assert pyogrio.read_info(path, layer=layer)["features"] == len(made[key]), layer
    excluded = pyogrio.read_dataframe(path, layer="excluded").set_index("code")
    ha = {r["code"]: r["ha"] for r in made["excluded"] if r["ha"]}
    assert set(excluded.index) == set(ha)
    assert excluded.crs.to_epsg() == 4326
    for code, area in excluded.to_crs(9210).area.items():
        assert area / 10_000 == pytest.approx(ha[code], rel=1e-3)
    lines = pyogrio.read_dataframe(path, layer="allocation").to_crs(9210)
    assert (abs(lines.length - lines["distance_m"]) < 1).all()


def test_the_workbook_has_typed_cells_in_both_languages(city, ran):
    import openpyxl

    services, _ = city
    made = services.studies.result(ran)
    book = openpyxl.load_workbook(services.studies.paths(ran)["xlsx"])
    sheet = book["Vị trí được chọn"]
    heads = [[cell.value for cell in row] for row in sheet.iter_rows(max_row=2)]
    assert (heads[0][0], heads[1][0]) == ("Ký hiệu", "Label")
    column = heads[0].index("Tăng thêm (m³/ngày)")
    assert heads[1][column] == "Gain (m³/day)"
    values = [sheet.cell(3 + k, column + 1).value for k in range(len(made["sites"]))]
    assert values == [s["gain_m3_day"] for s in made["sites"]]
    assert all(isinstance(v, int | float) for v in values)
    assert len(book.sheetnames) == 12
    assert all(len(name) <= 31 for name in book.sheetnames)


def test_a_name_like_a_formula_stays_a_text(city):
    import openpyxl

    services, planner = city
    name = '=HYPERLINK("http://x","y")<script>alert(1)</script>${7*7}'
    code = services.studies.create(
        planner, small(services, name=name, number=1, candidates={"count": 4, "apart_m": 900})
    )
    services.studies.run(planner, code)
    worker.work_off(services)
    sheet = openpyxl.load_workbook(services.studies.paths(code)["xlsx"])["Tóm tắt"]
    cell = next(c for row in sheet.iter_rows() for c in row if c.value == name)
    assert cell.data_type == "s"


def test_the_table_of_studies_is_made_once(city):
    services, _ = city
    with services.store.reading() as con:
        assert "siting_studies" in sa.inspect(con).get_table_names()
    type(services.studies)(services)


def test_the_default_question_of_the_city(city):
    services, _ = city
    spec = default(services)
    assert spec == sitespec.read(json.dumps(spec))
    weights = {c["code"]: c["weight"] for c in spec["criteria"]}
    assert weights["demand"] > 0
    assert {weights[c] for c in ("elevation", "slope", "roads", "land_cost", "receiving_water")} == {0}
    assert all(size["cost"] is None for size in spec["sizes"])  # nobody gave us costs: none are made up
    assert {r["code"] for r in spec["rules"] if r["on"]} >= {
        "houses",
        "receptors",
        "intakes",
        "protected",
        "water",
        "zones",
    }
