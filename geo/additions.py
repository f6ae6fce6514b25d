"""What new plants would take from a balanced ledger: the change that a scenario makes.

A new plant collects water that nothing is known to treat today (`untreated` below: over capacity, at a plant that does
not work, septic tank, not connected, unknown), nearest unit first, until it is full or the distance limit is reached.
Which share of a unit's untreated water it collects is decided in the likely case and is the same in every world, as
pipes are laid once; what then arrives above its capacity is `over_capacity`. What it treats is `treated_unknown`: no
result of a plant that is not built can prove the standard. So the parts of every unit still add up in every world, a
plant never treats more than its capacity, and a plant added last never makes any world treat less. (In the likely case
a plant added anywhere does not: what each unit sends away never shrinks.)

Where no unit of the new plants sends anything to a working plant, the result is that of geo.coverage.ledger with the
plants as operating and the collected shares as service links.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from geo.coverage import PARTS, SCENARIOS, TREATED, Ledger

_TREATED = [PARTS.index(p) for p in TREATED]
_UNTREATED = [i for i in range(len(PARTS)) if i not in _TREATED]
_UNKNOWN, _OVER, _LIKELY = PARTS.index("treated_unknown"), PARTS.index("over_capacity"), 1
_DROP = 1e-9  # m³/day: less is nothing


@dataclass(frozen=True)
class NewPlant:
    """A plant that is not there yet. x, y in the metres of the units' points; since: its first year.

    among: codes of the units it may collect from, None for all. given: ((unit, m³/day), ...) where a study says who
    sends how much; then neither distance nor among decides, only what is left and the capacity.
    """

    code: str
    x: float
    y: float
    capacity_m3d: float
    within_m: float
    since: int
    among: frozenset | None = None
    given: tuple = ()


@dataclass(frozen=True, eq=False)
class Mixture:
    """A ledger with new plants working, as arrays. worlds: as of the ledger; codes: of the plants that somebody sends
    something to; inflow: what arrives at each, (9, codes); flow: what each link carries, (9, links); all m³/day."""

    worlds: np.ndarray
    codes: list
    inflow: np.ndarray
    flow: np.ndarray


def collected(ledger, points, plants):
    """Who sends what to which new plant, likely case: frame with plant, since, unit, m3d, share, distance_m.

    ledger: geo.coverage.Ledger. points: frame by unit code with x, y (m); units without a point send nothing.
    plants: NewPlants; an earlier year collects first, in the order given within a year. share: of the unit's untreated
    water of the ledger, 0..1; of one unit they never add up to more than 1. m3d: likely m³/day.
    Raises ValueError: capacity or distance not above 0 and finite, or a code given twice.

    >>> from geo import coverage
    >>> units, states, links = coverage.worked_example()
    >>> today = coverage.ledger(units, states, links, as_of=pd.Timestamp("2026-11-22").date())
    >>> points = pd.DataFrame({"x": [0.0, 1000, 2000, 3000, 4000], "y": 0.0}, index=list("ABCDE"))
    >>> collected(today, points, [NewPlant("N", 3500.0, 0.0, 1200.0, 2000.0, 2028)])[["unit", "m3d"]].values.tolist()
    [['D', 800.0], ['E', 400.0]]
    """
    problems = [p.code for p in plants if not (0 < p.capacity_m3d < np.inf and 0 <= p.within_m < np.inf)]
    if problems or len({p.code for p in plants}) < len(plants):
        raise ValueError(f"New plants need a code of their own, a capacity and a distance above 0: {problems}.")
    codes = ledger.units
    whole = untreated(ledger)
    left = whole.copy()
    at = points.reindex(codes)[["x", "y"]].to_numpy(float)
    rows = []
    for plant in sorted(plants, key=lambda p: p.since):
        distance = np.hypot(at[:, 0] - plant.x, at[:, 1] - plant.y)
        take = _given(plant, codes, left) if plant.given else _nearest(plant, codes, left, distance)
        for i in np.flatnonzero(take > _DROP):
            rows.append((plant.code, plant.since, codes[i], take[i], take[i] / whole[i], distance[i]))
        left = np.maximum(left - take, 0.0)
    return pd.DataFrame(rows, columns=["plant", "since", "unit", "m3d", "share", "distance_m"])


def untreated(ledger):
    """Likely m³/day of each unit that nothing is known to treat."""
    return np.maximum(ledger.worlds[_LIKELY][:, _UNTREATED].sum(axis=1), 0.0)


def _nearest(plant, codes, left, distance):
    near = (distance <= plant.within_m) & (left > _DROP)
    if plant.among is not None:
        near &= codes.isin(list(plant.among))
    order = np.flatnonzero(near)
    order = order[np.lexsort((codes[order], distance[order]))]
    full = np.cumsum(left[order])
    take = np.zeros(len(left))
    take[order] = np.clip(plant.capacity_m3d - (full - left[order]), 0.0, left[order])
    return take


def _given(plant, codes, left):
    wanted = pd.Series(dict(plant.given), dtype=float).reindex(codes).fillna(0.0).to_numpy()
    take = np.clip(wanted, 0.0, left)
    total = take.sum()
    return take * min(1.0, plant.capacity_m3d / total) if total > 0 else take


def mixed(ledger, links, plants):
    """The Mixture of a ledger and new plants: links is a frame of collected(), or some of its rows."""
    worlds = ledger.worlds.copy()
    sending = set(links["plant"])
    working = [p for p in plants if p.code in sending]
    codes, capacity = [p.code for p in working], np.array([p.capacity_m3d for p in working], dtype=float)
    place = {code: i for i, code in enumerate(codes)}
    unit_of, share = ledger.units.get_indexer(links["unit"]), links["share"].to_numpy(float)
    plant_of = np.array([place[code] for code in links["plant"]], dtype=int)
    n = len(ledger.units)
    flow = worlds[:, :, _UNTREATED].sum(axis=2)[:, unit_of] * share[None, :]
    sent_away = np.minimum(np.bincount(unit_of, share, minlength=n), 1.0)
    worlds[:, :, _UNTREATED] *= (1.0 - sent_away)[None, :, None]
    inflow = np.zeros((len(worlds), len(codes)))
    for w in range(len(worlds)):
        inflow[w] = np.bincount(plant_of, flow[w], minlength=len(codes))
        taken = np.divide(capacity, inflow[w], out=np.ones(len(codes)), where=inflow[w] > capacity)[plant_of]
        worlds[w, :, _UNKNOWN] += np.bincount(unit_of, flow[w] * taken, minlength=n)
        worlds[w, :, _OVER] += np.bincount(unit_of, flow[w] * (1 - taken), minlength=n)
    return Mixture(worlds, codes, inflow, flow)


def with_plants(ledger, links, plants):
    """The Ledger with new plants working: links is a frame of collected(), or some of its rows.

    plants of the Ledger gets one row per new plant (state `operating`, compliance `unknown`), flows one per link.
    """
    mix = mixed(ledger, links, plants)
    by_code = {p.code: p.capacity_m3d for p in plants}
    capacity = np.array([by_code[code] for code in mix.codes], dtype=float)
    told = {"state": "operating", "works": True, "stands_idle": False, "compliance": "unknown"}
    for s, name in enumerate(SCENARIOS):
        told[f"capacity_{name}"] = capacity
        told[f"inflow_{name}"] = mix.inflow[s]
        told[f"treated_{name}"] = np.minimum(mix.inflow[s], capacity)
        told[f"over_capacity_{name}"] = np.maximum(mix.inflow[s] - capacity, 0.0)
    told = pd.DataFrame(told, index=pd.Index(mix.codes, name=ledger.plants.index.name))
    flows = pd.DataFrame({"unit": links["unit"], "destination": links["plant"], "basis": "scenario"})
    flows = flows.assign(**{f"m3d_{name}": mix.flow[s] for s, name in enumerate(SCENARIOS)})
    both = pd.concat([ledger.flows, flows], ignore_index=True) if len(flows) else ledger.flows
    every = pd.concat([ledger.plants, told]) if mix.codes else ledger.plants
    return Ledger(ledger.as_of, ledger.units, mix.worlds, every, both, ledger.uncounted)


def treated(ledger):
    """m³/day treated by unit in each world, shape (9, units)."""
    return ledger.worlds[:, :, _TREATED].sum(axis=2)


def tree_length_m(x, y):
    """Length of the shortest tree of straight lines that joins all points (Prim 1957): least length of a trunk sewer.

    >>> tree_length_m([0, 3, 3], [0, 0, 4])
    7.0
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) < 2:
        return 0.0
    total, best = 0.0, np.hypot(x - x[0], y - y[0])
    best[0] = -1.0
    for _ in range(len(x) - 1):
        waiting = np.flatnonzero(best >= 0)
        i = waiting[np.argmin(best[waiting])]
        total += best[i]
        best = np.where(best >= 0, np.minimum(best, np.hypot(x - x[i], y - y[i])), -1.0)
        best[i] = -1.0
    return float(total)
