"""What of a figure on old units stands on estimated shares, and whether totals on old and new units agree."""

import pandas as pd

from geo import coverage, crosswalk


def by_group(result, links, members, people, gap):
    """What of each old unit stands on estimated shares, by code; units without such shares are left out.

    result: geo.coverage.Ledger. links: of the wards to the old units, settled. members: unit, group, share of all
    units. people: Series by unit. gap: the parts of the ledger that are no known treatment.
    generated, gap (m³ a day, likely) and people: the amounts; share: of generated; moved: what the estimated shares
    bring or take away, m³ a day; low, high: what of generated may lie there in all by the ends of the shares (None
    where an end is not known); bases: how the shares were estimated; wards: codes.
    """
    units = coverage.by_unit(result)
    wards = result.units.intersection(links["unit"].unique())
    figures = {"generated": units.generated()["likely"], "gap": units.amount(gap)["likely"], "people": people}
    told = {name: crosswalk.apportion(values.reindex(wards), links) for name, values in figures.items()}
    others = members[~members["unit"].isin(wards) & members["unit"].isin(result.units)]
    besides = figures["generated"].reindex(others["unit"]).groupby(others["group"].to_numpy()).sum()
    out = {}
    for group, mine in links[links["basis"].isin(crosswalk.ESTIMATED)].groupby("group"):
        if group not in told["generated"].index:
            continue
        amounts = {name: _known(frame.at[group, "estimated"]) or 0.0 for name, frame in told.items()}
        row = told["generated"].loc[group]
        beside = float(besides.get(group, 0.0))
        whole = (_known(row["value"]) or 0.0) + beside
        low, high = (None if (end := _known(row[c])) is None else end + beside for c in ("low", "high"))
        out[group] = amounts | {
            "moved": _known(row["moved"]) or 0.0, "share": amounts["generated"] / whole if whole else None,
            "low": low, "high": high, "bases": sorted(set(mine["basis"])), "wards": sorted(mine["unit"]),
        }  # fmt: skip
    return out


def agreement(rows, today):
    """That a total over old units is the total over today's: m³ a day, likely.

    rows: of a view on old units; today: of the view on today's units.
    groups, units: the two added up; inside, outside: the part of the old city and of what lies outside it; equal: to
    a billionth; estimated: what of it stands on estimated shares.
    """
    sums = {"groups": sum(r["generated"]["likely"] for r in rows)}
    sums["units"] = sum(r["generated"]["likely"] for r in today)
    sums["outside"] = sum(r["generated"]["likely"] for r in rows if r["outside"])
    sums["inside"] = sums["groups"] - sums["outside"]
    sums["estimated"] = sum(r["estimate"]["generated"] for r in rows if r["estimate"])
    sums["equal"] = abs(sums["groups"] - sums["units"]) <= 1e-9 * max(sums["units"], 1.0)
    return sums


def _known(value):
    return None if value is None or pd.isna(value) else float(value)
