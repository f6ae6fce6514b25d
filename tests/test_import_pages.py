"""The pages of imports: a file goes the whole way from the door to a version and back, and nobody is surprised."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import people
import pyproj
import pytest
import rasterio
import staffroom
from rasterio.transform import from_origin

from geo import encoding
from layers import audit, rasters, starter
from layers.catalogue import ALL
from server import casebook, importdesk, importdoor, imports, jobs, worker
from server.services import open_city

ROOT = Path(__file__).resolve().parents[1]
FILL = {"fill-source": "khảo sát 2026", "fill-confidence": "high", "fill-geometry_quality": "surveyed"}


@pytest.fixture(scope="module")
def opened(starter_store, tmp_path_factory):
    """A data folder that was opened once, so that its raster of people and its register are there."""
    folder = shutil.copytree(starter_store, tmp_path_factory.mktemp("opened") / "data")
    open_city(folder, today=staffroom.DAY).close()
    return folder


@pytest.fixture
def office(opened, tmp_path):
    with staffroom.office(opened, tmp_path / "data") as made:
        yield made


@pytest.fixture(scope="module")
def wards():
    rows = pd.read_csv(starter.TABLES / "wards.csv", dtype={"code": str})
    return rows[rows["old_district_code"].notna()].iloc[:20]


def send(office, name, body, layer="", role="planner", status=303):
    """Send a file by the plain form; the number of its import, after all work on it."""
    client = getattr(office, role)
    body = body.encode() if isinstance(body, str) else body
    answer = client.post("/admin/import", data={"csrf": client.csrf, "layer": layer, "file": (io.BytesIO(body), name)})
    assert answer.status_code == status, answer.get_data(as_text=True)
    if status != 303:
        return answer.get_data(as_text=True)
    worker.work_off(office.services)
    return int(answer.headers["Location"].rsplit("/", 1)[1])


def one(office, number):
    return office.services.imports.settled(office.services.imports.get(number))


def act(office, number, what, role="planner", status=303, revision=None, **data):
    revision = one(office, number).revision if revision is None else revision
    answer = office.send(role, f"/admin/import/{number}/{what}?lang=en", {"revision": revision, **data})
    assert answer.status_code == status, answer.get_data(as_text=True)
    worker.work_off(office.services)
    return answer.get_data(as_text=True)


def words(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def page(office, number, role="planner", lang="en", step=""):
    answer = getattr(office, role).get(f"/admin/import/{number}?lang={lang}&step={step}")
    assert answer.status_code == 200
    return words(answer.get_data(as_text=True))


def fields(office, number, **changes):
    """The form of the columns as the page fills it in."""
    look = office.services.imports.read(number, "look.json")
    form = {f"field-{i}": c["guess"] or c["role"] for i, c in enumerate(look["columns"])}
    return form | {"mode": "upsert"} | changes


def waste(office):
    """A small list of waste sites, of which one is known, one new and one refused."""
    row = office.services.store.version("waste_sites", 1).iloc[0]
    lines = ["code;kind;name_vi", f"{row['code']};dump;{row['name_vi']}", "X1;moon;Bãi", "X2;dump;Bãi mới"]
    return "\n".join(lines) + "\n"


def through(office, text, name="bai.csv", layer="waste_sites", **changes):
    """A list without places, sent and matched; its number."""
    number = send(office, name, text, layer)
    assert one(office, number).state in ("columns", "ready")  # ready: matched as the last one of the same headings
    act(office, number, "columns", **fields(office, number, **FILL, **changes))
    return number


# --- the whole way --------------------------------------------------------------------------------


def test_a_file_goes_from_the_door_to_one_version_back_and_forth(office):
    store = office.services.store
    before = store.history("waste_sites")
    number = through(office, waste(office))
    assert one(office, number).state == "ready" and store.history("waste_sites") == before
    assert one(office, number).counts == {"new": 1, "changed": 1, "same": 0, "missing": len(store.snapshot("waste_sites")) - 1,
                                          "refused": 1}  # fmt: skip
    shown = page(office, number)
    assert "Nothing was written yet" in shown and "1 new" in shown and "1 changed" in shown and "1 refused" in shown
    act(office, number, "apply")
    done = one(office, number)
    assert (done.state, done.written, done.base) == ("applied", 2, 1)
    after = store.snapshot("waste_sites").set_index("code")
    assert after.at["X2", "source"] == "khảo sát 2026" and "X1" not in after.index
    newest = store.history("waste_sites")[0]
    assert newest["who"] == "Planner 1" and newest["source"] == "bai.csv" and "1 new, 1 changed" in newest["note"]
    assert "Written as version 2" in page(office, number) and "Undo this import" in page(office, number)
    written = newest["sha256"]
    act(office, number, "undo")
    assert one(office, number).state == "undone"
    assert store.history("waste_sites")[0]["sha256"] == before[0]["sha256"]
    act(office, number, "redo")
    assert one(office, number).state == "applied" and store.history("waste_sites")[0]["sha256"] == written
    act(office, number, "undo")
    assert store.history("waste_sites")[0]["sha256"] == before[0]["sha256"]
    assert [h["version"] for h in store.history("waste_sites")] == [5, 4, 3, 2, 1]
    with store.reading() as con:
        done = [r["action"] for r in audit.rows(con, thing=f"import:{one(office, number).code}")]
        assert audit.verify(con) == []
    assert done[::-1] == ["import.receive", "import.apply", "import.undo", "import.redo", "import.undo"]


def test_undo_is_asked_once_and_works_without_scripts(office):
    number = through(office, waste(office))
    act(office, number, "apply")
    html = office.page("planner", f"/admin/import/{number}")
    fold = re.search(r'<details class="ask-once">.*?</details>', html, re.DOTALL)[0]
    assert f'action="/admin/import/{number}/undo"' in fold and "Yes, undo it" in fold
    assert office.services.imports.get(number).state == "applied"


def test_the_list_shows_who_what_and_counts_and_offers_the_undo(office):
    empty = words(office.page("planner", "/admin/import"))
    assert "No file was brought in yet" in empty and "500 MB" in empty and "30 MB" in empty
    number = through(office, waste(office))
    act(office, number, "apply")
    other = words(office.page("administrator", "/admin/import"))
    assert "bai.csv" in other and "Planner 1" in other and "applied" in other and "1 new" in other and "Undo …" in other


def test_a_column_that_is_left_out_stays_out(office):
    number = send(office, "a.csv", "code;kind;name_vi;note_vi\nX9;dump;Bãi;bí mật\n", "waste_sites")
    act(office, number, "columns", **fields(office, number, **FILL) | {"field-3": ""})
    act(office, number, "apply")
    assert office.services.store.snapshot("waste_sites").set_index("code").at["X9", "note_vi"] is None


def test_replacing_says_what_goes_and_append_refuses_what_is_there(office):
    store = office.services.store
    number = through(office, waste(office), mode="replace")
    gone = len(store.snapshot("waste_sites")) - 1
    assert f"{gone} rows are removed" in page(office, number) and one(office, number).counts["missing"] == gone
    act(office, number, "apply")
    assert sorted(store.snapshot("waste_sites")["code"]) == sorted(
        [store.version("waste_sites", 1)["code"].iloc[0], "X2"]
    )
    act(office, number, "undo")
    number = through(office, waste(office), name="them.csv", mode="append")
    told = page(office, number)
    assert one(office, number).counts["new"] == 1 and one(office, number).counts["changed"] == 0, told


# --- coordinates ----------------------------------------------------------------------------------


def points(wards, epsg, names=False):
    to = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    e, n = to.transform(wards["centre_lon"].to_numpy(), wards["centre_lat"].to_numpy())
    table = pd.DataFrame(
        {"code": [f"T{i}" for i in range(len(wards))], "name_vi": "Bãi", "kind": "dump", "X": e, "Y": n}
    )
    if names:
        table["Phường"] = wards["name_vi"].to_numpy()
    return table.to_csv(index=False)


def test_two_readings_are_shown_side_by_side_with_the_distance_between_them(office, wards):
    number = send(office, "diem.csv", points(wards.iloc[:6], 9210), "waste_sites")
    assert one(office, number).state == "place"
    html = office.page("planner", f"/admin/import/{number}")
    shown = words(html)
    assert re.search(r"the same points 26(\.\d)? km apart", shown), shown
    assert html.count('class="folium-map"') == 2 and html.count("data-pair-data=") == 2
    assert 'value="9210"' in html and 'value="9209"' in html and "105°45′" in shown and "105°30′" in shown
    drawn = [json.loads(d) for d in re.findall(r"data-pair-data=\"\w+\">(.*?)</script>", html, re.DOTALL)]
    assert drawn[0]["bounds"] == drawn[1]["bounds"]
    own, other = (d["layers"]["own"]["data"]["features"] for d in drawn)
    assert len(own) == len(other) == 6 and own != other
    act(office, number, "place", reading="9210")
    act(office, number, "columns", **fields(office, number, **FILL))
    act(office, number, "apply")
    got = office.services.store.snapshot("waste_sites").set_index("code").loc[[f"T{i}" for i in range(6)]].geometry
    away = pyproj.Geod(ellps="WGS84").inv(got.x, got.y, wards["centre_lon"].iloc[:6], wards["centre_lat"].iloc[:6])[2]
    assert max(away) < 1
    assert "in use now" in page(office, number, step="place")


def test_a_sure_reading_is_not_asked_for_but_can_be_opened(office, wards):
    number = send(office, "diem.csv", points(wards, 9209, names=True), "waste_sites")
    assert one(office, number).state == "columns"
    shown = page(office, number, step="place")
    assert "The coordinates are understood" in shown and "105°30′" in shown


def test_a_file_in_two_systems_is_told_and_each_row_taken_in_its_own(office, wards):
    both = pd.concat([
        pd.read_csv(io.StringIO(points(wards.iloc[:10], 9210, names=True))),
        pd.read_csv(io.StringIO(points(wards.iloc[10:], 9209, names=True))),
    ])  # fmt: skip
    both["code"] = [f"T{i}" for i in range(20)]
    number = send(office, "hai_he.csv", both.to_csv(index=False), "waste_sites")
    assert one(office, number).state == "place"
    shown = page(office, number)
    assert "Two coordinate systems stand in one file" in shown and "Each row in the system that fits it" in shown
    act(office, number, "place", reading="parts")
    act(office, number, "columns", **fields(office, number, **FILL))
    act(office, number, "apply")
    got = office.services.store.snapshot("waste_sites").set_index("code")
    taken = [f"T{i}" for i in range(20) if f"T{i}" in got.index]
    assert len(taken) >= 18
    lon, lat = (wards[c].to_numpy()[[int(t[1:]) for t in taken]] for c in ("centre_lon", "centre_lat"))
    there = got.loc[taken].geometry
    assert max(pyproj.Geod(ellps="WGS84").inv(there.x, there.y, lon, lat)[2]) < 1


def test_a_reading_that_was_not_offered_is_refused(office, wards):
    number = send(office, "diem.csv", points(wards.iloc[:6], 9210), "waste_sites")
    for reading in ("3857", "moon", "", "9210:swapped:shifted"):
        assert "Choose one of the readings" in act(office, number, "place", status=422, reading=reading)
    assert one(office, number).state == "place"


def test_points_of_another_continent_are_refused_with_a_reason_and_go_no_further(office):
    number = send(office, "paris.csv", "code;name_vi;kind;lon;lat\nA;B;dump;2.35;48.85\n", "waste_sites")
    assert one(office, number).state == "refused"
    shown = page(office, number)
    assert "No known coordinate system fits" in shown and "km from the area" in shown
    assert "Không" in page(office, number, lang="vi")
    act(office, number, "columns", **fields(office, number, **FILL))
    assert one(office, number).state == "refused"
    assert office.services.store.versions()["waste_sites"] == 1
    act(office, number, "apply", status=409)


# --- the layer and the columns --------------------------------------------------------------------


def test_the_layer_is_guessed_from_columns_and_values_and_can_be_changed(office):
    number = send(office, "a.csv", waste(office))
    assert (one(office, number).layer, one(office, number).state) == ("waste_sites", "columns")
    assert "guessed from the columns" in page(office, number, step="file")
    act(office, number, "file", layer="port_areas")
    assert one(office, number).layer == "port_areas" and one(office, number).choices["layer_by"] == "person"


def test_columns_that_do_not_say_the_layer_are_asked_for(office):
    number = send(office, "a.csv", "code;name_vi\nA;B\n")
    assert one(office, number).state == "layer" and "do not say clearly" in page(office, number)
    act(office, number, "file", layer="waste_sites")
    assert one(office, number).state == "columns"


def test_layers_of_the_gate_and_layers_that_are_none_cannot_be_chosen(office):
    number = send(office, "a.csv", "code;name_vi\nA;B\n")
    for layer in ("hotspot_events", "raster:population", "cx_audit", ""):
        assert "cannot go into that layer" in act(office, number, "file", status=422, layer=layer)
    assert "cannot go into that layer" in send(office, "a.csv", "a;b\n1;2\n", "hotspot_events", status=422)
    assert one(office, number).state == "layer"


def test_another_sheet_of_a_workbook_can_be_chosen(office, tmp_path):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame({"code": ["S1"], "name_vi": ["Bãi"], "kind": ["dump"]}).to_excel(
            book, sheet_name="Một", index=False
        )
        pd.DataFrame({"Mã": ["S2"], "Tên": ["Bãi"], "Loại": ["landfill"]}).to_excel(book, sheet_name="Hai", index=False)
    number = send(office, "a.xlsx", (tmp_path / "a.xlsx").read_bytes(), "waste_sites")
    html = office.page("planner", f"/admin/import/{number}?step=file")
    assert 'id="sheet"' in html and '<option value="Hai"' in html
    act(office, number, "columns", **fields(office, number, **FILL))
    act(office, number, "file", layer="waste_sites", sheet="Hai")
    assert one(office, number).state == "columns" and "Loại" in page(office, number)
    act(office, number, "columns", **fields(office, number, **FILL))
    act(office, number, "apply")
    assert {"S2"} == {"S1", "S2"} & set(office.services.store.snapshot("waste_sites")["code"])


def test_what_is_wrong_with_the_mapping_is_told_together(office):
    number = send(office, "a.csv", waste(office), "waste_sites")
    wrong = {
        "field-0": "",
        "field-1": "name_vi",
        "field-2": "name_vi",
        "mode": "sideways",
        "fill-confidence": "certain",
    }
    shown = words(act(office, number, "columns", status=422, **wrong))
    for told in (
        "which column holds the key",
        "chosen for two columns",
        "what happens with rows",
        "Choose one of the values",
    ):
        assert told in shown
    assert "4 things must be put right" in shown and one(office, number).state == "columns"
    assert "Choose a field from the list" in act(
        office, number, "columns", status=422, **fields(office, number) | {"field-1": "colour"}
    )


def test_a_list_without_codes_gets_them_from_the_number_of_the_row(office):
    number = send(office, "a.csv", "name_vi;kind\nBãi một;dump\nBãi hai;dump\n", "waste_sites")
    form = fields(office, number, **FILL)
    assert "which column holds the key" in act(office, number, "columns", status=422, **form)
    assert "keys must differ" in act(office, number, "columns", status=422, **form | {"fill-code": "T"})
    act(office, number, "columns", **form | {"fill-code": "T-#"})
    act(office, number, "apply")
    assert {"T-0001", "T-0002"} <= set(office.services.store.snapshot("waste_sites")["code"])


def test_one_value_for_blanks_leaves_known_rows_as_they_are(office):
    known = office.services.store.snapshot("waste_sites").iloc[0]
    number = through(office, f"code;kind\n{known['code']};{known['kind']}\n")
    assert one(office, number).counts["same"] == 1 and "nothing to write" in page(office, number)


def test_rows_refused_for_blanks_lead_back_to_the_columns(office):
    number = send(office, "b.csv", "code;name_vi;kind\nX8;Bãi;dump\n", "waste_sites")
    act(office, number, "columns", **fields(office, number))
    shown = page(office, number)
    assert "every row was refused" in shown and "ready to apply" not in shown
    assert "Back to the columns: give one value for Geometry quality, Source, Confidence" in shown
    act(office, number, "columns", **fields(office, number, **FILL))
    assert "give one value" not in page(office, number) and "ready to apply" in page(office, number)


def test_the_mapping_of_a_source_is_remembered(office):
    text = "Mã bãi;Loại hình;Tên bãi\nX5;dump;Bãi\n"
    chosen = {"field-0": "code", "field-1": "kind", "field-2": "name_vi", "mode": "upsert", **FILL}
    number = send(office, "bai_2026-10.csv", text, "waste_sites")
    act(office, number, "columns", **chosen)
    act(office, number, "apply")
    again = send(office, "bai_2026-11.csv", text.replace("X5", "X6"), role="administrator")
    assert (one(office, again).layer, one(office, again).state) == ("waste_sites", "ready")
    assert one(office, again).counts["new"] == 1
    shown = page(office, again, role="administrator", step="columns")
    assert "Filled in as Planner 1 did" in shown and "same headings" in shown
    changed = send(office, "bai_2026-12.csv", "Mã bãi;Loại hình;Ghi chú\nX7;dump;x\n", "waste_sites")
    assert one(office, changed).state == "columns"
    shown = page(office, changed)
    assert "headings have changed" in shown and one(office, changed).choices["columns"] == {
        "Mã bãi": "code",
        "Loại hình": "kind",
    }


# --- refused rows ---------------------------------------------------------------------------------


def test_refused_rows_are_shown_with_row_column_value_and_reason_and_can_be_taken_along(office):
    number = through(office, waste(office))
    html = office.page("planner", f"/admin/import/{number}")
    row = re.search(r'<tr role="row" data-code="r2">.*?</tr>', html, re.DOTALL)[0]
    told = words(row)
    assert " 2 " in told and "kind" in told and "moon" in told and "landfill" in told
    vi = page(office, number, lang="vi")
    assert "1 dòng bị từ chối" in vi and "không thuộc" in vi
    answer = office.planner.get(f"/admin/import/{number}/refused.csv")
    body = answer.get_data()
    answer.close()
    assert body.startswith(b"\xef\xbb\xbf") and "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    assert len(rows) == 2 and "X1" in rows[1] and "2" in rows[1] and any("moon" in cell for cell in rows[1][3:])
    clean = through(office, "code;kind;name_vi\nX4;dump;B\n", name="sach.csv")
    assert office.planner.get(f"/admin/import/{clean}/refused.csv").status_code == 404


def test_texts_of_a_file_are_never_markup(office):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>${7*7}{{7*7}}"
    text = f"code;kind;name_vi;<b>x</b>\nX1;{evil};{evil};{evil}\n{evil};dump;{evil};y\n"
    number = send(office, "<img src=x onerror=alert(1)>.csv", text, "waste_sites")
    assert "<img src=x" not in office.page("planner", f"/admin/import/{number}")
    act(office, number, "columns", **fields(office, number, **FILL))
    for path in (f"/admin/import/{number}", "/admin/import"):
        html = office.page("planner", path)
        assert "<script>alert" not in html and "<img src=x" not in html and "<b>x</b>" not in html
    act(office, number, "apply")
    assert "<script>alert" not in office.page("planner", f"/admin/import/{number}")


# --- two people, and a layer that moves on ---------------------------------------------------------


def test_of_two_people_the_second_is_told_and_sees_how_it_is(office):
    number = send(office, "a.csv", waste(office), "waste_sites")
    seen = one(office, number).revision
    act(office, number, "columns", **fields(office, number, **FILL))
    told = act(office, number, "columns", role="administrator", status=409, revision=seen, **fields(office, number))
    assert "Somebody else went on" in told and "Nothing was written yet" in told
    revision = one(office, number).revision
    act(office, number, "apply", revision=revision)
    act(office, number, "apply", role="administrator", status=409, revision=revision)
    assert office.services.store.versions()["waste_sites"] == 2


def test_a_layer_that_was_changed_after_the_look_is_looked_at_again_before_anything_is_written(office):
    first = through(office, waste(office))
    second = through(office, waste(office).replace("X2", "X3"), name="khac.csv")
    act(office, second, "apply")
    act(office, first, "apply")
    store = office.services.store
    assert store.versions()["waste_sites"] == 2 and one(office, first).state == "ready"
    shown = page(office, first)
    assert "changed after the last look: version 2 by Planner 1" in shown
    assert one(office, first).counts["changed"] == 0  # the other one changed it already
    act(office, first, "apply")
    assert store.versions()["waste_sites"] == 3 and {"X2", "X3"} <= set(store.snapshot("waste_sites")["code"])


def test_an_undo_that_would_take_back_the_work_of_others_is_refused(office):
    first = through(office, waste(office))
    act(office, first, "apply")
    second = through(office, waste(office).replace("X2", "X3"), name="khac.csv")
    act(office, second, "apply")
    told = words(act(office, first, "undo", status=422))
    assert "changed after this import: version 3 by Planner 1" in told and "versions of the layer" in told
    assert office.services.store.versions()["waste_sites"] == 3
    act(office, second, "undo")
    assert office.services.store.versions()["waste_sites"] == 4


def test_hotspots_go_into_the_register_and_are_not_public(office):
    text = "code;name_vi;stage;media;lon;lat;ward\nHS-9001;Kênh đen;received;water;106.68;20.85;x\n"
    number = send(office, "kenh.csv", text, "hotspots")
    assert one(office, number).state == "refused" and "planners do not write" in page(office, number)
    act(office, number, "file", role="administrator", layer="hotspots")
    if one(office, number).state == "place":
        act(office, number, "place", role="administrator", reading="4326")
    act(office, number, "columns", role="administrator", **fields(office, number, **FILL))
    shown = page(office, number, role="administrator")
    assert "Bring into the register" in shown and "second person" in shown
    public = office.services.store.versions()["hotspots"]
    act(office, number, "apply", role="administrator")
    assert one(office, number).state == "applied" and office.services.book.get("HS-9001").stage == "received"
    assert office.services.store.versions()["hotspots"] == public
    shown = page(office, number)
    assert "register of cases" in shown and "Undo this import" not in shown
    assert "an administrator takes this back" in words(act(office, number, "undo", status=422))


HOTSPOTS = "code;name_vi;stage;media;lon;lat\n"


def into_the_register(office, lines, name="kenh.csv"):
    number = send(office, name, HOTSPOTS + "\n".join(lines) + "\n", "hotspots", role="administrator")
    if one(office, number).state == "place":
        act(office, number, "place", role="administrator", reading="4326")
    act(office, number, "columns", role="administrator", **fields(office, number, **FILL))
    act(office, number, "apply", role="administrator")
    assert one(office, number).state == "applied", one(office, number).error
    return number


def test_an_import_into_the_register_is_taken_back_as_a_whole_and_nothing_is_lost(office):
    book = office.services.book
    old = book.get("HS01")
    place = f"{old.geometry.x + 0.001};{old.geometry.y}" if old.geometry is not None else "106.7;20.9"
    lines = ["HS-9001;Kênh đen;received;water;106.68;20.85", "HS-9002;Mương;received;water;106.69;20.86",
             f'HS01;Tên khác;{old.stage};"{old.facts["media"]}";{place}']  # fmt: skip
    number = into_the_register(office, lines)
    now = book.get("HS01")
    assert now.name_vi == "Tên khác" and [p["after"]["name_vi"] for p in office.services.gate.waiting()] == ["Tên khác"]
    office.take("HS-9002", "check", {"officer": str(office.users["inspector"].id)})
    shown = page(office, number, role="administrator")
    assert "2 cases go back to what they were before the import. One stays as it is." in shown
    assert "stays: the case has moved on to another stage" in shown and "Undo this import" in shown
    assert 'href="/cases/HS-9001"' in office.page("administrator", f"/admin/import/{number}")
    act(office, number, "undo", role="administrator")
    assert one(office, number).state == "undone"
    assert book.get("HS-9001").stage == "rejected" and book.get("HS-9002").stage == "checking"
    back = book.get("HS01")
    assert (back.facts, casebook.wkt(back.geometry), back.ward) == (old.facts, casebook.wkt(old.geometry), old.ward)
    assert not any({"name_vi", "geometry"} & set(p["after"]) for p in office.services.gate.waiting()), "no more the file's"
    code = one(office, number).code
    told = [(e["action"], e["reason"]) for e in book.events("HS-9001")]
    assert [a for a, _ in told] == ["registered", "reject"] and all(r.startswith(f"{code}.") for _, r in told)
    assert [e["action"] for e in book.events("HS01")][-2:] == ["edit", "edit"]
    shown = page(office, number, role="administrator", lang="vi")
    assert "giữ nguyên" in shown and "Làm lại lần nạp này" in shown
    act(office, number, "redo", role="administrator")
    assert book.get("HS-9001").stage == "received" and book.get("HS01").facts == now.facts
    assert book.get("HS-9002").stage == "checking"
    act(office, number, "undo", role="administrator")
    assert book.get("HS-9001").stage == "rejected" and book.get("HS01").facts == old.facts
    assert office.services.store.versions()["hotspots"] == 1
    with office.services.store.reading() as con:
        assert audit.verify(con) == []


def test_facts_that_somebody_changed_after_the_import_are_kept(office):
    book = office.services.book
    number = into_the_register(office, ["HS-9001;Kênh đen;received;water;106.68;20.85"])
    again = into_the_register(office, ["HS-9001;Kênh xanh;received;water;106.68;20.85"], name="khac.csv")
    case = book.get("HS-9001")
    book.edit(office.users["inspector"], case.code, case.revision, {"name_vi": "Kênh đỏ"})
    told = words(act(office, again, "undo", role="administrator"))
    assert one(office, again).state == "applied" and "gone on with every one" in page(office, again, role="administrator"), told
    assert book.get("HS-9001").name_vi == "Kênh đỏ"
    act(office, number, "undo", role="administrator")
    assert book.get("HS-9001").stage == "received", "the case was opened by this file, but others have worked on it"


def test_text_of_an_old_font_is_readable_where_columns_are_matched(office):
    back = {v: k for k, v in encoding.TCVN3.items()}
    old = "".join(back.get(c, c) for c in "Trạm xử lý nước thải Vĩnh Niệm").encode("cp1252")
    rows = b"".join(b"B%d;" % i + old + b";dump\n" for i in range(30))
    number = send(office, "cu.csv", b"Ma;Ten;kind\n" + rows, "waste_sites")
    shown = page(office, number)
    assert "Trạm xử lý nước thải Vĩnh Niệm" in shown and "written in TCVN3" in shown


def test_a_file_that_cannot_be_read_leads_back_to_the_door(office):
    number = send(office, "a.csv", "code;code;kind\nA;B;dump\n", "waste_sites")
    assert one(office, number).state == "refused"
    shown = office.page("planner", f"/admin/import/{number}")
    assert 'href="/admin/import?layer=waste_sites"' in shown and "Send the mended file" in shown
    assert "not needed" not in words(shown), "nobody knows yet whether it has coordinates"


def test_older_imports_are_found(office):
    for i in range(22):
        office.services.imports.receive(office.users["planner"], f"a{i:02}.csv", io.BytesIO(b"x;y\n1;2\n"), 8)
    first = office.page("planner", "/admin/import")
    assert "a21.csv" in first and "a02.csv" in first and "a01.csv" not in first and 'href="/admin/import?before=3#recent"' in first
    second = office.page("planner", "/admin/import?before=3")
    assert "a01.csv" in second and "a02.csv" not in second and "Older imports" not in second and "The newest imports" in second


def test_a_colleague_sees_how_far_an_import_is_but_does_not_stop_it(office):
    client = office.planner
    answer = client.post("/admin/import", data={"csrf": client.csrf, "layer": "waste_sites",
                                                "file": (io.BytesIO(waste(office).encode()), "a.csv")})  # fmt: skip
    number = int(answer.headers["Location"].rsplit("/", 1)[1])
    job = office.services.imports.get(number).job
    other = people.signed_in(office.app, people.person(office.services, "planner", number=2))
    seen = other.get(f"/admin/import/{number}?lang=en")
    text = words(seen.get_data(as_text=True))
    assert seen.status_code == 200 and "Planner 1 brought this file" in text and "Waiting for other work to end" in text
    assert "Stop the work" not in text and job not in seen.get_data(as_text=True)
    led = other.get(f"/jobs/{job}")
    assert led.status_code == 303 and led.headers["Location"] == f"/admin/import/{number}"
    assert other.get(f"/jobs/{job}.json").status_code == 404
    assert other.post(f"/jobs/{job}/cancel", data={"csrf": other.csrf}).status_code == 404
    assert office.inspector.get(f"/jobs/{job}").status_code == 404
    worker.work_off(office.services)
    assert one(office, number).state == "columns"


def test_rows_that_were_checked_are_not_checked_again_unless_something_moved(office, monkeypatch):
    asked = []
    whole = imports.prepare
    monkeypatch.setattr(imports, "prepare", lambda *a, **k: (asked.append(a[1]), whole(*a, **k))[1])
    number = through(office, waste(office))
    assert asked == ["waste_sites"]
    act(office, number, "apply")
    assert asked == ["waste_sites"] and one(office, number).state == "applied"
    assert not list(office.services.imports.folder(number).glob("rows.sqlite*"))
    second = through(office, waste(office).replace("X2", "X3"), name="hai.csv")
    rows = office.services.imports.folder(second) / "rows.sqlite"
    rows.write_bytes(rows.read_bytes()[:-1] + b"?")  # the disk lost something
    asked.clear()
    act(office, second, "apply")
    assert asked == ["waste_sites"] and one(office, second).state == "applied"
    assert "X3" in set(office.services.store.snapshot("waste_sites")["code"])


# --- work that ends badly -------------------------------------------------------------------------


def test_a_check_that_breaks_is_told_and_can_be_tried_again(office, monkeypatch):
    broken = lambda *a, **k: (_ for _ in ()).throw(RuntimeError("no such thing"))  # noqa: E731
    with monkeypatch.context() as m:
        m.setattr("server.importtrial.columns_document", broken)
        number = send(office, "a.csv", waste(office), "waste_sites")
    assert one(office, number).state == "failed"
    shown = page(office, number)
    assert "nothing was written" in shown.lower() and "no such thing" not in shown
    act(office, number, "file", layer="waste_sites")
    assert one(office, number).state == "columns"


def test_work_that_was_stopped_leaves_a_file_that_waits(office):
    client = office.planner
    answer = client.post("/admin/import", data={"csrf": client.csrf, "layer": "waste_sites",
                                                "file": (io.BytesIO(waste(office).encode()), "a.csv")})  # fmt: skip
    number = int(answer.headers["Location"].rsplit("/", 1)[1])
    waiting = office.page("planner", f"/admin/import/{number}")
    job = office.services.imports.get(number).job
    assert f'data-job="{job}"' in waiting and "data-then=" in waiting
    other = office.page("administrator", f"/admin/import/{number}")
    assert f'data-job="{job}"' in other
    office.send("planner", f"/jobs/{job}/cancel")
    worker.work_off(office.services)
    assert one(office, number).state == "stopped" and "was stopped" in page(office, number)
    act(office, number, "file", layer="waste_sites")
    assert one(office, number).state == "columns"


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from layers import archive
    from server import worker
    from server.services import open_city

    services = open_city(Path(sys.argv[1]))
    whole = archive.put

    def put(*arguments):
        made = whole(*arguments)
        print("written, not yet kept", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        return made

    archive.put = put
    worker.work_off(services)
"""


def test_a_machine_that_dies_in_the_middle_of_writing_leaves_the_version_before(office, monkeypatch):
    store, client = office.services.store, office.planner
    number = through(office, waste(office))
    before = store.history("waste_sites")
    client.post(f"/admin/import/{number}/apply", data={"csrf": client.csrf, "revision": one(office, number).revision})
    path = {"PYTHONPATH": str(ROOT)} | {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    dead = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(store.data_dir)], env=path, cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert dead.returncode == -signal.SIGKILL and "written, not yet kept" in dead.stdout, dead.stderr
    assert store.history("waste_sites") == before and len(store.snapshot("waste_sites")) == before[0]["rows"]
    assert one(office, number).state == "applying" and "being written" in page(office, number)
    monkeypatch.setattr(jobs, "DEAD_AFTER", -1.0)
    office.services.jobs.recover()
    worker.work_off(office.services)
    assert one(office, number).state == "applied" and store.versions()["waste_sites"] == before[0]["version"] + 1


def test_work_whose_job_is_gone_is_told(office):
    number = send(office, "a.csv", waste(office), "waste_sites")
    desk = office.services.imports
    with office.services.store.transaction() as con:
        con.execute(importdesk._imports.update().where(importdesk._imports.c.number == number).values(
            state="checking", job="no such job"))  # fmt: skip
    assert desk.settled(desk.get(number)).state == "failed" and "was lost" in page(office, number)


# --- the door -------------------------------------------------------------------------------------


def begin(office, name, size, role="planner", **more):
    client = getattr(office, role)
    return client.post(
        "/admin/import/begin", json={"name": name, "size": size, **more}, headers={"X-CSRF": client.csrf}
    )


def put(office, number, at, body, role="planner"):
    client = getattr(office, role)
    return client.put(f"/admin/import/{number}/piece?at={at}", data=body, headers={"X-CSRF": client.csrf})


def test_a_file_comes_in_pieces_and_goes_on_after_a_broken_line(office):
    body = waste(office).encode()
    answer = begin(office, "a.csv", len(body), layer="waste_sites").get_json()
    number = answer["number"]
    assert answer["pieces"] == f"/admin/import/{number}/piece" and one(office, number).state == "coming"
    assert put(office, number, 0, body[:10]).get_json() == {"have": 10, "page": None}
    again = put(office, number, 0, body[:10])
    assert again.status_code == 422 and again.get_json()["have"] == 10
    assert put(office, number, 10, body[10:20], role="administrator").status_code == 422
    last = put(office, number, 10, body[10:])
    assert last.get_json() == {"have": len(body), "page": f"/admin/import/{number}"}
    assert one(office, number).sha256 == hashlib.sha256(body).hexdigest()
    worker.work_off(office.services)
    assert one(office, number).state == "columns"
    assert put(office, number, len(body), b"x").status_code == 422


def test_more_than_was_announced_is_not_taken(office):
    number = begin(office, "a.csv", 5).get_json()["number"]
    assert put(office, number, 0, b"123456789").status_code == 422
    assert put(office, 999, 0, b"1").status_code == 404
    client = office.planner
    big = client.put(
        f"/admin/import/{number}/piece?at=0", data=b"x" * (importdoor.PIECE_BYTES + 1), headers={"X-CSRF": client.csrf}
    )
    assert big.status_code == 413


@pytest.mark.parametrize(
    ("name", "size", "told"),
    [
        ("a.exe", 5, "Files ending in"),
        ("a", 5, "Files ending in"),
        ("a.shp", 5, "into one zip"),
        ("a.csv", 0, "is empty"),
        ("a.csv", 600_000_000, "up to 500 MB"),
        ("a.csv", -1, "is empty"),
        ("a.csv", "5", "Choose a file first"),
        ("a.csv", True, "Choose a file first"),
        (None, 5, "Choose a file first"),
    ],
)
def test_what_cannot_come_is_refused_with_a_sentence(office, name, size, told):
    client = office.planner
    client.get("/?lang=en")
    answer = begin(office, name, size)
    assert answer.status_code == 422 and told in answer.get_json()["message"]
    assert office.services.imports.recent() == []


def test_no_file_and_a_file_of_a_wrong_kind_come_back_with_the_form(office):
    client = office.planner
    client.get("/?lang=en")
    answer = client.post("/admin/import", data={"csrf": client.csrf})
    assert answer.status_code == 422 and "Choose a file first" in answer.get_data(as_text=True)
    html = send(office, "virus.exe", b"MZ", status=422)
    assert 'href="#file"' in html and 'aria-invalid="true"' in html


def test_a_full_disk_is_told(office, monkeypatch):
    monkeypatch.setattr(importdoor, "SPARE_BYTES", 10**18)
    office.planner.get("/?lang=en")
    answer = begin(office, "a.csv", 5)
    assert answer.status_code == 422 and "no room" in answer.get_json()["message"]


def test_the_name_on_the_disk_is_tame_and_inside_the_folder(office):
    for name in ("../../../etc/passwd.csv", "..\\..\\boot.csv", "/abs/a.csv", "a\x00b.csv", "con.csv", "x" * 300 + ".csv",
                 "\u202egnp.csv", ".csv.csv", "Trạm xử lý.csv"):  # fmt: skip
        number = send(office, name, "code;name_vi\nA;B\n")
        held = one(office, number)
        path = office.services.imports.path(held)
        assert path.parent == office.services.imports.folder(number) and path.is_file()
        assert not {"/", "\\", "\x00"} & set(held.name) and len(held.name) <= 90


def test_a_file_laid_aside_is_gone_and_one_that_never_came_is_swept(office, monkeypatch):
    number = send(office, "a.csv", waste(office), "waste_sites")
    act(office, number, "drop")
    assert not office.services.imports.folder(number).exists()
    assert "laid aside" in page(office, number) and "a.csv" not in words(
        office.page("planner", "/admin/import").partition("recent")[2]
    )
    number = begin(office, "b.csv", 5).get_json()["number"]
    monkeypatch.setattr(importdesk, "FORGOTTEN", -importdesk.FORGOTTEN)
    begin(office, "c.csv", 5)
    assert one(office, number).state == "dropped" and not office.services.imports.folder(number).exists()


def test_a_file_whose_import_was_applied_long_ago_says_that_it_is_gone(office):
    number = through(office, waste(office))
    office.services.imports.path(one(office, number)).unlink()
    act(office, number, "apply")
    assert one(office, number).state == "ready" and "kept no more" in page(office, number)


def test_other_formats_go_the_same_way(office, tmp_path, wards):
    frame = gpd.GeoDataFrame(
        {"code": ["Z1", "Z2"], "name_vi": ["Bãi một", "Bãi hai"], "kind": ["dump", "landfill"], "ward": list(wards["name_vi"].iloc[:2])},
        geometry=gpd.points_from_xy(wards["centre_lon"].iloc[:2], wards["centre_lat"].iloc[:2]), crs=4326,
    )  # fmt: skip
    frame.to_file(tmp_path / "a.gpkg")
    frame.to_file(tmp_path / "a.geojson", driver="GeoJSON")
    frame.to_file(tmp_path / "b.shp", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as out:
        for part in tmp_path.glob("b.*"):
            if part.suffix != ".zip":
                out.write(part, part.name)
    pd.DataFrame(frame.drop(columns="geometry")).to_excel(tmp_path / "a.xlsx", index=False)
    for name in ("a.gpkg", "a.geojson", "b.zip", "a.xlsx"):
        number = send(office, name, (tmp_path / name).read_bytes(), "waste_sites")
        if one(office, number).state == "place":
            act(office, number, "place", reading="4326")
        if one(office, number).state == "columns":
            act(office, number, "columns", **fields(office, number, **FILL))
        assert one(office, number).counts["new"] == 2, (name, one(office, number).error)


def test_every_layer_that_can_be_imported_has_its_page_of_columns(office):
    for name in filter(importdesk.can_import, ALL):
        headings = [f.name for f in ALL[name].fields]
        number = send(office, f"{name}.csv", ";".join(headings) + "\n" + ";".join("1" for _ in headings) + "\n", name)
        assert one(office, number).state in ("columns", "place", "refused"), (name, one(office, number).state)
        for lang in ("vi", "en"):
            assert ALL[name].vi in page(office, number, lang=lang) or ALL[name].en in page(office, number, lang=lang)


# --- rasters --------------------------------------------------------------------------------------


def raster(path, values, epsg=4326, west=106.6, north=20.95, cell=0.01):
    with rasterio.open(path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
                       crs=f"EPSG:{epsg}", transform=from_origin(west, north, cell, cell), nodata=-9999) as file:  # fmt: skip
        file.write(values, 1)
    return path.read_bytes()


def test_a_raster_goes_into_its_slot_and_back(office, tmp_path):
    data = office.services.store.data_dir
    body = raster(tmp_path / "a.tif", np.full((20, 20), 3.5, dtype="float32"))
    number = send(office, "hai_phong_dem.tif", body)
    assert (one(office, number).layer, one(office, number).state) == ("raster:elevation", "ready"), one(
        office, number
    ).error
    shown = page(office, number)
    assert "What the raster holds" in shown and "on average 3.5 m" in shown and "in place of the present one" in shown
    assert not (data / "elevation.tif").exists()
    act(office, number, "apply")
    assert one(office, number).state == "applied" and (data / "elevation.tif").is_file()
    first = (data / "elevation.tif").read_bytes()
    assert "The raster is in use" in page(office, number)
    act(office, number, "undo")
    path = data / "elevation.tif"
    assert one(office, number).state == "undone" and not path.exists() and "was taken back" in page(office, number)
    told = rasters.history(office.services.store, "elevation")
    assert [(v["version"], v["empty"]) for v in told] == [(2, True), (1, False)]
    act(office, number, "redo")
    assert one(office, number).state == "applied" and path.read_bytes() == first
    assert "The raster is in use" in page(office, number)
    higher = raster(tmp_path / "b.tif", np.full((20, 20), 7.0, dtype="float32"))
    second = send(office, "cao.tif", higher)
    assert one(office, second).state == "layer"
    act(office, second, "file", layer="raster:elevation")
    act(office, second, "apply")
    assert (data / "elevation.tif").read_bytes() != first
    act(office, number, "undo")
    assert "version 4 by Planner 1" in page(office, number)
    act(office, second, "undo")
    assert (one(office, second).state, (data / "elevation.tif").read_bytes()) == ("undone", first)
    act(office, second, "redo")
    assert one(office, second).state == "applied" and (data / "elevation.tif").read_bytes() != first


def test_people_of_a_raster_are_told_before_they_are_taken(office, tmp_path):
    before = (office.services.store.data_dir / "population.tif").read_bytes()
    number = send(office, "dan_so.tif", raster(tmp_path / "a.tif", np.full((20, 20), 100.0, dtype="float32")))
    assert one(office, number).layer == "raster:population" and "People on our grid" in page(office, number)
    assert (office.services.store.data_dir / "population.tif").read_bytes() == before
    act(office, number, "apply")
    assert (office.services.store.data_dir / "population.tif").read_bytes() != before
    act(office, number, "undo")
    assert one(office, number).state == "undone"
    assert (office.services.store.data_dir / "population.tif").read_bytes() == before


def test_a_raster_of_another_place_is_refused_with_a_reason(office, tmp_path):
    body = raster(tmp_path / "a.tif", np.ones((5, 5), dtype="float32"), west=2.0, north=49.0)
    number = send(office, "dem.tif", body)
    assert one(office, number).state == "refused" and one(office, number).error["vi"]
    assert "cannot be used as it is" in page(office, number)
    number = send(office, "dem.tif", b"II*\x00 no tiff")
    assert one(office, number).state == "refused"
