"""What a scenario changes: the ledger year by year, people, costs, hotspots and legal distances of its plants.

The base is today's ledger with today's people, flows and plants; growth is not in it. Where somebody's water would go is
an estimate: the nearest water without known treatment within the distance limit of the plant, measured in a straight
line to the point of the ward or zone, or the flows of a siting study. Everything here is JSON-able, so that a locked
scenario can keep it.
"""

from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import additions, coverage, distances, exposure, projection
from geo.coverage import PARTS, SCENARIOS, TREATED
from geo.population import read_surface
from layers.standards import TABLES
from server.figures import WARD_KINDS
from server.history import OPEN

METRIC = 9210
FIRST_YEAR, LAST_YEAR = 2025, 2035
YEARS = tuple(range(FIRST_YEAR, LAST_YEAR + 1))
SHOWN_YEARS = (*range(2025, 2031), 2035)  # the phases of the plans, and what comes later
DAYS = 365
RELIEF_SHARE = 0.5  # of the untreated water of a hotspot's ward; at least so much must go to a new plant
SERVES = ("wards", "zones", "all")
PLANT_GROUP = "wastewater treatment plant"
_NEAR_KEPT = 500


@dataclass(frozen=True)
class Plant:
    """A new plant of a scenario. enclosed: True, False, or None where the technology leaves no choice or nobody said.

    exposed: upstream of a water source or upwind of houses. serves: of SERVES. cost: in the scenario's money, sewer_km:
    both None where they follow from unit costs and the shortest tree. flows: ((unit, m³/day), ...) of a study.
    """

    number: int
    name: str
    lon: float
    lat: float
    year: int
    capacity_m3d: float
    technology: str
    enclosed: bool | None = None
    exposed: bool = False
    within_m: float = 5000.0
    serves: str = "wards"
    cost: float | None = None
    sewer_km: float | None = None
    study: str = ""
    site: str = ""
    flows: tuple = ()

    @property
    def code(self):
        return f"P{self.number}"


@dataclass(frozen=True)
class Money:
    """The user's own unit costs, all in one currency; None is not given, never zero.

    build: per m³/day of capacity; operation: per m³ treated; sewer: per km; years: over which what was built is paid
    for; interest: per cent a year, 0 where none.
    """

    currency: str = ""
    build: float | None = None
    operation: float | None = None
    sewer: float | None = None
    years: int | None = None
    interest: float = 0.0

    def yearly(self, spent):
        """What a sum costs per year of use: spent × i / (1 − (1 + i)^−n), or spent / n without interest.

        >>> Money(years=10).yearly(100.0), round(Money(years=20, interest=5.0).yearly(100.0), 3)
        (10.0, 8.024)
        """
        if spent is None or not self.years:
            return None
        i = self.interest / 100
        return spent / self.years if i == 0 else spent * i / (1 - (1 + i) ** -self.years)


@dataclass(frozen=True, eq=False)
class Ground:
    """What every scenario of one version of the data stands on; made once, read by many.

    points: x, y (m, EPSG:9210) by unit. names: {unit: {name_vi, name_en, kind}}. hotspots: dicts code, name_vi, name_en,
    lon, lat, ward: open public hotspots in water, without events that are over. surface, land: for people near a plant, or None.
    """

    as_of: date
    version: str
    ledger: coverage.Ledger
    points: pd.DataFrame
    names: dict
    people: pd.Series
    hotspots: tuple
    surface: object
    land: object
    near: dict = field(default_factory=dict)


def ground(figures, as_of):
    """The Ground of a day, kept by the version of the data."""
    return figures.kept("scenario ground", lambda day: _ground(figures, day), as_of)


def _ground(figures, as_of):
    store, units, result = figures.store, figures.inputs().units, figures.ledger(as_of)
    there = figures.population is not None and figures.population.exists()
    return Ground(
        as_of, figures.version(), result, unit_points(store),
        {u: {k: units.at[u, k] for k in ("name_vi", "name_en", "kind")} for u in result.units},
        units["people"].reindex(result.units), tuple(_hotspots(store, figures.wards_of_places())),
        read_surface(figures.population) if there else None, store.snapshot("land"),
    )  # fmt: skip


def unit_points(store):
    """x, y (m, EPSG:9210), lon and lat of the point of each ward, zone and port, by code."""
    admin = store.snapshot("admin_units")
    found = {r.code: (r.centre_lon, r.centre_lat) for r in admin[admin["kind"].isin(WARD_KINDS)].itertuples()}
    for layer in ("industrial_zones", "port_areas"):
        rows = store.snapshot(layer)
        for code, g in zip(rows["code"], rows.geometry, strict=True):
            if g is not None and not g.is_empty:
                at = g if g.geom_type == "Point" else g.representative_point()
                found[code] = (at.x, at.y)
    out = pd.DataFrame.from_dict(found, orient="index", columns=["lon", "lat"]).dropna()
    out["x"], out["y"] = projection.from_wgs84(out["lon"].to_numpy(), out["lat"].to_numpy(), METRIC)
    return out


def _hotspots(store, wards):
    rows = store.snapshot("hotspots")
    for r in rows[rows["stage"].isin(OPEN) & (rows["past_event"] != "yes")].itertuples():
        if "water" not in (r.media or "").split(";"):
            continue
        at = None if r.geometry is None or r.geometry.is_empty else r.geometry.representative_point()
        yield {"code": r.code, "name_vi": r.name_vi, "name_en": r.name_en or r.name_vi, "ward": wards.get(r.code),
               "lon": None if at is None else at.x, "lat": None if at is None else at.y}  # fmt: skip


# --- from a siting study ---

_MONEY_WORDS = {"tỷ": 1e9, "billion": 1e9, "triệu": 1e6, "million": 1e6, "nghìn": 1e3, "ngàn": 1e3, "thousand": 1e3}


def currency_of(words):
    """(currency, factor) of the money words of a study; words that are not known stay as they are.

    >>> currency_of("tỷ đồng"), currency_of("million USD"), currency_of("tỷ"), currency_of("EUR")
    (('đồng', 1000000000.0), ('USD', 1000000.0), ('đồng', 1000000000.0), ('EUR', 1.0))
    """
    first, _, rest = " ".join((words or "").split()).partition(" ")
    if first.lower() in _MONEY_WORDS:
        return rest[:20] or "đồng", _MONEY_WORDS[first.lower()]
    return f"{first} {rest}".strip()[:20], 1.0


def plants_of_study(code, result, year):
    """(plants, currency) of the sites of a study's result, in the order of building, all in one year, with their flows.

    Raises ValueError where the study is not about waste water treatment or chose no site.
    """
    spec, known = result["spec"], {t["code"] for t in technologies()}
    technology = spec["facility"]["technology"]
    if technology not in known or not result["sites"]:
        raise ValueError(technology)
    currency, factor = currency_of(spec["money"])
    enclosed = spec["facility"].get("enclosed")
    by_enclosure = next(t["by_enclosure"] for t in technologies() if t["code"] == technology)
    plants = [
        Plant(
            number, f"{site['label']} {site['code']}"[:120], site["lon"], site["lat"], year, float(site["capacity_m3_day"]),
            technology, bool(enclosed) if by_enclosure and enclosed is not None else None,
            site["card"]["upstream"]["state"] in ("yes", "said_yes"), min(max(spec["within_m"], 100.0), 50_000.0), "all",
            None if site["cost"] is None else site["cost"] * factor, None, code, site["code"],
            tuple((u["unit"], float(u["m3_day"])) for u in site["units"]),
        )
        for number, site in enumerate(result["sites"], start=1)
    ]  # fmt: skip
    return tuple(plants), currency


# --- the law ---


@cache
def law():
    """The table of legal distances."""
    return distances.read_table(TABLES / "safe_distances.csv")


@cache
def technologies():
    """Kinds of plant the law knows: dicts code, name_vi, by_enclosure; newest rules that name them first."""
    table = law()
    found = {}
    for day in sorted(set(table["valid_from"]), reverse=True):
        for r in distances.facility_types(table, day).itertuples():
            if r.facility_group == PLANT_GROUP and r.facility_type not in found:
                found[r.facility_type] = {"code": r.facility_type, "name_vi": r.facility_vi, "by_enclosure": False}
            if r.facility_type in found:
                found[r.facility_type]["by_enclosure"] |= bool(r.by_enclosure)
    return tuple(found.values())


def legal(plant, day):
    """The legal distance of a plant on a day: dict state, distance_m, base_m, factor, rows, regulation, reference,
    confidence, cautions [[en, vi]]; state as in geo.distances, or `not_asked` where the enclosure is not said."""
    return _legal(plant.technology, plant.capacity_m3d, plant.enclosed, plant.exposed, day)


@lru_cache(maxsize=4000)
def _legal(technology, capacity, enclosed, exposed, day):
    try:
        found = distances.safe_distance(law(), day, technology, capacity=capacity, enclosed=enclosed, upstream=exposed)
    except distances.DistanceError as e:
        return {"state": "not_asked", "distance_m": None, "cautions": [[e.en, e.vi]], "rows": [], "regulation": "",
                "reference": "", "confidence": "", "factor": 1.0, "base_m": None}  # fmt: skip
    return {
        "state": found.state, "distance_m": _number(found.distance_m), "base_m": _number(found.base_m),
        "factor": found.factor, "rows": list(found.rows), "regulation": found.regulation, "reference": found.reference,
        "confidence": found.confidence, "cautions": [list(c) for c in found.cautions],
    }  # fmt: skip


@lru_cache(maxsize=4000)
def plot_radius(capacity, day):
    """Radius in m of a disc as large as the most land the norm of a day gives a plant; 0 where it gives none."""
    plot_ha = distances.land_need(law(), day, PLANT_GROUP, capacity).plot_ha
    return 0.0 if np.isnan(plot_ha) else float(np.sqrt(10_000 * plot_ha / np.pi))


def people_within(made, plant, metres):
    """People living nearer than so many metres to the middle of a plant: dict people, least, most; None: not known."""
    key = (round(plant.lon, 6), round(plant.lat, 6), metres)
    if key not in made.near:
        if len(made.near) >= _NEAR_KEPT:
            made.near.clear()
        at = gpd.GeoSeries([shapely.Point(plant.lon, plant.lat)], crs=4326)
        band = exposure.people_near(at, made.surface, bands_m=(metres,), land=made.land)
        told = None
        if band is not None and band[0].people is not None:
            told = {"people": band[0].people, "least": band[0].least, "most": band[0].most,
                    "unknown_share": band[0].unknown_share}  # fmt: skip
        made.near[key] = told
    return made.near[key]


def _around(made, plant):
    """What the law says on the first day of the plant's year and today, and who lives within that distance.

    The distance counts from the fence, taken as the rim of a disc as large as the plot of the norm: reach_m is from
    the middle. Where the rules of the plant's year are not established, the people within today's distance are told in
    their place, with `by` = "today".
    """
    then, today = legal(plant, max(date(plant.year, 1, 1), made.as_of)), legal(plant, made.as_of)
    by = "year" if then["distance_m"] is not None else "today" if today["distance_m"] is not None else None
    rule = {"year": then, "today": today, None: None}[by]
    plot_m = plot_radius(plant.capacity_m3d, max(date(plant.year, 1, 1), made.as_of) if by == "year" else made.as_of)
    reach = rule["distance_m"] + plot_m if rule and rule["distance_m"] > 0 else None
    return {
        "then": then, "today": today, "by": by, "metres": rule and rule["distance_m"], "reach_m": reach,
        "near": None if reach is None else people_within(made, plant, reach),
    }  # fmt: skip


# --- the change ---


def outcome(made, plants, money=None, years=YEARS):
    """What the plants of a scenario change, as plain data.

    base: parts, treated, share and people before any of them. years: one dict per year with parts, treated, gained
    ({low, likely, high}, m³/day), people gained, share treated, costs, hotspots relieved and people within the legal
    distance of all plants built by then. plants: one dict per plant, in the order of their numbers. units: every unit
    that sends something in the last year, with its parts before and after.
    """
    money = money or Money()
    new = [_new(made, p) for p in plants]
    links = additions.collected(made.ledger, made.points, new)
    about = {p.code: _plant(made, p, money) for p in plants}
    base = _state(made, made.ledger)
    rows, cut = [], {}
    for year in years:
        built = tuple(p.code for p in plants if p.year <= year)
        if built not in cut:
            some = links[links["plant"].isin(built)]
            after = additions.with_plants(made.ledger, some, new) if built else made.ledger
            cut[built] = (some, after, _state(made, after) | _gain(made, after) | _relief(made, some))
        told = cut[built][2]
        rows.append({"year": year, "built": list(built), **told})
    last = cut[tuple(p.code for p in plants if p.year <= years[-1])]
    relieved = {code for row in rows for code in row["hotspots"]}
    for p in plants:
        _fill(made, p, about[p.code], links[links["plant"] == p.code], last[1], money)
    for row in rows:
        row |= _costs([about[c] for c in row["built"]], row, money) | _nearby([about[c] for c in row["built"]])
    return {
        "as_of": made.as_of.isoformat(), "version": made.version, "base": base, "years": rows,
        "plants": [about[p.code] for p in plants], "units": _units(made, last[0], last[1]),
        "hotspots": [h for h in made.hotspots if h["code"] in relieved],
        "open_water_hotspots": len(made.hotspots), "uncounted": len(made.ledger.uncounted),
    }  # fmt: skip


def _new(made, plant):
    x, y = projection.from_wgs84(plant.lon, plant.lat, METRIC)
    among = None
    if plant.serves != "all":
        wards = {u for u, name in made.names.items() if name["kind"] in WARD_KINDS}
        among = frozenset(wards if plant.serves == "wards" else set(made.names) - wards)
    return additions.NewPlant(plant.code, float(x), float(y), plant.capacity_m3d, plant.within_m, plant.year, among,
                              tuple(plant.flows))  # fmt: skip


def _three(values):
    """A Series low, likely, high as plain numbers."""
    return {s: _number(values[s]) for s in SCENARIOS}


def _number(value):
    return None if value is None or not np.isfinite(value) else float(value)


def _state(made, ledger):
    whole = coverage.whole(ledger)
    parts = {s: whole.parts(s).iloc[0] for s in SCENARIOS}
    treated, generated = additions.treated(ledger)[1], ledger.worlds[1].sum(axis=1)
    share = np.divide(treated, generated, out=np.zeros_like(treated), where=generated > 0)
    return {
        "generated": _three(whole.generated().iloc[0]), "treated": _three(whole.amount(TREATED).iloc[0]),
        "share": _three(whole.share(TREATED).iloc[0]),
        "parts": {p: {s: float(parts[s][p]) for s in SCENARIOS} for p in PARTS},
        "people_treated": float((made.people.fillna(0.0).to_numpy() * share).sum()),
    }  # fmt: skip


def _gain(made, after):
    by_world = (additions.treated(after) - additions.treated(made.ledger)).sum(axis=1)
    gained = {"low": float(by_world.min()), "likely": float(by_world[1]), "high": float(by_world.max())}
    return {"gained": gained, "people_gained": float(_people_gained(made, after).sum())}


def _people_gained(made, after):
    gained = additions.treated(after)[1] - additions.treated(made.ledger)[1]
    whole = made.ledger.worlds[1].sum(axis=1)
    return made.people.fillna(0.0).to_numpy() * np.divide(gained, whole, out=np.zeros_like(gained), where=whole > 0)


def _relief(made, links):
    """Hotspots of whose ward's untreated water at least RELIEF_SHARE goes to new plants."""
    share = links.groupby("unit")["share"].sum()
    found = [h["code"] for h in made.hotspots if h["ward"] and share.get(h["ward"], 0.0) >= RELIEF_SHARE - 1e-9]
    return {"hotspots": found}


def _plant(made, plant, money):
    return {
        "number": plant.number, "code": plant.code, "name": plant.name, "lon": plant.lon, "lat": plant.lat,
        "year": plant.year, "capacity_m3d": plant.capacity_m3d, "technology": plant.technology,
        "enclosed": plant.enclosed, "within_m": plant.within_m, "serves": plant.serves, "study": plant.study,
        "site": plant.site, "from_study": bool(plant.flows), "law": _around(made, plant),
    }  # fmt: skip


def _fill(made, plant, told, links, after, money):
    """What a plant collects and costs; its people and m³ are those it treats in the likely case."""
    row = after.plants.loc[plant.code] if plant.code in after.plants.index else None
    treated = 0.0 if row is None else float(row["treated_likely"])
    whole = made.ledger.worlds[1].sum(axis=1)
    at = made.ledger.units.get_indexer(links["unit"])
    heads = made.people.fillna(0.0).to_numpy()[at] * links["m3d"].to_numpy() / whole[at] if len(links) else np.zeros(0)
    x, y = projection.from_wgs84(plant.lon, plant.lat, METRIC)
    known = links[links["distance_m"].notna()]
    served = made.points.reindex(known["unit"])
    tree = additions.tree_length_m([float(x), *served["x"]], [float(y), *served["y"]]) / 1000
    told |= {
        "collected": {s: 0.0 if row is None else float(row[f"inflow_{s}"]) for s in SCENARIOS},
        "treated": {s: 0.0 if row is None else float(row[f"treated_{s}"]) for s in SCENARIOS},
        "people": float(heads.sum()) * (treated / links["m3d"].sum() if len(links) else 0.0),
        "sewer_km": tree if plant.sewer_km is None else plant.sewer_km, "sewer_typed": plant.sewer_km is not None,
        "units": [
            {"unit": r.unit, **made.names[r.unit], "m3d": r.m3d, "share": r.share, "distance_m": _number(r.distance_m),
             "lon": _number(made.points["lon"].get(r.unit, np.nan)), "lat": _number(made.points["lat"].get(r.unit, np.nan))}
            for r in links.sort_values(["distance_m", "unit"]).itertuples()
        ],
    }  # fmt: skip
    told["cost_typed"] = plant.cost is not None
    told["build_cost"] = plant.cost if plant.cost is not None else _times(money.build, plant.capacity_m3d)
    told["sewer_cost"] = _times(money.sewer, told["sewer_km"])


def _times(a, b):
    return None if a is None or b is None else a * b


def _costs(plants, row, money):
    """Costs of what is built by a year. invested: 0 before anything is built, None where a plant has no cost; without_sewers: sewers not in it."""
    builds = [p["build_cost"] for p in plants]
    sewers = [p["sewer_cost"] for p in plants]
    invested = None if None in builds else sum(builds) + sum(s for s in sewers if s is not None)
    treated = sum(p["treated"]["likely"] for p in plants)
    a_year = _times(money.operation, treated * DAYS)
    spread = money.yearly(invested)
    whole = None if None in (spread, a_year) or treated <= 0 else (spread + a_year) / (treated * DAYS)
    return {
        "invested": invested, "without_sewers": bool(plants) and None in sewers, "operation_a_year": a_year,
        "per_m3d": None if invested is None or treated <= 0 else invested / treated, "per_m3": whole,
    }  # fmt: skip


def _nearby(plants):
    """People within the legal distance of all plants; None where it is not known for one of them."""
    told = [p["law"]["near"] for p in plants]
    known = bool(plants) and all(n is not None for n in told)
    return {
        "near": sum(n["people"] for n in told) if known else None if plants else 0.0,
        "near_unknown": [p["code"] for p, n in zip(plants, told, strict=True) if n is None],
        "near_by_today": [p["code"] for p in plants if p["law"]["by"] == "today"],
    }  # fmt: skip


def _units(made, links, after):
    before_t, after_t = additions.treated(made.ledger)[1], additions.treated(after)[1]
    gained = _people_gained(made, after)
    out = []
    for code in links["unit"].drop_duplicates().sort_values():
        i = made.ledger.units.get_loc(code)
        both = [dict(zip(PARTS, w[1, i].tolist(), strict=True)) for w in (made.ledger.worlds, after.worlds)]
        out.append({
            "unit": code, **made.names[code], "generated": float(made.ledger.worlds[1, i].sum()),
            "before": both[0], "after": both[1], "gained": float(after_t[i] - before_t[i]), "people": float(gained[i]),
        })  # fmt: skip
    return sorted(out, key=lambda u: -u["gained"])
