"""The answer to a siting study on a town made by hand: the law's distances, what may never win, limits, replay."""

import json
from datetime import date

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import smalltown as st
from hypothesis import given, settings
from hypothesis import strategies as some

from geo.suitability import Cancelled
from server import sitework, siteworld
from server.sitedata import from_json, packed, to_json
from server.sitelaw import law
from server.sitespec import SpecError
from server.sitewords import word


def answer(folder, data=None, **fields):
    return sitework.answer(st.question(**fields), data or st.town(), folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The plain question on the plain town, answered once: (answer, folder)."""
    folder = tmp_path_factory.mktemp("plain")
    return answer(folder), folder


def rule(made, code):
    return next(r for r in made["rules"] if r["code"] == code)


# --- the law ---


def test_open_to_enclosed_shrinks_the_ring_from_250_to_30_m():
    asked = {"sizes": [{"capacity_m3_day": 20_000, "cost": 1}]}
    rings = [
        law(st.question(facility=st.facility(enclosed=flag), **asked), 20_000).houses.distance_m
        for flag in (False, True)
    ]
    assert rings == [250, 30]


def test_land_that_the_open_works_may_not_use_is_free_for_the_enclosed(tmp_path):
    """A plot of 4 ha is a disc of 112.8 m: 130 m from the village its edge is 17 m away; at 200 m, 87 m; at 380 m, 267 m."""
    sizes = [{"capacity_m3_day": 20_000, "cost": 1}]
    allowed = {}
    for enclosed in (False, True):
        world = siteworld.build(st.question(sizes=sizes, facility=st.facility(enclosed=enclosed)), st.town())
        points = [st.at(2000 + d, 2000) for d in (130, 200, 380)]
        found = siteworld.why(world, [p.x for p in points], [p.y for p in points], 0)
        allowed[enclosed] = [f["allowed"] for f in found]
        assert found[1]["rules"][0]["source"].startswith("2021-2.22-19" if enclosed else "2021-2.22-15")
        houses = next(r for r in found[1]["rules"] if r["code"] == "houses")
        assert houses["measured"] == pytest.approx(200 - np.sqrt(40_000 / np.pi), abs=1e-3)
        assert houses["by"] == pytest.approx(0 if enclosed else 250 - houses["measured"], abs=1e-3)
    assert allowed == {False: [False, False, True], True: [False, True, True]}


@pytest.mark.parametrize(
    ("capacity", "metres", "row"),
    [
        (200, 80, "13"),
        (200.5, 100, "14"),
        (5000, 100, "14"),
        (5001, 250, "15"),
        (50_000, 250, "15"),
        (50_001, 350, "16"),
    ],
)
def test_a_capacity_on_a_border_falls_into_the_class_that_the_table_says(capacity, metres, row):
    """min exclusive, max inclusive."""
    asked = st.question(sizes=[{"capacity_m3_day": capacity, "cost": 1}], facility=st.facility())
    world = siteworld.build(asked, st.town())
    houses = next(r for r in world.rules if r.code == "houses")
    assert (houses.distance_m, houses.source[0].split(";")[0]) == ((metres,), f"2021-2.22-{row}")


def test_upwind_is_half_more():
    asked = st.question(facility=st.facility(upwind=True))
    assert law(asked, 400).houses.distance_m == 150


def test_the_last_day_of_the_regulation_and_the_day_after(tmp_path):
    before = answer(tmp_path, as_of="2026-12-31", facility=st.facility())
    assert (rule(before, "houses")["status"], rule(before, "houses")["distance_m"]) == ("checked", [100])
    after = answer(tmp_path, as_of="2027-01-01", facility=st.facility())
    assert (rule(after, "houses")["status"], rule(after, "houses")["distance_m"]) == ("unchecked", [None])
    assert {"kind": "rule", "code": "houses", "why": ["not_established"]} in after["unchecked"]
    assert {"kind": "land", "code": "land", "why": ["not_established"]} in after["unchecked"]
    card = after["sites"][0]["card"]
    assert (card["law"]["state"], card["law"]["distance_m"]) == ("not_established", None)
    assert card["people_inside"]["now"]["people"] is None
    assert any("QCVN 01:2026/BXD" in c["en"] and "hãy nhập" in c["vi"] for c in card["conflicts"])


def test_a_distance_entered_with_its_source_holds_where_the_law_is_blank(tmp_path):
    entry = {"distance_m": 180, "source": "Thông tư mới, bảng 5", "enclosed": False}
    asked = {
        "as_of": "2027-01-01",
        "facility": st.facility(entries=[entry], ha_per_1000=0.2, belt_m=10, land_source="như trên"),
    }
    made = answer(tmp_path, **asked)
    houses = rule(made, "houses")
    assert (houses["status"], houses["distance_m"]) == ("checked", [180])
    assert houses["source"] == ["user-1; Thông tư mới, bảng 5"]
    told = made["sites"][0]["card"]["law"]
    assert (told["confidence"], told["rows"]) == ("user", ["user-1"])
    assert not [u for u in made["unchecked"] if u["code"] in ("houses", "land")]
    assert made["laws"][0]["land"] | {"rows": None} == {
        "plot_ha": 0.08, "belt_m": 10, "with_belt_ha": pytest.approx((np.sqrt(800) + 20) ** 2 / 10_000, abs=1e-6), "rows": None,
        "source": "như trên"}  # fmt: skip


def test_an_entry_without_source_or_below_the_law_is_refused():
    with pytest.raises(SpecError) as told:
        st.question(facility=st.facility(entries=[{"distance_m": 180}]))
    assert told.value.about("facility.entries")[0]["vi"] == "Mục này phải điền."
    low = st.question(facility=st.facility(entries=[{"distance_m": 20, "source": "x"}]))
    with pytest.raises(SpecError, match=r"20 m is less than the 80 m of row 2021-2.22-13"):
        siteworld.build(low, st.town())
    own = st.question(facility=st.facility(), rules=[{"code": "houses", "distance_m": 99, "source": "x"}])
    with pytest.raises(SpecError, match=r"99 m is less than the 100 m of the regulation \(row 2021-2.22-14\)") as told:
        siteworld.build(own, st.town())
    assert told.value.problems_of[0][0] == "rules[0].distance_m"


def test_more_than_the_law_is_taken_with_its_source():
    own = st.question(facility=st.facility(), rules=[{"code": "houses", "distance_m": 500, "source": "nghị quyết"}])
    houses = next(r for r in siteworld.build(own, st.town()).rules if r.code == "houses")
    assert (houses.distance_m, houses.source, houses.confidence) == ((500,), ("nghị quyết",), ("user",))


def test_each_verdict_cites_its_row_and_how_sure_it_is(plain):
    rules = {r["code"]: r for r in plain[0]["sites"][0]["card"]["rules"]}
    assert rules["houses"]["source"].startswith("2021-2.22-18; QCVN 01:2021/BXD")
    assert rules["houses"]["confidence"] == "verified-text"
    assert rules["water"] | {"measured": 0} == rules["water"] | {
        "measured": 0, "limit": 10, "source": "2021-2.11-01, 2021-2.22-38", "confidence": "verified-text"}  # fmt: skip


# --- what may never win ---

NEVER = {
    "water": (4000, 2000),
    "protected": (3000, 3000),
    "outside": (9000, 2000),
    "zones": (5200, 3200),
    "houses": (1500, 2000),
}


@pytest.mark.parametrize("code", NEVER)
def test_a_given_site_in_such_a_place_is_refused_with_the_rule(code, tmp_path):
    made = answer(tmp_path, given=[{"code": "X", **st.lonlat(*NEVER[code])}])
    assert [r["code"] for r in made["refused"]] == ["X"]
    assert code in made["refused"][0]["broken"]
    assert "X" not in [c["code"] for c in made["candidates"]]


@pytest.mark.parametrize("code", NEVER)
def test_forcing_it_gives_the_sentence_that_names_the_rule(code, tmp_path):
    made = answer(tmp_path, given=[{"code": "X", **st.lonlat(*NEVER[code])}], force=["X"])
    assert (made["plan"], made["sites"], made["infeasible"]["rule"]) == (None, [], "forced")
    for language in ("vi", "en"):
        assert word("rule", code, language) in made["infeasible"][language]


@settings(max_examples=8)
@given(
    some.integers(0, 2**20),
    some.floats(0.1, 5),
    some.booleans(),
    some.sampled_from([50, 120, 200]),
)
def test_no_candidate_ever_lies_there(tmp_path_factory, seed, weight, enclosed, cell):
    folder = tmp_path_factory.mktemp("ever")
    rng = np.random.default_rng(seed)
    lake = st.at(*rng.uniform(0, [8000, 4000])).buffer(rng.uniform(50, 900))
    park = st.at(*rng.uniform(0, [8000, 4000])).buffer(rng.uniform(50, 900))
    data = st.town(water_bodies=st.named([lake], "L", tidal=["no"]), protected_areas=st.named([park], "P"))
    criteria = [{"code": "demand", "weight": weight}, {"code": "receiving_water", "weight": 1}]
    made = answer(folder, data, criteria=criteria, cell_m=cell, facility=st.facility(enclosed=enclosed), number=3)
    assert made["candidates"] or made["infeasible"]["rule"] == "no_site"
    bad = shapely.union_all([lake, park, st.box(5000, 3000, 5500, 3500)])
    city = st.box(0, 0, 8000, 4000)
    plot = np.sqrt(10_000 * 0.08 / np.pi)
    for site in (*made["candidates"], *made["sites"]):
        place = shapely.Point(site["x"], site["y"])
        assert city.contains(place)
        assert place.distance(bad) >= plot - 1e-3


def test_a_block_keeps_the_place_out_and_says_why(plain, tmp_path):
    best = plain[0]["sites"][0]
    block = {"lon": best["lon"], "lat": best["lat"], "radius_m": 200, "reason": "nghĩa trang"}
    made = answer(tmp_path, block=[block])
    places = np.array([[c["x"], c["y"]] for c in made["candidates"]])
    assert np.hypot(*(places - [best["x"], best["y"]]).T).min() > 200
    world = siteworld.build(st.question(block=[block]), st.town())
    found = siteworld.why(world, [best["x"]], [best["y"]], 0)[0]
    assert [(r["code"], r["source"]) for r in found["rules"] if r["broken"]] == [("blocked", "nghĩa trang")]


# --- why not here, and the rasters ---


def test_the_rasters_and_the_explanation_say_the_same(plain):
    made, folder = plain
    world = siteworld.build(st.question(), st.town())
    with rasterio.open(folder / "suitability.tif") as score, rasterio.open(folder / "reasons.tif") as reasons:
        score, reasons = score.read(1), reasons.read(1)
    rng = np.random.default_rng(3)
    rows, columns = rng.integers(0, score.shape[0], 150), rng.integers(0, score.shape[1], 150)
    x, y = world.grid.centre(rows, columns)
    bits = {r["code"]: r["bit"] for r in made["rules"] if r["bit"] is not None}
    for k, found in enumerate(siteworld.why(world, x, y, 0)):
        value, bit = score[rows[k], columns[k]], int(reasons[rows[k], columns[k]])
        assert found["allowed"] == (bit == 0)
        assert {r["code"] for r in found["rules"] if r["broken"] and r["code"] != "outside"} == {
            c for c, b in bits.items() if bit >> (b + 2) & 1
        }
        if found["allowed"]:
            assert found["score"] == pytest.approx(float(value), abs=0.06)  # criteria are taken to 0.71 of a cell
        else:
            assert np.isnan(value)


def test_hectares_of_reasons_and_free_land(plain):
    """The river is 80 ha; with the plot (15.96 m) and the belt (10 m) round it, cells of 100 m add nothing: 80 ha."""
    made, _ = plain
    ha = {row["code"]: row["ha"] for row in made["excluded"]}
    assert made["area_ha"] == pytest.approx(3200)
    assert ha["water"] == 80
    assert ha["protected"] == 100
    assert ha["zones"] == 25
    assert 0 < made["free_ha"] <= 3200 - 80 - 100 - 25 - 200


def test_what_has_no_data_is_never_passed_silently(tmp_path):
    bare = {
        name: st.town().layers["hotspots"].iloc[:0]
        for name in ("protected_areas", "water_bodies", "intakes", "receptors")
    }
    made = answer(tmp_path, st.town(**bare))
    told = {(u["kind"], u["code"]): u["why"] for u in made["unchecked"]}
    for code in ("protected", "water", "intakes", "receptors"):
        assert told["rule", code] == ["no_data"]
        assert rule(made, code)["bit"] is None
        assert code not in [row["code"] for row in made["excluded"]]
    assert told["upstream", "upstream"] == ["no_rivers"]
    assert set(made["sites"][0]["card"]["unchecked"]) >= {"protected", "water", "intakes", "receptors", "upstream"}


def test_a_size_that_the_table_leaves_open_keeps_the_distance_of_the_others(tmp_path):
    """Ponds: 300 m for 5,000 m³/day; for 60,000 the table leaves it to the assessment, which is told."""
    sizes = [{"capacity_m3_day": 5000, "cost": 2}, {"capacity_m3_day": 60_000, "cost": 1}]
    asked = {"sizes": sizes, "facility": st.facility(technology="biological pond")}
    places = [{"code": "S", **st.lonlat(5000, 800)}]
    made = answer(tmp_path, given=places, candidates={"count": 0}, **asked)
    assert rule(made, "houses") | {"source": None} == rule(made, "houses") | {
        "status": "coarse", "why": ["assessment"], "distance_m": [300, 300], "source": None}  # fmt: skip
    large = [s for s in made["sites"] if s["capacity_m3_day"] == 60_000]
    assert large
    assert all(any("đánh giá tác động" in c["vi"] for c in s["card"]["conflicts"]) for s in large)
    wide = answer(tmp_path, **asked)
    villages = st.box(1000, 1500, 2000, 2500), st.box(6000, 1500, 7000, 2500)
    large = [shapely.Point(c["x"], c["y"]) for c in wide["candidates"] if 60_000 in c["options"]]
    plot = np.sqrt(10_000 * 12 / np.pi)
    assert large
    assert all(place.distance(v) >= 300 + plot - 0.01 for place in large for v in villages)


def test_solid_waste_is_asked_in_tonnes_of_what_people_make(tmp_path):
    waste = {"kind": "solid waste", "technology": "incinerator", "enclosed": None}
    with pytest.raises(SpecError, match=r"demand\.kg_person_day: Give how many kg"):
        st.question(facility=waste)
    asked = st.question(facility=waste, demand={"kg_person_day": 0.9, "source": "quy chuẩn", "square_m": 500})
    made = sitework.answer(asked, st.town(), tmp_path)
    assert (made["unit"], rule(made, "houses")["distance_m"]) == ("t_day", [500])
    assert made["laws"][0]["land"]["plot_ha"] == pytest.approx(400 * 365 / 1000 * 0.05)
    assert made["laws"][0]["land"]["belt_m"] == 20
    assert "t/day" in made["notes"][0]["en"]


# --- rasters ---


def test_height_slope_and_land_cover_exclude_where_they_say(tmp_path):
    """Height rises by 10 cm in 100 m from the west, 0.1 %: 1.5 m from x = 1500 on. Class 9 lies south of y = 1000."""
    rasters = {
        "elevation": st.raster(lambda x, y: 0.001 * x),
        "land_cover": st.raster(lambda x, y: np.where(y < 1000, 9, 1)),
    }
    rules = [
        {"code": "elevation", "on": True, "at_least": 1.5, "source": "mực nước"},
        {"code": "slope", "on": True, "at_most": 5},
        {"code": "land_cover", "on": True, "distance_m": 0, "classes": [9]},
    ]
    criteria = [{"code": "demand", "weight": 1}, {"code": "elevation", "weight": 1}, {"code": "slope", "weight": 1}]
    made = answer(tmp_path, st.town(rasters=rasters), rules=rules, criteria=criteria)
    assert [rule(made, c)["status"] for c in ("elevation", "slope", "land_cover")] == ["checked"] * 3
    places = np.array([st.metres(c) for c in made["candidates"]])
    assert places[:, 0].min() >= 1500
    assert places[:, 1].min() >= 1000
    first = {p["code"]: p["measured"] for p in made["candidates"][0]["criteria"]}
    assert first["elevation"] == pytest.approx(0.001 * places[0, 0], abs=1e-4)
    assert first["slope"] == pytest.approx(0.1)
    assert not [u for u in made["unchecked"] if u["code"] in ("elevation", "slope", "land_cover")]


def test_a_raster_that_is_not_there_is_not_checked(tmp_path):
    rules = [{"code": "elevation", "on": True, "at_least": 1.5}, {"code": "slope", "on": True}]
    criteria = [{"code": "demand", "weight": 1}, {"code": "roads", "weight": 2}]
    made = answer(tmp_path, rules=rules, criteria=criteria)
    told = {(u["kind"], u["code"]): u["why"] for u in made["unchecked"]}
    assert told["rule", "elevation"] == told["rule", "slope"] == ["no_raster"]
    assert told["criterion", "roads"] == ["no_data"]
    assert {c["code"]: c["weight"] for c in made["criteria"]} == {"demand": 1, "roads": 0}


def test_unknown_height_is_never_free(tmp_path):
    rasters = {"elevation": st.raster(lambda x, y: np.where(x < 4000, np.nan, 5.0))}
    made = answer(tmp_path, st.town(rasters=rasters), rules=[{"code": "elevation", "on": True, "at_least": 1}])
    assert all(st.metres(c)[0] > 4000 for c in made["candidates"])
    assert next(r for r in made["excluded"] if r["code"] == "unknown")["ha"] == pytest.approx(1600, abs=41)


def test_label_points_are_no_water(tmp_path):
    labels = st.named([st.at(2000, 3800)], "L", tidal=[None])
    made = answer(tmp_path, st.town(water_bodies=labels))
    assert (rule(made, "water")["status"], rule(made, "water")["why"]) == ("unchecked", ["only_labels"])


def test_an_island_in_a_sea_drawn_over_it_is_land(tmp_path):
    """The sea covers the east, 5000 to 8000; the village stands on an island of the land layer, 5500 to 7500 x 1000 to 3000."""
    sea = st.named([st.box(5000, -500, 9000, 5000)], "SEA", tidal=[None])
    land = st.named([st.box(0, 0, 5000, 4000), st.box(5500, 1000, 7500, 3000)], "L")
    data = st.town(water_bodies=sea, land=land)
    world = siteworld.build(st.question(), data)
    places = [st.at(5300, 2000), st.at(5700, 2700), st.at(7300, 1300), st.at(7700, 2000)]
    found = siteworld.why(world, [p.x for p in places], [p.y for p in places], 0)
    assert [f["allowed"] for f in found] == [False, True, True, False]


def test_of_a_schematic_sea_all_land_is_dry(tmp_path):
    """The same sea drawn for the map reaches to 3000, over a mainland that ends at 5000."""
    land = st.named([st.box(0, 0, 5000, 4000)], "L")
    allowed = {}
    for quality in ("schematic", "surveyed"):
        sea = st.named([st.box(3000, -500, 9000, 5000)], "SEA", tidal=[None], geometry_quality=[quality])
        world = siteworld.build(st.question(), st.town(water_bodies=sea, land=land))
        places = [st.at(4500, 800), st.at(5200, 800)]
        allowed[quality] = [f["allowed"] for f in siteworld.why(world, [p.x for p in places], [p.y for p in places], 0)]
    assert allowed == {"schematic": [True, False], "surveyed": [False, False]}


def test_an_even_surface_is_told(tmp_path):
    even = st.people()
    even = type(even)(even.values, even.transform, even.crs, tags={"method": "spread over ward land", "source": "x"})
    made = answer(tmp_path, st.town(population=even))
    assert (rule(made, "houses")["status"], rule(made, "houses")["why"]) == ("coarse", ["even_spread"])
    assert made["sites"][0]["card"]["people_rough"] is True
    assert any("spread evenly" in n["en"] for n in made["notes"])


def test_without_a_surface_people_inside_are_not_known(tmp_path):
    made = answer(tmp_path, st.town(population=None), criteria=[{"code": "demand", "weight": 1}])
    assert (rule(made, "houses")["status"], rule(made, "houses")["why"]) == ("unchecked", ["no_data"])
    assert made["sites"][0]["card"]["people_inside"]["now"]["people"] is None
    assert made["demand"]["count"] == 2


# --- demands ---


def test_demands_are_the_squares_of_the_people(plain):
    """Each village is four squares of 500 m: 125 and 175 m³/day with 1,250 people each, at their middles."""
    made, _ = plain
    rows = sorted((d["unit"], d["m3_day"], d["people"]) for d in made["demands"])
    assert rows == [("E", 175, 1250)] * 4 + [("W", 125, 1250)] * 4
    places = gpd.GeoSeries.from_xy([d["lon"] for d in made["demands"]], [d["lat"] for d in made["demands"]], crs=4326)
    xy = {(round(p.x - st.EAST), round(p.y - st.NORTH)) for p in places.to_crs(9210)}
    assert xy == {(x + a, 1750 + b) for x in (1250, 6250) for a in (0, 500) for b in (0, 500)}
    assert (made["demand"]["m3_day"], made["demand"]["people"], made["demand"]["unknown_m3_day"]) == (1200, 10_000, 500)


def test_an_area_of_one_unit_serves_that_unit(tmp_path):
    made = answer(tmp_path, area={"units": ["W"]})
    assert {d["unit"] for d in made["demands"]} == {"W"}
    assert made["plan"]["served_m3_day"] == 400
    assert all(st.metres(c)[0] < 4000 for c in made["candidates"])
    wide = answer(tmp_path, area={"units": ["W"]}, demand={"square_m": 500, "where": "reach"}, within_m=5000)
    assert {d["unit"] for d in wide["demands"]} == {"W", "E"}


def test_a_drawn_area_is_cut_by_the_city_and_by_its_people(tmp_path):
    """West of 1500 lies half of the village of ward W: 250 m³/day; east of the city nothing."""
    wkt = gpd.GeoSeries([st.box(-3000, -500, 1500, 4500)], crs=9210).to_crs(4326).iloc[0].wkt
    made = answer(tmp_path, area={"wkt": wkt})
    assert made["demand"]["m3_day"] == pytest.approx(250, abs=13)  # the drawn line is straight in degrees
    assert made["area_ha"] == pytest.approx(600, rel=1e-3)
    far = gpd.GeoSeries([st.box(20_000, 0, 21_000, 1000)], crs=9210).to_crs(4326).iloc[0].wkt
    with pytest.raises(SpecError, match=r"area\.wkt: The outline lies outside the city"):
        answer(tmp_path, area={"wkt": far})


# --- the plan ---


def test_one_plant_is_filled_and_proven(plain):
    made, _ = plain
    plan, site = made["plan"], made["sites"][0]
    assert (plan["value"], plan["bound"], plan["gap"], plan["status"]) == (400, 400, 0, "optimal")
    assert (site["used_m3_day"], site["gain_m3_day"], site["cost"], site["label"]) == (400, 400, 10, "A")
    assert plan["unserved_m3_day"] == 800
    assert sum(u["m3_day"] for u in site["units"]) == pytest.approx(400)
    assert site["card"]["cost_per_m3_day"] == 10 / 400
    assert sum(f["m3_day"] for f in made["flows"]) == pytest.approx(400)
    assert all(f["distance_m"] <= 3000 for f in made["flows"])


def test_a_standing_plant_is_kept_and_its_spare_counted(tmp_path):
    plants = st.standing([("OLD", 1500, 1000, 300), ("FULL", 6500, 1000, 0)])
    made = answer(tmp_path, st.town(plants=plants))
    assert (made["plan"]["standing_m3_day"], made["plan"]["served_m3_day"], made["plan"]["gain_m3_day"]) == (
        300,
        700,
        400,
    )
    assert {p["code"]: p["used_m3_day"] for p in made["plants"]} == {"OLD": 300, "FULL": 0}
    without = answer(tmp_path, st.town(plants=plants), plants={"keep": False})
    assert (without["plan"]["standing_m3_day"], without["plan"]["served_m3_day"]) == (0, 400)


def test_more_plants_and_more_money_never_serve_less(tmp_path):
    served = [answer(tmp_path, number=n)["plan"]["value"] for n in (1, 2, 3, 4)]
    assert served == [400, 800, 1200, 1200]
    sizes = [{"capacity_m3_day": 150, "cost": 5}, {"capacity_m3_day": 400, "cost": 11}]
    by_money = [
        answer(tmp_path, number=None, budget=b, sizes=sizes)["plan"]["value"] for b in (4, 5, 10, 11, 16, 22, 40)
    ]
    assert by_money == sorted(by_money)
    assert by_money[:5] == [0, 150, 300, 400, 550]


def test_the_chain_tells_the_best_for_each_smaller_limit(tmp_path):
    made = answer(tmp_path, number=3)
    assert [(c["number"], c["value"]) for c in made["chain"]] == [(1, 400), (2, 800), (3, 1200)]
    assert [c["served_m3_day"] for c in made["curve"]] == [400, 800, 1200]
    alone = answer(tmp_path, number=2)
    assert made["chain"][:2] == alone["chain"]


def test_of_equal_plans_the_better_place_is_taken(tmp_path):
    """Everything in ward W serves 400: the site with the best score of all that reach enough is the one."""
    made = answer(tmp_path, area={"units": ["W"]})
    reach = [c for c in made["candidates"] if c["options"]]
    best = max(reach, key=lambda c: c["score"])
    assert made["sites"][0]["score"] == best["score"]


def test_a_forced_site_is_built(tmp_path):
    place = {"code": "MINE", **st.lonlat(500, 500)}
    made = answer(tmp_path, given=[place], force=["MINE"], number=2)
    assert "MINE" in [s["code"] for s in made["sites"]]
    assert made["plan"]["value"] >= answer(tmp_path, given=[place], force=["MINE"], number=1)["plan"]["value"]


def test_only_given_sites(tmp_path):
    places = [{"code": "A1", **st.lonlat(500, 500)}, {"code": "B1", **st.lonlat(7500, 500)}]
    made = answer(tmp_path, given=places, candidates={"count": 0, "apart_m": 300}, number=2)
    assert {s["code"] for s in made["sites"]} == {"A1", "B1"}
    assert made["plan"]["value"] == 800


def test_a_large_size_is_no_option_where_its_distance_is_broken(tmp_path):
    """Open works: 100 m for 5,000 m³/day, 250 m for 5,001. Their plots are discs of 56.4 m."""
    sizes = [{"capacity_m3_day": 5000, "cost": 1}, {"capacity_m3_day": 5001, "cost": 1}]
    places = [{"code": "NEAR", **st.lonlat(2000 + 180, 2000)}, {"code": "FAR", **st.lonlat(2000 + 320, 2000)}]
    made = answer(tmp_path, given=places, sizes=sizes, facility=st.facility())
    options = {c["code"]: c["options"] for c in made["candidates"] if c["given"]}
    assert options == {"NEAR": [5000], "FAR": [5000, 5001]}


@pytest.mark.parametrize("model", ["covering", "median", "cheapest"])
def test_the_models_that_serve_everybody(model, tmp_path):
    asked = {"model": model, "number": 4, "cost_per_m3_km": 0.01, "sizes": [{"capacity_m3_day": 700, "cost": 10}]}
    made = answer(tmp_path, **asked)
    assert made["infeasible"] is None
    assert made["plan"]["unserved_m3_day"] == 0
    assert len(made["sites"]) == {"covering": 1, "median": 4, "cheapest": 2}[model]


@pytest.mark.parametrize(
    ("fields", "binding", "words"),
    [
        ({"model": "covering", "number": 1, "within_m": 2000}, "number", "at least 2 new plants; 1 are allowed"),
        ({"model": "covering", "number": None, "budget": 15, "within_m": 2000}, "budget", "costs at least 20"),
        ({"model": "cheapest", "number": 2}, "number", "at least 3 new plants; 2 are allowed"),
        ({"model": "covering", "within_m": 100}, "distance", "no plant or site within reach"),
        ({"force": ["GHOST"]}, "forced", "The forced site GHOST is not among the given sites"),
        (
            {"rules": [{"code": "houses", "distance_m": 9000, "source": "x"}], "facility": st.facility()},
            "no_site",
            "“Houses” alone takes 100 % of it",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence_that_names_the_binding_rule(fields, binding, words, tmp_path):
    made = answer(tmp_path, **fields)
    assert (made["plan"], made["sites"]) == (None, [])
    assert (made["infeasible"]["rule"], words in made["infeasible"]["en"]) == (binding, True), made["infeasible"]
    assert made["infeasible"]["vi"] != made["infeasible"]["en"]
    assert (tmp_path / "study.gpkg").exists()
    assert (tmp_path / "study.xlsx").exists()


def test_where_no_site_is_left_the_sentence_says_what_to_do(tmp_path):
    tiny = gpd.GeoSeries([st.box(510, 510, 540, 540)], crs=9210).to_crs(4326).iloc[0].wkt
    made = answer(tmp_path, area={"wkt": tiny})
    assert made["infeasible"]["en"] == "No cell of 100 m has its middle in the study area: choose smaller cells."
    wet = answer(tmp_path, given=[{"code": "X", **st.lonlat(*NEVER["water"])}], candidates={"count": 0})
    assert wet["infeasible"]["en"].startswith("No place that was looked at is left")
    assert [r["code"] for r in wet["refused"]] == ["X"]


@pytest.mark.parametrize("fields", [{"number": 0}, {"number": None, "budget": 0}])
def test_nothing_may_be_built(fields, tmp_path):
    made = answer(tmp_path, **fields)
    assert (made["plan"]["value"], made["sites"], made["flows"], made["infeasible"]) == (0, [], [], None)


def test_along_a_network_only_what_it_joins_is_served(tmp_path):
    """One road runs through both villages; it is broken at the river until the bridge is drawn."""
    west = shapely.LineString([st.at(0, 2000), st.at(3800, 2000)])
    east = shapely.LineString([st.at(4200, 2000), st.at(8000, 2000)])
    bridge = shapely.LineString([st.at(3800, 2000), st.at(4200, 2000)])
    served = []
    for lines in ([west, east], [west, bridge, east]):
        wkt = gpd.GeoSeries([shapely.union_all(lines)], crs=9210).to_crs(4326).iloc[0].wkt
        layers = [{"code": "roads", "name": "Đường", "source": "vẽ tay", "wkt": wkt}]
        made = answer(
            tmp_path,
            layers=layers,
            network={"layer": "roads", "most_off_m": 600},
            given=[{"code": "S", **st.lonlat(3700, 2000)}],
            candidates={"count": 0, "apart_m": 300},
            sizes=[{"capacity_m3_day": 2000, "cost": 1}],
            within_m=6000,
        )
        served.append(made["plan"]["served_m3_day"])
    assert served == [500, 1200]


def test_an_own_layer_excludes_with_its_source(tmp_path):
    wkt = gpd.GeoSeries([st.box(0, 0, 4000, 4000)], crs=9210).to_crs(4326).iloc[0].wkt
    layers = [{"code": "flood", "name": "Vùng ngập", "source": "bản đồ ngập 2025", "wkt": wkt}]
    made = answer(
        tmp_path, layers=layers, rules=[{"code": "layer:flood", "on": True, "distance_m": 0, "source": "Vùng ngập"}]
    )
    assert all(st.metres(c)[0] > 4000 for c in made["candidates"])
    assert "Vùng ngập: bản đồ ngập 2025" in made["sources"]


# --- upstream ---


def with_intake(y=200):
    return st.town(intakes=st.named([st.at(4000, y)], "I"))


def test_upstream_of_an_intake_the_distance_is_half_more(tmp_path):
    """Beside the river at y = 3000, 2.8 km above the intake; open works of 400 m³/day: 100 m becomes 150 m."""
    places = [{"code": "UP", **st.lonlat(4400, 2000)}, {"code": "AWAY", **st.lonlat(7800, 3500)}]
    made = answer(tmp_path, with_intake(), given=places, force=["UP"], facility=st.facility())
    card = next(s for s in made["sites"] if s["code"] == "UP")["card"]
    assert card["upstream"]["state"] == "yes"
    assert card["upstream"]["intakes"][0]["along_m"] == pytest.approx(1800, abs=25)
    assert (card["law"]["distance_m"], card["law"]["factor"], card["law"]["rows"]) == (
        150,
        1.5,
        ["2021-2.22-14", "2021-2.22-37"],
    )
    states = {c["code"]: c["upstream"] for c in made["candidates"] if c["given"]}
    assert states["UP"] == "yes"
    assert states["AWAY"] == "unchecked"  # no river is drawn within a kilometre


def test_a_site_that_keeps_100_but_not_150_m_is_lost_upstream(tmp_path):
    """A village by the river: 130 m from the edge of the plot. Downstream of the intake it may stand, upstream not."""
    village = st.people(villages=((1000, 1500), (4600, 1500)))
    place = {"code": "S", **st.lonlat(4600 - 130 - 15.957691, 2000)}
    options = {}
    for name, y in (("above", 3500), ("below", 200)):
        data = st.town(population=village, intakes=st.named([st.at(4000, y)], "I"))
        made = answer(tmp_path, data, given=[place], facility=st.facility(), candidates={"count": 10, "apart_m": 300})
        options[name] = [c["upstream"] for c in made["candidates"] if c["code"] == "S"]
    assert options == {"above": ["no"], "below": []}


# --- the same again ---


def test_the_same_question_gives_the_same_bytes(plain, tmp_path):
    answer(tmp_path)
    for name in ("result.json", "study.xlsx", "replay.json"):
        assert (tmp_path / name).read_bytes() == (plain[1] / name).read_bytes(), name


def test_another_seed_changes_only_what_is_drawn(plain, tmp_path):
    made = answer(tmp_path, seed=5)
    assert made["robustness"]["sites"] != plain[0]["robustness"]["sites"]
    assert made["plan"]["value"] == plain[0]["plan"]["value"]


def test_data_survive_being_written_as_text():
    once = packed(to_json(st.town(plants=st.standing([("OLD", 1500, 1000, 300)]))))
    again = from_json(json.loads(once))
    assert packed(to_json(again)) == once
    assert again.population.values.tolist() == st.people().values.tolist()


def test_cancelled_work_leaves_no_file_that_looks_whole(tmp_path):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        sitework.answer(st.question(), st.town(), tmp_path, stop=stop)
    assert not {p.name for p in tmp_path.iterdir()} & {"result.json", "study.gpkg", "replay.json"}


def test_progress_rises_to_the_whole(tmp_path):
    shares = []
    sitework.answer(
        st.question(number=2), st.town(), tmp_path, tell=lambda share, words="", **values: shares.append(share)
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# --- the card ---


def test_people_inside_the_rings_by_hand(tmp_path):
    """The plot's edge lies 40 m from the village's side: with enclosed works (10 m) nobody is inside; with open works
    (80 m, a plot disc of 11.28 m) a segment of the circle of radius 91.28 m round a point 51.28 m away, at 50 people per ha."""
    capacity = 200
    plot = np.sqrt(10_000 * 0.04 / np.pi)
    place = {"code": "S", **st.lonlat(2000 + 40 + plot, 2000)}
    made = answer(
        tmp_path,
        given=[place],
        force=["S"],
        sizes=[{"capacity_m3_day": capacity, "cost": 1}],
        facility=st.facility(enclosed=True),
    )
    inside = made["sites"][0]["card"]["people_inside"]
    assert (inside["now"]["people"], inside["enclosed"]["distance_m"], inside["open"]["distance_m"]) == (0, 10, 80)
    radius, away = 80 + plot, 40 + plot
    segment = radius**2 * np.arccos(away / radius) - away * np.sqrt(radius**2 - away**2)
    assert inside["open"]["people"] == pytest.approx(segment / 10_000 * 50, rel=2e-3)


def test_what_lies_near_is_told_with_its_distance(tmp_path):
    place = {"code": "S", **st.lonlat(2000, 1000)}
    made = answer(tmp_path, given=[place], force=["S"])
    told = [c["en"] for c in made["sites"][0]["card"]["conflicts"]]
    assert "H0 (H0), a pollution hotspot, lies 500 m away." in told


def test_robustness_is_a_share_of_runs(plain):
    made, _ = plain
    shares = [s["in_top"] for s in made["robustness"]["sites"]]
    assert sum(shares) == pytest.approx(made["robustness"]["top"])
    assert all(0 <= s <= 1 for s in shares)
    assert {c["criterion"] for c in made["robustness"]["one_at_a_time"]} == {"demand", "houses"}


def test_weights_from_answers_on_pairs(tmp_path):
    criteria = [{"code": c, "weight": 1} for c in ("demand", "houses", "hotspots")]
    pairs = {"demand|houses": 2, "houses|hotspots": 2, "demand|hotspots": 4}
    made = answer(tmp_path, criteria=criteria, pairs=pairs)
    assert [round(c["weight"], 3) for c in made["criteria"]] == [0.571, 0.286, 0.143]
    assert made["ahp"]["ratio"] == pytest.approx(0, abs=1e-9)
    with pytest.raises(SpecError, match="Not answered: demand / hotspots"):
        st.question(criteria=criteria, pairs={k: v for k, v in pairs.items() if k != "demand|hotspots"})


def test_the_day_is_part_of_the_question():
    assert date.fromisoformat(st.question()["as_of"]).isoformat() == st.DAY
