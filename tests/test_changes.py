"""Differences of versions, layers as of a moment, and one row edited by two people: numbers by hand and properties."""

import csv
import io
import threading
from datetime import UTC, date, datetime, timedelta, timezone

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from layers import audit, export, rules
from layers.asof import StoreAsOf
from layers.catalogue import ALL, Field
from layers.checks import check
from layers.errors import StoreError
from server import changes, corners, drawing, featureedits, featureforms, layerbook, problems, rowkeys
from server.featureedits import Clash, Editor, Row, merged
from server.figures import Figures
from server.forms import FormError
from server.people import User

PLANTS, ZONES = ALL["treatment_plants"], ALL["industrial_zones"]
DAY = timedelta(days=1)


def zones(codes, places, **more):
    row = {"code": list(codes), "name_vi": "Khu", "kind": "industrial_park", "state": "operating",
           "geometry_quality": "digitised", "source": "a plan", "confidence": "high"}  # fmt: skip
    return check(ZONES, gpd.GeoDataFrame(row | more, geometry=list(places), crs=4326)).rows


def found(old, new, layer=ZONES):
    return changes.difference(layer, old, new)


# --- differences, by hand ---


def test_rows_added_removed_and_changed_are_told_with_their_values():
    old = zones(
        "ABC", [box(0, 0, 1, 1), Point(1, 1), None], area_ha=[1.0, 2.0, np.nan], established_year=[2000, None, 1999]
    )
    new = zones("BCD", [Point(1, 1), Point(5, 5), None], area_ha=[2.0, 7.5, 4.0], established_year=[None, 1999, None])
    made = found(old, new)
    assert made.counts == {"added": 1, "removed": 1, "changed": 1, "shape": 1} and made.same == 1
    by = {c.key[0]: c for c in made.changes}
    assert by["C"].fields == {"area_ha": (None, 7.5)} and by["C"].shape.how == "placed"
    assert by["D"].kind == "added" and by["D"].fields["area_ha"] == (None, 4.0) and by["D"].shape is None
    assert by["A"].kind == "removed" and by["A"].fields["established_year"] == (2000, None)
    assert "note_vi" not in by["A"].fields, "blank fields of a removed row are not told"
    assert by["A"].shape.old.equals(box(0, 0, 1, 1)) and by["A"].shape.new is None


def test_the_same_place_written_otherwise_is_no_change():
    ring = [(0, 0), (0, 2), (2, 2), (2, 0)]
    turned = Polygon([(2, 2), (2, 0), (0, 0), (0, 2)])
    two = [box(0, 0, 1, 1), box(3, 3, 4, 4)]
    old = zones("AB", [Polygon(ring), MultiPolygon(two)])
    new = zones("BA", [MultiPolygon(two[::-1]), MultiPolygon([turned])])
    assert found(old, new).changes == ()


@pytest.mark.parametrize(
    ("old", "new", "how", "metres"),
    [
        # one degree of latitude at 20° N is 110.7 km on the ellipsoid (110,704 m)
        (Point(106, 20), Point(106, 20.001), "moved", 110.7),
        (box(106, 20, 106.1, 20.1), box(106.01, 20, 106.11, 20.1), "moved", 1046.0),
        (box(106, 20, 106.1, 20.1), box(106, 20, 106.2, 20.1), "reshaped", None),
        (Point(106, 20), box(106, 20, 106.2, 20.1), "reshaped", None),
        (LineString([(106, 20), (106, 21)]), LineString([(106, 20), (106, 21), (107, 21)]), "reshaped", None),
        (None, Point(106, 20), "placed", None),
        (Point(106, 20), None, "unplaced", None),
    ],
)
def test_how_a_place_changed(old, new, how, metres):
    shape = found(zones("A", [old]), zones("A", [new])).changes[0].shape
    assert shape.how == how
    assert shape.metres is None if metres is None else shape.metres == pytest.approx(metres, rel=0.001)


def test_a_tenth_of_a_millimetre_is_no_move_a_millimetre_is():
    assert found(zones("A", [Point(106, 20)]), zones("A", [Point(106, 20 + 5e-10)])).changes == ()
    assert found(zones("A", [Point(106, 20)]), zones("A", [Point(106, 20 + 1e-8)])).changes[0].shape.metres < 0.002


def test_the_size_of_a_place():
    assert changes.size_of(Point(1, 1)) is None and changes.size_of(None) is None
    metres, unit = changes.size_of(LineString([(106, 20), (106, 20.001)]))
    assert unit == "m" and metres == pytest.approx(110.7, rel=0.001)
    area, unit = changes.size_of(box(106, 20, 106.001, 20.001))
    assert unit == "m²" and area == pytest.approx(104.6 * 110.7, rel=0.002)
    assert changes.size_of(shapely.reverse(box(106, 20, 106.001, 20.001)))[0] == pytest.approx(area)


def test_dates_and_keys_of_several_parts():
    layer = ALL["plant_states"]

    def states(ends, capacity):
        return check(layer, pd.DataFrame({
            "plant": ["T1", "T1"], "valid_from": ["2020-01-01", None], "valid_to": ends, "state": "operating",
            "compliance": "meets", "capacity_low": capacity, "capacity_likely": capacity, "capacity_high": capacity,
            "source": "s", "confidence": "high",
        })).rows  # fmt: skip

    made = found(states([None, "2019-01-01"], 5), states(["2021-01-01", "2019-01-01"], 5), layer)
    (change,) = made.changes
    assert change.key == ("T1", date(2020, 1, 1)) and change.fields == {"valid_to": (None, date(2021, 1, 1))}
    assert rowkeys.key_in(layer, rowkeys.key_text(("T1", None))) == ("T1", None)
    assert rowkeys.key_in(layer, rowkeys.key_text(change.key)) == change.key


texts = st.one_of(st.none(), st.text("abcđ é\n=<>", min_size=1, max_size=5).filter(str.strip))
spots = st.one_of(st.none(), st.builds(Point, st.integers(100, 110), st.integers(10, 20)))
versions = st.dictionaries(
    st.sampled_from("ABCDEF"), st.tuples(texts, st.one_of(st.none(), st.floats(0, 9)), spots), max_size=6
)


def version(rows):
    if not rows:
        return zones([], [])
    note, area, place = zip(*rows.values(), strict=True)
    return zones(rows, place, note_vi=list(note), area_ha=list(area))


@given(versions, versions, st.randoms())
def test_differences_turn_round_and_do_not_mind_the_order(a, b, random):
    there, back = found(version(a), version(b)), found(version(b), version(a))
    assert {(c.key, n): v for c in there.changes for n, v in c.fields.items()} == {
        (c.key, n): v[::-1] for c in back.changes for n, v in c.fields.items()
    }
    assert (there.counts["added"], there.same) == (back.counts["removed"], back.same)
    mixed = list(b)
    random.shuffle(mixed)
    again = found(version(a), version({k: b[k] for k in mixed}))
    assert {c.key: (c.kind, c.fields) for c in again.changes} == {c.key: (c.kind, c.fields) for c in there.changes}
    assert found(version(a), version(a)).changes == ()


@given(versions, versions)
def test_the_old_rows_and_the_differences_give_the_new_rows(a, b):
    made = {key: list(row) for key, row in a.items()}
    for c in found(version(a), version(b)).changes:
        if c.kind == "removed":
            del made[c.key[0]]
            continue
        row = made.setdefault(c.key[0], [None, None, None])
        for name, (old, new) in c.fields.items():
            if name in ("note_vi", "area_ha"):
                at = ("note_vi", "area_ha").index(name)
                assert row[at] == old
                row[at] = new
        if c.shape:
            row[2] = c.shape.new
    assert made == {key: list(row) for key, row in b.items()}


def test_a_filter_and_its_file():
    old = zones("AB", [None, Point(1, 1)], name_vi=["Kênh", "=1+1"])
    new = zones("AB", [Point(2, 2), Point(1, 1)], name_vi=["Kênh", "=2+2"], area_ha=[3.5, None])
    made = found(old, new)
    assert [c.key for c in changes.chosen(made.changes, typed="kenh")] == [("A",)]
    assert [c.key for c in changes.chosen(made.changes, field="geometry")] == [("A",)]
    assert [c.key for c in changes.chosen(made.changes, field="name_vi")] == [("B",)]
    assert changes.chosen(made.changes, kind="added") == []
    lines = changes.table(ZONES, made.changes)
    assert {"change": "changed", "code": "A", "field": "area_ha", "old": None, "new": 3.5} in lines
    assert any(line["field"] == "geometry" and line["new"] == "POINT (2 2)" for line in lines)


def test_a_hundred_thousand_rows_one_of_them_changed():
    n = 100_000
    x = 106 + np.arange(n) % 1000 / 1000
    y = 20 + np.arange(n) // 1000 / 1000
    columns = {f.name: [None] * n for f in ZONES.fields} | {"code": [f"Z{i}" for i in range(n)], "area_ha": np.ones(n)}
    for f in ZONES.fields:
        if f.kind == "date":
            columns[f.name] = pd.Series([pd.NaT] * n, dtype="datetime64[us]")
        elif f.kind != "text" and f.name != "area_ha":
            columns[f.name] = np.full(n, np.nan)
    old = gpd.GeoDataFrame(columns, geometry=shapely.box(x, y, x + 0.001, y + 0.001), crs=4326)
    new = old.iloc[::-1].copy()
    new.loc[4711, "area_ha"] = 2.0
    made = found(old, new)
    assert [(c.key, c.fields) for c in made.changes] == [(("Z4711",), {"area_ha": (1.0, 2.0)})] and made.same == n - 1


# --- keys in addresses ---


@given(st.lists(st.one_of(st.none(), st.text(min_size=1)), min_size=1, max_size=3).map(tuple))
def test_every_key_stands_in_one_part_of_an_address(key):
    text = rowkeys.key_text(key)
    assert rowkeys.key_of(text) == key
    assert not set(text) & set("/\\") and not text.startswith(".")


@pytest.mark.parametrize("text", ["~", "a~", "~9", "~5x"])
def test_an_address_of_another_form_is_no_key(text):
    with pytest.raises(ValueError):
        rowkeys.key_of(text)


# --- as of a moment ---


def plants(**more):
    row = {"code": ["T1"], "name_vi": "Trạm", "kind": "municipal", "geometry_quality": "surveyed", "source": "s",
           "confidence": "high"}  # fmt: skip
    return check(PLANTS, gpd.GeoDataFrame(row | more, geometry=[Point(106.7, 20.8)], crs=4326))


def at(store, name, number):
    return next(datetime.fromisoformat(v["at"]) for v in store.history(name) if v["version"] == number)


def dated(store, name, number, moment):
    """Pretend that a version was written at another time."""
    with store.transaction() as con:
        con.execute(
            sa.text("UPDATE layer_versions SET at=:at WHERE layer=:l AND version=:v"),
            {"at": moment.astimezone(UTC).isoformat(timespec="milliseconds"), "l": name, "v": number},
        )


@pytest.fixture
def three(store):
    """Three versions of the plants, a day apart, the newest now."""
    now = datetime.now(UTC)
    for i, design in enumerate((10.0, 20.0, 30.0), 1):
        store.write(plants(design_m3d=design), source=f"file {i}", who="Planner 1")
        dated(store, "treatment_plants", i, now - (3 - i) * DAY)
    return store


def test_the_version_in_use_at_a_moment(three):
    name = "treatment_plants"
    second = at(three, name, 2)
    assert three.as_of(name, second)["design_m3d"].tolist() == [20.0]
    assert three.as_of(name, second - timedelta(milliseconds=1))["design_m3d"].tolist() == [10.0]
    assert three.as_of(name, second + 10 * DAY)["design_m3d"].tolist() == [30.0]
    here = second.astimezone(timezone(timedelta(hours=-8)))
    assert three.as_of(name, here)["design_m3d"].tolist() == [20.0], "any time zone is the same moment"
    assert three.version_at("stations", second) == 0 and len(three.as_of("stations", second)) == 0
    assert three.as_of("stations", second).crs.to_epsg() == 4326


def test_before_the_first_version_and_after_the_rows_are_gone_a_sentence_says_so(three):
    name = "treatment_plants"
    first = at(three, name, 1)
    with pytest.raises(StoreError, match="no data yet") as told:
        three.as_of(name, first - DAY)
    assert "chưa có dữ liệu" in told.value.vi
    dated(three, name, 1, first - 90 * DAY)
    dated(three, name, 2, first - 80 * DAY)
    dated(three, name, 3, first - 70 * DAY)
    three.write(plants(design_m3d=40.0), source="file 4")
    with pytest.raises(StoreError, match=r"version 1 of treatment_plants was in use.*30 days") as told:
        three.as_of(name, first - 85 * DAY)
    assert "không còn được lưu" in told.value.vi
    assert three.kept(name) == {3, 4}


def test_the_store_of_a_moment_gives_the_figures_of_then(filled):
    city = Figures(filled).coverage("city", date(2026, 11, 22)).total["generated"]["likely"]
    moment = datetime.now(UTC)
    units = filled.snapshot("admin_units").copy()
    units["population"] *= 2
    dated(filled, "admin_units", 1, moment - DAY)
    filled.write(check(ALL["admin_units"], units), source="twice the people", who="Planner 1")
    dated(filled, "admin_units", 2, moment + timedelta(milliseconds=1))
    then = StoreAsOf(filled, moment)
    assert Figures(then).coverage("city", date(2026, 11, 22)).total["generated"]["likely"] == pytest.approx(city)
    assert Figures(filled).coverage("city", date(2026, 11, 22)).total["generated"]["likely"] > 1.5 * city
    assert then.versions()["admin_units"] == 1 and then.stamp() == StoreAsOf(filled, moment).stamp()
    assert then.snapshot("admin_units") is then.snapshot("admin_units")
    with pytest.raises(StoreError, match="future"):
        StoreAsOf(filled, datetime.now(UTC) + DAY)


# --- two people, one row ---

VALUES = {
    "code": "T1",
    "name_vi": "Trạm",
    "kind": "municipal",
    "geometry_quality": "surveyed",
    "source": "s",
    "confidence": "high",
}


def row(place=None, **more):
    return Row({f.name: None for f in PLANTS.fields} | VALUES | more, place or Point(106.7, 20.8))


facts = st.fixed_dictionaries(
    {"design_m3d": st.sampled_from([None, 1.0, 2.0]), "note_vi": st.sampled_from([None, "a", "b"])}
)
rows_ = st.builds(lambda f, x: row(Point(106.7 + x / 100, 20.8), **f), facts, st.integers(0, 2))


@given(rows_, rows_, rows_)
def test_what_one_person_changed_is_kept_and_nothing_is_lost_without_asking(base, mine, theirs):
    made = merged(PLANTS, base, mine, theirs)
    for name in (*PLANTS.by_name, "geometry"):
        b, m, t, got = ((r.place.wkt if name == "geometry" else r.values[name]) for r in (base, mine, theirs, made.row))
        if m == b:
            assert got == t, name
        if t == b:
            assert got == m, name
        if name in made.clashes:
            assert len({b, m, t}) == 3 or (m != t and b not in (m, t)), name
        elif m != t and m != b:
            assert t == b, name


@given(rows_, rows_)
def test_without_the_version_that_was_shown_every_difference_is_asked(mine, theirs):
    made = merged(PLANTS, None, mine, theirs)
    assert set(made.clashes) == set(featureedits.differing(PLANTS, mine, theirs)) and made.taken == ()


@pytest.fixture
def edited(three):
    kept = three
    one, other = (Editor(kept, _user(role), lambda: datetime.now(UTC)) for role in ("planner", "administrator"))
    return kept, one, other


def _user(role):
    return User(7, role, role.capitalize(), role)


def now_of(store):
    frame = store.snapshot("treatment_plants")
    return featureedits.row_of(PLANTS, frame.iloc[0])


def test_two_editors_of_different_fields_are_brought_together(edited):
    store, one, other = edited
    shown = now_of(store)
    other.save(PLANTS, ("T1",), shown, Row(shown.values | {"note_vi": "theirs"}, shown.place))
    made = one.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": 99.0}, Point(106.71, 20.8)))
    assert made.version == 5 and made.taken == ("note_vi",) and set(made.fields) == {"design_m3d", "geometry"}
    left = now_of(store)
    assert left.values["note_vi"] == "theirs" and left.values["design_m3d"] == 99.0 and left.place.x == 106.71


def test_two_editors_of_one_field_never_overwrite_each_other(edited):
    store, one, other = edited
    shown = now_of(store)
    other.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": 50.0}, shown.place))
    with pytest.raises(Clash) as told:
        one.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": 99.0, "note_vi": "mine"}, shown.place))
    assert told.value.merged.clashes == ("design_m3d",) and told.value.version == 4
    assert told.value.theirs.values["design_m3d"] == 50.0 and told.value.mine.values["design_m3d"] == 99.0
    assert now_of(store).values["design_m3d"] == 50.0 and now_of(store).values["note_vi"] is None, "nothing was written"


def test_the_same_change_twice_writes_once(edited):
    store, one, other = edited
    shown = now_of(store)
    mine = Row(shown.values | {"design_m3d": 50.0}, shown.place)
    assert other.save(PLANTS, ("T1",), shown, mine).version == 4
    assert one.save(PLANTS, ("T1",), shown, mine) is None
    assert len(store.history("treatment_plants")) == 4


def test_what_another_program_wrote_meanwhile_is_no_less_than_what_a_person_did(edited):
    store, one, _other = edited
    shown = now_of(store)
    with store.transaction() as con:  # as QGIS does: the row and the time of change, no version
        con.exec_driver_sql("UPDATE treatment_plants SET design_m3d=70, note_vi='QGIS'")
        con.exec_driver_sql(
            "UPDATE gpkg_contents SET last_change='2999-01-01T00:00:00Z' WHERE table_name='treatment_plants'"
        )
    with pytest.raises(Clash) as told:
        one.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": 99.0}, shown.place))
    assert told.value.merged.clashes == ("design_m3d",) and told.value.theirs.values["design_m3d"] == 70.0
    made = one.save(PLANTS, ("T1",), shown, Row(shown.values | {"area_ha": 5.0}, shown.place))
    kept = now_of(store).values
    assert (kept["design_m3d"], kept["note_vi"], kept["area_ha"]) == (70.0, "QGIS", 5.0) and set(made.taken) == {
        "design_m3d",
        "note_vi",
    }


def test_two_editors_in_the_same_instant(edited):
    store, one, other = edited
    shown = now_of(store)
    ready, said = threading.Barrier(2), []

    def save(editor, value):
        ready.wait()
        try:
            editor.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": value}, shown.place))
            said.append(value)
        except Clash:
            said.append("asked")

    threads = [threading.Thread(target=save, args=args) for args in ((one, 101.0), (other, 102.0))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert said.count("asked") == 1 and now_of(store).values["design_m3d"] in said
    assert len(store.history("treatment_plants")) == 4


def test_rows_with_days_and_blanks_in_their_key_are_edited(filled):
    layer = ALL["plant_states"]
    one = Editor(filled, _user("planner"), lambda: datetime.now(UTC))
    frame = filled.snapshot("plant_states")
    for at in {int(frame["valid_from"].notna().idxmax()), int(frame["valid_from"].isna().idxmax())}:
        shown = featureedits.row_of(layer, frame.iloc[at])
        key = featureedits.key_of(layer, shown)
        one.save(layer, key, shown, Row(shown.values | {"note_en": "seen"}))
        held = layerbook.LayerBook(filled).now("plant_states")[1]
        assert held.frame["note_en"].iat[held.at(key)] == "seen" and len(held.frame) == len(frame)


def test_a_deleted_row_and_a_changed_row_are_not_lost(edited):
    store, one, other = edited
    shown = now_of(store)
    other.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": 50.0}, shown.place))
    with pytest.raises(Clash):
        one.remove(PLANTS, ("T1",), shown)
    one.remove(PLANTS, ("T1",), now_of(store))
    assert len(store.snapshot("treatment_plants")) == 0
    with pytest.raises(Clash) as told:
        other.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": 60.0}, shown.place))
    assert told.value.theirs is None
    again = other.save(PLANTS, None, None, row(design_m3d=60.0))
    assert again.version == 6 and now_of(store).values["design_m3d"] == 60.0
    with pytest.raises(FormError) as told:
        one.save(PLANTS, None, None, row())
    assert set(told.value.errors) == {"code"}


def test_an_edit_is_one_version_with_who_and_the_old_and_new_values(edited):
    store, one, _other = edited
    shown = now_of(store)
    one.save(PLANTS, ("T1",), shown, Row(shown.values | {"design_m3d": 99.5}, Point(106.71, 20.8)), reason="đo lại")
    newest = store.history("treatment_plants")[0]
    assert newest["who"] == "Planner" and newest["source"] == featureedits.EDITED == layerbook.EDITED
    assert newest["note"] == "T1: design_m3d, geometry; đo lại" and newest["rows"] == 1
    with store.reading() as con:
        (said,) = audit.rows(con, thing="feature:treatment_plants/T1")
        assert audit.verify(con) == []
    assert said["old"] == {"design_m3d": 30.0, "geometry": "POINT (106.7 20.8)"}
    assert said["new"] == {"design_m3d": 99.5, "geometry": "POINT (106.71 20.8)", "version": 4, "reason": "đo lại"}
    assert (said["who"], said["who_id"], said["role"], said["action"]) == ("Planner", 7, "planner", "feature_edit")


def test_a_rule_between_rows_is_told_beside_its_field_and_old_faults_are_not_held_against_an_edit(filled):
    layer, name = ALL["service_links"], "service_links"
    one = Editor(filled, _user("planner"), lambda: datetime.now(UTC))
    frame = filled.snapshot(name)
    shown = featureedits.row_of(layer, frame.iloc[0])
    mine = Row(shown.values | {"share_low": 0.2, "share_likely": 1.7, "share_high": 1.8})
    with pytest.raises(FormError) as told:
        one.save(layer, featureedits.key_of(layer, shown), shown, mine)
    assert set(told.value.errors) == {"share_low", "share_likely"}
    twin = Row(shown.values | {"destination": "TP-X", "share_low": 1.0, "share_likely": 1.0, "share_high": 1.0})
    if shown.values["share_likely"]:
        with pytest.raises(FormError) as told:
            one.save(layer, None, None, twin)
        assert set(told.value.errors) == {"share_likely"}
    assert len(filled.history(name)) == 1


def test_norms_without_which_nothing_can_be_computed_are_not_deleted(filled):
    layer = ALL["norms"]
    one = Editor(filled, _user("planner"), lambda: datetime.now(UTC))
    with pytest.raises(StoreError, match="supply_urban"):
        one.remove(
            layer,
            ("supply_urban",),
            featureedits.row_of(layer, filled.snapshot("norms").set_index("code", drop=False).loc["supply_urban"]),
        )
    assert len(filled.history("norms")) == 1


def test_the_gated_layer_is_not_edited_here(filled):
    with pytest.raises(featureedits.NotHere):
        Editor(filled, _user("planner"), lambda: datetime.now(UTC)).save(ALL["hotspots"], None, None, Row({}))


# --- the past of one row ---


def test_the_past_of_a_row_names_every_version_that_touched_it(edited):
    store, one, _other = edited
    book = layerbook.LayerBook(store)
    shown = now_of(store)
    one.save(PLANTS, ("T1",), shown, Row(shown.values | {"note_vi": "x"}, shown.place))
    one.save(PLANTS, None, None, row(code="T2"))
    entries, more = book.past("treatment_plants", ("T1",))
    assert [(e.version["version"], e.change.kind) for e in entries] == [
        (4, "changed"), (3, "changed"), (2, "changed"), (1, "added"),
    ]  # fmt: skip
    assert entries[0].change.fields == {"note_vi": (None, "x")} and not more
    few, more = book.past("treatment_plants", ("T1",), most=1)
    assert [e.version["version"] for e in few] == [4, 3] and more, "what the audit tells needs no reading"
    assert [e.version["version"] for e in book.past("treatment_plants", ("T2",))[0]] == [5]


def test_an_edit_is_told_from_the_audit_when_its_rows_are_gone(edited):
    store, one, _other = edited
    shown = now_of(store)
    one.save(PLANTS, ("T1",), shown, Row(shown.values | {"note_vi": "x"}, shown.place))
    long_ago = datetime.now(UTC) - 60 * DAY
    for number in (1, 2, 3, 4):
        dated(store, "treatment_plants", number, long_ago + number * DAY)
    store.write(plants(design_m3d=1.0), source="f")
    store.write(plants(design_m3d=2.0), source="g")
    entries, _more = layerbook.LayerBook(store).past("treatment_plants", ("T1",))
    told = next(e for e in entries if e.version["version"] == 4)
    assert told.change is None and told.told["new"]["note_vi"] == "x"


# --- what is typed ---


@pytest.mark.parametrize(
    ("kind", "unit", "typed", "value"),
    [
        ("number", "", "1250", 1250), ("number", "", "0,5", 0.5), ("number", "", "0.125", 0.125),
        ("number", "", "1.234,5", 1234.5), ("number", "", "1,234.5", 1234.5), ("number", "", "1.234.567", 1234567),
        ("number", "", "1 234,5", 1234.5), ("number", "", "−3", -3), ("number", "", "36.000", None),
        ("number", "", "36,000", None), ("integer", "", "36.000", 36000), ("integer", "", "2,5", None),
        ("number", "°", "106.688", 106.688), ("number", "", "abc", None), ("number", "", "12.34.5", None),
        ("number", "", "1e999", None), ("integer", "", "99999999999999999999", None), ("number", "", "nan", None),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them_and_those_that_could_be_two(kind, unit, typed, value):
    f = Field("x", kind, "x", "x", unit)
    if value is None:
        with pytest.raises(ValueError):
            featureforms.read_number(f, typed)
    else:
        assert featureforms.read_number(f, typed) == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["vi", "en"]))
def test_a_number_that_was_not_touched_keeps_its_last_digit(value, language):
    f = PLANTS.by_name["design_m3d"]
    form = {featureforms.PREFIX + "design_m3d": featureforms.written(f, value, language)}
    values, errors = featureforms.parsed(PLANTS, form, VALUES | {"design_m3d": value})
    assert values["design_m3d"] == value and errors == {}


def test_text_that_was_not_touched_keeps_its_line_ends_and_a_missing_field_keeps_its_value():
    before = VALUES | {"note_vi": " a\r\nb ", "area_ha": 3.0}
    values, errors = featureforms.parsed(PLANTS, {"v-note_vi": "a\nb", "v-name_vi": "Khác"}, before)
    assert values["note_vi"] == " a\r\nb " and values["area_ha"] == 3.0 and values["name_vi"] == "Khác" and not errors


def test_what_is_wrong_is_told_for_every_field_at_once():
    form = {f"v-{n}": "" for n in PLANTS.by_name} | {"v-kind": "castle", "v-design_m3d": "viele", "v-valid_from": "gestern",
                                                     "v-note_vi": "x" * 5000, "v-valid_to": "0999-01-01"}  # fmt: skip
    _values, errors = featureforms.parsed(PLANTS, form, {}, new=True)
    assert set(errors) == {"code", "name_vi", "kind", "design_m3d", "valid_from", "valid_to", "note_vi", "geometry_quality",
                           "source", "confidence"}  # fmt: skip


@pytest.mark.parametrize("epsg", corners.SYSTEM_CODES)
def test_corners_as_text_come_back_within_a_millimetre(epsg):
    hole = Polygon([(106.6, 20.8), (106.7, 20.8), (106.7, 20.9)], [[(106.65, 20.81), (106.68, 20.81), (106.68, 20.84)]])
    shape = MultiPolygon([hole, box(106.1, 20.1, 106.2, 20.2)])
    again = corners.typed(corners.written(shape, epsg), epsg, "Polygon")
    assert shapely.hausdorff_distance(shape, again) < 1e-8
    line = LineString([(106.6, 20.8), (106.7, 20.9)])
    assert shapely.hausdorff_distance(corners.typed(corners.written(line, epsg), epsg, "LineString"), line) < 1e-8


@pytest.mark.parametrize(
    ("text", "epsg", "lon", "lat"),
    [
        ("20,8561 106,6822", 4326, 106.6822, 20.8561),
        ("106.6822, 20.8561", 4326, 106.6822, 20.8561),
        ("20°51'30\"N 106°41'00\"E", 4326, 106.683333, 20.858333),
        ("597432,44; 2306067,77", 9210, 106.6881, 20.8449),
        ("2.306.067,77; 597.432,44", 9210, 106.6881, 20.8449),
    ],
)
def test_a_typed_point_is_read_in_either_order(text, epsg, lon, lat):
    point = corners.typed(text, epsg, "Point")
    assert (point.x, point.y) == (pytest.approx(lon, abs=1e-6), pytest.approx(lat, abs=1e-6))


@pytest.mark.parametrize(
    ("text", "epsg", "form", "line"),
    [
        ("106.7 20.8\nhier", 4326, "Polygon", 2), ("106.7 20.8\n597432 2306067", 4326, "Polygon", 2),
        ("106.7 20.8", 9210, "Point", 1), ("106.7 20.8\n106.8 20.8", 4326, "Polygon", 1), ("-\n106.7 20.8", 4326, "Polygon", 1),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(text, epsg, form, line):
    with pytest.raises(drawing.DrawingError) as told:
        corners.typed(text, epsg, form)
    assert told.value.values.get("n") == line


@given(st.text(max_size=80), st.sampled_from(corners.SYSTEM_CODES), st.sampled_from(corners.FORMS))
def test_whatever_is_typed_gives_a_place_or_a_sentence(text, epsg, form):
    try:
        made = corners.typed(text, epsg, form)
    except drawing.DrawingError as e:
        assert str(e)
    else:
        assert made is None or made.geom_type.removeprefix("Multi") == form


def test_every_sentence_of_the_rules_is_known_by_its_field():
    layer = ALL["plant_states"]
    frame = pd.DataFrame({
        "plant": ["A", "A", "B"], "valid_from": pd.to_datetime([None, None, "2020-01-01"]),
        "valid_to": pd.to_datetime([None, "2021-01-01", "2019-01-01"]), "capacity_low": [5, 1, np.nan],
        "capacity_likely": [4, 1, 1.0], "capacity_high": [3, 1, 1.0], "measured": [-1, np.nan, 1.0],
    })  # fmt: skip
    told = {problems.said(layer, sentence) for _row, sentence in rules.broken("plant_states", frame)}
    assert {field for field, _s in told} >= {"capacity_low", "measured", "valid_to"}
    assert not [s for _f, s in told if "capacity_" in s or "valid_" in s], "fields are named by their labels"


def test_the_file_of_the_differences_opens_in_a_spreadsheet_and_runs_nothing():
    old, new = zones("A", [None], name_vi=["=1+1"]), zones("A", [None], name_vi=["@cmd"])
    lines = changes.table(ZONES, found(old, new).changes)
    body = export.csv_bytes(lines, ["code", "field", "old", "new"])
    assert body.startswith(b"\xef\xbb\xbf")
    read = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert read == [{"code": "A", "field": "name_vi", "old": "'=1+1", "new": "'@cmd"}]
