"""The coverage ledger: where the waste water of every reporting unit goes.

For each unit and one date, in m³/day:

    generated = treated_to_standard + treated_unknown + treated_over_limit + over_capacity
              + plant_not_working + on_site_only + not_connected + unknown

All figures come as low / likely / high. Nine *worlds* are computed: the likely one, and the eight
corners of (generation, link shares, plant capacity) at their low or high ends. The low and high
columns of a part are the two worlds in which everything is low, or everything is high, so that the
parts add up to the whole in each of them. The range of a *share* (treated / generated) is the least
and the greatest over all nine worlds, because little sewage in a fixed plant gives a large share.

What is not known stays `unknown`: a unit without a link, a link without a share, a plant whose state
at that date nobody reported. Nothing here reads files, clocks or settings.
"""

import itertools
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

PARTS = (
    "treated_to_standard",
    "treated_unknown",
    "treated_over_limit",
    "over_capacity",
    "plant_not_working",
    "on_site_only",
    "not_connected",
    "unknown",
)
TREATED = PARTS[:3]
SCENARIOS = ("low", "likely", "high")
STATES = ("planned", "building", "trial", "operating", "idle", "closed")
COMPLIANCE = ("meets", "exceeds", "unknown")
WITHOUT_PLANT = ("on_site_only", "not_connected")  # destinations a link may name in place of a plant

_PART = {name: i for i, name in enumerate(PARTS)}
_LOW, _LIKELY, _HIGH = 0, 1, 2
# (generation, shares, capacity) of each world; the first three are the scenarios
_WORLDS = [(_LOW,) * 3, (_LIKELY,) * 3, (_HIGH,) * 3]
_WORLDS += [c for c in itertools.product((_LOW, _HIGH), repeat=3) if c not in _WORLDS]


class LedgerError(ValueError):
    """Tables that cannot be balanced. `problems` lists every one of them, one sentence each."""

    def __init__(self, problems):
        self.problems = list(problems)
        super().__init__(" ".join(self.problems))


@dataclass(frozen=True)
class Range:
    """One quantity as low, likely and high, in the unit of its context."""

    low: float
    likely: float
    high: float

    def __post_init__(self):
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"A range must rise from low to high, but is {self.low}, {self.likely}, {self.high}.")

    def times(self, factor):
        """The range multiplied by a factor ≥ 0, given as a number or as another range."""
        f = factor if isinstance(factor, Range) else Range(factor, factor, factor)
        return Range(self.low * f.low, self.likely * f.likely, self.high * f.high)


@dataclass(frozen=True)
class Ledger:
    """A balanced ledger.

    units: codes of the counted units, in the order of the second axis of `worlds`.
    worlds: m³/day, shape (9, units, 8 parts); worlds 0, 1, 2 are low, likely, high.
    plants: one row per plant with state, works, compliance and, for each scenario, inflow_*,
        treated_*, over_capacity_* (m³/day) and capacity_* (NaN where not known).
    flows: one row per link in force, with m3d_low, m3d_likely, m3d_high sent along it.
    uncounted: codes of units whose generation is not known; they are in no sum.
    """

    as_of: date
    units: pd.Index
    worlds: np.ndarray
    plants: pd.DataFrame
    flows: pd.DataFrame
    uncounted: pd.Index


def domestic_generation(people, litres_per_person, return_share):
    """Domestic waste water in m³/day as low, likely and high.

    people: Series of counts; NaN stays NaN. litres_per_person: Range, water supplied, L/person/day.
    return_share: Range, waste water as a share of the water supplied.
    Formula people × litres × share / 1000 (QCVN 01:2021/BXD sections 2.10 and 2.11 give the norms).

    >>> domestic_generation(pd.Series([1000.0], ["A"]), Range(80, 105, 130), Range(0.8, 0.9, 1)).loc["A"].tolist()
    [64.0, 94.5, 130.0]
    """
    per_person = litres_per_person.times(return_share).times(1 / 1000)
    return _triple(people, per_person)


def industrial_generation(area_ha, occupancy, m3_per_ha):
    """Industrial waste water in m³/day from occupied area, where no flow is measured or licensed.

    area_ha: Series, ha. occupancy: frame low, likely, high with the same index, shares 0..1.
    m3_per_ha: Range, m³ of waste water per occupied hectare and day. NaN in gives NaN out.

    >>> o = pd.DataFrame({"low": [0.5], "likely": [0.5], "high": [1.0]}, ["Z"])
    >>> industrial_generation(pd.Series([100.0], ["Z"]), o, Range(10, 16, 24)).loc["Z"].tolist()
    [500.0, 800.0, 2400.0]
    """
    per_ha = _triple(area_ha, m3_per_ha)
    return pd.DataFrame({s: per_ha[s] * occupancy[s] for s in SCENARIOS}, index=area_ha.index)


def links_from_service_areas(shares):
    """Service links of basis `service area` from an overlay of units with service areas.

    shares: frame with unit, plant and share (0..1, people of the unit inside the plant's area over
    all its people, dasymetric). Areas of one plant are added. Zero shares make no link.
    """
    out = shares.groupby(["unit", "plant"], as_index=False, sort=True)["share"].sum()
    out = out[out["share"] > 0]
    links = pd.DataFrame({"unit": out["unit"], "destination": out["plant"]})
    for s in SCENARIOS:
        links[f"share_{s}"] = out["share"]
    links["valid_from"] = links["valid_to"] = pd.NaT
    links["basis"] = "service area"
    return links.reset_index(drop=True)


def in_force(rows, as_of):
    """Rows whose period holds the date: valid_from ≤ date < valid_to; a blank end is open."""
    at = pd.Timestamp(as_of)
    start = pd.to_datetime(rows["valid_from"])
    end = pd.to_datetime(rows["valid_to"])
    return rows[(start.isna() | (start <= at)) & (end.isna() | (at < end))]


def states_at(states, as_of):
    """The state of each plant at a date, one row each: a later start ends an earlier state that was left open.

    Plants without a state at that date have no row. Two rows that both have an end and hold the date
    both come back; ledger() refuses them.
    """
    now = in_force(states, as_of)
    start = pd.to_datetime(now["valid_from"])
    newest = start.groupby(now["plant"]).transform("max")
    open_end = pd.to_datetime(now["valid_to"]).isna()
    superseded = open_end & newest.notna() & ~(start == newest)
    return now[~superseded]


def ledger(units, states, links, *, as_of, with_building=False):
    """The balanced ledger of all units at one date.

    units: frame by unit code with low, likely, high: generated m³/day, rising, ≥ 0. A row with any
        NaN is not counted and is named in `uncounted`.
    states: dated plant states: plant, state (STATES), capacity_low, capacity_likely, capacity_high
        and measured (m³/day; NaN = not known), compliance (COMPLIANCE), valid_from, valid_to.
        At a date that no row holds the state is unknown; see states_at for rows that overlap.
    links: dated service links: unit, destination (a plant code, or one of WITHOUT_PLANT), share_low,
        share_likely, share_high (0..1 of what the unit generates; blank = a link of unknown size,
        which leaves its water `unknown`), valid_from, valid_to.
    with_building: count plants under construction as if they worked.

    A working plant (trial, operating) treats inflow up to its capacity and no more than its measured
    flow; the rest above capacity is `over_capacity`, shared back in proportion to the inflows, and
    what was computed but not measured to arrive is `unknown`. A plant of unknown capacity treats
    what reaches it in the likely and high cases; in the low case nothing of it is proven.
    Shares of one unit that exceed the whole in a high case are scaled back in proportion.
    Raises LedgerError with all problems of the tables.
    """
    problems = _problems(units, states, links, as_of)
    if problems:
        raise LedgerError(problems)

    triples = units[list(SCENARIOS)].astype(float)
    counted = triples.notna().all(axis=1)
    uncounted = units.index[~counted.to_numpy()].sort_values()
    generated = triples[counted].sort_index()
    codes = generated.index

    links = in_force(links, as_of)
    plants = _plants_at(states, links["destination"], as_of, with_building)
    links = links[links["unit"].isin(codes)].sort_values(["unit", "destination"], kind="stable")
    known = links[["share_low", "share_likely", "share_high"]].notna().all(axis=1)
    unit_of = codes.get_indexer(links["unit"])
    plant_of = plants.index.get_indexer(links["destination"])
    shares = np.where(known.to_numpy()[:, None], links[[f"share_{s}" for s in SCENARIOS]].astype(float), 0.0)
    shares = _at_most_whole(shares, unit_of, len(codes))

    gen = generated.to_numpy()
    cap = plants[[f"capacity_{s}" for s in SCENARIOS]].to_numpy(float)
    worlds = np.empty((len(_WORLDS), len(codes), len(PARTS)))
    per_plant = []
    for w, (g, s, c) in enumerate(_WORLDS):
        flow = gen[unit_of, g] * shares[:, s]
        worlds[w], at_plants = _balance(
            gen[:, g],
            flow,
            unit_of,
            plant_of,
            links["destination"].to_numpy(),
            plants,
            cap[:, c],
            proven=c != _LOW,
        )
        per_plant.append(at_plants)
    for s, name in enumerate(SCENARIOS):
        for column, values in per_plant[s].items():
            plants[f"{column}_{name}"] = values
        links = links.assign(**{f"m3d_{name}": np.where(known, gen[unit_of, s] * shares[:, s], np.nan)})
    return Ledger(as_of, codes, worlds, plants, links.reset_index(drop=True), uncounted)


@dataclass(frozen=True)
class Summary:
    """A ledger added up by group.

    groups: labels. worlds: m³/day, shape (9, groups, 8). The views below are frames by group.
    """

    groups: pd.Index
    worlds: np.ndarray

    def parts(self, scenario):
        """m³/day by group, one column per part, in one scenario."""
        return pd.DataFrame(self.worlds[SCENARIOS.index(scenario)], index=self.groups, columns=list(PARTS))

    def generated(self):
        """m³/day generated by group: low, likely, high."""
        return pd.DataFrame(self.worlds[:3].sum(axis=2).T, index=self.groups, columns=list(SCENARIOS))

    def amount(self, parts):
        """m³/day of some parts together: likely, and the least and greatest of all worlds."""
        return self._extremes(self.worlds[:, :, [_PART[p] for p in parts]].sum(axis=2))

    def share(self, parts):
        """Share of the generated water in some parts: low, likely, high; NaN where nothing is generated."""
        some = self.worlds[:, :, [_PART[p] for p in parts]].sum(axis=2)
        whole = self.worlds.sum(axis=2)
        return self._extremes(np.divide(some, whole, out=np.full_like(some, np.nan), where=whole > 0))

    def _extremes(self, by_world):
        # where one world has no generation its share is not defined; the other worlds still speak
        low = np.fmin.reduce(by_world, axis=0)
        high = np.fmax.reduce(by_world, axis=0)
        return pd.DataFrame({"low": low, "likely": by_world[_LIKELY], "high": high}, index=self.groups)


def roll_up(result, members):
    """The ledger by group, e.g. wards to old districts.

    members: frame with unit, group and share. The shares of every counted unit must add up to 1
    (to 1e-9), so that the groups together hold exactly what the units hold; LedgerError otherwise.
    """
    rows = members[members["unit"].isin(result.units)]
    total = rows.groupby("unit")["share"].sum().reindex(result.units)
    off = total[~(np.abs(total - 1) < 1e-9)]
    if len(off):
        raise LedgerError([f"Unit {u}: its shares of groups add up to {v:g}, not to 1." for u, v in off.items()])
    groups = pd.Index(sorted(rows["group"].unique()))
    unit_of = result.units.get_indexer(rows["unit"])
    group_of = groups.get_indexer(rows["group"])
    out = np.zeros((result.worlds.shape[0], len(groups), len(PARTS)))
    np.add.at(out, (slice(None), group_of), result.worlds[:, unit_of] * rows["share"].to_numpy()[None, :, None])
    return Summary(groups, out)


def by_unit(result):
    """The ledger with every unit as its own group."""
    return Summary(result.units, result.worlds)


def whole(result):
    """The ledger as one group, `total`."""
    return Summary(pd.Index(["total"]), result.worlds.sum(axis=1, keepdims=True))


def _triple(amount, per_unit):
    return pd.DataFrame({s: amount * getattr(per_unit, s) for s in SCENARIOS}, index=amount.index)


def _plants_at(states, destinations, as_of, with_building):
    """One row per plant that a state or a link names; where no row holds the date, state `unknown`."""
    named = pd.Index(states["plant"]).union(pd.Index(destinations)).unique().difference(list(WITHOUT_PLANT))
    rows = states_at(states, as_of).set_index("plant").reindex(named)
    plants = pd.DataFrame(index=named.rename("plant"))
    plants["state"] = rows["state"].fillna("unknown")
    plants["works"] = plants["state"].isin(["trial", "operating"] + (["building"] if with_building else []))
    plants["stands_idle"] = plants["state"].isin(["idle", "closed"])
    plants["compliance"] = rows["compliance"].fillna("unknown")
    for column in [*(f"capacity_{s}" for s in SCENARIOS), "measured"]:
        plants[column] = rows[column].astype(float)
    return plants


def _at_most_whole(shares, unit_of, n_units):
    out = shares.copy()
    for s in range(shares.shape[1]):
        total = np.bincount(unit_of, shares[:, s], minlength=n_units)
        out[:, s] /= np.maximum(total, 1.0)[unit_of]
    return out


def _balance(generated, flow, unit_of, plant_of, destination, plants, capacity, *, proven):
    """Parts by unit (units, 8) and inflow, treated and over_capacity by plant, in one world."""
    n_units, n_plants = len(generated), len(plants)
    parts = np.zeros((n_units, len(PARTS)))

    def give(part, amounts, rows=slice(None)):
        parts[:, _PART[part]] += np.bincount(unit_of[rows], amounts, minlength=n_units)

    for part in WITHOUT_PLANT:
        rows = np.flatnonzero(destination == part)
        give(part, flow[rows], rows)

    to_plant = np.flatnonzero(plant_of >= 0)
    works = plants["works"].to_numpy(bool)
    rows = to_plant[plants["stands_idle"].to_numpy(bool)[plant_of[to_plant]]]
    give("plant_not_working", flow[rows], rows)

    rows = to_plant[works[plant_of[to_plant]]]
    at = plant_of[rows]
    inflow = np.bincount(at, flow[rows], minlength=n_plants)
    measured = plants["measured"].to_numpy()
    arrives = np.minimum(inflow, np.where(np.isnan(measured), np.inf, measured))
    if not proven:  # neither a capacity nor a measured flow: nothing proves that it treats anything
        arrives = np.where(np.isnan(capacity) & np.isnan(measured), 0.0, arrives)
    treated = np.minimum(arrives, np.where(np.isnan(capacity), np.inf, capacity))
    over = arrives - treated
    with np.errstate(invalid="ignore"):
        treated_share = np.where(inflow > 0, treated / inflow, 0.0)
        over_share = np.where(inflow > 0, over / inflow, 0.0)
    compliance = plants["compliance"].to_numpy()[at]
    for part, word in zip(TREATED, ("meets", "unknown", "exceeds"), strict=True):
        give(part, np.where(compliance == word, flow[rows] * treated_share[at], 0.0), rows)
    give("over_capacity", flow[rows] * over_share[at], rows)

    known = parts.sum(axis=1)
    parts[:, _PART["unknown"]] = np.maximum(generated - known, 0.0)
    return parts, {"inflow": inflow, "treated": treated, "over_capacity": over}


def _problems(units, states, links, as_of):
    out = []
    for code in units.index[units.index.duplicated()].unique():
        out.append(f"Unit {code} is given twice.")
    low, likely, high = (units[s].astype(float) for s in SCENARIOS)
    for code in units.index[(low < 0) | (low > likely) | (likely > high)]:
        out.append(f"Unit {code}: generated water must be ≥ 0 and rise from low to high.")
    for row in states[~states["state"].isin(STATES)].itertuples():
        out.append(f"Plant {row.plant}: state '{row.state}' is not one of {', '.join(STATES)}.")
    for row in states[~states["compliance"].isin(COMPLIANCE)].itertuples():
        out.append(f"Plant {row.plant}: compliance '{row.compliance}' is not one of {', '.join(COMPLIANCE)}.")
    now = states_at(states, as_of)
    for plant in now["plant"][now["plant"].duplicated()].unique():
        out.append(f"Plant {plant} has two states on {as_of}; end the earlier one.")
    for row in now.itertuples():
        cap = [row.capacity_low, row.capacity_likely, row.capacity_high]
        if np.isnan(cap).any() and not np.isnan(cap).all():
            out.append(f"Plant {row.plant}: give its capacity as low, likely and high, or leave all three blank.")
        elif not np.isnan(cap).any() and not 0 <= cap[0] <= cap[1] <= cap[2]:
            out.append(f"Plant {row.plant}: capacity must be ≥ 0 and rise from low to high.")
        if row.measured < 0:
            out.append(f"Plant {row.plant}: measured flow must be ≥ 0.")
    now = in_force(links, as_of)
    shares = now[["share_low", "share_likely", "share_high"]].astype(float)
    wrong = (shares < 0).any(axis=1) | (shares > 1).any(axis=1)
    wrong |= (shares["share_low"] > shares["share_likely"]) | (shares["share_likely"] > shares["share_high"])
    for row in now[wrong.to_numpy()].itertuples():
        out.append(f"Link {row.unit} → {row.destination}: shares must lie in 0..1 and rise from low to high.")
    for unit, total in shares["share_likely"].groupby(now["unit"]).sum().items():
        if total > 1 + 1e-9:
            out.append(f"Unit {unit}: its likely shares add up to {total:g}, more than the whole.")
    for unit in pd.Index(now["unit"].unique()).difference(units.index):
        out.append(f"Link of unit {unit}: there is no such unit.")
    return out


def worked_example():
    """Units, states and links of the example on the method page: five units, two plants.

    Likely case by hand. P receives 1,000 from A and half of B's 2,000: 2,000 in all, and treats 1,800,
    nine tenths. So A has 900 treated and 100 over capacity, B the same, with 1,000 unknown. Q stands
    idle from 2026: all 500 of C. A quarter of D's 800 stays on site, the rest is unknown, like all of E.
    Together 5,000 = 1,800 treated to standard + 200 over + 500 at an idle plant + 200 on site + 2,300
    unknown: 36 % treated.
    """
    units = pd.DataFrame(
        {
            "low": [800, 1600, 400, 640, 560],
            "likely": [1000, 2000, 500, 800, 700],
            "high": [1200, 2400, 600, 960, 840],
        },
        index=pd.Index(list("ABCDE"), name="unit"),
        dtype=float,
    )
    states = pd.DataFrame(
        [
            ("P", "operating", 1800, 1800, 1800, np.nan, "meets", None, None),
            ("Q", "operating", 600, 600, 600, np.nan, "unknown", None, "2026-01-01"),
            ("Q", "idle", 600, 600, 600, np.nan, "unknown", "2026-01-01", None),
        ],
        columns=["plant", "state", "capacity_low", "capacity_likely", "capacity_high", "measured", "compliance",
                 "valid_from", "valid_to"],
    )  # fmt: skip
    links = pd.DataFrame(
        [
            ("A", "P", 0.8, 1, 1),
            ("B", "P", 0.4, 0.5, 0.6),
            ("C", "Q", 1, 1, 1),
            ("D", "on_site_only", 0.2, 0.25, 0.3),
        ],
        columns=["unit", "destination", "share_low", "share_likely", "share_high"],
    ).assign(valid_from=None, valid_to=None)
    return units, states, links
