"""Figures of one set of units told on another: shares, where they come from, and what they do to a sum.

A *link* says which share of a unit lies in a group (an old district, say). How sure it is stands beside it:

    exact       the unit lies wholly in the group, known by name
    declared    somebody responsible gave the share
    population  by the people of a population surface inside both outlines
    area        by the area of the two outlines on each other
    majority    the unit was counted whole where most of it lies

The last three are estimates. An extensive figure (m³ a day, people, a count) is shared by the links, and the
groups together hold exactly what the units hold. An intensive one (a share, a percentage) is never averaged:
its numerator and its denominator are shared, then divided. What is missing stays missing: it is counted, and
never becomes zero. Things with a place (plants, zones, hotspots) go by their place, not by shares.

Areal weighting: Goodchild and Lam 1980, Geo-processing 1, 297-312. By people: Eicher and Brewer 2001,
Cartography and Geographic Information Science 28, 125-138.
"""

import numpy as np
import pandas as pd
import shapely

BASES = ("exact", "declared", "population", "area", "majority")
ESTIMATED = ("population", "area", "majority")
COLUMNS = ("unit", "group", "share", "low", "high", "basis")
WHOLE = 1e-9  # shares that miss the whole by less are the whole


class CrosswalkError(ValueError):
    """Links that cannot share a figure. `problems` lists every one of them, one sentence each."""

    def __init__(self, problems):
        self.problems = list(problems)
        super().__init__(" ".join(self.problems))


def by_area(units, groups):
    """Share of each unit's area inside each group: frame unit, group, share; pairs that only touch have no row.

    units, groups: GeoSeries of polygons by code, in one projected CRS in metres. A unit on land that no group
    covers has shares that add up to less than 1; missing outlines have no rows. Raises CrosswalkError.
    """
    if units.crs is None or units.crs != groups.crs or not units.crs.is_projected:
        raise CrosswalkError(["Units and groups must be in one projected coordinate reference system."])
    units, groups = (s[~(shapely.is_missing(s.values) | shapely.is_empty(s.values))] for s in (units, groups))
    i, j = groups.sindex.query(units, predicate="intersects")
    areas = shapely.area(shapely.intersection(units.to_numpy()[i], groups.to_numpy()[j]))
    frame = pd.DataFrame(
        {"unit": units.index[i], "group": groups.index[j], "share": areas / shapely.area(units.to_numpy())[i]}
    )
    return frame[frame["share"] > 0].sort_values(["unit", "group"], ignore_index=True)


def weighed(links, measured, basis):
    """Links of several groups with their shares measured anew; and what was measured elsewhere.

    links: as COLUMNS. The groups named for a unit are taken as they are: names say which, outlines only how
    much. measured: frame unit, group, share, of outlines laid over each other; of a unit only the groups its
    links name are used, and scaled to the whole. Exact and declared links are never touched, nor is a unit of
    which nothing was measured in its groups. Returns (links, strays): strays is a frame unit, group, share of
    what was measured in groups that no link names (edges that do not meet, or a wrong name).

    >>> links = pd.DataFrame([("A", "P", .5, None, None, "area"), ("A", "Q", .5, None, None, "area")], columns=COLUMNS)
    >>> seen = pd.DataFrame([("A", "P", .72), ("A", "Q", .18), ("A", "R", .01)], columns=["unit", "group", "share"])
    >>> weighed(links, seen, "population")[0][["group", "share", "basis"]].values.tolist()
    [['P', 0.8, 'population'], ['Q', 0.2, 'population']]
    """
    out = links.reset_index(drop=True).copy()
    found = measured.set_index(["unit", "group"])["share"]
    pairs = pd.MultiIndex.from_frame(out[["unit", "group"]])
    share = found.reindex(pairs).to_numpy(float)
    fixed = ~out["basis"].isin(ESTIMATED)
    open_units = ~fixed.groupby(out["unit"]).transform("any")
    total = pd.Series(np.nan_to_num(share)).groupby(out["unit"]).transform("sum")
    change = (open_units & (total > 0)).to_numpy()
    out.loc[change, "share"] = np.nan_to_num(share)[change] / total.to_numpy()[change]
    out.loc[change, ["low", "high"]] = np.nan
    out.loc[change, "basis"] = basis
    strays = measured[~pd.MultiIndex.from_frame(measured[["unit", "group"]]).isin(pairs)]
    return out, strays[strays["unit"].isin(out["unit"])].reset_index(drop=True)


def between(links, other):
    """Links with low and high from a second way of measuring: the lesser and the greater of the two shares.

    other: frame unit, group, share on the same groups. Where the second way has nothing, the ends stay as they
    are. Only estimated links get ends.
    """
    second = other.set_index(["unit", "group"])["share"]
    second = second.reindex(pd.MultiIndex.from_frame(links[["unit", "group"]])).to_numpy(float)
    known = ~np.isnan(second) & links["basis"].isin(ESTIMATED).to_numpy()
    share = links["share"].to_numpy(float)
    out = links.copy()
    out["low"] = np.where(known, np.fmin(share, second), links["low"].astype(float))
    out["high"] = np.where(known, np.fmax(share, second), links["high"].astype(float))
    return out


def sound(links):
    """The links that a figure can be shared by, and a sentence for each one left out.

    Left out: a share outside 0..1 or missing, ends that do not hold the share, an unknown basis, a pair given twice
    (its first row stays).
    """
    told, good = [], np.ones(len(links), dtype=bool)
    twice = links.duplicated(["unit", "group"]).to_numpy()
    for i, r in enumerate(links.itertuples()):
        pair, wrong = f"{r.unit} → {r.group}", None
        if pd.isna(r.share) or not 0 <= r.share <= 1:
            wrong = f"its share must lie in 0..1, but is {'missing' if pd.isna(r.share) else f'{r.share:g}'}."
        elif (not pd.isna(r.low) and not 0 <= r.low <= r.share + WHOLE) or (
            not pd.isna(r.high) and not r.share - WHOLE <= r.high <= 1
        ):
            wrong = f"its low and high must lie in 0..1 and hold its share, {r.share:g}."
        elif r.basis not in BASES:
            wrong = f"its basis '{r.basis}' is not one of {', '.join(BASES)}."
        elif twice[i]:
            wrong = "it is given twice; the first row is used."
        if wrong:
            good[i] = False
            told.append(f"Link {pair}: {wrong}")
    return links[good].reset_index(drop=True), told


def settled(links, units, *, rest):
    """Links whose shares add up to 1 for every unit, and what had to be done for it.

    links: as COLUMNS, without the faults that sound() finds. units: codes of all units that are to be shared.
    rest: the group that takes what no link speaks of, so that nothing is dropped: a unit without links goes
    there whole, one whose shares add up to less than 1 with what is left. More than 1 is scaled back.
    low and high of the result hold what is possible: no part may be less than what the others leave, or more.
    Where the ends of an estimated link are not given they stay NaN: its range is not known.
    Returns (links, told); told: frame unit, total, done ("none", "short" or "over"). Raises CrosswalkError.
    """
    links, wrong = sound(links)
    if wrong:
        raise CrosswalkError(wrong)
    rows = links.loc[links["unit"].isin(units) & (links["share"] > 0), list(COLUMNS)]
    rows = rows.astype(dict.fromkeys(("share", "low", "high"), float))
    total = rows.groupby("unit")["share"].sum().reindex(pd.Index(units, name="unit")).fillna(0.0)
    off = (total - 1).abs() > WHOLE
    factor = rows["unit"].map(1 / total.where(total >= 1 - WHOLE, np.nan).where(total > 0)).fillna(1.0)
    for column in ("share", "low", "high"):
        rows[column] = rows[column] * factor
    known = ~rows["basis"].isin(ESTIMATED)
    for column in ("low", "high"):
        rows[column] = rows[column].where(~known | rows[column].notna(), rows["share"])
    left = (1 - total[off & (total < 1)]).rename("share").reset_index()
    left = left.assign(group=rest, low=np.nan, high=np.nan, basis="majority")[list(COLUMNS)]
    if len(left):
        rows = pd.concat([rows, left], ignore_index=True) if len(rows) else left
        rows = _merged(rows)
    rows = _possible(rows.sort_values(["unit", "group"], ignore_index=True))
    done = np.select([total == 0, total < 1], ["none", "short"], "over")
    told = pd.DataFrame({"unit": total.index, "total": total.to_numpy(), "done": done})
    return rows, told[off.to_numpy()].reset_index(drop=True)


def _merged(rows):
    """One row per pair: the rest may be a group that a unit has a link to already."""
    return rows.groupby(["unit", "group"], as_index=False, sort=True).agg(
        share=("share", "sum"), low=("low", "first"), high=("high", lambda v: v.sum(min_count=len(v))),
        basis=("basis", "last"),
    )  # fmt: skip


def _possible(rows):
    """Ends narrowed to what the other parts of the unit allow."""
    low, high = rows["low"].to_numpy(float, copy=True), rows["high"].to_numpy(float, copy=True)
    by_unit = rows.groupby("unit")
    for mine in by_unit.indices.values():
        others = ~np.eye(len(mine), dtype=bool)
        others_low, others_high = (np.where(others, end[mine], 0.0).sum(axis=1) for end in (low, high))
        share = rows["share"].to_numpy()[mine]
        with np.errstate(invalid="ignore"):  # an end that is not known stays so
            least, most = np.fmax(low[mine], 1 - others_high), np.fmin(high[mine], 1 - others_low)
            # a sum of ends may miss the share by a rounding
            low[mine] = np.maximum(np.minimum(least, share), 0.0)
            high[mine] = np.minimum(np.maximum(most, share), 1.0)
    return rows.assign(low=low, high=high)


def apportion(values, links):
    """An extensive figure of units, told by group.

    values: Series by unit code; NaN is missing. links: settled(). Every unit of values needs its links, adding up
    to 1 (to 1e-9): CrosswalkError otherwise. Links of other units are left out.
    One row per group: value (NaN only where all its units are missing), low and high (by the ends of the shares;
    NaN where an estimated share has no known range), estimated (what of value stands on estimated shares), moved
    (what these shares move into or out of the group: of a ward that lies in it for 0.9 by estimate a tenth, as of one
    that lies in it for 0.1), missing (how many units of the group have no figure: the value is then a lower bound).
    The values of all groups together are the values of all units that have one.

    >>> apportion(*worked_example()[:2])[["value", "estimated", "missing"]].T.to_dict("list")
    {'P': [1300.0, 300.0, 0.0], 'Q': [100.0, 100.0, 1.0]}
    """
    rows = links[links["unit"].isin(values.index)]
    total = rows.groupby("unit")["share"].sum().reindex(values.index)
    bad = total[~((total - 1).abs() <= WHOLE)]
    if len(bad) or values.index.has_duplicates:
        raise CrosswalkError(
            [f"Unit {u}: its shares add up to {0 if pd.isna(v) else v:g}, not to 1." for u, v in bad.items()]
            + [f"Unit {u} is given twice." for u in values.index[values.index.duplicated()].unique()]
        )
    v = values.astype(float).reindex(rows["unit"]).to_numpy()
    ends = [rows[c].to_numpy(float) * v for c in ("low", "high")]
    with np.errstate(invalid="ignore"):  # a missing end or figure stays missing
        lesser, greater = np.minimum(*ends), np.maximum(*ends)
    table = pd.DataFrame(
        {
            "value": rows["share"].to_numpy() * v,
            "low": lesser,
            "high": greater,
            "estimated": np.where(rows["basis"].isin(ESTIMATED), rows["share"].to_numpy() * v, np.where(np.isnan(v), np.nan, 0.0)),
            "moved": np.where(
                rows["basis"].isin(ESTIMATED), np.fmin(rows["share"], 1 - rows["share"]) * v, np.where(np.isnan(v), np.nan, 0.0)
            ),
            "ranged": ~np.isnan(lesser) | np.isnan(v),
            "missing": np.isnan(v).astype(int),
        }
    )  # fmt: skip
    by_group = table.groupby(rows["group"].to_numpy())
    out = by_group[["value", "low", "high", "estimated", "moved"]].sum(min_count=1)
    out["missing"] = by_group["missing"].sum()
    out.loc[~by_group["ranged"].all(), ["low", "high"]] = np.nan
    return out.rename_axis("group")


def ratio(numerator, denominator, links):
    """An intensive figure of units, told by group: numerator and denominator are shared, then divided.

    numerator, denominator: Series by unit code. A unit that lacks either is left out of both, and counted.
    One row per group: numerator, denominator, ratio (NaN where the denominator is 0 or missing), missing.

    >>> example = worked_example()
    >>> ratio(example[2], example[0], example[1])["ratio"].round(3).to_dict()
    {'P': 0.327, 'Q': 0.75}
    """
    both = numerator.reindex(denominator.index).notna() & denominator.notna()
    top = apportion(numerator.reindex(denominator.index).where(both), links)
    bottom = apportion(denominator.where(both), links)
    whole = bottom["value"].where(bottom["value"] != 0)
    return pd.DataFrame(
        {"numerator": top["value"], "denominator": bottom["value"], "ratio": top["value"] / whole,
         "missing": bottom["missing"]}
    )  # fmt: skip


def worked_example():
    """Waste water, links and treated water of the example on the method page: three units, two old districts.

    By hand, m³ a day. A has 1,000 and lies in P. B has 400: by area 0.75 of it in P, 0.25 in Q. C lies in Q, its
    waste water is not known. P: 1,000 + 0.75 × 400 = 1,300, of it 300 on an estimated share. Q: 100, all of it
    estimated, and one unit missing. Together 1,400, as A and B have. Treated: 200 of A, 300 of B, so P has
    200 + 225 = 425 of 1,300, 32.7 %; the average of 20 % and 75 % would be 47.5 %, and wrong.
    """
    units = list("ABC")
    links = pd.DataFrame(
        [("A", "P", 1.0, 1.0, 1.0, "exact"), ("B", "P", 0.75, 0.7, 0.8, "area"), ("B", "Q", 0.25, 0.2, 0.3, "area"),
         ("C", "Q", 1.0, 1.0, 1.0, "exact")],
        columns=list(COLUMNS),
    )  # fmt: skip
    water = pd.Series([1000.0, 400.0, np.nan], units)
    treated = pd.Series([200.0, 300.0, np.nan], units)
    return water, links, treated
