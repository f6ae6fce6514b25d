"""What a siting question is made of: demands, sites with sizes, plants that stand, who reaches whom, and the limits.

Tables come in checked by code; a Case is the same in numbers. All problems of the tables are told together.
"""

from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.flows import Reach, reach_of_pairs, straight_reach

GOALS = ("m3", "people")


class SitingError(ValueError):
    """A question that cannot be answered. rule: 'input', 'distance', 'capacity', 'number', 'budget' or 'forced'.

    str() is the sentence in English, .vi in Vietnamese.
    """

    def __init__(self, rule, en, vi):
        self.rule, self.en, self.vi = rule, en, vi
        super().__init__(en)


class Infeasible(SitingError):
    """No choice keeps all the rules; `rule` is the one that binds."""


@dataclass(frozen=True, eq=False)
class Case:
    """A question in numbers. Facilities: the standing plants, then the sites.

    demand: m³/day by demand; people: by demand; worth: what a served m³/day counts. reach: Reach of the facilities.
    spare: m³/day by standing plant. option_site (a facility), option_capacity (m³/day), option_cost: by option, that
    is a site with a size, sorted by site. must: by option, its site is forced. number: most new plants (None: any).
    budget: most cost (inf: any). demands, facilities: their codes. goal: 'm3' or 'people'.
    """

    demand: np.ndarray
    people: np.ndarray
    worth: np.ndarray
    reach: Reach
    spare: np.ndarray
    option_site: np.ndarray
    option_capacity: np.ndarray
    option_cost: np.ndarray
    must: np.ndarray
    number: int | None
    budget: float
    demands: pd.Index
    facilities: pd.Index
    goal: str = "m3"

    def limited(self, *, number=None, budget=None):
        """The same case with other limits."""
        return replace(self, number=number, budget=np.inf if budget is None else float(budget))


def case(
    demands,
    sites,
    sizes,
    *,
    plants=None,
    within_m=None,
    pairs=None,
    number=None,
    budget=None,
    force=(),
    forbid=(),
    goal="m3",
):
    """Case of tables by code.

    demands: m3_day, and people (optional). sites: the places; plants: spare_m3_day. All three by code, no code twice;
    GeoDataFrames of points in one CRS in metres, or any tables if pairs are given. sizes: capacity_m3_day and cost,
    in any money; with a column site, a row is for that site only, and one without a code for all.
    within_m: the farthest a demand may be from its plant, in a straight line. pairs: facility, demand,
    distance_m along a network instead; within_m then cuts them. goal: what is to be most, 'm3' or 'people', who are
    served in the proportion of their m³. force, forbid: codes of sites that must or may not be built.
    Raises SitingError with every problem of the tables, Infeasible if force contradicts forbid, number or budget.
    """
    problems = _problems(demands, sites, sizes, plants, within_m, pairs, number, budget, force, forbid, goal)
    if problems:
        raise SitingError("input", " ".join(p[0] for p in problems), " ".join(p[1] for p in problems))
    plants = sites.iloc[:0] if plants is None else plants
    m3 = demands["m3_day"].to_numpy(dtype=float)
    people = demands["people"].to_numpy(dtype=float) if "people" in demands else np.zeros(len(m3))
    worth = np.ones(len(m3)) if goal == "m3" else np.divide(people, m3, out=np.zeros(len(m3)), where=m3 > 0)
    facilities = pd.Index([*plants.index, *sites.index], dtype=object)
    if pairs is None:
        places = [*_xy(plants), *_xy(sites)]
        reach = straight_reach(np.reshape(places, (-1, 2)), _xy(demands), within_m)
    else:
        pairs = pairs if within_m is None else pairs[pairs["distance_m"] <= within_m]
        reach = reach_of_pairs(
            facilities.get_indexer(pairs["facility"]),
            demands.index.get_indexer(pairs["demand"]),
            pairs["distance_m"],
            facilities=len(facilities),
            demands=len(m3),
        )
    spare = plants["spare_m3_day"].to_numpy(dtype=float) if len(plants) else np.zeros(0)
    options = _options(sites, sizes, len(plants), forbid)
    must = sites.index.isin(list(force))[options["site"].to_numpy() - len(plants)]
    out = Case(
        m3,
        people,
        worth,
        reach,
        spare,
        options["site"].to_numpy(),
        options["capacity_m3_day"].to_numpy(dtype=float),
        options["cost"].to_numpy(dtype=float),
        must,
        None if number is None else int(number),
        np.inf if budget is None else float(budget),
        pd.Index(demands.index),
        facilities,
        goal,
    )
    bare = [code for code in force if facilities.get_loc(code) not in out.option_site]
    if bare:
        raise Infeasible(
            "forced", f"Forced sites without a size: {bare[:5]}.", f"Vị trí bắt buộc không có quy mô: {bare[:5]}."
        )
    _check_forced(out)
    return out


def _xy(frame):
    return np.column_stack([frame.geometry.x, frame.geometry.y]) if len(frame) else np.zeros((0, 2))


def _options(sites, sizes, kept, forbid):
    """Frame of site (number of the facility), capacity_m3_day, cost, sorted by site and capacity."""
    sizes = sizes if "site" in sizes else sizes.assign(site=None)
    everywhere = sizes[sizes["site"].isna()]
    own = sizes[sizes["site"].notna()]
    number = pd.Series(np.arange(len(sites)) + kept, index=sites.index)
    rows = [
        pd.DataFrame(
            {
                "site": np.repeat(number.to_numpy(), len(everywhere)),
                "capacity_m3_day": np.tile(everywhere["capacity_m3_day"].to_numpy(dtype=float), len(sites)),
                "cost": np.tile(everywhere["cost"].to_numpy(dtype=float), len(sites)),
            }
        ),
        own.assign(site=number.reindex(own["site"]).to_numpy())[["site", "capacity_m3_day", "cost"]],
    ]
    options = pd.concat([r for r in rows if len(r)] or rows[:1]).astype({"site": int})
    options = options[~options["site"].isin(number.reindex(list(forbid)))]
    return options.sort_values(["site", "capacity_m3_day", "cost"], kind="stable", ignore_index=True)


def _check_forced(case):
    sites = np.unique(case.option_site[case.must])
    least = np.array([case.option_cost[case.option_site == s].min() for s in sites])
    if case.number is not None and len(sites) > case.number:
        raise Infeasible(
            "number",
            f"{len(sites)} sites are forced, but only {case.number} may be built.",
            f"Có {len(sites)} vị trí bắt buộc nhưng chỉ được xây {case.number}.",
        )
    if least.sum() > case.budget + 1e-9:
        raise Infeasible(
            "budget",
            f"The forced sites cost at least {least.sum():,.6g}, more than the budget of {case.budget:,.6g}.",
            f"Các vị trí bắt buộc tốn ít nhất {least.sum():.6g}, vượt ngân sách {case.budget:.6g}.",
        )


def _problems(demands, sites, sizes, plants, within_m, pairs, number, budget, force, forbid, goal):
    """(English, Vietnamese) of everything that is wrong with the tables."""
    out = []

    def wrong(en, vi):
        out.append((en, vi))

    tables = [("demands", "điểm phát sinh", demands), ("sites", "vị trí", sites)]
    tables += [("plants", "nhà máy hiện có", plants)] if plants is not None else []
    for en, vi, frame in tables:
        if not frame.index.is_unique:
            twice = list(frame.index[frame.index.duplicated()][:5])
            wrong(f"Codes given twice in {en}: {twice}.", f"Mã bị lặp trong bảng {vi}: {twice}.")
        if pairs is None and not _points_in_metres(frame):
            wrong(
                f"The table of {en} must hold points in a CRS in metres, such as EPSG:9210.",
                f"Bảng {vi} phải là các điểm trong hệ tọa độ mét, ví dụ EPSG:9210.",
            )
    if not len(demands) or not len(sites) or not len(sizes):
        wrong("There must be demands, sites and sizes.", "Phải có điểm phát sinh, vị trí và quy mô.")
    if plants is not None and set(plants.index) & set(sites.index):
        both = sorted(set(plants.index) & set(sites.index))[:5]
        wrong(f"A code is both a plant and a site: {both}.", f"Mã vừa là nhà máy vừa là vị trí: {both}.")
    numbers = [(demands, "m3_day", False), (demands, "people", False)]
    numbers += [(sizes, "capacity_m3_day", True), (sizes, "cost", False)]
    numbers += [(plants, "spare_m3_day", True)] if plants is not None else []
    for frame, column, unlimited in numbers:
        if column not in frame:
            if column != "people" or goal == "people":
                wrong(f"A column {column} is missing.", f"Thiếu cột {column}.")
            continue
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        bad = ~(values >= 0) | (np.isinf(values) & (not unlimited))
        if bad.any():
            rows = list(frame.index[bad][:5])
            wrong(f"{column} must be 0 or more: look at {rows}.", f"{column} phải từ 0 trở lên: xem {rows}.")
    if "site" in sizes and not sizes["site"].dropna().isin(sites.index).all():
        lost = list(sizes["site"].dropna()[~sizes["site"].dropna().isin(sites.index)][:5])
        wrong(f"Sizes for sites that are not in the table: {lost}.", f"Quy mô cho vị trí không có trong bảng: {lost}.")
    crs = {frame.crs for _, _, frame in tables if isinstance(frame, gpd.GeoDataFrame) and frame.crs is not None}
    if pairs is None and len(crs) > 1:
        wrong(
            "The tables are in different CRSs: reproject them.", "Các bảng có hệ tọa độ khác nhau: hãy chuyển về một."
        )
    if pairs is None and not (within_m is not None and within_m > 0):
        wrong("Give the farthest distance in metres (within_m).", "Hãy cho khoảng cách xa nhất, tính bằng mét.")
    if pairs is not None:
        known = set(sites.index) | (set(plants.index) if plants is not None else set())
        if not {"facility", "demand", "distance_m"} <= set(pairs):
            wrong("Pairs need facility, demand and distance_m.", "Bảng cặp cần facility, demand và distance_m.")
        elif not (pairs["facility"].isin(known).all() and pairs["demand"].isin(demands.index).all()):
            wrong("Pairs name codes that are in no table.", "Bảng cặp có mã không nằm trong bảng nào.")
        elif not (pairs["distance_m"] >= 0).all():
            wrong("distance_m of a pair must be 0 or more.", "distance_m của cặp phải từ 0 trở lên.")
    for what, codes in (("forced", force), ("forbidden", forbid)):
        lost = [c for c in codes if c not in sites.index]
        if lost:
            wrong(f"Unknown sites are {what}: {lost[:5]}.", f"Vị trí không có trong bảng: {lost[:5]}.")
    if set(force) & set(forbid):
        both = sorted(set(force) & set(forbid))[:5]
        wrong(f"Sites are both forced and forbidden: {both}.", f"Vị trí vừa bắt buộc vừa bị cấm: {both}.")
    if number is not None and (number != int(number) or number < 0):
        wrong("The number of plants must be a whole number, 0 or more.", "Số nhà máy phải là số nguyên từ 0.")
    if budget is not None and not 0 <= budget < np.inf:
        wrong("The budget must be 0 or more.", "Ngân sách phải từ 0 trở lên.")
    if goal not in GOALS:
        wrong("The goal must be m3 or people.", "Mục tiêu phải là m3 hoặc people.")
    return out


def _points_in_metres(frame):
    if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None or not frame.crs.is_projected:
        return False
    metres = all(axis.unit_conversion_factor == 1 for axis in frame.crs.axis_info)
    return metres and bool((frame.geom_type.eq("Point") & ~frame.geometry.is_empty).all())
