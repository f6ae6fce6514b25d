"""The starter facts: tables of published figures made into checked layers.

The CSV tables beside this module hold points, areas and figures, no surveyed outlines. What is built
from them says so in its geometry quality: `schematic` cells for the wards, `approximate` circles of
the known area for industrial zones, `approximate` points for the rest, `none` without a position.
Texts come in English; texts_vi.csv holds their Vietnamese.
"""

import csv
from functools import cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import cells
from layers import boundaries
from layers.catalogue import ALL
from layers.checks import check

TABLES = Path(__file__).parent / "starter"
STANDARDS = Path(__file__).parent / "standards"
METRIC = "EPSG:9210"
MERGER = "2025-07-01"
_NEW_DISTRICTS = "2025-01-01"  # communes went from one old district to another on this day
OLD_CITY, OTHER_SIDE, CITY = "HP-2024", "HD-2024", "HP"
_OTHER_DISTRICT = "HD"


def starter_layers():
    """All starter layers and tables as CheckedLayers, in the order in which they are written."""
    units, land = admin_units()
    frames = {
        "land": land,
        "admin_units": units,
        "boundary_versions": _table("boundary_versions"),
        "crosswalk": crosswalk(),
        "old_names": _table("old_names"),
        "industrial_zones": industrial_zones(),
        "treatment_plants": treatment_plants(),
        "plant_states": _table("plant_states"),
        "service_links": _table("service_links"),
        "waste_sites": waste_sites(),
        "port_areas": ports(),
        "hotspots": hotspots(),
        "stations": stations(),
        "water_bodies": water_bodies(),
        "indicators": indicators(),
        "norms": _table("waste_water_norms"),
        "planning_norms": planning_norms(),
    }
    made = [check(ALL[name], frame) for name, frame in frames.items()]
    return made + [check(layer, empty(layer)) for name, layer in ALL.items() if name not in frames]


def empty(layer):
    """A frame of a layer without rows: it is a version like any other."""
    frame = pd.DataFrame({f.name: [] for f in layer.fields}, dtype=object)
    return gpd.GeoDataFrame(frame, geometry=[], crs="EPSG:4326") if layer.geometry else frame


# --- places ---


def admin_units():
    """Wards as schematic cells, with the old districts and cities made of them; and the land.

    Returns two GeoDataFrames in EPSG:4326. Populations are those of the source; districts and cities
    have the sum of their wards where their own was not found on the same base.
    """
    land = _land()
    rows = _read("wards")
    points = gpd.GeoDataFrame(
        {
            "area_km2": rows["area_km2"].astype(float),
            "dry_area_km2": rows["area_km2_computed"].astype(float),
        },
        geometry=gpd.points_from_xy(rows["centre_lon"].astype(float), rows["centre_lat"].astype(float)),
        crs="EPSG:4326",
    ).set_axis(rows["code"], axis=0)
    shapes = cells.schematic_cells(points.to_crs(METRIC), land.to_crs(METRIC), second_sites=_cat_hai_island()).to_crs(
        "EPSG:4326"
    )
    wards = gpd.GeoDataFrame(
        {
            "code": rows["code"],
            "name_vi": rows["name_vi"],
            "name_en": rows["name_en"],
            "kind": rows["unit_type"].replace("special zone", "special_zone"),
            "side": np.where(rows["old_district_code"] == "", "Hải Dương", "Hải Phòng"),
            "area_km2": rows["area_km2"],
            "population": rows["population"],
            "population_confidence": rows["population_confidence"],
            **_both("population_source", rows["population_source"]),
            "centre_lon": rows["centre_lon"],
            "centre_lat": rows["centre_lat"],
            "geometry_quality": "schematic",
            "coord_accuracy_m": 1000,
            "coord_source": "power diagram of the ward points, weighted to the official areas",
            "district_old": rows["old_district_code"],
            "valid_from": MERGER,
            "filed_under": boundaries.NOW,
            "source": rows["area_source"],
            "source_date": "2025-07",
            "confidence": "medium",
            **_both("note", rows["note"]),
        },
        geometry=shapes.geometry.reindex(rows["code"]).to_numpy(),
        crs="EPSG:4326",
    )
    return pd.concat([wards, _districts(wards), _cities(wards)], ignore_index=True), _land_layer(land)


def _cat_hai_island():
    """Cát Hải (11914) has its point on Cát Bà; this is its other island, which the outline joins to the mainland.

    22.5 km² is the land of the coarse outline east of 106.84° E.
    """
    return gpd.GeoDataFrame(
        {"area_km2": [22.5]},
        index=["11914"],
        geometry=gpd.points_from_xy([106.87], [20.815]),
        crs="EPSG:4326",
    )


def _districts(wards):
    """Old districts with the outlines of the wards that lie in them for the most part, and their shares of the people."""
    names = _read("districts")
    links = crosswalk()
    people = wards.set_index("code")["population"].astype(float)
    shared = (links["share"].astype(float) * links["unit"].map(people)).groupby(links["old_unit"]).sum()
    shared = _whole_people(shared[names["code"]])
    rows = []
    for d in names.itertuples():
        mine = wards[wards["district_old"] == d.code]
        rows.append(
            _unit(
                mine, d.code, *_district_names(d), "district", valid_to=MERGER, filed_under=boundaries.OLD,
                area_km2=d.area_km2, source=d.source, source_date=d.source_date, confidence=d.confidence,
                side="Hải Phòng", note=d.note, population=shared[d.code],
                **_pair("population_source", "sum of the wards; wards of two districts by the shares of the crosswalk"),
            )
        )  # fmt: skip
    mine = wards[wards["side"] == "Hải Dương"]
    rows.append(
        _unit(
            mine, _OTHER_DISTRICT, "Tỉnh Hải Dương cũ (chưa có dữ liệu cấp huyện)",
            "Former Hải Dương province (no districts known)", "district", valid_to=MERGER, filed_under=boundaries.OLD,
            side="Hải Dương", source="sum of the wards of the former province", source_date="2025-07", confidence="medium",
        )
    )  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326")


def _whole_people(shared):
    """Counts rounded to whole people, with the sum kept: the largest fractions are rounded up."""
    down = np.floor(shared + 1e-6)
    more = (shared - down).sort_values(ascending=False).index[: round(float((shared - down).sum()))]
    down[more] += 1
    return down


def _district_names(d):
    """Names with the kind of district of 2024, so that a ward of the same name is not taken for it."""
    kind = d.type_2024.split(";")[0].strip()
    return f"{kind.capitalize()} {d.name_vi}", f"{d.name_en} District"


def _cities(wards):
    merged = "Resolution 202/2025/QH15, as listed at dienmaycholon.com/kien-thuc/ban-do-danh-sach-tru-so-cac-xa-sau-sap-nhap-tp-hai-phong"
    old = wards[wards["side"] == "Hải Phòng"]
    other = wards[wards["side"] == "Hải Dương"]
    total = "sum of the wards"
    rows = [
        _unit(
            wards, CITY, "Thành phố Hải Phòng (sau sáp nhập)", "Hải Phòng city (after the merger)", "city",
            valid_from=MERGER, filed_under=boundaries.NOW, area_km2="3194.72", source=merged, source_date="2025-07-02", confidence="medium",
        ),
        _unit(
            old, OLD_CITY, "Thành phố Hải Phòng trước 1/7/2025", "Hải Phòng city before 1 July 2025", "city",
            valid_to=MERGER, filed_under=boundaries.OLD, area_km2="1526.5", side="Hải Phòng", source=total, source_date="2025-07",
            confidence="medium",
        ),
        _unit(
            other, OTHER_SIDE, "Tỉnh Hải Dương trước 1/7/2025", "Hải Dương province before 1 July 2025", "city",
            valid_to=MERGER, filed_under=boundaries.OLD, side="Hải Dương", source=total, source_date="2025-07", confidence="medium",
        ),
    ]  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326")


def _unit(mine, code, name_vi, name_en, kind, *, note="", **fields):
    shape = shapely.union_all(mine.geometry.to_numpy())
    centre = shape.representative_point()
    people = mine["population"].astype(float).sum()
    return {
        "code": code, "name_vi": name_vi, "name_en": name_en, "kind": kind, "population": people,
        "population_confidence": "medium", **_pair("population_source", "sum of the wards"),
        "centre_lon": round(centre.x, 4), "centre_lat": round(centre.y, 4), "geometry_quality": "schematic",
        "coord_accuracy_m": 1000, "coord_source": "union of the schematic cells of its wards",
        **_pair("note", note), "geometry": shape, **fields,
    }  # fmt: skip


def crosswalk():
    """Shares of each ward by old district and by old city; they add up to 1 at each level.

    A ward whose communes all came from one district lies in it: exact, by name. The shares of the others are in
    split_wards.csv; a ward that its names split and that table does not raises ValueError, and the other way round.
    """
    districts = _read("districts")
    codes = dict(zip(districts["name_vi"], districts["code"], strict=True))
    names = _read("old_names")
    wards = _read("wards")
    ours = set(wards.loc[wards["old_district_code"] != "", "code"])
    communes = pd.DataFrame(
        {"ward_code": names["ward_code"], "old_name": names["old_name_vi"],
         "district": [codes[d] if w in ours else _OTHER_DISTRICT
                      for w, d in zip(names["ward_code"], names["old_district_vi"], strict=True)]}
    )  # fmt: skip
    lies_in = boundaries.by_names(communes, _read("moved_communes"))
    shares = {}
    for r in _read("split_wards").itertuples():
        shares.setdefault(r.ward_code, {})[r.old_district_code] = r
    split = {w for w, found in lies_in.items() if len(found) > 1}
    if split != set(shares) or any(lies_in[w] != set(shares[w]) for w in split):
        raise ValueError(f"split_wards.csv and the names disagree on {sorted(split ^ set(shares)) or sorted(split)}.")
    sources = names.drop_duplicates("ward_code").set_index("ward_code")
    out = []
    for ward in wards["code"]:
        named = {**sources.loc[ward, ["source", "source_date", "confidence"]], "valid_to": MERGER}
        for old in sorted(lies_in[ward]):
            if ward in split:
                r = shares[ward][old]
                told = {
                    "source": r.source,
                    "source_date": r.source_date,
                    "confidence": r.confidence,
                    "valid_to": _NEW_DISTRICTS,
                }
                note = "How much of the ward lies there is known by area only, not by people."
                out.append(
                    {"unit": ward, "old_unit": old, "share": r.share, "basis": r.basis, **told, **_pair("note", note)}
                )
            else:
                note = "All communes the ward was made of were in this district."
                out.append(
                    {"unit": ward, "old_unit": old, "share": 1, "basis": "exact", **named, **_pair("note", note)}
                )
        old = OLD_CITY if ward in ours else OTHER_SIDE
        out.append({"unit": ward, "old_unit": old, "share": 1, "basis": "exact", **named})
    return pd.DataFrame(out)


def _land():
    rows = _read("land_outline")
    shapes, names = [], []
    for _, part in rows.groupby("part", sort=True):
        shapes.append(shapely.Polygon(_ring(part)))
        names.append(part["name"].iloc[0])
    return gpd.GeoDataFrame({"name": names}, geometry=shapes, crs="EPSG:4326")


def _land_layer(land):
    """The land of the city, and what lies around it and is not mapped (L-OUT)."""
    named = land.rename(columns={"name": "name_vi"}).assign(
        code=[f"L{i + 1}" for i in range(len(land))],
        name_vi=["Đất liền và Cát Hải", "Cát Bà", "Bạch Long Vĩ"],
        name_en=["Mainland with Cát Hải", "Cát Bà", "Bạch Long Vĩ"],
        coord_accuracy_m=[1000, 1000, 300],
        source="corner points computed from published boundaries and rounded; not a boundary",
        source_date="2025-07",
    )
    around = shapely.box(105.4, 19.9, 108.2, 21.9) - shapely.union_all([_sea(), *land.geometry])
    outside = gpd.GeoDataFrame(
        {
            "code": ["L-OUT"], "name_vi": ["Ngoài thành phố, không lập bản đồ"],
            "name_en": ["Outside the city, not mapped"], "coord_accuracy_m": [3000],
            "source": ["what is neither the city's land nor the coarse sea; a ground for the map only"],
            "source_date": ["2026-11"],
        },
        geometry=[around], crs="EPSG:4326",
    )  # fmt: skip
    return pd.concat([named, outside], ignore_index=True).assign(geometry_quality="schematic", confidence="medium")


def _sea():
    return shapely.make_valid(shapely.Polygon(_ring(_read("sea_outline"))))


def water_bodies():
    """Rivers as label points where a position is known, and the sea as a coarse area."""
    rows = _read("hotspots")
    rivers = rows[rows["id"].isin(["HS02", "HS03", "HS04"])]
    names = {
        "HS02": ("Sông Rế", "Rế river"),
        "HS03": ("Sông Đa Độ", "Đa Độ river"),
        "HS04": ("Sông Giá", "Giá river"),
    }
    out = _base(rivers, "W").assign(
        name_vi=[names[i][0] for i in rivers["id"]],
        name_en=[names[i][1] for i in rivers["id"]],
        geometry_quality="approximate",
        note_en="Label point of a river whose course is not in the starter data.",
        note_vi="Điểm đặt tên của con sông chưa có đường tim trong dữ liệu khởi đầu.",
    )
    sea = gpd.GeoDataFrame(
        [
            {
                "code": "W-SEA", "name_vi": "Vịnh Bắc Bộ", "name_en": "Gulf of Tonkin", "geometry_quality": "schematic",
                "coord_accuracy_m": 3000, "source": "drawn along the coarse land outline and, outside the city, by general knowledge of the coast",
                "source_date": "2026-11", "confidence": "low",
                "note_en": "A ground for the map only; waters between the mainland and the islands are simplified.",
                "note_vi": "Chỉ để làm nền bản đồ; vùng nước giữa đất liền và các đảo được vẽ đơn giản.",
                "geometry": _sea(),
            }
        ],
        geometry="geometry",
        crs="EPSG:4326",
    )  # fmt: skip
    out["code"] = ["W-RE", "W-DADO", "W-GIA"]
    return pd.concat([sea, out], ignore_index=True)


# --- facilities ---


def industrial_zones():
    """Parks, clusters and the economic zone, and the two craft villages the hotspot table names."""
    rows = _read("industrial_zones")
    out = _base(rows, "").assign(
        kind=rows["kind"],
        state=rows["status"].map(zone_state),
        **_both("status", rows["status"]),
        area_ha=rows["area_ha"],
        occupancy_pct=rows["occupancy_pct"],
        established_year=rows["established_year"],
        central_treatment=rows["has_central_wwtp"].map(
            lambda t: next((w for w in ("yes", "no", "planned") if t.startswith(w)), "")
        ),
        **_both("central_treatment_note", rows["has_central_wwtp"]),
        licensed_m3d=rows["id"].map({"KCN05": "4500"}),
        **_both("receiving_water", rows["receiving_water"]),
        **_both("developer", rows["developer"]),
    )
    area = pd.to_numeric(rows["area_ha"], errors="coerce").to_numpy()
    # the economic zone spans islands and parks: a circle round its label point would say nothing
    sized = ~np.isnan(area) & out.geometry.notna().to_numpy() & (rows["kind"] != "economic_zone").to_numpy()
    circles = out[sized].to_crs(METRIC).geometry.buffer(np.sqrt(area[sized] * 1e4 / np.pi), quad_segs=8)
    out.loc[sized, "geometry"] = circles.to_crs("EPSG:4326").to_numpy()

    spots = _read("hotspots")
    spots = spots[spots["id"].isin(["HS06", "HS07"])].reset_index(drop=True)
    villages = _base(spots, "").assign(
        code=["LN01", "LN02"], kind="craft_village", state="operating", central_treatment=["", "yes"],
        central_treatment_note_en=[None, "built, but reported as not operating for years (2021)"],
        central_treatment_note_vi=[None, "đã xây dựng nhưng được nêu là nhiều năm không vận hành (2021)"],
    )  # fmt: skip
    return pd.concat([out, villages], ignore_index=True)


def zone_state(status):
    """State of a zone from the words of its source.

    >>> zone_state("operating; phase 2 started Aug 2020"), zone_state("works started 26 Sep 2025"), zone_state("")
    ('operating', 'building', 'unknown')
    """
    if not status:
        return "unknown"
    if status.startswith("operating"):
        return "operating"
    if any(w in status for w in ("under construction", "works started", "started 15 Jan")):
        return "building"
    if any(w in status for w in ("established", "proposed", "chosen", "approved")):
        return "planned"
    raise ValueError(f"zone status '{status}' is not in the reading list of starter.zone_state")


def treatment_plants():
    """Plants of the facts table, and one for every park or cluster that is said to have its own."""
    rows = _read("wastewater_plants")
    named = _base(rows, "").assign(
        kind=rows["kind"],
        design_m3d=rows["design_m3d"],
        **_both("status", rows["status"]),
        **_both("service_area", rows["service_area"]),
        **_both("technology", rows["technology"]),
        **_both("receiving_water", rows["receiving_water"]),
        **_both("operator", rows["operator_or_funder"]),
        commissioned_year=rows["commissioned_year"],
        area_ha=rows["area_ha"],
    )
    zones = _read("industrial_zones")
    own = zones["has_central_wwtp"].str.startswith("yes") & ~zones["id"].isin(["KCN01", "KCN05", "KCN07"])
    zones = zones[own].reset_index(drop=True)
    derived = _base(zones, "WW-").assign(
        name_vi="Trạm XLNT tập trung " + zones["name_vi"],
        name_en="Central WWTP of " + zones["name_en"],
        confidence="medium",  # that it exists is said of the zone, not of the plant
        kind=zones["kind"],
        **_both("status", zones["has_central_wwtp"]),
        note_en="Known only from what is said of its zone; shown at the zone's label point.",
        note_vi="Chỉ biết qua thông tin về khu, cụm công nghiệp; đặt tại điểm đại diện của khu.",
    )
    return pd.concat([named, derived], ignore_index=True)


def waste_sites():
    rows = _read("waste_sites")
    return _base(rows, "").assign(
        kind=rows["kind"],
        **_both("status", rows["status"]),
        capacity_tpd=rows["capacity_tpd"],
        received_tpd=rows["received_tpd"],
        area_ha=rows["area_ha"],
        **_both("service_area", rows["service_area"]),
        **_both("operator", rows["operator"]),
        planned_year=rows["planned_year"],
    )


def ports():
    rows = _read("ports")
    both = ("kind", "area_group", "max_vessel", "operator", "green_measures")
    same = ("berths", "berth_length_m", "capacity_teu_year", "opened_year")
    return _base(rows, "").assign(**{c: rows[c] for c in same}, **_many_both(rows, both))


def hotspots():
    rows = _read("hotspots")
    kinds = _read("hotspot_kinds").set_index("id").reindex(rows["id"]).reset_index(drop=True)
    out = _base(rows, "").assign(
        media=kinds["media"],
        report_year=rows["report_year"],
        **_many_both(rows, ("medium", "pollutants", "measured_values", "responsible_unit", "cause")),
        **_both("remediation", rows["remediation_status"]),
        remediation_known=kinds["remediation_known"],
        stage=kinds["stage"],
        stage_basis_vi=kinds["stage_basis_vi"],
        stage_basis_en=kinds["stage_basis_en"],
        severity_class=kinds["severity_class"],
        past_event=kinds["past_event"],
    )
    return out


def stations():
    rows = _read("stations")
    return _base(rows, "").assign(**_many_both(rows, ("kind", "parameters", "reported_result", "operator")))


def indicators():
    """Reported figures with their definitions; a figure without a definition row says so."""
    rows = _read("indicators")
    texts = _read("indicator_definitions").set_index(["indicator", "scope"])
    out = []
    for i, r in enumerate(rows.itertuples()):
        known = (r.indicator, r.scope) in texts.index
        d = texts.loc[(r.indicator, r.scope)].to_dict() if known else {}
        row = {
            "code": f"I{i + 1:02}", "key": d.pop("key", "") or f"other-{i + 1:02}", "topic": d.pop("group", "city"),
            **_pair("indicator", r.indicator), **_pair("scope", r.scope), "year": r.year, "value": r.value,
            **_pair("unit", r.unit), "kind": r.kind, "source": r.source, "source_date": r.source_date,
            "confidence": r.confidence, **_pair("note", r.note), **d,
        }  # fmt: skip
        out.append(row)
    return pd.DataFrame(out)


_SURENESS = {
    "verified-text": "high",
    "verified-secondary": "medium",
    "background": "low",
    "not-established": "low",
}


def planning_norms():
    """Norms of regulations and practice, as published; a value that was not established is blank."""
    out = []
    for i, r in enumerate(_read("generation_norms", STANDARDS).itertuples()):
        out.append(
            {
                "code": f"N{i + 1:02}",
                **_pair("item", f"{r.category}: {r.item}", vietnamese(r.category) + ": " + vietnamese(r.item)),
                **_pair("location", r.location_class), "value": "–".join(v for v in (r.value_min, r.value_max) if v) or None,
                **_pair("value_type", r.value_type), **_pair("unit", r.unit), "reference": r.reference,
                "source": r.reference, "confidence": _SURENESS[r.confidence], **_pair("note", r.note),
            }
        )  # fmt: skip
    for i, r in enumerate(_read("norms").itertuples()):
        out.append(
            {
                "code": f"P{i + 1:02}", **_pair("item", r.norm), **_pair("location", r.applies_to), "value": r.value or None,
                **_pair("unit", r.unit), "reference": r.document or r.source, "source": r.source,
                "source_date": r.source_date, "confidence": r.confidence, **_pair("note", r.note),
            }
        )  # fmt: skip
    return pd.DataFrame(out)


# --- reading ---


def _read(name, folder=TABLES):
    """A table with every cell as text; a blank cell is ''."""
    return pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False, encoding="utf-8")


def _table(name):
    return _read(name).replace("", None)


@cache
def _dictionary(name):
    with open(TABLES / f"{name}.csv", encoding="utf-8", newline="") as f:
        rows = csv.reader(f)
        next(rows)
        return dict(rows)


def vietnamese(text):
    """The Vietnamese of an English starter text; a text that is the same in both languages stays."""
    return _dictionary("texts_vi").get(text, text) if text else text


def _pair(name, text, in_vietnamese=None):
    return {f"{name}_vi": in_vietnamese or vietnamese(text) or None, f"{name}_en": text or None}


def _both(name, texts):
    return {
        f"{name}_vi": [vietnamese(t) or None for t in texts],
        f"{name}_en": [t or None for t in texts],
    }


def _many_both(rows, names):
    out = {}
    for name in names:
        out |= _both(name, rows[name])
    return out


def _base(rows, prefix):
    """Code, names, place and provenance of rows of a facts table, as a GeoDataFrame."""
    lon = pd.to_numeric(rows["lon"], errors="coerce").to_numpy()
    lat = pd.to_numeric(rows["lat"], errors="coerce").to_numpy()
    placed = ~np.isnan(lon)
    points = np.array(
        [shapely.Point(x, y) if p else None for x, y, p in zip(lon, lat, placed, strict=True)], dtype=object
    )
    return gpd.GeoDataFrame(
        {
            "code": prefix + rows["id"],
            "name_vi": rows["name_vi"],
            "name_en": rows["name_en"],
            "geometry_quality": np.where(placed, "approximate", "none"),
            "coord_accuracy_m": rows["coord_accuracy_m"],
            "coord_source": rows["coord_source"],
            "district_old": rows["district_old"],
            "filed_under": np.where(rows["district_old"] == "", "", boundaries.OLD),
            "source": rows["source"],
            "source_date": rows["source_date"],
            "confidence": rows["confidence"],
            **_both("note", rows["note"]),
        },
        geometry=points,
        crs="EPSG:4326",
    )


def _ring(rows):
    rows = rows.assign(order=rows["order"].astype(int)).sort_values("order")
    return list(zip(rows["lon"].astype(float), rows["lat"].astype(float), strict=True))


def fill(store, *, today):
    """Write the starter layers into an empty store, all in one transaction; True if it was empty."""
    if store.meta("starter_filled"):
        return False
    written = store.write_all(
        starter_layers(), source="starter facts", note="first start", meta={"starter_filled": today.isoformat()},
        once="starter_filled",
    )  # fmt: skip
    store.checkpoint()  # a copy of the file alone holds the data, too
    return written


def complete(store):
    """Give a store that was filled by an earlier program the tables it could not have; True if one was missing.

    The boundary versions where none were ever written, and with them the crosswalk, if it is still the one of the
    first start: what people wrote stays.
    """
    versions = store.versions()
    if not store.meta("starter_filled") or "boundary_versions" in versions:
        return False
    frames = {"boundary_versions": _table("boundary_versions")}
    if versions.get("crosswalk") == 1:
        frames["crosswalk"] = crosswalk()
    made = [check(ALL[name], frame) for name, frame in frames.items()]
    return store.write_all(
        made, source="starter facts", note="boundary versions", meta={"boundaries": "1"}, once="boundaries"
    )
