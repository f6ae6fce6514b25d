"""What a scenario changes: the ledger year by year, people, costs, hotspots and safety distances of its plants.

The base is today's ledger with today's people, flows and plants; growth is not in it. Where somebody's water would go is
an estimate: the nearest water without known treatment within the distance limit of the plant, measured in a straight
line to the point of the ward or zone, or the flows of a siting study. Everything here is JSON-able, so that a locked
scenario can keep it.
"""

from dataclasses import replace

import numpy as np

from geo import additions, coverage, projection
from geo.coverage import PARTS, SCENARIOS, TREATED
from server.figures import WARD_KINDS
from server.scenarioground import METRIC
from server.scenariolaw import around
from server.scenarioplants import YEARS, Money

DAYS = 365
RELIEF_SHARE = 0.5  # of the untreated water of a hotspot's ward; at least so much must go to a new plant


def outcome(made, plants, money=None, years=YEARS):
    """What the plants of a scenario change on a Ground, as plain data.

    base: parts, treated, share and people before any of them. years: one dict per year with parts, treated, gained
    ({low, likely, high}, m³/day), people gained, share treated, costs, hotspots relieved and people within the safety
    distance of all plants built by then. plants: one dict per plant, in the order of their numbers. units: every unit
    that sends something in the last year, with its parts before and after.
    """
    money = money or Money()
    new = [_new(made, p) for p in plants]
    links = additions.collected(made.ledger, made.points, new)
    base, before = _state(made, made.ledger), additions.treated(made.ledger)
    rows, cut = [], {}
    for year in years:
        built = tuple(p.code for p in plants if p.year <= year)
        if built not in cut:
            some = links[links["plant"].isin(built)]
            mix = additions.mixed(made.ledger, some, new)
            after = replace(made.ledger, worlds=mix.worlds)
            gained = additions.treated(after) - before
            cut[built] = some, mix, gained, _state(made, after) | _gain(made, gained) | _relief(made, some)
        rows.append({"year": year, "built": list(built), **cut[built][3]})
    links, mix, gained, _told = cut[tuple(p.code for p in plants if p.year <= years[-1])]
    relieved = {code for row in rows for code in row["hotspots"]}
    sent = _sent(made, links)
    about = {p.code: _plant(made, p, x, mix, sent.get(p.code, []), money) for p, x in zip(plants, new, strict=True)}
    for row in rows:
        row |= _costs([about[c] for c in row["built"]], row, money) | _nearby([about[c] for c in row["built"]])
    return {
        "as_of": made.as_of.isoformat(), "version": made.version, "base": base, "years": rows,
        "plants": [about[p.code] for p in plants], "units": _units(made, links, mix.worlds, gained[1]),
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
    parts = ledger.worlds[:3].sum(axis=1)
    treated, generated = additions.treated(ledger)[1], ledger.worlds[1].sum(axis=1)
    share = np.divide(treated, generated, out=np.zeros_like(treated), where=generated > 0)
    return {
        "generated": _three(whole.generated().iloc[0]), "treated": _three(whole.amount(TREATED).iloc[0]),
        "share": _three(whole.share(TREATED).iloc[0]),
        "parts": {p: dict(zip(SCENARIOS, parts[:, i].tolist(), strict=True)) for i, p in enumerate(PARTS)},
        "people_treated": float((made.people.fillna(0.0).to_numpy() * share).sum()),
    }  # fmt: skip


def _gain(made, gained):
    """gained: m³/day treated more, shape (9, units)."""
    by_world = gained.sum(axis=1)
    told = {"low": float(by_world.min()), "likely": float(by_world[1]), "high": float(by_world.max())}
    return {"gained": told, "people_gained": float(_people_gained(made, gained[1]).sum())}


def _people_gained(made, gained):
    whole = made.ledger.worlds[1].sum(axis=1)
    return made.people.fillna(0.0).to_numpy() * np.divide(gained, whole, out=np.zeros_like(gained), where=whole > 0)


def _relief(made, links):
    """Hotspots of whose ward's untreated water at least RELIEF_SHARE goes to new plants."""
    units = made.ledger.units
    share = np.bincount(units.get_indexer(links["unit"]), links["share"], minlength=len(units))
    at = units.get_indexer([h["ward"] or "" for h in made.hotspots])
    enough = [i >= 0 and share[i] >= RELIEF_SHARE - 1e-9 for i in at]
    return {"hotspots": [h["code"] for h, it in zip(made.hotspots, enough, strict=True) if it]}


def _sent(made, links):
    """What each plant collects, {code: [dict unit, names, m3d, share, distance_m, lon, lat, x, y, heads]}, nearest first;
    heads: the people whose water it is."""
    whole, people = made.ledger.worlds[1].sum(axis=1), made.people.fillna(0.0).to_numpy()
    at = made.ledger.units.get_indexer(links["unit"])
    heads = people[at] * links["m3d"].to_numpy() / whole[at]
    where = made.points.reindex(links["unit"])[["lon", "lat", "x", "y"]].to_numpy(float)
    out = {}
    for r, place, n in zip(links.itertuples(index=False), where, heads, strict=True):
        lon, lat, x, y = map(_number, place)
        out.setdefault(r.plant, []).append({
            "unit": r.unit, **made.names[r.unit], "m3d": r.m3d, "share": r.share, "distance_m": _number(r.distance_m),
            "lon": lon, "lat": lat, "x": x, "y": y, "heads": float(n),
        })  # fmt: skip
    for rows in out.values():
        rows.sort(key=lambda u: (np.inf if u["distance_m"] is None else u["distance_m"], u["unit"]))
    return out


def _plant(made, plant, new, mix, sent, money):
    """A plant with what it collects and costs; its people and m³ are those it treats in the likely case."""
    inflow = mix.inflow[:3, mix.codes.index(plant.code)] if plant.code in mix.codes else np.zeros(3)
    treated = dict(zip(SCENARIOS, np.minimum(inflow, plant.capacity_m3d).tolist(), strict=True))
    arrives = sum(u["m3d"] for u in sent)
    placed = [u for u in sent if u["distance_m"] is not None]
    tree = additions.tree_length_m([new.x, *(u["x"] for u in placed)], [new.y, *(u["y"] for u in placed)]) / 1000
    sewer_km = tree if plant.sewer_km is None else plant.sewer_km
    return {
        "number": plant.number, "code": plant.code, "name": plant.name, "lon": plant.lon, "lat": plant.lat,
        "year": plant.year, "capacity_m3d": plant.capacity_m3d, "technology": plant.technology,
        "enclosed": plant.enclosed, "within_m": plant.within_m, "serves": plant.serves, "study": plant.study,
        "site": plant.site, "from_study": bool(plant.flows), "law": around(made, plant),
        "own_m": plant.own_m, "own_source": plant.own_source,
        "collected": dict(zip(SCENARIOS, inflow.tolist(), strict=True)), "treated": treated,
        "people": sum(u["heads"] for u in sent) * (treated["likely"] / arrives if sent else 0.0),
        "sewer_km": sewer_km, "sewer_typed": plant.sewer_km is not None,
        "units": [{k: v for k, v in u.items() if k not in ("x", "y", "heads")} for u in sent],
        "cost_typed": plant.cost is not None,
        "build_cost": plant.cost if plant.cost is not None else _times(money.build, plant.capacity_m3d),
        "sewer_cost": _times(money.sewer, sewer_km),
    }  # fmt: skip


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
    """People within the safety distance of all plants; None where it is not known for one of them."""
    told = [p["law"]["near"] for p in plants]
    known = bool(plants) and all(n is not None for n in told)
    return {
        "near": sum(n["people"] for n in told) if known else None if plants else 0.0,
        "near_unknown": [p["code"] for p, n in zip(plants, told, strict=True) if n is None],
        "near_by_today": [p["code"] for p in plants if p["law"]["by"] == "today"],
        "near_by_own": [p["code"] for p in plants if p["law"]["by"] == "own"],
    }  # fmt: skip


def _units(made, links, worlds, gained):
    people = _people_gained(made, gained)
    out = []
    for code in links["unit"].drop_duplicates().sort_values():
        i = made.ledger.units.get_loc(code)
        both = [dict(zip(PARTS, w[1, i].tolist(), strict=True)) for w in (made.ledger.worlds, worlds)]
        out.append({
            "unit": code, **made.names[code], "generated": float(made.ledger.worlds[1, i].sum()),
            "before": both[0], "after": both[1], "gained": float(gained[i]), "people": float(people[i]),
        })  # fmt: skip
    return sorted(out, key=lambda u: -u["gained"])
