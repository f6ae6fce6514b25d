"""The answer to a siting study: suitability in windows, candidates, plan, robustness, reason cards; and the job that does it.

answer(spec, data, folder) needs no server: the same question, data and seed give the same result.json byte for byte.

result.json ("cangxanh-siting-result/1"):
    study        name, as_of, unit (m3_day; t_day for solid waste: of everything called m3_day), spec (the whole question),
                 prints (versions and checksums of the data), sources, notes
    grid         rows, columns, cell_m, crs, bounds (EPSG:9210), bounds_lonlat; area_ha, free_ha (smallest size)
    excluded     [{code, ha, share, source}] of the smallest size, most land first; a place may have several reasons
    rules        [{code, kind, status, why, bit (of reasons.tif, null if not used), distance_m and source by size,
                 features}]; criteria [{code, weight, unit, curve, status, why}]; ahp (ratio, accepted, odd) or null
    laws         by size: capacity_m3_day, cost, law, open, enclosed (each as sitelaw.told), land, candidates
    unchecked    [{kind, code, why}]: what was asked for and could not be looked at
    demand       count, m3_day, people, unknown_m3_day, unplaced, not_known; demands [{code, unit, lon, lat, m3_day,
                 people, served_m3_day}]
    plants       [{code, name_vi, name_en, kind, state, lon, lat, capacity_m3_day, flow_m3_day, spare_m3_day, why, used_m3_day}]
    candidates   [{code, label, lon, lat, x, y, ward, score, rank, given, forced, chosen, options (capacities that the
                 rules allow), criteria}]; refused: given sites that no size may stand on, with what they break
    plan         model, goal, status, value, bound, gap, served_m3_day, people, standing_*, gain_*, unserved_m3_day, cost
    sites        the chosen ones in the order of building: candidate and plan columns, card, cost_class, robustness
    curve        [{number, site, capacity_m3_day, cost, served_m3_day, people, value, bound}]; chain: the best plan found
                 for each smaller number or budget, never serving less as it grows
    flows        [{facility, demand, unit, m3_day, people, distance_m}]
    robustness   sites, one_at_a_time, turning_points, runs, spread, top
    infeasible   null or {rule, en, vi}
"""

import itertools
import json
import os
from types import MappingProxyType

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from rasterio.windows import Window

from geo import robustness
from geo.candidates import Candidates
from geo.locations import Infeasible, SitingError, case
from geo.medians import cheapest, covering, median
from geo.network import NetworkError, network, network_pairs
from geo.plans import Effort
from geo.siting import cover
from geo.suitability import Cancelled, count_reasons, hectares, strips
from server import loadwords, sitecards, sitelaw, siteworld
from server.i18n import N_
from server.jobs import Stopped
from server.sitedata import METRIC, gather, packed
from server.sitedemands import ward_of
from server.sitefiles import write_files
from server.sitespec import read
from server.sitewords import LAYER, in_both, said

FORMAT = "cangxanh-siting-result/1"
BLOCK = 256  # side of a tile of the rasters, cells
STRIP_CELLS = 1_500_000
MOST_STEPS = 24  # plans of a chain; above it the last ones only
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def job(services, task):
    """The job "site": payload code, run, revision. Gives the summary of the run."""
    code, run = task.payload["code"], task.payload["run"]
    folder = services.studies.folder(code, run)
    spec = read((folder / "spec.json").read_text("utf-8"))
    task.tell(0.0, N_("Reading the data of the city"))
    data = gather(services, spec)
    try:
        result = answer(spec, data, folder, tell=task.tell, stop=task.stop)
    except Cancelled as e:
        raise Stopped from e
    finally:
        data.close()
    for sentence in result["notes"]:
        task.note(sentence["en"])
    summary = summary_of(result)
    services.studies.finished(task.who, code, run, task.payload["revision"], summary)
    return summary


def answer(spec, data, folder, *, tell=lambda share, words="", **values: None, stop=lambda: False):
    """The whole answer as a dict, its files written into `folder` (a Path that exists). Raises SpecError, GridError,
    StudyError, Cancelled; a question without a plan is an answer too, with `infeasible` filled in."""
    tell(0.02, N_("Laying the rules over the map"))
    world = siteworld.build(spec, data)
    made = {"format": FORMAT, "name": spec["name"], "as_of": spec["as_of"], "spec": spec, "seed": spec["seed"]}
    made["unit"] = siteworld.load_unit(spec)
    made |= {"prints": data.prints, "sources": _sources(world), "notes": _notes(world)}
    made |= _of_world(world)
    found, counts = _suitability(world, folder, tell, stop)
    made |= _of_land(world, counts)
    tell(0.5, N_("Looking at each candidate"))
    candidates, refused = _candidates(world, found)
    made |= {"refused": refused}
    if stop():
        raise Cancelled
    plan, chain, infeasible = _plan(world, candidates, counts, tell, stop)
    if stop():
        raise Cancelled
    tell(0.85, N_("Trying other weights"))
    made["robustness"] = _robustness(world, candidates)
    tell(0.88, N_("Writing the reason cards"))
    made |= _of_plan(world, candidates, plan, chain)
    made["infeasible"] = infeasible
    _write(folder / "result.json", packed(made))
    tell(0.95, N_("Writing the files"))
    write_files(made, spec, data, folder)
    tell(1.0, N_("Done"))
    return made


def summary_of(result):
    """What lists show of an answer."""
    plan = result["plan"] or {}
    names = ("model", "goal", "status", "value", "gap", "served_m3_day", "gain_m3_day", "gain_people", "cost")
    out = {name: plan.get(name) for name in names}
    sites = [{k: s[k] for k in ("code", "label", "lon", "lat", "capacity_m3_day", "ward")} for s in result["sites"]]
    out |= {"sites": sites, "free_ha": result["free_ha"], "unchecked": result["unchecked"]}
    return out | {"infeasible": result["infeasible"], "as_of": result["as_of"], "money": result["spec"]["money"]}


# --- the question with its data ---


def _of_world(world):
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


def _sources(world):
    out = {text for r in world.rules for text in r.source if text} | set(world.data.sources)
    if world.data.population is not None:
        out.add(f"population surface: {world.data.population.tags.get('source', '')} "
                f"({world.data.population.tags.get('method', '')})")  # fmt: skip
    out |= {f"{row['name']}: {row['source']}" for row in world.spec["layers"]}
    out |= {f"spare capacity of plants: {text}" for text in [world.spec["plants"]["source"]] if text}
    return sorted(out)


def _notes(world):
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


# --- suitability ---


def _suitability(world, folder, tell, stop):
    """([Candidates by size], {reason: cells} of the smallest size); writes its score and reasons as GeoTIFFs."""
    sizes, grid = len(world.capacities), world.grid
    apart, found, counts = world.spec["candidates"]["apart_m"], [], {}
    height = max(BLOCK, STRIP_CELLS // grid.columns // BLOCK * BLOCK)
    for size in range(sizes):
        study, best = world.study(size), Candidates(grid, apart)

        def progress(share, size=size):
            tell(
                0.04 + 0.45 * (size + share) / sizes,
                loadwords.phrase(siteworld.load_unit(world.spec), "scoring"),
                m3=world.capacities[size],
            )

        files = _Rasters(folder, study, world.capacities[0]) if size == 0 else None
        try:
            for part in strips(study, height=height, progress=progress, stop=stop):
                best.take(part.first, part.score)
                if files:
                    files.write(part)
                    for code, cells in count_reasons(study, part.reasons).items():
                        counts[code] = counts.get(code, 0) + cells
        finally:
            if files:
                files.close()
        if files:
            files.finish()
        found.append(best)
    return found, counts


class _Rasters:
    """suitability.tif (float32, NaN none) and reasons.tif (uint32 bits), written strip by strip and named when whole."""

    KINDS = MappingProxyType({"suitability": ("float32", np.nan), "reasons": ("uint32", None)})

    def __init__(self, folder, study, capacity):
        grid, self.folder = study.grid, folder
        tags = {"rules": json.dumps([r.code for r in study.rules]), "capacity_m3_day": f"{capacity:g}"}
        self.files = {}
        for name, (kind, nodata) in self.KINDS.items():
            profile = {"driver": "GTiff", "height": grid.rows, "width": grid.columns, "count": 1, "dtype": kind}
            profile |= {"crs": grid.crs.to_wkt(), "transform": grid.transform, "compress": "DEFLATE", "tiled": True}
            profile |= {"blockxsize": BLOCK, "blockysize": BLOCK, "BIGTIFF": "IF_SAFER"}
            profile |= {} if nodata is None else {"nodata": nodata}
            self.files[name] = rasterio.open(folder / f"{name}.tif.part", "w", **profile)
            self.files[name].update_tags(**tags)

    def write(self, part):
        window = Window(0, part.first, part.score.shape[1], part.last - part.first)
        self.files["suitability"].write(part.score, 1, window=window)
        self.files["reasons"].write(part.reasons, 1, window=window)

    def close(self):
        for file in self.files.values():
            file.close()

    def finish(self):
        for name in self.files:
            os.replace(self.folder / f"{name}.tif.part", self.folder / f"{name}.tif")


def _of_land(world, counts):
    ha = hectares(world.study(0), counts)
    area = float(world.area.area.sum()) / 10_000
    source = {r.code: r.source[0] if r.source else "" for r in world.rules}
    rows = [
        {"code": code, "ha": round(float(v), 4), "share": round(float(v) / area, 6), "source": source.get(code, "")}
        for code, v in ha.items()
        if code != "free"
    ]
    rows.sort(key=lambda r: (-r["ha"], r["code"]))
    return {"excluded": rows, "free_ha": round(float(ha["free"]), 4)}


# --- candidates ---


def _candidates(world, found):
    """(frame by code, refused given sites): x, y, given, forced, score, allowed (tuple by size), why (dicts by size).

    The places wanted are shared among the sizes, the largest first, so that each size finds land that its own distances
    allow; every place is then asked for every size.
    """
    spec = world.spec
    wanted = spec["candidates"]["count"]
    given = gpd.GeoSeries.from_xy([g["lon"] for g in spec["given"]], [g["lat"] for g in spec["given"]], crs=4326)
    given = given.to_crs(METRIC)
    taken = [(g["code"], p.x, p.y, True) for g, p in zip(spec["given"], given, strict=True)]
    sizes = len(found)
    for k, best in enumerate(reversed(found)):
        most = wanted // sizes + (1 if k < wanted % sizes else 0)
        beside = [(x, y) for _, x, y, _ in taken]
        places = best.places(most, spread_m=spec["within_m"], beside=beside).geometry
        taken += [(_site_code(p.x, p.y), p.x, p.y, False) for p in places]
    frame = pd.DataFrame(taken, columns=["code", "x", "y", "given"]).drop_duplicates("code").set_index("code")
    asked = [siteworld.why(world, frame["x"].to_numpy(), frame["y"].to_numpy(), k) for k in range(sizes)]
    frame["why"] = list(zip(*asked, strict=True)) if len(frame) else []
    frame["upstream"] = [sitecards.upstream(world, x, y) for x, y in zip(frame["x"], frame["y"], strict=True)]
    frame["allowed"] = [
        tuple(_allowed(world, one[k], k, up) for k in range(sizes))
        for one, up in zip(frame["why"], frame["upstream"], strict=True)
    ]
    frame["score"] = [next((w["score"] for w in one if w["score"] is not None), np.nan) for one in frame["why"]]
    frame["forced"] = frame.index.isin(spec["force"])
    points = gpd.GeoSeries.from_xy(frame["x"], frame["y"], index=frame.index, crs=METRIC)
    lonlat = points.to_crs(4326)
    frame["lon"], frame["lat"], frame["ward"] = lonlat.x.round(7), lonlat.y.round(7), ward_of(points, world.data)
    good = np.array([any(a) for a in frame["allowed"]], dtype=bool)
    refused = [
        {"code": code, "lon": row.lon, "lat": row.lat, "broken": _broken(row.why[0]), "rules": row.why[0]["rules"]}
        for code, row in frame[~good].iterrows()
        if row.given
    ]
    frame = frame[good].sort_values(["score", "x", "y"], ascending=[False, True, True], kind="stable")
    return frame.assign(rank=np.arange(1, good.sum() + 1)), refused


def _site_code(x, y):
    """A name that says where, so that it stays the same from run to run: decametres east and north in EPSG:9210."""
    return f"{int(x // 10)}-{int(y // 10)}"


def _allowed(world, found, size, up):
    """Whether a size may stand there; upstream of an intake the larger distance to houses is asked for too."""
    if not found["allowed"]:
        return False
    if not sitecards.is_upstream(up) or up["state"] == "said_yes":
        return True
    further = sitelaw.law(world.spec, world.capacities[size], upstream=True).houses
    houses = next((r for r in found["rules"] if r["code"] == "houses" and r["measured"] is not None), None)
    return houses is None or further.state != "established" or houses["measured"] >= further.distance_m


def _broken(found):
    return [r["code"] for r in found["rules"] if r["broken"] is not False]


# --- the plan ---


def _plan(world, candidates, counts, tell, stop):
    """(Plan or None, chain, infeasible or None)."""
    spec = world.spec
    try:
        asked = _case(world, candidates, counts, tell, stop)
        effort = Effort(**spec["effort"])
        if spec["model"] == "coverage":
            return *_chain(world, candidates, asked, effort, tell, stop), None
        limits = {"nodes": effort.nodes, "seconds": effort.seconds, "stop": stop}
        tell(0.6, N_("Solving"))
        if spec["model"] == "covering":
            return covering(asked, **limits), [], None
        if spec["model"] == "median":
            return median(asked, **limits), [], None
        return cheapest(asked, cost_per_m3_km=spec["cost_per_m3_km"], **limits), [], None
    except SitingError as e:
        return None, [], {"rule": e.rule, "en": e.en, "vi": e.vi}
    except NetworkError as e:
        return None, [], {"rule": "input", "en": e.en, "vi": e.vi}


def _case(world, candidates, counts, tell, stop):
    """geo.locations.Case. Raises Infeasible, naming what stands in the way."""
    spec = world.spec
    _check_forced(world, candidates)
    if not len(candidates):
        raise _no_site(world, counts)
    if not len(world.demands):
        words = said(loadwords.phrase(siteworld.load_unit(spec), "nothing"))
        raise Infeasible("input", words["en"], words["vi"])
    sites = gpd.GeoDataFrame(
        index=candidates.index, geometry=gpd.points_from_xy(candidates["x"], candidates["y"]), crs=METRIC
    )
    costs = [size["cost"] or 0.0 for size in spec["sizes"]]
    sizes = pd.DataFrame(
        [
            {"site": code, "capacity_m3_day": world.capacities[k], "cost": costs[k]}
            for code, allowed in candidates["allowed"].items()
            for k in range(len(costs))
            if allowed[k]
        ]
    )
    plants = world.plants[world.plants["spare_m3_day"] > 0] if spec["plants"]["keep"] else None
    plants = None if plants is None or not len(plants) else plants[["spare_m3_day", "geometry"]]
    points = world.demands[["m3_day", "people", "geometry"]]
    options = {"plants": plants, "number": spec["number"], "force": spec["force"], "goal": spec["goal"]}
    options |= {"budget": spec["budget"], "within_m": spec["within_m"]}
    if spec["network"]:
        tell(0.52, N_("Measuring along the network"))
        net = spec["network"]
        row = next(row for row in spec["layers"] if LAYER + row["code"] == LAYER + net["layer"])
        lines = gpd.GeoSeries.from_wkt([row["wkt"]], crs=4326).to_crs(METRIC)
        roads = network(lines, crossings=net["crossings"])
        places = sites if plants is None else pd.concat([plants[["geometry"]], sites])
        options["pairs"] = network_pairs(
            roads, places, points, spec["within_m"], most_off_m=net["most_off_m"], stop=stop
        )
    return case(points, sites, sizes, **options)


def _check_forced(world, candidates):
    lost = [code for code in world.spec["force"] if code not in candidates.index]
    if not lost:
        return
    given = {g["code"]: g for g in world.spec["given"]}
    if lost[0] not in given:
        words = said(N_("The forced site %(site)s is not among the given sites: give its place."), site=lost[0])
        raise Infeasible("forced", words["en"], words["vi"])
    place = gpd.GeoSeries.from_xy([given[lost[0]]["lon"]], [given[lost[0]]["lat"]], crs=4326).to_crs(METRIC).iloc[0]
    found = siteworld.why(world, [place.x], [place.y], 0)[0]
    rules = [r for r in found["rules"] if r["broken"] is not False]
    names = [in_both("rule", r["code"], world.spec["layers"]) for r in rules]
    words = said(
        N_("The site %(site)s cannot be forced: it breaks a rule (%(rules)s)."),
        site=lost[0],
        rules={lang: "; ".join(n[lang] for n in names) for lang in ("en", "vi")},
    )
    raise Infeasible("forced", words["en"], words["vi"])


def _no_site(world, counts):
    """Which rule takes most of the land."""
    if not any(counts.values()):
        words = said(
            N_("No cell of %(cell)s m has its middle in the study area: choose smaller cells."), cell=world.grid.cell_m
        )
        return Infeasible("no_site", words["en"], words["vi"])
    if counts.get("free"):
        words = said(N_("No place that was looked at is left: ask for more sites, or give some."))
        return Infeasible("no_site", words["en"], words["vi"])
    worst = max(counts, key=lambda c: counts[c])
    total = max(world.area.area.sum() / world.grid.cell_m**2, 1)
    words = said(
        N_("No place in the study area keeps all the rules; “%(rule)s” alone takes %(share)s %% of it. Loosen a rule, choose enclosed works or a smaller size, or enlarge the area."),
        rule=in_both("rule", worst, world.spec["layers"]),
        share=min(round(100 * counts.get(worst, 0) / total), 100),
    )  # fmt: skip
    return Infeasible("no_site", words["en"], words["vi"])


def _chain(world, candidates, asked, effort, tell, stop):
    """(Plan of the question, [the best plan found for each step up to it]).

    With a number the steps are 1, 2, 3 ...; with a budget every sum of costs up to it: each search begins with the plan
    before, and the steps up to a limit do not depend on it. So more plants, or more money, never serve less.
    """
    limits, chain, start, plan = _steps(asked, world.spec), [], (), None
    prefer = candidates["score"].to_dict()
    for k, (number, budget) in enumerate(limits):

        def progress(share, value, bound, k=k):
            words = N_("Plan %(step)s of %(steps)s: %(value)s found, at most %(bound)s possible")
            tell(
                0.54 + 0.3 * (k + share) / len(limits),
                words,
                step=k + 1,
                steps=len(limits),
                value=round(value),
                bound=round(bound) if np.isfinite(bound) else "?",
            )

        step = asked.limited(number=number, budget=budget)
        last = k == len(limits) - 1
        plan = cover(
            step, effort=effort, seed=world.spec["seed"], start=start, prefer=prefer, progress=progress, stop=stop
        )
        start = tuple(plan.chosen["capacity_m3_day"].items())
        if not last or len(limits) == 1 or not chain or plan.value >= chain[-1]["value"]:
            chain.append(_step(plan, number, budget))
        if stop():
            break
    return plan, chain


def _steps(asked, spec):
    """[(number, budget)]: the question's own limits last."""
    number, budget = asked.number, asked.budget if np.isfinite(asked.budget) else None
    forced = len(spec["force"])
    if budget is None:
        steps = [(n, None) for n in range(max(forced, 1), number + 1)]
    else:
        costs = np.unique(asked.option_cost)
        least = _least_forced(asked)
        sums = _sums(costs[costs > 0], budget, most=number)
        steps = [(number, float(s)) for s in sums if s >= least and s <= budget]
    whole = (number, budget)
    steps = [s for s in steps if s != whole][-(MOST_STEPS - 1) :]
    return [*steps, whole]


def _least_forced(asked):
    sites = np.unique(asked.option_site[asked.must])
    return sum(asked.option_cost[asked.option_site == s].min() for s in sites)


def _sums(costs, budget, *, most=None):
    """Every sum of costs up to a budget, each cost any number of times, rising; at most 400."""
    found = {0.0}
    front = {0.0}
    for _ in range(400 if most is None else most):
        front = {round(a + float(c), 6) for a, c in itertools.product(front, costs) if a + c <= budget + 1e-9} - found
        found |= front
        if not front or len(found) > 400:
            break
    return sorted(found - {0.0})


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


# --- what the answer tells of the plan ---


def _of_plan(world, candidates, plan, chain):
    chosen = [] if plan is None else list(plan.chosen.index)
    label = {code: _label(k) for k, code in enumerate(chosen)}
    rows = [_candidate(world, code, row, label) for code, row in candidates.iterrows()]
    lonlat = world.demands.geometry.to_crs(4326)
    served = pd.Series(0.0, index=world.demands.index)
    if plan is not None and len(plan.flows):
        served = plan.flows.groupby("demand")["m3_day"].sum().reindex(served.index).fillna(0.0)
    out = {"candidates": rows, "plants": _plants(world, plan), "chain": chain}
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


def _robustness(world, candidates):
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


def _write(path, text):
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    os.replace(part, path)
