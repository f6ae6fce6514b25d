"""What the answer of a study tells, as JSON: of its question and data, of the plan, of other weights. See server/sitework.py."""

import geopandas as gpd
import numpy as np
import pandas as pd

from geo import robustness
from server import loadwords, sitecards, sitelaw, siteworld
from server.i18n import N_
from server.sitedata import METRIC
from server.sitewords import in_both, said

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def of_world(world):
    grid, spec = world.grid, world.spec
    box = gpd.GeoSeries.from_wkt(
        [f"POINT ({x} {y})" for x, y in zip(grid.bounds[::2], grid.bounds[1::2], strict=True)], crs=METRIC
    )
    corners = box.to_crs(4326)
    bits = {r.code: k for k, r in enumerate(r for r in world.rules if r.used)}
    share = {siteworld.bare(c.code): c.weight for c, status, _ in world.criteria if status == "checked"}
    total = sum(share.values())
    laws = []
    for size, own in zip(spec["sizes"], world.laws, strict=True):
        both = sitelaw.both_technologies(spec, size["capacity_m3_day"])
        laws.append(
            size
            | {"law": sitelaw.told(own.houses), "intakes": sitelaw.told(own.intakes)}
            | {name: sitelaw.told(d) for name, d in both.items()}
            | {"land": sitelaw.land_told(own.land, spec), "plot_m": round(own.plot_m, 3)}
        )
    criteria = []
    for row in spec["criteria"]:
        state = next((x for x in world.criteria if _code(x[0]) == row["code"]), None)
        if state is not None:
            weight = share.get(row["code"], 0.0) / total
            criteria.append(row | {"weight": round(weight, 9), "unit": siteworld.unit_of(row["code"], spec), "status": state[1]}
                            | {"why": list(state[2])})  # fmt: skip
    found = world.ahp
    return {
        "grid": {
            "rows": grid.rows,
            "columns": grid.columns,
            "cell_m": grid.cell_m,
            "crs": METRIC,
            "bounds": list(grid.bounds),
            "bounds_lonlat": [round(v, 6) for x, y in zip(corners.x, corners.y, strict=True) for v in (x, y)],
        },
        "area_ha": round(float(world.area.area.sum()) / 10_000, 2),
        "rules": [
            {"code": r.code, "kind": r.kind, "status": r.status, "why": list(r.why), "bit": bits.get(r.code)}
            | {"distance_m": list(r.distance_m), "source": list(r.source), "confidence": list(r.confidence)}
            | {"features": r.features}
            for r in world.rules
        ],
        "criteria": criteria,
        "ahp": found
        and {"ratio": round(found.ratio, 9), "accepted": found.accepted, "index": round(found.index, 9)}
        | {"odd": [{"first": o.first, "second": o.second, "answered": o.answered} | {"others_say": round(o.others_say, 6)}
                   | {"factor": round(o.factor, 6)} for o in found.odd]},
        "laws": laws,
        "unchecked": world.unchecked,
        "demand": {k: round(v, 6) if isinstance(v, float) else v for k, v in world.facts.items()},
    }  # fmt: skip


def _code(item):
    return item if isinstance(item, str) else siteworld.bare(item.code)


def sources(world):
    out = {text for r in world.rules for text in r.source if text} | set(world.data.sources)
    if world.data.population is not None:
        out.add(f"population surface: {world.data.population.tags.get('source', '')} "
                f"({world.data.population.tags.get('method', '')})")  # fmt: skip
    out |= {f"{row['name']}: {row['source']}" for row in world.spec["layers"]}
    out |= {f"spare capacity of plants: {text}" for text in [world.spec["plants"]["source"]] if text}
    return sorted(out)


def notes(world):
    """Sentences that everybody should read beside the answer."""
    facts, out = world.facts, []
    total = {"day": world.spec["as_of"], "m3": round(facts["m3_day"]), "people": round(facts["people"])}
    if siteworld.load_unit(world.spec) == "t_day":
        words = N_(
            "Demands are %(m3)s t/day of waste of %(people)s people, at %(kg)s kg per person and day (%(source)s)."
        )
        demand = world.spec["demand"]
        out.append(said(words, kg=demand["kg_person_day"], source=demand["source"], **total))
    else:
        words = N_(
            "Demands are the likely figures of the ledger on %(day)s: %(m3)s m³/day of %(people)s people that are not known to be treated."
        )
        out.append(said(words, **total))
    if facts["unknown_m3_day"] > 0:
        words = N_(
            "Of these, %(m3)s m³/day are water of which nobody has told where it goes: it may be treated somewhere already."
        )
        out.append(said(words, m3=round(facts["unknown_m3_day"])))
    if facts["not_known"]:
        words = loadwords.phrase(siteworld.load_unit(world.spec), "unplaced")
        out.append(said(words, count=len(facts["not_known"])))
    if facts["unplaced"]:
        out.append(said(N_("%(count)s units have no position and are not served."), count=len(facts["unplaced"])))
    for rule in world.rules:
        if rule.status == "coarse":
            whys = {
                lang: "; ".join(in_both("why", code)[lang] for code in rule.why) for lang in ("en", "vi")
            }  # fmt: skip
            name = in_both("rule", rule.code, world.spec["layers"])
            out.append(said(N_("%(rule)s: checked roughly (%(why)s)."), rule=name, why=whys))
    return out


def of_plan(world, candidates, plan, chain):
    chosen = [] if plan is None else list(plan.chosen.index)
    label = {code: _label(k) for k, code in enumerate(chosen)}
    rows = [_candidate(world, code, row, label) for code, row in candidates.iterrows()]
    lonlat = world.demands.geometry.to_crs(4326)
    served = pd.Series(0.0, index=world.demands.index)
    if plan is not None and len(plan.flows):
        served = plan.flows.groupby("demand")["m3_day"].sum().reindex(served.index).fillna(0.0)
    out = {"candidates": rows, "plants": _plants(world, plan), "chain": [_step(*one) for one in chain]}
    out["demands"] = [
        {"code": code, "unit": d.unit, "lon": round(p.x, 6), "lat": round(p.y, 6)}
        | {"m3_day": _r(d.m3_day), "people": _r(d.people), "served_m3_day": _r(s)}
        for (code, d), p, s in zip(world.demands.iterrows(), lonlat, served, strict=True)
    ]
    if plan is None:
        return out | {"plan": None, "sites": [], "curve": [], "flows": []}
    priced = all(size["cost"] is not None for size in world.spec["sizes"])
    out["plan"] = {
        name: _r(getattr(plan, name))
        for name in ("model", "goal", "status", "value", "bound", "gap", "served_m3_day", "people", "standing_m3_day",
                     "standing_people", "gain_m3_day", "cost", "rounds", "seed")
    } | {
        "cost": _r(plan.cost) if priced else None,
        "gain_people": _r(plan.people - plan.standing_people),
        "unserved_m3_day": _r(plan.unserved_m3_day.sum()),
        "number": world.spec["number"],
        "budget": world.spec["budget"],
    }  # fmt: skip
    out["curve"] = [{"number": int(n)} | {k: _r(v) for k, v in row.items()} for n, row in plan.curve.iterrows()]
    unit = world.demands["unit"]
    out["flows"] = [
        {"facility": f.facility, "demand": f.demand, "unit": unit[f.demand], "m3_day": _r(f.m3_day)}
        | {"people": _r(f.people), "distance_m": round(f.distance_m, 2)}
        for f in plan.flows.itertuples()
    ]
    out["sites"] = _sites(world, candidates, plan, rows)
    return out


def _candidate(world, code, row, label):
    smallest = row["allowed"].index(True)
    return {
        "code": code,
        "label": label.get(code, ""),
        **{name: row[name] for name in ("lon", "lat", "ward")},
        "x": round(row["x"], 3),
        "y": round(row["y"], 3),
        "score": _r(row["score"]),
        "rank": int(row["rank"]),
        "given": bool(row["given"]),
        "forced": bool(row["forced"]),
        "chosen": code in label,
        "options": [c for c, good in zip(world.capacities, row["allowed"], strict=True) if good],
        "upstream": row["upstream"]["state"],
        "criteria": row["why"][smallest]["criteria"],
    }


def _sites(world, candidates, plan, rows):
    by_code = {row["code"]: row for row in rows}
    flows = plan.flows.assign(unit=world.demands["unit"].reindex(plan.flows["demand"]).to_numpy())
    out = []
    for code, row in plan.chosen.iterrows():
        size = world.capacities.index(row["capacity_m3_day"])
        site = by_code[code] | {k: _r(v) for k, v in row.items()} | {"size": size}
        site["cost"] = world.spec["sizes"][size]["cost"]
        site["step"] = None if site.get("step") is None else int(site["step"])
        mine = flows[flows["facility"] == code]
        wards = mine.groupby("unit")[["m3_day", "people"]].sum().sort_values(["m3_day"], ascending=False, kind="stable")
        site["units"] = [{"unit": u, "m3_day": _r(w.m3_day), "people": _r(w.people)} for u, w in wards.iterrows()]
        total = float(mine["m3_day"].sum())
        site["mean_distance_m"] = (
            round(float((mine["m3_day"] * mine["distance_m"]).sum()) / total, 1) if total else None
        )
        site["card"] = sitecards.card(world, site, candidates.at[code, "why"][size])
        out.append(site)
    for site, level in zip(out, sitecards.cost_classes(out), strict=True):
        site["cost_class"] = level
    return out


def _plants(world, plan):
    used = {} if plan is None else plan.kept["used_m3_day"].to_dict()
    lonlat = world.plants.geometry.to_crs(4326)
    return [
        {name: p[name] for name in ("name_vi", "name_en", "kind", "state", "why")}
        | {"code": code, "lon": round(g.x, 6), "lat": round(g.y, 6)}
        | {name: _r(p[name]) for name in ("capacity_m3_day", "flow_m3_day", "spare_m3_day")}
        | {"used_m3_day": _r(used.get(code, 0.0))}
        for (code, p), g in zip(world.plants.iterrows(), lonlat, strict=True)
    ]


def of_weights(world, candidates):
    """How much the ranking of the candidates rests on the weights; None where there are none, or no runs were asked for."""
    asked = world.spec["robustness"]
    if not len(candidates):
        return None
    parts = [row["why"][row["allowed"].index(True)]["criteria"] for _, row in candidates.iterrows()]
    values = pd.DataFrame([{p["code"]: p["value"] for p in one} for one in parts], index=candidates.index)
    weight = {p["code"]: p["weight"] for p in parts[0]}
    top = min(asked["top"], len(values))
    out = {"runs": asked["runs"], "spread": asked["spread"], "top": top, "sites": []}
    ranks = robustness.ranks(values, weight)
    if asked["runs"]:
        rng = np.random.default_rng(world.spec["seed"])
        drawn = robustness.monte_carlo(values, weight, rng, runs=asked["runs"], spread=asked["spread"], top=top)
        out["sites"] = [
            {"code": code, "rank": int(ranks[code]), "in_top": _r(row["in_top"]), "first": _r(row["first"])}
            | {"mean_rank": _r(row["mean_rank"]), "best": int(row["best"]), "worst": int(row["worst"])}
            for code, row in drawn.iterrows()
        ]
    changed = robustness.one_at_a_time(values, weight, top=top)
    turning = robustness.turning_points(values, weight)
    out["one_at_a_time"] = [{k: _r(v) for k, v in row.items()} for row in changed.to_dict("records")]
    out["turning_points"] = [{"criterion": c} | {k: _r(v) for k, v in row.items()} for c, row in turning.iterrows()]
    return out


def _step(plan, number, budget):
    return {
        "number": number,
        "budget": budget,
        "value": _r(plan.value),
        "bound": _r(plan.bound),
        "gap": _r(plan.gap),
        "status": plan.status,
        "served_m3_day": _r(plan.served_m3_day),
        "people": _r(plan.people),
        "gain_m3_day": _r(plan.gain_m3_day),
        "cost": _r(plan.cost),
        "sites": [{"code": code, "capacity_m3_day": float(c)} for code, c in plan.chosen["capacity_m3_day"].items()],
    }


def _label(k):
    """A, B ... Z, AA, AB ..."""
    return (LETTERS[k // 26 - 1] if k >= 26 else "") + LETTERS[k % 26]


def _r(value):
    """A number for JSON: six decimals, NaN and infinity null."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return None if not np.isfinite(value) else round(float(value), 6)
    return value
