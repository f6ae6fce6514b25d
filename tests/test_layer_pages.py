"""The pages of layers, versions and rows: what they show, what they write, two editors, hostile text, awkward addresses."""

import csv
import html
import io
import json
import re
from datetime import UTC, datetime, timedelta

import downloadform
import geopandas as gpd
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
import staffroom
from shapely.geometry import box

from layers.catalogue import ALL
from layers.checks import check
from server import featureforms, rowkeys

HOSTILE = "<script>alert(1)</script>${x}`'\"</textarea><img src=x onerror=alert(1)>"
ZONES = "/admin/layers/industrial_zones"
PLANTS = "/admin/layers/treatment_plants"


@pytest.fixture(scope="module")
def city(starter_store, tmp_path_factory):
    """A city for tests that only look."""
    with staffroom.office(starter_store, tmp_path_factory.mktemp("layers") / "data") as made:
        yield made


@pytest.fixture
def office(starter_store, tmp_path):
    with staffroom.office(starter_store, tmp_path / "data") as made:
        yield made


def key_of_first(office, layer="treatment_plants"):
    return office.services.store.snapshot(layer)["code"].iloc[0]


def row(office, layer, code):
    frame = office.services.store.snapshot(layer)
    return frame[frame["code"] == code].iloc[0]


def form_of(office, layer, code, role="planner"):
    """The fields of the form of a row as a browser would send them."""
    page = office.page(role, f"/admin/layers/{layer}/features/{rowkeys.key_text((code,))}")
    values = featureforms.PREFIX
    held = office.services.store.snapshot(layer)
    series = held[held["code"] == code].iloc[0]
    sent = {values + f.name: featureforms.written(f, _plain(series[f.name], f.kind), "en") for f in ALL[layer].fields}
    base = re.search(r'name="base" value="(\d+)"', page)[1]
    return sent | {"base": base, "geometry": "", "corners": "", "corners_was": ""}


def _plain(value, kind):
    from layers.rows import plain

    return plain(value, kind)


def hidden_of(page):
    """What the hidden areas of a form send."""
    found = re.findall(r'<textarea name="([\w-]+)" hidden>(.*?)</textarea>', page, re.DOTALL)
    return {name: html.unescape(value) for name, value in found}


def versions(office, layer="treatment_plants"):
    return office.services.store.history(layer)


# --- looking ---


def test_all_layers_are_listed_with_rows_version_and_who(city):
    page = city.page("planner", "/admin/layers")
    for name, layer in ALL.items():
        assert f'href="/admin/layers/{name}/versions"' in page and layer.en in page.replace("&#39;", "'")
    assert 'href="/admin/layers/hotspots/features">Rows' not in page, "the gated layer is not edited here"
    assert "not used" not in page


def test_the_administration_leads_here_and_so_does_the_bar_of_planners(city):
    assert 'href="/admin/layers"' in city.page("administrator", "/admin")
    assert 'href="/admin/layers"' in city.page("planner", "/desk")


def test_search_sort_and_paging_of_rows(city):
    page = city.page("planner", "/admin/layers/admin_units/features?q=hai+an")
    assert "Hai An Ward" in page and "Le Chan" not in page
    named = re.findall(
        r'scope="row"><a[^>]*>[^<]*</a></th><td[^>]*>([^<]*)',
        city.page("planner", "/admin/layers/admin_units/features?q=chan"),
    )
    assert "Chan" in named[0], "rows of that name come before rows that only mention it"
    first = city.page("planner", "/admin/layers/admin_units/features?sort=population&dir=desc")
    assert 'aria-sort="descending"' in first and "Page 1 of 3" in first
    last = city.page("planner", "/admin/layers/admin_units/features?sort=population&dir=desc&page=99")
    assert "Page 3 of 3" in last
    assert "No row holds these words" in city.page("planner", "/admin/layers/admin_units/features?q=zzzz")


def test_rows_sorted_by_a_number_are_in_its_order_and_blanks_come_last(city):
    from server import layerpages
    from server.layerbook import book_of

    with city.app.test_request_context("/?lang=en"):
        book = book_of(city.app.extensions, city.services.store)
        layer = ALL["admin_units"]
        found = []
        for page in (1, 2, 3):
            made = layerpages.listed(book, layer, {"q": "", "sort": "population", "dir": "desc"}, page=page)
            found += [r["code"] for r in made["rows"]]
    held = city.services.store.snapshot("admin_units").set_index("code")["population"].reindex(found)
    known = held.dropna()
    assert known.tolist() == sorted(known.tolist(), reverse=True) and held.notna().tolist()[: len(known)] == [
        True
    ] * len(known)
    assert len(found) == len(set(found)) == len(city.services.store.snapshot("admin_units"))


def test_every_list_of_rows_names_each_column_once(city):
    from server import layerpages

    with city.app.test_request_context("/?lang=en"):
        for layer in ALL.values():
            names = [f.name for f in layerpages.columns(layer)]
            assert len(names) == len(set(names)), (layer.name, names)


def test_the_file_under_the_rows_holds_the_rows_shown_in_their_order_with_internal_fields(city):
    page = city.page("planner", "/admin/layers/admin_units/features?q=hai+an&sort=population&dir=desc")
    (form,) = downloadform.forms(page)
    assert ("q", "hai an") in form["keep"] and ("sort", "population") in form["keep"]
    answer = city.planner.get(downloadform.sent(form, "csv", columns=["code", "name_en", "population"]))
    lines = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    shown = re.findall(r'<tr><th scope="row"><a[^>]*>([^<]*)', page)
    assert [line["code"] for line in lines] == shown and len(shown) > 1
    known = [float(line["population"]) for line in lines if line["population"]]
    assert known == sorted(known, reverse=True)
    whole = city.planner.get("/admin/layers/treatment_plants/features.csv").get_data().decode("utf-8-sig")
    assert next(csv.reader(io.StringIO(whole)))[: len(ALL["treatment_plants"].fields)] == [
        f.name for f in ALL["treatment_plants"].fields
    ]
    (noted,) = [r for r in audit_of(city, "list:treatment_plants") if r["action"] == "download"][:1]
    assert noted["new"]["rows"] == len(city.services.store.snapshot("treatment_plants"))
    assert city.planner.get("/admin/layers/hotspots/features.csv").status_code == 403
    assert city.planner.get("/admin/layers/norms/features.kml").status_code == 404, "a table has no places"


def audit_of(city, thing):
    from layers import audit

    with city.services.store.reading() as con:
        return list(audit.rows(con, thing=thing))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/layers/castles/versions", 404), ("/admin/layers/castles/features", 404),
        (f"{PLANTS}/features/NO-SUCH", 404), (f"{PLANTS}/features/~9", 404), (f"{PLANTS}/features/a~-b", 404),
        (f"{PLANTS}/versions?from=99", 404), (f"{PLANTS}/versions?to=x", 400), (f"{PLANTS}/versions?kind=eaten", 400),
        (f"{PLANTS}/versions?field=nothing", 400), (f"{PLANTS}/features?sort=nothing", 400), (f"{PLANTS}/features?page=-1", 400),
        (f"{PLANTS}/versions/castle.geojson", 404), (f"{PLANTS}/versions/9/figures", 404), ("/admin/layers/hotspots/new", 403),
        ("/admin/layers/hotspots/features/HS-0001", 403), (f"{PLANTS}/near.geojson?box=1,2,3", 400),
        (f"{PLANTS}/near.geojson?box=nan,nan,nan,nan", 400), ("/admin/layers/norms/near.geojson?box=1,2,3,4", 404),
        (f"{PLANTS}/features/{'A' * 3000}", 404), ("/admin/layers/plant_states/features/TP01~-notaday", 404),
    ],
)  # fmt: skip
def test_addresses_that_lead_nowhere_say_so(city, path, status):
    city.page("planner", path, status)


def test_every_layer_has_its_list_its_versions_and_an_empty_form(city):
    for name, layer in ALL.items():
        for page in ("versions", "features"):
            city.page("planner", f"/admin/layers/{name}/{page}")
        if not layer.gated:
            made = city.page("administrator", f"/admin/layers/{name}/new")
            assert made.count('id="v-') >= len(layer.fields)


def test_every_row_of_the_starter_opens(city):
    for name, layer in ALL.items():
        if layer.gated:
            continue
        frame = city.services.store.snapshot(name)
        from layers import rows

        for key in rows.keys(layer, frame)[:3]:
            page = city.page("planner", f"/admin/layers/{name}/features/{rowkeys.key_text(key)}")
            assert "History of this row" in page


def test_the_first_version_is_shown_against_nothing(city):
    page = city.page("planner", f"{PLANTS}/versions?from=0&to=1")
    n = len(city.services.store.snapshot("treatment_plants"))
    assert f"{n} added" in page and "mark-added" in page
    body = city.planner.get(f"{PLANTS}/versions/added.geojson?from=0&to=1").get_json()
    placed = city.services.store.snapshot("treatment_plants").geometry.notna().sum()
    assert len(body["features"]) == placed and all(f["geometry"]["type"] == "Point" for f in body["features"])


# --- versions ---


def changed_zones(office):
    """A second version of the zones: one moved, one redrawn, one field changed, one removed, one new with hostile words."""
    store = office.services.store
    frame = store.snapshot("industrial_zones").copy()
    shapes = frame.geometry.to_numpy().copy()
    shapes[0] = shapely.transform(shapes[0], lambda xy: xy + np.array([0.01, 0]))
    shapes[1] = shapes[1].buffer(0.002)
    frame = frame.set_geometry(gpd.GeoSeries(shapes, crs=4326))
    frame.loc[2, "area_ha"] = 123.5
    extra = frame.iloc[[4]].assign(
        code="Z-NEW", name_vi=HOSTILE, name_en=None, geometry=[box(106.6, 20.8, 106.61, 20.81)]
    )
    gone = frame["code"].iloc[3]
    frame = frame.drop(index=3)
    store.write(
        check(ALL["industrial_zones"], gpd.pd.concat([frame, extra], ignore_index=True)),
        source="khu.zip",
        who="Planner 1",
    )
    return frame["code"].iloc[0], gone


def test_the_newest_version_is_compared_with_the_one_before(office):
    moved, gone = changed_zones(office)
    page = office.page("planner", f"{ZONES}/versions")
    assert "1 added, 3 changed, 1 removed" in page and "2 places moved or redrawn" in page
    assert "moved by 1,0" in page and "redrawn" in page and "123.5 ha" in page
    assert HOSTILE not in page and "&lt;script&gt;alert(1)" in page
    was, now = (office.planner.get(f"{ZONES}/versions/{w}.geojson?from=1&to=2").get_json() for w in ("was", "now"))
    assert {f["properties"]["code"] for f in was["features"]} == {f["properties"]["code"] for f in now["features"]}
    assert moved in {f["properties"]["code"] for f in now["features"]} and len(now["features"]) == 2
    removed = office.planner.get(f"{ZONES}/versions/removed.geojson?from=1&to=2").get_json()
    assert [f["properties"]["code"] for f in removed["features"]] == [gone]
    narrow = office.page("planner", f"{ZONES}/versions?from=1&to=2&kind=changed&field=area_ha")
    assert "1 shown" in narrow and "Z-NEW" not in narrow
    assert office.page("planner", f"{ZONES}/versions?from=2&to=1").count("removed")


def test_the_differences_as_a_file(office):
    changed_zones(office)
    answer = office.planner.get(f"{ZONES}/versions.csv?from=1&to=2&lang=en")
    rows = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert {r["Change"] for r in rows} == {"added", "changed", "removed"}
    area = [r for r in rows if r["Field name"] == "area_ha" and r["Change"] == "changed"]
    assert len(area) == 1 and area[0]["After"] == "123.5"
    assert any(r["Field name"] == "geometry" and r["Before"].startswith(("POLYGON", "MULTIPOLYGON")) for r in rows)
    assert "attachment" in answer.headers["Content-Disposition"]


def test_an_earlier_version_is_put_back_and_redone(office):
    store = office.services.store
    before = versions(office, "industrial_zones")[0]["sha256"]
    changed_zones(office)
    after = versions(office, "industrial_zones")[0]["sha256"]
    assert office.send("planner", f"{ZONES}/versions/1/restore").status_code == 400, "one confirmation"
    assert len(versions(office, "industrial_zones")) == 2
    answer = office.send("planner", f"{ZONES}/versions/1/restore", {"sure": "yes"})
    assert answer.status_code == 303 and versions(office, "industrial_zones")[0]["sha256"] == before
    page = office.page("planner", answer.headers["Location"].replace("http://localhost", ""))
    assert (
        "To redo, put version 2 back" in page and 'action="/admin/layers/industrial_zones/versions/2/restore"' in page
    )
    office.send("planner", f"{ZONES}/versions/2/restore", {"sure": "yes"})
    newest = versions(office, "industrial_zones")[0]
    assert newest["sha256"] == after and newest["version"] == 4 and newest["who"] == office.users["planner"].name
    assert office.send("administrator", "/admin/layers/hotspots/versions/1/restore", {"sure": "yes"}).status_code == 403
    assert len(store.snapshot("industrial_zones")) == newest["rows"]


def test_versions_whose_rows_are_gone_say_so(office):
    store = office.services.store
    for i in range(3):
        changed = store.snapshot("treatment_plants").copy()
        changed["area_ha"] = float(i)
        store.write(check(ALL["treatment_plants"], changed), source=f"file {i}", who="Planner 1")
    old = (datetime.now(UTC) - timedelta(days=45)).isoformat(timespec="milliseconds")
    with store.transaction() as con:
        con.execute(
            sa.text("UPDATE layer_versions SET at=:at WHERE layer='treatment_plants' AND version<=2"), {"at": old}
        )
    changed["area_ha"] = 9.0
    store.write(check(ALL["treatment_plants"], changed), source="file 9", who="Planner 1")
    page = office.page("planner", f"{PLANTS}/versions")
    assert page.count("rows no longer kept") >= 2 and "30 days" in page
    assert 'versions/1/restore"' not in page and 'versions/3/restore"' in page
    told = office.page("planner", f"{PLANTS}/versions?from=1&to=2").split('id="compare"')[1]
    assert 'class="note"' in told and "is not kept" in told
    assert office.send("planner", f"{PLANTS}/versions/1/restore", {"sure": "yes"}).status_code == 409


def test_figures_with_the_data_of_a_version(office):
    store = office.services.store
    units = store.snapshot("admin_units").copy()
    units["population"] *= 2
    store.write(check(ALL["admin_units"], units), source="census.xlsx", who="Planner 1")
    page = office.page("planner", "/admin/layers/admin_units/versions/2/figures")
    first = re.search(r"Waste water generated.*?</tr>", page, re.DOTALL)[0]
    before, with_it, now = re.findall(r'<td class="num">([\d,]+)', first)
    assert with_it == now != before
    assert int(with_it.replace(",", "")) > 1.3 * int(before.replace(",", ""))
    assert "--data-as-of" in page


def test_a_refused_edit_of_another_program_is_shown_with_what_to_do(office):
    store = office.services.store
    code = key_of_first(office)
    with store.transaction() as con:  # what another program does: the rows and the time of change, no version
        con.exec_driver_sql("UPDATE treatment_plants SET kind='castle <b>' WHERE code=?", (code,))
        con.exec_driver_sql(
            "UPDATE gpkg_contents SET last_change='2999-01-01T00:00:00Z' WHERE table_name='treatment_plants'"
        )
    page = office.page("planner", "/admin/layers")
    assert "by another program is not used" in page and code in page and "castle &lt;b&gt;" in page
    vi = office.planner.get("/admin/layers?lang=vi").get_data(as_text=True)
    assert "không thuộc" in vi
    assert "An edit by another program is not used" in office.page("planner", f"{PLANTS}/versions")
    answer = office.send("planner", f"{PLANTS}/versions/1/restore", {"sure": "yes"})
    assert answer.status_code == 303 and store.refused() == {}
    assert row(office, "treatment_plants", code)["kind"] != "castle <b>"


# --- one row ---


def test_a_field_is_saved_as_one_version_told_in_the_history_and_undone(office):
    code = key_of_first(office)
    before = row(office, "treatment_plants", code)["design_m3d"]
    form = form_of(office, "treatment_plants", code) | {"v-design_m3d": "12345,5", "reason": "nghiệm thu"}
    answer = office.send("planner", f"{PLANTS}/features/{code}", form)
    assert answer.status_code == 303 and row(office, "treatment_plants", code)["design_m3d"] == 12345.5
    assert len(versions(office)) == 2 and versions(office)[0]["who"] == office.users["planner"].name
    page = office.page("planner", answer.headers["Location"].replace("http://localhost", ""))
    assert "Saved as version 2" in page and "12,345.5 m³" in page and f"features/{code}/undo/2" in page
    assert "Why: nghiệm thu" in page
    assert office.send("planner", f"{PLANTS}/features/{code}/undo/2").status_code == 303
    again = row(office, "treatment_plants", code)["design_m3d"]
    assert again == before or (again != again and before != before)
    assert len(versions(office)) == 3
    said = office.page("planner", f"{PLANTS}/features/{code}")
    assert said.count("Undo this change") == 2, "the undoing can be undone; what the starter brought cannot"
    office.send("planner", f"{PLANTS}/features/{code}/undo/2", {})
    assert len(versions(office)) == 3, "undone already: nothing is written"


def test_nothing_else_changes_when_nothing_is_touched(office):
    for layer in ("treatment_plants", "industrial_zones", "admin_units"):
        code = key_of_first(office, layer)
        answer = office.send("planner", f"/admin/layers/{layer}/features/{code}", form_of(office, layer, code))
        assert answer.status_code == 303 and len(versions(office, layer)) == 1, layer


def test_what_is_wrong_stands_beside_its_field_in_the_readers_language(office):
    code = key_of_first(office)
    wrong = {"v-design_m3d": "36.000", "v-kind": "", "v-valid_from": "2026-13-01"}
    answer = office.send(
        "planner", f"{PLANTS}/features/{code}?lang=vi", form_of(office, "treatment_plants", code) | wrong
    )
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and len(versions(office)) == 1
    for name in ("v-design_m3d", "v-kind", "v-valid_from"):
        assert f'href="#{name}"' in page and f'id="{name}-error"' in page
    assert 'value="36.000"' in page, "what was typed is still there"
    assert "đọc" in page.split('id="v-design_m3d-error"')[1][:200]
    wrong = {"v-valid_from": "2026-02-01", "v-valid_to": "2026-01-01"}
    areas = "/admin/layers/service_areas/new?lang=en"
    form = {"v-code": "SA1", "v-name_vi": "Vùng", "v-plant": code, "v-geometry_quality": "surveyed", "v-source": "s",
            "v-confidence": "high", "geometry": "", "corners": "", "corners_was": ""} | wrong  # fmt: skip
    page = office.send("planner", areas, form).get_data(as_text=True)
    assert "The last day must lie after the first day" in page.split('id="v-valid_to-error"')[1][:200]


def test_a_new_row_is_added_deleted_and_brought_back(office):
    form = {"v-code": "T/1 ~é?#%", "v-name_vi": "Trạm thử", "v-kind": "municipal", "v-geometry_quality": "surveyed",
            "v-source": "s", "v-confidence": "high", "geometry": "", "corners_was": "", "form": "Point", "system": "9210",
            "corners": "2306067,77; 597432,44"}  # fmt: skip
    answer = office.send("planner", f"{PLANTS}/new", form)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    made = row(office, "treatment_plants", "T/1 ~é?#%")
    assert (made.geometry.x, made.geometry.y) == (pytest.approx(106.6881, abs=1e-6), pytest.approx(20.8449, abs=1e-6))
    assert office.planner.get(answer.headers["Location"]).status_code == 200
    assert office.send("planner", f"{PLANTS}/new", form).status_code == 422, "the key is there already"
    key = rowkeys.key_text(("T/1 ~é?#%",))
    path = office.app.url_map.bind("localhost").build("layerrows.delete", {"name": "treatment_plants", "key": key})
    assert office.send("planner", path, {"base": "2"}).status_code == 400
    gone = office.send("planner", path, {"base": "2", "sure": "yes"})
    assert gone.status_code == 303 and "T/1 ~é?#%" not in set(
        office.services.store.snapshot("treatment_plants")["code"]
    )
    listed = office.planner.get(gone.headers["Location"] + "&lang=en").get_data(as_text=True)
    assert "The row was deleted" in listed and "undo/3" in listed
    assert office.planner.get(path.removesuffix("/delete")).status_code == 404
    back = office.send("planner", path.replace("/delete", "/undo/3"))
    assert back.status_code == 303 and row(office, "treatment_plants", "T/1 ~é?#%").geometry.equals(made.geometry)


def test_two_editors_see_both_values_and_the_second_chooses(office):
    code = key_of_first(office)
    mine, theirs = form_of(office, "treatment_plants", code), form_of(office, "treatment_plants", code, "administrator")
    office.send("administrator", f"{PLANTS}/features/{code}", theirs | {"v-design_m3d": "111", "v-area_ha": "5"})
    late = office.send(
        "planner", f"{PLANTS}/features/{code}?lang=en", mine | {"v-design_m3d": "222", "v-note_en": "mine"}
    )
    page = late.get_data(as_text=True)
    assert late.status_code == 409 and len(versions(office)) == 2
    assert "111 m³" in page and "222 m³" in page and 'name="keep-design_m3d"' in page
    assert 'name="keep-area_ha"' not in page and 'name="keep-note_en"' not in page
    assert office.users["administrator"].name in page and "Changed by the other person only, and kept: Area" in page
    hidden = hidden_of(page)
    base = re.search(r'name="base" value="(\d+)"', page)[1]
    chosen = office.send("planner", f"{PLANTS}/features/{code}", hidden | {"base": base, "keep-design_m3d": "mine"})
    assert chosen.status_code == 303
    now = row(office, "treatment_plants", code)
    assert (now["design_m3d"], now["area_ha"], now["note_en"]) == (222.0, 5.0, "mine")


def test_the_second_editor_may_keep_what_the_first_wrote(office):
    code = key_of_first(office)
    mine, theirs = form_of(office, "treatment_plants", code), form_of(office, "treatment_plants", code)
    office.send("administrator", f"{PLANTS}/features/{code}", theirs | {"v-design_m3d": "111"})
    page = office.send("planner", f"{PLANTS}/features/{code}", mine | {"v-design_m3d": "222"}).get_data(as_text=True)
    hidden = hidden_of(page)
    answer = office.send("planner", f"{PLANTS}/features/{code}", hidden | {"base": "2", "keep-design_m3d": "theirs"})
    assert answer.status_code == 303 and row(office, "treatment_plants", code)["design_m3d"] == 111.0
    assert len(versions(office)) == 2, "nothing differs, nothing is written"


def test_two_editors_of_one_outline(office):
    zones = office.services.store.snapshot("industrial_zones")
    code = zones["code"].iloc[1]
    mine, theirs = form_of(office, "industrial_zones", code), form_of(office, "industrial_zones", code)
    first, second = (json.dumps(shapely.geometry.mapping(box(106.6, 20.8, x, 20.85))) for x in (106.65, 106.66))
    assert office.send("administrator", f"{ZONES}/features/{code}", theirs | {"geometry": first}).status_code == 303
    late = office.send("planner", f"{ZONES}/features/{code}", mine | {"geometry": second})
    page = late.get_data(as_text=True)
    assert (late.status_code == 409 and 'name="keep-geometry"' in page and "corners" in page) or "góc" in page
    assert row(office, "industrial_zones", code).geometry.bounds[2] == 106.65


def test_a_row_deleted_meanwhile_can_be_added_again(office):
    code = key_of_first(office)
    mine = form_of(office, "treatment_plants", code)
    office.send("administrator", f"{PLANTS}/features/{code}/delete", {"base": "1", "sure": "yes"})
    late = office.send("planner", f"{PLANTS}/features/{code}?lang=en", mine | {"v-design_m3d": "222"})
    page = late.get_data(as_text=True)
    assert late.status_code == 409 and "Somebody deleted this row" in page
    hidden = hidden_of(page)
    assert office.send("planner", f"{PLANTS}/new", hidden | {"elsewhere": "yes"}).status_code == 303
    assert row(office, "treatment_plants", code)["design_m3d"] == 222.0


def test_a_row_changed_meanwhile_is_not_deleted(office):
    code = key_of_first(office)
    form = form_of(office, "treatment_plants", code)
    office.send("administrator", f"{PLANTS}/features/{code}", form | {"v-design_m3d": "111"})
    answer = office.send("planner", f"{PLANTS}/features/{code}/delete", {"base": "1", "sure": "yes"})
    assert answer.status_code == 303 and code in set(office.services.store.snapshot("treatment_plants")["code"])
    assert "so it was not deleted" in office.page("planner", f"{PLANTS}/features/{code}")


def test_undo_of_an_older_change_asks_where_it_was_changed_since(office):
    code = key_of_first(office)
    for value in ("111", "222"):
        form = form_of(office, "treatment_plants", code)
        office.send("planner", f"{PLANTS}/features/{code}", form | {"v-design_m3d": value})
    answer = office.send("planner", f"{PLANTS}/features/{code}/undo/2?lang=en")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409 and "keep-design_m3d" in page
    assert "What version 2 did was not taken back yet" in page and "you typed" not in page
    assert row(office, "treatment_plants", code)["design_m3d"] == 222.0
    base = re.search(r'name="base" value="(\d+)"', page)[1]
    reason = re.search(r'name="reason" value="([^"]*)"', page)[1]
    chosen = hidden_of(page) | {"base": base, "reason": reason, "elsewhere": "yes", "keep-design_m3d": "mine"}
    assert office.send("planner", f"{PLANTS}/features/{code}", chosen).status_code == 303
    assert row(office, "treatment_plants", code)["design_m3d"] != 222.0
    assert "version 2 taken back" in office.page("planner", f"{PLANTS}/features/{code}")


def test_a_clash_names_who_changed_this_row_not_who_wrote_last(office):
    first, second = office.services.store.snapshot("treatment_plants")["code"].iloc[:2]
    mine = form_of(office, "treatment_plants", first) | {"v-design_m3d": "111"}
    theirs = form_of(office, "treatment_plants", first, "administrator") | {"v-design_m3d": "222"}
    office.send("administrator", f"{PLANTS}/features/{first}", theirs)
    office.send(
        "planner", f"{PLANTS}/features/{second}", form_of(office, "treatment_plants", second) | {"v-design_m3d": "5"}
    )
    page = office.send("planner", f"{PLANTS}/features/{first}?lang=en", mine).get_data(as_text=True)
    said = re.search(r'role="alert">([^<]*)', page)[1]
    assert office.users["administrator"].name in said and office.users["planner"].name not in said


def test_places_out_of_the_city_are_asked_about_and_crossed_outlines_refused(office):
    code = key_of_first(office)
    form = form_of(office, "treatment_plants", code)
    far = json.dumps({"type": "Point", "coordinates": [105.0, 21.0]})
    page = office.send("planner", f"{PLANTS}/features/{code}?lang=en", form | {"geometry": far}).get_data(as_text=True)
    assert "does not lie in the city" in page and 'name="elsewhere"' in page and len(versions(office)) == 1
    assert (
        office.send("planner", f"{PLANTS}/features/{code}", form | {"geometry": far, "elsewhere": "yes"}).status_code
        == 303
    )
    assert row(office, "treatment_plants", code).geometry.x == 105.0
    for drawn in (
        {"type": "Polygon", "coordinates": [[[106.6, 20.8], [106.7, 20.9], [106.7, 20.8], [106.6, 20.9], [106.6, 20.8]]]},
        {"type": "Point", "coordinates": [106.6, None]}, {"type": "Point"}, [1], "x", {"type": "Point", "coordinates": [1e9, 2]},
        {"type": "GeometryCollection", "geometries": []}, {"type": "Point", "coordinates": []},
    ):  # fmt: skip
        zone = office.services.store.snapshot("industrial_zones")["code"].iloc[0]
        form = form_of(office, "industrial_zones", zone) | {"geometry": json.dumps(drawn)}
        answer = office.send("planner", f"{ZONES}/features/{zone}", form)
        assert answer.status_code == 422, (drawn, answer.status_code)
    assert len(versions(office, "industrial_zones")) == 1


def test_typed_corners_do_what_drawing_does(office):
    zone = office.services.store.snapshot("industrial_zones")["code"].iloc[0]
    form = form_of(office, "industrial_zones", zone)
    typed = "106.60 20.80\n106.62 20.80\n106.62 20.82\n-\n106.612 20.806\n106.615 20.806\n106.615 20.809\n\n106.7 20.7\n106.71 20.7\n106.71 20.71"
    form |= {"corners": typed, "corners_was": "x", "form": "Polygon", "system": "4326"}
    assert office.send("planner", f"{ZONES}/features/{zone}", form).status_code == 303
    made = row(office, "industrial_zones", zone).geometry
    assert made.geom_type == "MultiPolygon" and len(made.geoms) == 2 and len(made.geoms[0].interiors) == 1
    wrong = form_of(office, "industrial_zones", zone) | form | {"corners": "106.6 hier", "base": "2"}
    page = office.send("planner", f"{ZONES}/features/{zone}?lang=en", wrong).get_data(as_text=True)
    assert "Line 1" in page and 'href="#corners"' in page


def test_corners_are_converted_for_the_page(city):
    def ask(**body):
        return city.planner.post("/admin/layers/corners", json=body, headers={"X-CSRF": city.planner.csrf})

    made = ask(text="106.6881 20.8449", system=4326, form="Point", to=9210).get_json()
    assert re.fullmatch(r"597432\.44\d 2306067\.77\d", made["text"]) and made["geometry"]["type"] == "Point"
    assert ask(text="", system=4326, form="Point").get_json()["geometry"] is None
    assert ask(text="a b", system=4326, form="Point").status_code == 422
    for body in ({"text": 5}, {"text": "x" * 3_000_000}, [], "x"):
        assert (
            city.planner.post("/admin/layers/corners", json=body, headers={"X-CSRF": city.planner.csrf}).status_code
            == 400
        )
    assert ask(text="106.6 20.8", system="9210; DROP", form="Circle").status_code == 422


def test_neighbours_to_snap_to(city):
    frame = city.services.store.snapshot("industrial_zones")
    code = frame["code"].iloc[1]
    west, south, east, north = frame.geometry.iloc[1].bounds
    box_ = f"{west},{south},{east},{north}"
    with_it = city.planner.get(f"{ZONES}/near.geojson?box={box_}").get_json()
    without = city.planner.get(f"{ZONES}/near.geojson?box={box_}&key={code}").get_json()
    assert len(with_it["features"]) == len(without["features"]) + 1


def test_hostile_text_stays_text_on_every_page(office):
    code = key_of_first(office)
    form = form_of(office, "treatment_plants", code)
    hostile = {"v-name_vi": HOSTILE, "v-name_en": HOSTILE, "v-note_vi": HOSTILE, "v-source": HOSTILE, "reason": HOSTILE}
    assert office.send("planner", f"{PLANTS}/features/{code}", form | hostile).status_code == 303
    assert row(office, "treatment_plants", code)["name_vi"] == HOSTILE
    wrong = (
        form
        | hostile
        | {"v-kind": HOSTILE, "base": "2", "v-design_m3d": HOSTILE, "geometry": HOSTILE, "corners_was": HOSTILE}
    )
    refused = office.send("planner", f"{PLANTS}/features/{code}", wrong)
    assert refused.status_code == 422
    pages = [refused.get_data(as_text=True)]
    pages += [office.page("planner", p) for p in (
        f"{PLANTS}/features", f"{PLANTS}/features?q={HOSTILE.replace('#', '')}", f"{PLANTS}/features/{code}", f"{PLANTS}/versions",
        "/admin/layers",
    )]  # fmt: skip
    form = form_of(office, "treatment_plants", code)
    office.send("administrator", f"{PLANTS}/features/{code}", form | {"v-name_vi": "a"})
    pages.append(
        office.send("planner", f"{PLANTS}/features/{code}", form | {"v-name_vi": HOSTILE + "!"}).get_data(as_text=True)
    )
    assert "keep-name_vi" in pages[-1]
    for page in pages:
        assert "<script>alert" not in page and "<img src=x" not in page and "</textarea><img" not in page
    file = office.planner.get(f"{PLANTS}/versions.csv").get_data(as_text=True)
    assert "alert(1)" in file


def test_only_planners_and_administrators_come_in(city):
    for role in ("commune_officer", "inspector", "approver"):
        city.page(role, "/admin/layers", 403)
        assert city.send(role, f"{PLANTS}/versions/1/restore", {"sure": "yes"}).status_code == 403


def test_a_form_without_its_token_writes_nothing(office):
    code = key_of_first(office)
    assert office.planner.post(f"{PLANTS}/features/{code}", data={"base": "1"}).status_code == 400
    assert len(versions(office)) == 1


def test_an_outline_of_many_corners_fits_into_the_form(office):
    zone = office.services.store.snapshot("industrial_zones")["code"].iloc[0]
    around = shapely.Point(106.7, 20.8).buffer(0.05, quad_segs=4000)
    form = form_of(office, "industrial_zones", zone) | {"geometry": shapely.to_geojson(around)}
    assert len(form["geometry"]) > 600_000
    assert office.send("planner", f"{ZONES}/features/{zone}", form).status_code == 303
    assert len(shapely.get_coordinates(row(office, "industrial_zones", zone).geometry)) == 16001
    too_many = form | {
        "base": "2",
        "geometry": shapely.to_geojson(shapely.Point(106.7, 20.8).buffer(0.05, quad_segs=6000)),
    }
    page = office.send("planner", f"{ZONES}/features/{zone}?lang=en", too_many)
    assert page.status_code == 422 and "24001" in page.get_data(as_text=True)


def test_notes_of_versions_are_told_in_the_readers_words(office):
    code = key_of_first(office)
    office.send(
        "planner", f"{PLANTS}/features/{code}", form_of(office, "treatment_plants", code) | {"v-design_m3d": "111"}
    )
    office.send("planner", f"{PLANTS}/features/{code}/undo/2")
    office.send("planner", f"{PLANTS}/features/{code}/delete", {"base": "3", "sure": "yes", "reason": "đóng cửa"})
    page = office.page("planner", f"{PLANTS}/versions")
    assert f"{code}: Design capacity; version 2 taken back" in page and f"{code}: removed; đóng cửa" in page
    vi = office.planner.get(f"{PLANTS}/versions?lang=vi").get_data(as_text=True)
    assert f"{code}: Công suất thiết kế; hoàn tác phiên bản 2" in vi


def test_the_ledger_of_the_command_line_with_the_data_of_then(starter_store, tmp_path, capsys):
    import shutil

    from layers.store import Store
    from server import cli

    data = shutil.copytree(starter_store, tmp_path / "data")
    store = Store(data)
    moment = datetime.now(UTC)
    units = store.snapshot("admin_units").copy()
    units["population"] *= 2
    store.write(check(ALL["admin_units"], units), source="census", who="Planner 1")
    store.close()

    def generated(*more):
        assert cli.main(["ledger", "--data", str(data), "--format", "json", *more]) == 0
        return json.loads(capsys.readouterr().out)["total"]["generated"]["likely"]

    now, then = generated(), generated("--data-as-of", moment.isoformat())
    assert now > 1.3 * then
    assert cli.main(["ledger", "--data", str(data), "--data-as-of", "2001-01-01"]) == 1
    assert "no data yet" in capsys.readouterr().err


def test_a_row_is_not_saved_over_an_edit_that_is_not_used_and_nothing_typed_is_lost(office):
    store, code = office.services.store, key_of_first(office)
    form = form_of(office, "treatment_plants", code) | {"v-design_m3d": "4711"}
    with store.transaction() as con:
        con.exec_driver_sql("UPDATE treatment_plants SET kind='castle'")
        con.exec_driver_sql(
            "UPDATE gpkg_contents SET last_change='2999-01-01T00:00:00Z' WHERE table_name='treatment_plants'"
        )
    answer = office.send("planner", f"{PLANTS}/features/{code}?lang=en", form)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and "edited by another program" in page and 'value="4711"' in page
    assert len(versions(office)) == 1
