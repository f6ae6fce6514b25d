"""Boundary versions, and the links between the units of today and those of before.

Which old unit a ward lies in is known by the names of the communes it was made of; how much of it, where it was
made of communes of two districts, is estimated. Outlines that somebody imports take over the estimates: names
still say which, outlines how much.
"""

import re
from datetime import date, timedelta

import numpy as np
import pandas as pd
import shapely

from geo import crosswalk, population
from geo.crosswalk import COLUMNS, ESTIMATED

METRIC = "EPSG:9210"
OLD, NOW = "2024", "2025-07"  # boundary versions: the districts that figures are told on, and the wards of today
REAL = ("surveyed", "digitised")
EDGES = 0.05  # the outlines of 2019 and of 2025 differ by up to so much of a ward along rivers and the coast
_LAST_OLD_DAY = date(2024, 12, 31)  # where the table of versions does not say


def in_force(rows, day):
    """Rows whose period holds the day: valid_from ≤ day < valid_to; a blank end is open."""
    at = pd.Timestamp(day)
    start, end = rows["valid_from"], rows["valid_to"]
    return rows[(start.isna() | (start <= at)) & (end.isna() | (at < end))]


def version_at(store, day):
    """Code of the boundary version in force on a day, or None where no version is recorded for it."""
    rows = in_force(store.snapshot("boundary_versions"), day).sort_values("valid_from", na_position="first")
    return rows["code"].iloc[-1] if len(rows) else None


def version_of_date(store, text):
    """Code of the version that was in force all through a date written as 2024, 2025-05 or 2025-05-17; else None.

    Of several dates parted by " | " the first counts. A year in which the boundaries changed says nothing.
    """
    found = re.match(r"\s*(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?!\d)", text or "")
    if not found:
        return None
    year, month, day = (int(n) if n else None for n in found.groups())
    try:
        first = date(year, month or 1, day or 1)
    except ValueError:
        return None
    after = date(year + 1, 1, 1) if not month else first + timedelta(days=1) if day else _month_after(first)
    codes = {version_at(store, d) for d in (first, after - timedelta(days=1))}
    return codes.pop() if len(codes) == 1 else None


def _month_after(first):
    return (first + timedelta(days=31)).replace(day=1)


def filed_under(store, rows, day):
    """Codes of the boundary versions that rows were filed under which do not say so themselves; None where unknown.

    rows: a frame as it comes in, of whose columns source_date, district_old and valid_to are looked at, where they are
    there. day: on which they are recorded. A row that holds no more was filed while it held; else the date of its
    source says it. A row that names an old district and no such date was filed before the districts went, nobody
    knows when: None. Any other row is filed under the version in force on `day`.
    """
    count, codes = len(rows), {}

    def column(name):
        return rows[name].tolist() if name in rows else [None] * count

    def at(when):
        if when not in codes:
            codes[when] = version_of_date(store, when) if isinstance(when, str) else version_at(store, when)
        return codes[when]

    out = []
    for source_date, district, until in zip(*map(column, ("source_date", "district_old", "valid_to")), strict=True):
        until = pd.to_datetime(until, errors="coerce") if until else pd.NaT
        if pd.notna(until) and until.date() <= day:
            out.append(at(until.date() - timedelta(days=1)))
        else:
            text = source_date.isoformat()[:10] if hasattr(source_date, "isoformat") else str(source_date or "")
            out.append(at(text) or (None if pd.notna(district) and str(district).strip() else at(day)))
    return out


def old_day(store):
    """A day on which the boundaries were in force that figures by old unit are told on."""
    rows = store.snapshot("boundary_versions")
    ends = rows.loc[rows["code"] == OLD, "valid_to"].dropna()
    return (ends.iloc[0] - timedelta(days=1)).date() if len(ends) else _LAST_OLD_DAY


def recorded(store, old_units):
    """The links of the table to some old units, on the boundaries of old_day(): columns of geo.crosswalk."""
    rows = in_force(store.snapshot("crosswalk"), old_day(store))
    rows = rows[rows["old_unit"].isin(old_units)]
    return pd.DataFrame(
        {"unit": rows["unit"], "group": rows["old_unit"], "share": rows["share"], "low": rows["share_low"],
         "high": rows["share_high"], "basis": rows["basis"]},
        columns=list(COLUMNS),
    ).reset_index(drop=True)  # fmt: skip


def measured(store, old_units, units, *, surface=None):
    """Shares of units inside old units by outlines that were surveyed or digitised; schematic ones say nothing.

    surface: path of the population surface, or None. Returns (by people or None, by area): frames unit, group,
    share; empty where outlines are not there. A unit is measured only where its own outline is real, and an old
    unit likewise: what lies in an old unit without one is not seen.
    """
    admin = store.snapshot("admin_units").set_index("code")
    real = admin[admin["geometry_quality"].isin(REAL) & ~shapely.is_missing(admin.geometry.to_numpy())]
    home, old = real[real.index.isin(units)], real[real.index.isin(old_units)]
    if not len(home) or not len(old):
        return None, pd.DataFrame(columns=["unit", "group", "share"])
    by_area = crosswalk.by_area(home.geometry.to_crs(METRIC), old.geometry.to_crs(METRIC))
    if surface is None:
        return None, by_area
    found = population.share_of_units(population.read_surface(surface), home, old).dropna(subset="share")
    return found.rename(columns={"area": "group"})[["unit", "group", "share"]], by_area


def links(store, level, units, *, rest, surface=None):
    """The links of today's wards to the old units of a level, adding up to 1, and what had to be mended.

    level: a kind of admin_units, "district" or "city". units: the ward codes to be shared. rest: the group that
    takes what no link speaks of. surface: path of the population surface.
    Returns (links as geo.crosswalk.settled() gives them, told). told: faults (sentences about links left out),
    mended (frame unit, total, done) and strays (frame unit, group, share: measured where no link leads).
    """
    admin = store.snapshot("admin_units")
    old_units = admin.loc[admin["kind"] == level, "code"]
    rows, faults = crosswalk.sound(recorded(store, old_units))
    estimated = rows.loc[rows["basis"].isin(ESTIMATED), "unit"]
    unlinked = set(units) - set(rows["unit"])
    strays = pd.DataFrame(columns=["unit", "group", "share"])
    if len(estimated) or unlinked:
        people, area = measured(store, old_units, {*estimated, *unlinked}, surface=surface)
        first = area if people is None else people
        if len(first):
            basis = "area" if people is None else "population"
            rows, strays = crosswalk.weighed(rows, first, basis)
            if people is not None:
                rows = crosswalk.between(rows, _whole(area, rows))
            rows = pd.concat([rows, _unnamed(first, unlinked, basis)], ignore_index=True)
    made, mended = crosswalk.settled(rows, list(units), rest=rest)
    return made, {"faults": faults, "mended": mended, "strays": strays}


def _unnamed(found, units, basis):
    """Links of units that no row of the table names, by outlines alone.

    Parts under 5 % are edges that do not meet. Of a unit seen for the most part the rest is sea or edges, too; of
    another one the rest is not known.
    """
    mine = found[found["unit"].isin(units) & (found["share"] >= EDGES)]
    seen = mine.groupby("unit")["share"].transform("sum")
    share = mine["share"] / np.where(seen >= 0.5, seen, 1.0)
    return mine.assign(share=share, low=np.nan, high=np.nan, basis=basis)[list(COLUMNS)]


def _whole(area, rows):
    """Shares by area within the groups that links name, scaled to the whole."""
    named = area[
        pd.MultiIndex.from_frame(area[["unit", "group"]]).isin(pd.MultiIndex.from_frame(rows[["unit", "group"]]))
    ]
    return named.assign(share=named["share"] / named.groupby("unit")["share"].transform("sum"))


def by_names(communes, moved):
    """Which old districts each ward lies in, by the communes it was made of: {ward: set of district codes}.

    communes: frame ward_code, old_name, district (code, or "" where it is not one of ours), on the boundaries
    after the moves. moved: frame old_name_vi, ward_code, district_before, district_after, part. A whole commune
    goes back to the district it came from; of a part that moved only the ward named is touched, which then lies in both.
    """
    back = {(r.old_name_vi, r.district_after): r.district_before for r in moved.itertuples() if r.part == "whole"}
    out = {}
    for r in communes.itertuples():
        out.setdefault(r.ward_code, set()).add(back.get((r.old_name, r.district), r.district))
    for r in moved.itertuples():
        if r.part == "part":
            out.setdefault(r.ward_code, set()).add(r.district_before)
    return out


def old_districts(store, wards_of_places, layers):
    """Old districts of things with a place, by code: the codes that their source names, else that of their ward.

    wards_of_places: {code: ward code or None}. layers: names of layers. A ward that lies in two districts says
    nothing about a thing in it. Things of which nothing is known have an empty tuple.
    """
    admin = store.snapshot("admin_units")
    districts = admin[admin["kind"] == "district"]
    by_name = {bare_name(n): c for n, c in zip(districts["name_vi"], districts["code"], strict=True)}
    other_side = next(iter(districts.loc[districts["side"] == "Hải Dương", "code"]), None)
    rows = recorded(store, districts["code"])
    whole = rows[rows["basis"].isin(("exact", "declared")) & (rows["share"] == 1)].set_index("unit")["group"].to_dict()
    out = {}
    for layer in layers:
        frame = store.snapshot(layer)
        for code, text in zip(frame["code"], frame["district_old"], strict=True):
            names = [n.strip() for n in (text or "").split(";")]
            if "former Hải Dương" in (text or ""):
                found = (other_side,) if other_side else ()
            else:
                found = tuple(dict.fromkeys(by_name[n] for n in names if n in by_name))
            if not found and (ward := wards_of_places.get(code)) in whole:
                found = (whole[ward],)
            out[code] = found
    return out


_KINDS = ("Quận ", "Huyện đảo ", "Huyện ", "Thành phố ", "Thị xã ")


def bare_name(name):
    """A district's name without its kind.

    >>> bare_name("Huyện đảo Cát Hải"), bare_name("Quận Lê Chân"), bare_name("Lê Chân")
    ('Cát Hải', 'Lê Chân', 'Lê Chân')
    """
    return next((name[len(k) :] for k in _KINDS if name.startswith(k)), name)
