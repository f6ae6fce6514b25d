"""The catalogue's promises, and the door at which rows are checked."""

from datetime import date, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from layers.catalogue import ALL, LAYERS, TABLES
from layers.checks import CheckedLayer, check
from layers.errors import LayerError

SQUARE = box(106.6, 20.8, 106.7, 20.9)


def norms(n=1, **changes):
    """Rows that the table of norms takes."""
    row = {
        "code": [f"n{i}" for i in range(n)],
        "norm_vi": "Định mức",
        "norm_en": "Norm",
        "value_low": 1,
        "value_likely": 2,
        "value_high": 3,
        "unit": "m³",
        "reference": "QCVN",
        "source": "a book",
        "confidence": "high",
    }
    return pd.DataFrame(row | changes)


def zones(geometries, *, crs="EPSG:4326", **changes):
    row = {
        "code": [f"Z{i}" for i in range(len(geometries))],
        "name_vi": "Khu",
        "kind": "industrial_park",
        "state": "operating",
        "geometry_quality": "digitised",
        "source": "a plan",
        "confidence": "high",
    }
    return gpd.GeoDataFrame(row | changes, geometry=list(geometries), crs=crs)


def areas(geometries, **changes):
    row = {
        "code": [f"A{i}" for i in range(len(geometries))],
        "name_vi": "Vùng",
        "plant": "WW01",
        "geometry_quality": "digitised",
        "source": "a plan",
        "confidence": "high",
    }
    return gpd.GeoDataFrame(row | changes, geometry=list(geometries), crs="EPSG:4326")


def states(**changes):
    row = {"plant": "WW01", "state": "operating", "compliance": "meets", "source": "s", "confidence": "high"}
    return pd.DataFrame(row | changes)


def problems_of(name, frame):
    with pytest.raises(LayerError) as caught:
        check(ALL[name], frame)
    return caught.value.problems


# --- the catalogue itself ---


@pytest.mark.parametrize("layer", ALL.values(), ids=lambda layer: layer.name)
def test_labels_and_codes_speak_both_languages(layer):
    assert layer.vi.strip() and layer.en.strip() and layer.vi != layer.en
    names = [f.name for f in layer.fields]
    assert len(names) == len(set(names))
    for f in layer.fields:
        assert f.vi.strip() and f.en.strip(), f.name
        assert f.kind in ("text", "number", "integer", "date")
        values = [c.value for c in f.allowed]
        assert len(values) == len(set(values))
        for c in f.allowed:
            assert c.value and c.vi.strip() and c.en.strip(), (f.name, c)
    assert set(layer.key) <= set(names)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=lambda layer: layer.name)
def test_every_layer_knows_where_it_comes_from(layer):
    wanted = {"source", "source_date", "confidence", "geometry_quality", "valid_from", "valid_to"}
    assert wanted <= set(layer.by_name)
    assert {f.name for f in layer.fields if f.required} >= {
        "code",
        "source",
        "confidence",
        "geometry_quality",
    }
    assert layer.geometry in ("Point", "Polygon", "Geometry")


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_table_knows_where_it_comes_from(table):
    assert {"source", "source_date", "confidence"} <= set(table.by_name)
    assert table.by_name["source"].required and table.geometry is None


@pytest.mark.parametrize("layer", ALL.values(), ids=lambda layer: layer.name)
def test_texts_that_people_read_come_in_pairs(layer):
    for name in layer.by_name:
        if name.endswith("_en"):
            assert name[:-3] + "_vi" in layer.by_name


def test_words_of_codes():
    layer = ALL["plant_states"]
    assert layer.words("state", "idle", "vi") == "không vận hành"
    assert layer.words("state", "idle", "en") == "not operating"
    assert layer.words("plant", "WW01", "vi") == "WW01"


# --- the door ---


def test_good_rows_pass_with_their_types():
    done = check(ALL["norms"], norms(2, value_low=["1.5", 2]))
    assert isinstance(done, CheckedLayer) and done.repairs == ()
    assert list(done.rows) == [f.name for f in ALL["norms"].fields]
    assert done.rows["value_low"].tolist() == [1.5, 2.0]
    assert done.rows["note_en"].tolist() == [None, None]


def test_the_frame_that_is_checked_is_not_changed():
    frame = zones([SQUARE, Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])])
    before = frame.copy(deep=True)
    check(ALL["industrial_zones"], frame)
    assert frame.equals(before) and list(frame) == list(before)


def test_all_problems_come_together_with_row_and_key():
    frame = norms(
        4,
        code=["a", "b", "c", "a"],
        value_low=[1, "many", None, 2],
        confidence=["high", "sure", "low", "low"],
        colour="red",
        shape="round",
    )
    assert problems_of("norms", frame) == [
        "norms: the column 'colour' is not in the catalogue.",
        "norms: the column 'shape' is not in the catalogue.",
        "norms row 3 (c): value_low is missing.",
        "norms row 2 (b): value_low is not a number: 'many'.",
        "norms row 2 (b): confidence 'sure' is not one of high, medium, low.",
        "norms row 4 (a): this key is given twice.",
    ]


def test_the_error_has_a_code_and_all_sentences():
    with pytest.raises(LayerError, match=r"row 1 \(n0\): unit is missing.*reference is missing") as caught:
        check(ALL["norms"], norms(unit="", reference=None))
    assert caught.value.code == "layer"


@pytest.mark.parametrize("blank", [None, "", "  ", float("nan"), pd.NA, pd.NaT])
def test_a_figure_without_a_source_is_refused(blank):
    assert problems_of("norms", norms(source=pd.Series([blank], dtype=object))) == [
        "norms row 1 (n0): source is missing."
    ]


def test_a_missing_column_is_a_missing_value():
    assert problems_of("norms", norms().drop(columns="source")) == ["norms row 1 (n0): source is missing."]
    assert check(ALL["norms"], norms().assign(note_vi="x").drop(columns="note_vi")).rows["note_vi"].tolist() == [None]


def test_rows_are_counted_by_place_not_by_label():
    frame = norms(3, confidence=["high", "high", "sure"]).set_index(pd.Index([7, 7, 7]))
    assert problems_of("norms", frame)[0].startswith("norms row 3 (n2)")


@pytest.mark.parametrize("value", ["1,5", "1.000,5", "ten", "0x10", "inf", float("inf"), "1e999", [1, 2], "12 m³"])
def test_bad_numbers(value):
    found = problems_of("norms", norms(value_low=pd.Series([value], dtype=object)))
    assert len(found) == 1 and found[0].startswith("norms row 1 (n0): value_low is not a number: ")


@pytest.mark.parametrize("value", [2001.5, "2001.5", 1e30, "two"])
def test_bad_whole_numbers(value):
    found = problems_of("industrial_zones", zones([None], established_year=pd.Series([value], dtype=object)))
    assert len(found) == 1 and "established_year is not a whole number" in found[0]


@pytest.mark.parametrize(
    "value", ["01/02/2020", "2020-13-01", "2020-02-30", "2020", "2020-01", 2020, "soon", "20200101"]
)
def test_bad_dates(value):
    frame = states(valid_from=pd.Series([value], dtype=object))
    assert problems_of("plant_states", frame) == [
        f"plant_states row 1 (WW01/{value}): valid_from is not a date as YYYY-MM-DD: {value!r}."
    ]


@pytest.mark.parametrize(
    "value",
    [
        "2020-07-01",
        date(2020, 7, 1),
        datetime(2020, 7, 1, 13, 30),
        pd.Timestamp("2020-07-01"),
        np.datetime64("2020-07-01"),
        "2020-07-01T23:30:00-07:00",
        "2020-07-01 00:30:00+07:00",
    ],
)
def test_a_date_is_the_day_that_was_written(value):
    rows = check(ALL["plant_states"], states(valid_from=pd.Series([value], dtype=object))).rows
    assert rows["valid_from"].tolist() == [pd.Timestamp("2020-07-01")]


def test_dates_far_away_are_kept():
    rows = check(ALL["plant_states"], states(valid_from=["0001-01-01"], valid_to=["9999-12-31"])).rows
    assert str(rows["valid_from"][0].date()) == "0001-01-01" and str(rows["valid_to"][0].date()) == "9999-12-31"


@pytest.mark.parametrize("value", [5, 1.5, True, date(2020, 1, 1), "\ud800"])
def test_what_is_not_text_is_refused(value):
    found = problems_of("norms", norms(reference=pd.Series([value], dtype=object)))
    assert len(found) == 1 and "reference is not text" in found[0]


def test_keys_are_compared_as_they_will_be_kept():
    for twice in (["", None], ["2020-07-01", date(2020, 7, 1)], [None, pd.NaT]):
        frame = states(plant=["WW01", "WW01"], valid_from=pd.Series(twice, dtype=object))
        assert len(problems_of("plant_states", frame)) == 1
    frame = states(plant=["WW01", "WW01"], valid_from=["2020-07-01", None])
    assert len(check(ALL["plant_states"], frame).rows) == 2


def test_an_empty_frame_is_an_empty_layer():
    assert len(check(ALL["norms"], pd.DataFrame()).rows) == 0
    empty = gpd.GeoDataFrame({"code": []}, geometry=[], crs=4326)
    assert len(check(ALL["industrial_zones"], empty).rows) == 0


# --- geometry ---


def test_no_crs_and_another_crs_are_refused():
    assert problems_of("industrial_zones", zones([SQUARE], crs=None)) == [
        "industrial_zones: the geometry has no coordinate reference system; say which one it is."
    ]
    (found,) = problems_of("industrial_zones", zones([SQUARE]).to_crs(9210))
    assert "VN-2000" in found and "EPSG:4326" in found
    (found,) = problems_of("industrial_zones", pd.DataFrame(zones([SQUARE]).drop(columns="geometry")))
    assert "no coordinate reference system" in found


def test_the_kind_of_geometry_is_checked():
    bent = LineString([(106, 20), (107, 21)])
    assert problems_of("service_areas", areas([SQUARE, bent, Point(106, 20)])) == [
        "service_areas row 2 (A1): an area is expected, this is a LineString.",
        "service_areas row 3 (A2): an area is expected, this is a Point.",
    ]
    stations = areas([SQUARE]).drop(columns="plant")
    assert problems_of("stations", stations) == ["stations row 1 (A0): a point is expected, this is a Polygon."]
    assert len(check(ALL["industrial_zones"], zones([SQUARE, bent, Point(106, 20), None])).rows) == 4


@pytest.mark.parametrize(
    "where", [Point(600000, 2300000), Point(181, 0), Point(0, -90.1), LineString([(0, 0), (np.inf, 1)])]
)
def test_coordinates_out_of_range(where):
    (found,) = problems_of("industrial_zones", zones([where]))
    assert found == "industrial_zones row 1 (Z0): coordinates lie outside longitude ±180, latitude ±90."


def test_the_edge_of_the_world_is_inside():
    assert len(check(ALL["industrial_zones"], zones([Point(180, 90), Point(-180, -90)])).rows) == 2


def test_an_invalid_outline_is_repaired_and_reported():
    bow = Polygon([(106, 20), (107, 21), (107, 20), (106, 21)])
    done = check(ALL["service_areas"], areas([SQUARE, bow]))
    assert done.repairs == ("service_areas row 2 (A1): outline repaired (Self-intersection[106.5 20.5]).",)
    assert done.rows.geometry.is_valid.all() and done.rows.geometry[1].area == pytest.approx(0.5)
    assert done.rows.geometry[0].equals(SQUARE) and done.rows.crs.to_epsg() == 4326
    assert not check(ALL["service_areas"], areas([bow]), repair=False).rows.geometry[0].is_valid


def test_an_outline_without_area_is_refused_not_made_a_line():
    flat = Polygon([(106, 20), (107, 21), (106, 20), (106, 20)])
    (found,) = problems_of("service_areas", areas([SQUARE, flat]))
    assert found.startswith("service_areas row 2 (A1): the outline encloses no area")
    partly = MultiPolygon([SQUARE, Polygon([(106, 20), (107, 21), (106, 20), (106, 20)])])
    done = check(ALL["service_areas"], areas([partly]))
    assert done.rows.geometry[0].geom_type in ("Polygon", "MultiPolygon")
    assert done.rows.geometry[0].area == pytest.approx(SQUARE.area)


def test_no_position_is_none_whatever_it_was():
    done = check(ALL["industrial_zones"], zones([None, Point(), Polygon(), shapely.GeometryCollection()]))
    assert list(done.rows.geometry) == [None] * 4 and done.repairs == ()


def test_heights_are_left_out_and_reported():
    done = check(ALL["service_areas"], areas([shapely.force_3d(SQUARE, 7), SQUARE]))
    assert not done.rows.geometry.has_z.any() and done.rows.geometry[0].equals(SQUARE)
    assert done.repairs == ("service_areas: heights of 1 geometries were left out, the map is flat.",)


# --- whatever comes ---

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=1), st.integers(), max_size=1),
    st.binary(max_size=3),
    st.sampled_from(["high", "operating", "2020-01-01", "1", pd.NaT, pd.NA]),
)


@settings(max_examples=60)
@given(st.data())
def test_whatever_comes_is_taken_whole_or_refused_in_words(data):
    n = data.draw(st.integers(0, 3))
    columns = data.draw(st.lists(st.sampled_from([f.name for f in ALL["plant_states"].fields]), unique=True))
    frame = pd.DataFrame(
        {c: pd.Series(data.draw(st.lists(anything, min_size=n, max_size=n)), dtype=object) for c in columns}
    )
    try:
        done = check(ALL["plant_states"], frame)
    except LayerError as e:
        assert e.problems and all(p.endswith(".") for p in e.problems)
    else:
        assert len(done.rows) == len(frame)
        assert done.rows["source"].map(lambda v: isinstance(v, str)).all()
        numbers = done.rows[["capacity_low", "measured"]].to_numpy(float)
        assert not np.isinf(numbers).any()
