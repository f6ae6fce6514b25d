"""What the ledger is made of: wards, zones and ports with their waste water, plant states, and who is served by whom."""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from geo import coverage
from geo.coverage import SCENARIOS, Range
from layers import rasters
from layers.surfaces import WARD_KINDS

log = logging.getLogger("cangxanh")


@dataclass(frozen=True)
class Inputs:
    """Tables of the ledger: units (by code, with names, kind, people, generation, basis) and plant states."""

    units: pd.DataFrame
    states: pd.DataFrame
    version: str


def inputs(store, version):
    """The Inputs of a store; version: told with them."""
    held = norms(store)
    units = pd.concat([_wards(store, held), _zones(store, held), _ports(store)]).sort_index()
    return Inputs(units, store.snapshot("plant_states"), version)


def norms(store):
    """The norms by code: geo.coverage.Range."""
    rows = store.snapshot("norms")
    return {r.code: Range(r.value_low, r.value_likely, r.value_high) for r in rows.itertuples()}


def links(store, population, as_of):
    """Service links in force at a date: those of the table, and by overlay those of service areas.

    A link from a service area takes the place of one in the table for the same unit and plant. population: path of
    the population surface, needed only where there are service areas; None leaves them out.
    """
    held = coverage.in_force(store.snapshot("service_links"), as_of)
    if population is None:
        return held
    made, warnings = rasters.service_links(store, population, as_of)
    for sentence in warnings:
        log.warning(sentence)
    if made is None:
        return held
    pairs = set(zip(made["unit"], made["destination"], strict=True))
    known = [pair in pairs for pair in zip(held["unit"], held["destination"], strict=True)]
    held = held[~np.array(known, dtype=bool)].copy()
    # who lives in a service area is served from there; the other links share what is left
    left = 1 - made.groupby("unit")["share_likely"].sum().reindex(held["unit"]).fillna(0.0).to_numpy()
    total = held.groupby("unit")["share_likely"].transform("sum").to_numpy()
    factor = np.where(total > left, np.divide(left, total, out=np.ones_like(total), where=total > 0), 1.0)
    for s in SCENARIOS:
        held[f"share_{s}"] *= np.clip(factor, 0, 1)
    return pd.concat([held, made], ignore_index=True)


def _wards(store, norms):
    rows = store.snapshot("admin_units")
    rows = rows[rows["kind"].isin(WARD_KINDS)].set_index("code")
    out = pd.DataFrame(rows[["name_vi", "name_en", "kind", "population", "source", "confidence"]])
    out = out.rename(columns={"population": "people"})
    for urban, supply in ((True, norms["supply_urban"]), (False, norms["supply_rural"])):
        mine = (rows["kind"] == "ward") == urban
        made = coverage.domestic_generation(rows.loc[mine, "population"], supply, norms["return_share"])
        out.loc[mine, list(SCENARIOS)] = made
    out["basis"] = np.where(rows["kind"] == "ward", "people_urban", "people_rural")
    out["confidence"] = rows["population_confidence"]
    return out


def _zones(store, norms):
    rows = store.snapshot("industrial_zones").set_index("code")
    # the economic zone is served park by park; its parks are the units
    rows = rows[(rows["kind"] != "economic_zone") & rows["state"].isin(["operating", "unknown"])]
    city = norms["occupancy"]
    own = rows["occupancy_pct"] / 100
    share = pd.DataFrame({s: own.fillna(getattr(city, s)) for s in SCENARIOS}, index=rows.index)
    by_area = coverage.industrial_generation(rows["area_ha"], share, norms["industry_per_ha"])
    by_licence = share.mul(rows["licensed_m3d"], axis=0)
    measured = pd.DataFrame(dict.fromkeys(SCENARIOS, rows["measured_m3d"]), index=rows.index)
    # what runs in a place that is not known to operate is not known either
    made = measured.fillna(by_licence).fillna(by_area).where(rows["state"] == "operating")
    out = pd.DataFrame(rows[["name_vi", "name_en", "kind", "source", "confidence"]])
    out[list(SCENARIOS)] = made
    out["people"] = np.nan
    out["basis"] = np.select(
        [made["likely"].isna(), rows["measured_m3d"].notna(), rows["licensed_m3d"].notna()],
        ["none", "measured", "licensed"],
        "area",
    )
    return out


def _ports(store):
    rows = store.snapshot("port_areas").set_index("code")
    rows = rows[rows["kind_en"] != "system"]  # the group row stands for all the others
    out = pd.DataFrame(rows[["name_vi", "name_en", "source", "confidence"]]).assign(kind="port", people=np.nan)
    for s in SCENARIOS:
        out[s] = rows["declared_m3d"]
    out["basis"] = np.where(rows["declared_m3d"].notna(), "declared", "none")
    return out
