"""The plan of a study and the chain of smaller ones before it, by the model asked for; or the rule that stands in the way."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.locations import Infeasible, SitingError, case
from geo.medians import cheapest, covering, median
from geo.network import NetworkError, network, network_pairs
from geo.plans import Effort
from geo.siting import cover
from server import loadwords, siteworld
from server.i18n import N_
from server.sitedata import METRIC
from server.sitewords import LAYER, in_both, said

MOST_STEPS = 24  # plans of a chain; above it the last ones only


def choice(world, candidates, counts, tell, stop):
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
    """(Plan of the question, [(the best plan found for a step up to it, number, budget)]).

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
        if not last or len(limits) == 1 or not chain or plan.value >= chain[-1][0].value:
            chain.append((plan, number, budget))
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
