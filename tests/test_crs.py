"""The coordinate doctor: published points, spoiled files made in code, and what it must never do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from pyproj.transformer import TransformerGroup

from geo.coordinates import parse_coordinates
from geo.crs import DOUBTED, FITS_NOTHING, FITS_SEVERAL, UNREAD, diagnose, points_of, readings
from geo.systems import SHIFT, SYSTEMS, pipeline, reading, to_wgs84

WARDS = pd.read_csv(Path(__file__).resolve().parents[1] / "layers" / "starter" / "wards.csv")
LON, LAT = WARDS["centre_lon"].to_numpy(), WARDS["centre_lat"].to_numpy()
NAMED = shapely.points(LON, LAT)  # what the names of the attributes lead to
MAINLAND = shapely.box(106.124, 20.598, 107.212, 21.237)
CITY = shapely.union(MAINLAND, shapely.box(107.69, 20.10, 107.76, 20.17))  # with Bạch Long Vĩ
OLD_HAI_DUONG = np.flatnonzero(WARDS["former_province_side"].str.startswith("Hải Dương"))
EAST = np.flatnonzero((LON > 106.6) & (LON < 107))


def written(epsg, lon=LON, lat=LAT):
    """x, y of WGS 84 points in a system; a second way, by the EPSG register and not by our pipeline."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(np.asarray(lon), np.asarray(lat))
    return np.asarray(x), np.asarray(y)


def scattered(km, seed=7, rows=slice(None)):
    rng = np.random.default_rng(seed)
    r, angle = km * np.sqrt(rng.random(LON[rows].size)), rng.random(LON[rows].size) * 2 * np.pi
    return LON[rows] + r * np.cos(angle) / 104, LAT[rows] + r * np.sin(angle) / 110.7


def comma(values, thousands=""):
    text = (f"{v:,.2f}" for v in values)
    return [t.replace(",", "|").replace(".", ",").replace("|", thousands) for t in text]


def dms(values, letter):
    out = []
    for v in values:
        whole = round(v * 3600, 2)
        out.append(f"{int(whole // 3600)}°{int(whole % 3600 // 60):02d}'{whole % 60:05.2f}\"{letter}")
    return out


# --- the way to WGS 84 ---

POINTS = {  # standards/crs.md section 4
    (106.6881, 20.8449): (597432.442, 2306067.773),
    (106.3206, 20.9390): (559148.427, 2316306.208),
    (107.0490, 20.7270): (635100.559, 2293274.389),
    (106.7700, 20.8300): (605966.881, 2304469.934),
    (107.7142, 20.1453): (705172.400, 2229551.069),
}
CENTRE = {9209: (623452.397, 2306239.293), 3405: (675445.327, 2306011.572), 32648: (675641.936, 2305903.358)}
CENTRE |= {4756: (106.68622189, 20.84589599)}


@pytest.mark.parametrize(
    ("epsg", "given_xy", "lon_lat"),
    [*((9210, xy, p) for p, xy in POINTS.items()), *((e, xy, (106.6881, 20.8449)) for e, xy in CENTRE.items())],
)
def test_published_points_to_a_centimetre(epsg, given_xy, lon_lat):
    lon, lat = to_wgs84([given_xy[0]], [given_xy[1]], reading(epsg))
    metres = Transformer.from_crs(4326, 9210, always_xy=True)
    assert np.hypot(*np.subtract(metres.transform(lon[0], lat[0]), metres.transform(*lon_lat))) < 0.01
    swapped = to_wgs84([given_xy[1]], [given_xy[0]], reading(epsg, swapped=True))
    assert (swapped[0][0], swapped[1][0]) == (lon[0], lat[0])


@pytest.mark.parametrize("epsg", SYSTEMS)
def test_our_pipelines_agree_with_the_register(epsg):
    x, y = written(epsg)
    lon, lat = to_wgs84(x, y, reading(epsg))
    np.testing.assert_allclose([lon, lat], [LON, LAT], rtol=0, atol=1e-8)


def test_the_shift_is_operation_6960():
    operations = TransformerGroup(4756, 4326, always_xy=True).transformers
    definition = next(t.definition for t in operations if "VN-2000 to WGS 84 (2)" in t.description)
    assert pipeline(reading(4756)).replace("+", "") == definition
    assert TransformerGroup(9210, 4326).transformers[0].description.endswith("VN-2000 to WGS 84 (2)")
    assert SHIFT in pipeline(reading(9210)) and SHIFT not in pipeline(reading(32648))


def test_the_traps_of_crs_md_measure_what_is_said():
    x, y = written(9210, [106.6881], [20.8449])
    told = readings(x, y, CITY)
    assert {r.epsg for r in told} == set(SYSTEMS) and len(told) == 2 * len(SYSTEMS)
    apart = diagnose(x, y, CITY).apart_m
    assert apart == pytest.approx(26_000, abs=100)
    assert diagnose([106.6881], [20.8449], CITY).apart_m == pytest.approx(224, abs=1)


def test_unknown_readings_are_refused():
    with pytest.raises(ValueError, match="EPSG:2045 is not a reading known here"):
        reading(2045)
    with pytest.raises(ValueError, match="shift left out"):
        reading(9210, shifted=True)
    with pytest.raises(ValueError, match="EPSG:1 is not known"):
        to_wgs84([1.0], [2.0], replace(reading(9210), epsg=1))


def test_values_off_the_earth_and_blanks_become_nan():
    lon, lat = to_wgs84([np.nan, 500.0, 106.7], [20.0, 20.0, 20.8], reading(4326))
    assert np.isnan(lon[:2]).all() and np.isnan(lat[:2]).all() and lon[2] == pytest.approx(106.7)
    assert np.isnan(to_wgs84([1e12], [2e6], reading(9210))[0]).all()


# --- spoiled files: what was done to them, and what must be said ---

SURE, ASK, MIXED, REFUSED = "sure", "ask", "mixed", "refused"


def case(name, x, y, verdict, first=None, second=None, *, places=NAMED, declared=None, area=CITY, **more):
    """first, second: names of readings, e.g. "9210", "4326 swapped", "4326 shifted"."""
    return pytest.param((x, y, places, declared, area), (verdict, first, second, more), id=name)


def name_of(read):
    return read and f"{read.epsg}" + " swapped" * read.swapped + " shifted" * read.shifted


def mixture(*groups):
    """One file of rows in several systems: (epsg, rows, swapped) each."""
    x, y, rows = [], [], []
    for epsg, chosen, swapped in groups:
        e, n = written(epsg, LON[chosen], LAT[chosen])
        x, y, rows = [*x, *(n if swapped else e)], [*y, *(e if swapped else n)], [*rows, *chosen]
    return x, y, NAMED[rows]


OWN_PRJ = (
    'PROJCS["VN2000_HaiPhong",GEOGCS["VN2000",DATUM["VN_2000",SPHEROID["WGS_1984",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",500000],PARAMETER["False_Northing",0],PARAMETER["Central_Meridian",105.75],'
    'PARAMETER["Scale_Factor",0.9999],PARAMETER["Latitude_Of_Origin",0],UNIT["Meter",1]]'
)


def spoiled():
    x, y = written(9210)
    lon4756, lat4756 = written(4756)
    e3405, n3405 = written(3405)
    hd = OLD_HAI_DUONG
    all_rows = np.arange(len(LON))
    # ten spoiled files
    yield case("wrong .prj: 9210 said, 9209 meant", *written(9209), SURE, "9209", declared=9210, declared_wrong=True)
    yield case("no .prj", x, y, SURE, "9210")
    yield case("X and Y swapped", y, x, SURE, "9210 swapped")
    yield case("decimal commas", comma(x), comma(y), SURE, "9210")
    a, b, p = mixture((9210, all_rows[60:], False), (9209, all_rows[:60], False))
    yield case("two zones in one file", a, b, MIXED, "9209", places=p, parts=["9209", "9210"], counts=[60, 54])
    yield case(
        "datum shift left out", lon4756, lat4756, SURE, "4326 shifted", "4326", declared=4326, declared_wrong=True
    )
    yield case("degrees, minutes, seconds", dms(LON, "E"), dms(LAT, "N"), SURE, "4326", declared=4326)
    yield case("thousands separators", comma(x, "."), comma(y, "."), SURE, "9210")
    yield case("UTM 32648 said, 3405 meant", e3405, n3405, SURE, "3405", declared=32648, declared_wrong=True)
    yield case("Web Mercator without .prj", *written(3857), SURE, "3857", places=None)
    # twenty and more of our own
    a, b, p = mixture((9210, all_rows[:108], False), (9209, all_rows[108:112], False))
    yield case("108 rows and 4 rows", a, b, MIXED, "9210", places=p, parts=["9210", "9209"], counts=[108, 4])
    a, b, p = mixture((4326, all_rows[:80], False), (9210, all_rows[80:105], True), (3405, all_rows[105:], False))
    found = ["4326", "9210 swapped", "3405"]
    yield case("three systems", a, b, MIXED, "4326", places=p, parts=found, counts=[80, 25, 9])
    yield case("kilometres", x / 1000, y / 1000, SURE, "9210", km=114)
    yield case("one row, degrees, declared", LON[:1], LAT[:1], SURE, "4326", places=None, declared=4326)
    yield case("one row, no .prj, no name", x[:1], y[:1], ASK, "9210", places=None)
    yield case("all rows the same point", x[[40] * 50], y[[40] * 50], ASK, "9210", places=None)
    blanks = ["" if k % 3 == 0 else f"{v:.2f}" for k, v in enumerate(x)]
    yield case("a third of the rows blank", blanks, y, SURE, "9210", unread=38)
    yield case("longitude and latitude swapped", LAT, LON, SURE, "4326 swapped", places=None, declared=4326)
    yield case("9209 in old Hải Dương, with names", *written(9209, LON[hd], LAT[hd]), SURE, "9209", places=NAMED[hd])
    few = hd[LON[hd] < 106.5]
    yield case("9209 in old Hải Dương, no names", *written(9209, LON[few], LAT[few]), ASK, places=None, among="9209")
    yield case(
        "... and declared 9210", *written(9209, LON[few], LAT[few]), ASK, "9210", "9209", places=None, declared=9210
    )
    yield case("9210 declared, whole city, no names", x, y, SURE, "9210", places=None, declared=9210)
    yield case("zone of Quảng Ninh (107°45′)", *written(5899), SURE, "5899")
    yield case("zone of another province (104°30′)", *written(9207), SURE, "9207")
    e, n = written(9210, LON[EAST] * 0 + 107.23, LAT[EAST])
    yield case("points 2 km outside, declared", e, n, ASK, places=None, declared=9210, among="9210")
    e, n = written(4326, LON[EAST] * 0 + 107.25, LAT[EAST])
    yield case("degrees 4 km outside", e, n, SURE, "4326", places=None, declared=4326)
    yield case("negative northings", x, -y, REFUSED)
    yield case("all zeros", x * 0, y * 0, REFUSED)
    zeros = np.where(all_rows % 10 == 0, 0.0, 1.0)
    yield case("some rows 0, 0", x * zeros, y * zeros, SURE, "9210", nothing=12)
    island = np.flatnonzero(LON > 107.5)
    e, n = written(9210, LON[island], LAT[island])
    yield case("Bạch Long Vĩ alone", e, n, SURE, "9210", places=NAMED[island], declared=9210)
    yield case("... with an area that forgets it", e, n, REFUSED, places=None, area=MAINLAND)
    a, b, p = mixture((9210, all_rows[:95], False), (9210, all_rows[95:], True))
    found = ["9210", "9210 swapped"]
    yield case("swapped in 19 rows only", a, b, MIXED, "9210", places=p, parts=found, counts=[95, 19])
    yield case("easting with zone digits 48", e3405 + 48e6, n3405, SURE, "3405", prefixed=114)
    yield case("easting with zone digits 482", *np.add(written(5897), [[482e6], [0]]), SURE, "5897", prefixed=114)
    yield case("unit m in the text", [f"{v:.2f} m" for v in x], [f"{v:.2f}m" for v in y], SURE, "9210")
    yield case("byte-order mark and hard spaces", [f"\ufeff{v:.2f}\u00a0" for v in x], comma(y, "\u00a0"), SURE, "9210")
    yield case("letters before", [f"E {v:.6f}" for v in LON], [f"N{v:.6f}" for v in LAT], SURE, "4326", declared=4326)
    yield case("Vietnamese B and Đ", dms(LON, "Đ"), dms(LAT, "B"), SURE, "4326", declared=4326)
    yield case("UTM 48N of either datum, no names", e3405, n3405, ASK, "3405", "32648", places=None)
    yield case("... declared 32648", e3405, n3405, ASK, "32648", "3405", places=None, declared=32648)
    yield case(
        "... declared 3405: 105°30′ is 52 km off but inside", e3405, n3405, ASK, "3405", places=None, declared=3405
    )
    spread = scattered(2.0)
    yield case("... declared 3405 and named", *written(3405, *spread), SURE, "3405", "32648", declared=3405)
    yield case("UTM 48N, points anywhere in the wards", *written(3405, *spread), ASK, "3405", "32648")
    yield case("9209 said to be WGS 84 degrees", *written(9209), SURE, "9209", declared=4326, declared_wrong=True)
    yield case("metres of Cần Thơ", *written(9209, LON - 0.9, LAT - 10.8), REFUSED, places=None)
    names = NAMED.copy()
    names[:20] = names[20:40]
    yield case("twenty rows with a wrong name", x, y, SURE, "9210", places=names)
    yield case("a .prj of somebody's own", x, y, SURE, "9210", places=None, declared=OWN_PRJ)
    yield case("a .prj unknown here", x, y, SURE, "9210", declared=2045)
    yield case("no rows", [], [], REFUSED, places=None)
    yield case("Hanoi 1972 with zone digits 18", e3405 + 18e6, n3405, REFUSED)


@pytest.mark.parametrize(("file", "expected"), list(spoiled()))
def test_spoiled_files(file, expected, request):
    x, y, places, declared, area = file
    verdict, first, second, more = expected
    x, y = parse_coordinates(x)[0], parse_coordinates(y)[0]
    found = diagnose(x, y, area, places=places, declared=declared)
    print(f"{request.node.callspec.id}: {found.verdict}. {found.reason_en} | {found.reason_vi}")
    assert found.verdict == verdict
    if first:
        assert name_of(found.first) == first
    if second:
        assert name_of(found.second) == second
    assert found.declared_wrong == more.get("declared_wrong", False)
    assert (found.rows == UNREAD).sum() == more.get("unread", 0)
    if "nothing" in more:
        assert (found.rows == FITS_NOTHING).sum() == more["nothing"]
    if "among" in more:
        assert more["among"] in {name_of(found.first), name_of(found.second)}
    for field in ("km", "prefixed"):
        if field in more:
            assert getattr(found.first, field) == more[field]
    if "parts" in more:
        assert [name_of(part.first) for part in found.parts] == more["parts"]
        assert [(found.rows == k).sum() for k in range(len(found.parts))] == more["counts"]
        assert not (found.rows == FITS_SEVERAL).any()
    if verdict == ASK:
        assert "Hãy" in found.reason_vi or "hãy" in found.reason_vi
    assert found.reason_en and found.reason_vi


def test_the_table_of_spoiled_files_is_long_enough():
    assert len(list(spoiled())) >= 30


# --- what it must never do ---

IN_USE = [epsg for epsg, system in SYSTEMS.items() if system.in_use]
HAI_PHONG = shapely.union_all([shapely.Point(p).buffer(0.03) for p in zip(LON, LAT, strict=True)])


@st.composite
def files(draw, systems):
    """(x, y, truth, places) of a random file of the city in one reading; places are the nearest ward points."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count, wide = draw(st.integers(1, 40)), draw(st.booleans())
    rows = rng.integers(0, len(LON), count) if wide else np.full(count, rng.integers(0, len(LON)))
    km = draw(st.sampled_from([0.0, 0.5, 2.0]))
    lon, lat = LON[rows] + rng.uniform(-km, km, count) / 147, LAT[rows] + rng.uniform(-km, km, count) / 157
    truth = reading(draw(st.sampled_from(systems)), swapped=draw(st.booleans()))
    x, y = written(truth.epsg, lon, lat)
    unit = 1 if np.isnan(SYSTEMS[truth.epsg].meridian) else draw(st.sampled_from([1, 1000]))
    x, y = (y / unit, x / unit) if truth.swapped else (x / unit, y / unit)
    return x, y, truth, NAMED[rows]


def is_right(found, truth):
    same = {name_of(read) for read in found.tied}
    assert found.verdict in ("sure", "ask")
    if found.verdict == "sure":
        assert name_of(found.first) == name_of(truth)
    else:
        assert name_of(truth) in same
        if len(same) == 2:
            assert name_of(truth) in {name_of(found.first), name_of(found.second)}


@settings(max_examples=60, deadline=None)
@given(files(IN_USE), st.booleans())
def test_never_sure_and_wrong(file, with_names):
    x, y, truth, places = file
    found = diagnose(x, y, HAI_PHONG, places=places if with_names else None)
    assert found.verdict == found.parts[0].verdict
    is_right(found.parts[0], truth)


@settings(max_examples=30, deadline=None)
@given(files([epsg for epsg in SYSTEMS if epsg not in IN_USE]))
def test_never_sure_and_wrong_about_other_provinces(file):
    x, y, truth, _ = file
    is_right(diagnose(x, y, HAI_PHONG).parts[0], truth)


@settings(max_examples=40, deadline=None)
@given(files(IN_USE), st.sampled_from(list(SYSTEMS)))
def test_a_declaration_never_makes_it_kilometres_wrong(file, declared):
    """A declared system is believed without places only against what is less than 1 km away or not in use here."""
    x, y, truth, _ = file
    part = diagnose(x, y, HAI_PHONG, declared=declared).parts[0]
    if part.verdict == "sure" and (part.first.epsg, part.first.shifted) != (truth.epsg, False):
        assert part.first.epsg == declared or truth.epsg == 4756
        lon, lat = to_wgs84(x, y, part.first)
        real = to_wgs84(x, y, truth)
        assert np.hypot((lon - real[0]) * 104e3, (lat - real[1]) * 110.7e3).max() < 1000


@settings(max_examples=20, deadline=None)
@given(files(IN_USE), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(file, random):
    x, y, _, places = file
    order = list(range(len(x)))
    random.shuffle(order)
    one, two = diagnose(x, y, CITY, places=places), diagnose(x[order], y[order], CITY, places=places[order])
    assert (one.verdict, name_of(one.first)) == (two.verdict, name_of(two.first))
    assert (one.rows[order] == two.rows).all()


def test_scores_fall_with_the_distance_and_readings_come_best_first():
    x, y = written(9210)
    scores = {name_of(r): r for r in readings(x, y, CITY, places=NAMED)}
    assert scores["9210"].score == pytest.approx(1, abs=1e-4) and scores["9210"].share_near_places == 1
    assert scores["9210"].median_m < 0.1 and scores["9209"].median_m == pytest.approx(26_000, abs=100)
    assert scores["9209"].share_near_places == 0 and scores["9210 swapped"].score == 0
    assert scores["9210"].share_inside == 1 and scores["9210"].rows == 114
    ranked = [r.score for r in readings(x, y, CITY) if SYSTEMS[r.epsg].in_use]
    assert ranked == sorted(ranked, key=lambda score: -round(score, 2))
    assert readings([np.nan], [np.nan], CITY) == []


def test_geometries_give_a_point_each():
    x, y = points_of([shapely.box(0, 0, 2, 2), None, shapely.Point(3, 4), shapely.Polygon()])
    np.testing.assert_array_equal([x, y], [[1, np.nan, 3, np.nan], [1, np.nan, 4, np.nan]])


def test_all_problems_are_named_at_once():
    with pytest.raises(ValueError, match=r"area is empty.*2 rows but 1 places"):
        diagnose([1.0, 2.0], [1.0, 2.0], shapely.Polygon(), places=[None])
    with pytest.raises(ValueError, match="A place must be a geometry"):
        diagnose([1.0], [1.0], CITY, places=["An Hải"])
    with pytest.raises(ValueError, match="must be in degrees"):
        diagnose([1.0], [1.0], (590_000, 2_300_000, 600_000, 2_310_000))
    with pytest.raises(ValueError, match="read text with parse_coordinates"):
        diagnose(["1"], ["2"], CITY)
    with pytest.raises(ValueError, match="two columns of numbers of one length"):
        diagnose([1.0], [1.0, 2.0], CITY)


def test_doubted_declarations_have_a_twin_of_the_same_projection():
    for said, meant in DOUBTED.items():
        assert (SYSTEMS[said].meridian, SYSTEMS[said].scale) == (SYSTEMS[meant].meridian, SYSTEMS[meant].scale)


# --- coordinates as people write them ---

LATITUDE = """20°51'30"N|20 51 30|20d51m30s|20d51m30sN|N20°51'30"|20°51'30''B|20°51′30″B|20º 51' 30,0" N|20°51.5'|20:51:30
20-51-30|20 độ 51 phút 30 giây Bắc|B 20 51 30|20°51’30” vĩ độ Bắc|vĩ độ: 20,858333333|20.858333333°|\ufeff20\u00a051\u00a030
20 51.5|20°51,5' bắc|lat=20.858333333|20.858333333 N|+20 51 30"""
METRES = """2306067.77|2306067,77|2.306.067,77|2,306,067.77|2 306 067,77|2 306 067.77|2'306'067.77|2306067.77 m|X = 2306067.77
2306067,77m|2306.06777 km|2.30606777e6|N: 2 306 067,77|\u200b2\u00a0306\u00a0067,77"""
SOUTH_OR_WEST = "20°51'30\"S|20 51 30 Nam|-20 51 30|−20.858333333|20d51m30s S|T 20°51'30\"|20.858333333W"
NOT_READ = {
    "": "blank",
    " \u00a0": "blank",
    "-": "blank",
    "#N/A": "blank",
    None: "blank",
    float("nan"): "blank",
    "gần cảng": "text",
    "20.8449, 106.6881": "text",
    "20.8449,106.6881": "text",
    "20.51.30": "text",
    "20 61 30": "angle",
    "400 10 10": "angle",
    float("inf"): "infinite",
    True: "text",
}


@pytest.mark.parametrize("text", LATITUDE.replace("\n", "|").split("|"))
def test_angles(text):
    numbers, problems = parse_coordinates([text])
    assert not problems and numbers[0] == pytest.approx(20.858333333, abs=1e-8)


@pytest.mark.parametrize("text", METRES.replace("\n", "|").split("|"))
def test_metres(text):
    numbers, problems = parse_coordinates([text])
    assert not problems and numbers[0] == pytest.approx(2306067.77, abs=1e-6)


@pytest.mark.parametrize("text", SOUTH_OR_WEST.split("|"))
def test_south_and_west_are_negative(text):
    assert parse_coordinates([text])[0][0] == pytest.approx(-20.858333333, abs=1e-8)


def test_what_is_not_read_is_named_with_its_row():
    numbers, problems = parse_coordinates([*NOT_READ, 1])
    assert np.isnan(numbers[:-1]).all() and numbers[-1] == 1
    assert [p.code for p in problems] == list(NOT_READ.values())
    assert [p.row for p in problems] == list(range(len(NOT_READ)))
    assert problems[6].en.startswith("Row 7: ") and problems[6].vi.startswith("Dòng 7: ")
    assert problems[6].value == "gần cảng"


def test_a_column_tells_decimals_from_thousands():
    assert parse_coordinates(["597.432", "605.966,88"])[0].tolist() == [597432, 605966.88]
    assert parse_coordinates(["597,432", "605,966.88"])[0].tolist() == [597432, 605966.88]
    assert parse_coordinates(["106.688", "106.6881"])[0].tolist() == [106.688, 106.6881]
    assert [p.code for p in parse_coordinates(["597.432", "1.5", "1,5"])[1]] == ["open"]
    assert [p.code for p in parse_coordinates(["20 51 30 N", "20 51 30 B"])[1]] == ["side"]


def test_whole_numbers_with_thousands_in_a_file():
    x, y = written(9210)
    text = [f"{v:,.0f}".replace(",", ".") for v in x], [f"{v:,.0f}".replace(",", ".") for v in y]
    found = diagnose(*(parse_coordinates(column)[0] for column in text), CITY, places=NAMED)
    assert (found.verdict, found.first.epsg, found.first.km) == ("sure", 9210, 114)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=30), st.text("0123456789 .,'°\"-+nsewbđtmkd", max_size=20)))
def test_any_text_is_a_number_or_a_problem(text):
    numbers, problems = parse_coordinates([text])
    assert np.isfinite(numbers[0]) != bool(problems)


@given(st.floats(-1e8, 1e8), st.sampled_from(["{:.4f}", "{:,.4f}", "{:.4f} m"]))
def test_written_numbers_come_back(number, form):
    assert parse_coordinates([form.format(number)])[0][0] == pytest.approx(number, abs=1e-4)
