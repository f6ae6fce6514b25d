"""The figures behind every page, export and command: one query each, kept by data version.

The ledger needs units, plant states and links; server/ledgerinputs.py makes them from snapshots of
the store, with the formulas of geo/coverage.py. Nothing is computed twice for one version of the data, and the map,
the table, the legend and the download of a page all read the same rows.
"""

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date

import pandas as pd

from geo import coverage, places
from geo.coverage import SCENARIOS, TREATED
from layers import boundaries, rasters
from layers.surfaces import WARD_KINDS
from server import coveragerows, estimates, ledgerinputs

LEVELS = ("ward", "district", "city", "zone")
UNITS = {"today": "ward", "districts": "district", "old-city": "city"}  # boundaries to tell figures on: level
PLACED = ("industrial_zones", "treatment_plants", "port_areas", "waste_sites", "hotspots", "stations")
NO_DISTRICT = "NONE"
_OLD_CITY, _OTHER_SIDE, _OTHER_DISTRICT = "HP-2024", "HD-2024", "HD"
WASTE_WATER_KEYS = (
    "urban_wastewater_to_standard",
    "domestic_wastewater_treated",
    "parks_and_clusters_central_wwtp",
    "parks_central_wwtp",
)
_KEEP, _TRIES = 64, 5
log = logging.getLogger("cangxanh")


@dataclass(frozen=True)
class Coverage:
    """One coverage view: rows by group, the total, and the ledger behind them.

    Rows of old units carry outside (the old city does not hold it), and estimate: None, or what of it stands on
    estimated shares of wards that lie in two old units (see server.estimates).
    """

    by: str
    as_of: date
    with_building: bool
    rows: list
    total: dict
    ledger: coverage.Ledger
    uncounted: list
    bare: list
    version: str


class Figures:
    """Figures of one store. Thread-safe."""

    def __init__(self, store, population=None):
        self.store = store
        self.population = population  # path of the population surface, needed only where there are service areas
        self._lock = threading.Lock()
        self._kept = OrderedDict()

    def version(self):
        """The data version as text; it changes with every write, and with another raster of people."""
        people = rasters.stamp(self.population)
        return f"{self.store.stamp()}-{people}" if people else self.store.stamp()

    def kept(self, name, make, *args):
        """make(*args), computed once per data version and arguments.

        What was made while somebody wrote may mix two versions; it is made again, and not kept if
        the writing goes on.
        """
        for _ in range(_TRIES):
            version = self.version()
            key = (name, version, *args)
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            try:
                value = make(*args)
            except (KeyError, ValueError):
                if self.version() == version:
                    raise
                continue
            if self.version() == version:
                with self._lock:
                    self._kept[key] = value
                    while len(self._kept) > _KEEP:
                        self._kept.popitem(last=False)
                return value
        return make(*args)

    # --- the ledger ---

    def inputs(self):
        """Units, plant states and links of the ledger."""
        return self.kept("inputs", lambda: ledgerinputs.inputs(self.store, self.version()))

    def norms(self):
        """The norms by code: geo.coverage.Range."""
        return ledgerinputs.norms(self.store)

    def links(self, as_of):
        """Service links in force at a date: those of the table, and by overlay those of service areas.

        A link from a service area takes the place of one in the table for the same unit and plant.
        """
        return self.kept("links", lambda day: ledgerinputs.links(self.store, self.population, day), as_of)

    def ledger(self, as_of, with_building=False):
        """The balanced ledger at a date."""
        return self.kept("ledger", self._ledger, as_of, with_building)

    def _ledger(self, as_of, with_building):
        made, links = self.inputs(), self.links(as_of)
        # links of things that are not counted units (planned zones) have nothing to carry
        links = links[links["unit"].isin(made.units.index)]
        return coverage.ledger(made.units, made.states, links, as_of=as_of, with_building=with_building)

    def members(self, by):
        """Which unit belongs to which group at a level: unit, group, share."""
        return self.kept("members", self._members, by)

    def _members(self, by):
        units = self.inputs().units
        if by in ("ward", "zone"):
            return pd.DataFrame({"unit": units.index, "group": units.index, "share": 1.0})
        links, _told = self.ward_links(by)
        of_wards = links[["unit", "group", "share"]]
        others = units[~units["kind"].isin(WARD_KINDS)].index
        where = self._one_old_district()
        if by == "city":
            groups = [_OTHER_SIDE if where.get(u) == _OTHER_DISTRICT else _OLD_CITY for u in others]
        else:
            groups = [where.get(u) or NO_DISTRICT for u in others]
        return pd.concat([of_wards, pd.DataFrame({"unit": others, "group": groups, "share": 1.0})], ignore_index=True)

    def ward_links(self, by):
        """Links of the wards to the old units of a level, and what had to be mended; see layers.boundaries.links()."""
        return self.kept("ward_links", self._ward_links, by)

    def _ward_links(self, by):
        units = self.inputs().units
        wards = units.index[units["kind"].isin(WARD_KINDS)]
        links, told = boundaries.links(self.store, by, wards, rest=NO_DISTRICT, surface=self.population)
        for sentence in told["faults"]:
            log.warning(sentence)
        return links, told

    def old_districts(self):
        """The old districts of zones, plants, ports, waste sites, hotspots and stations, by code: a tuple of codes."""
        return self.kept("old_districts", self._old_districts)

    def _old_districts(self):
        return boundaries.old_districts(self.store, self.wards_of_places(), PLACED)

    def _one_old_district(self):
        """The old district of a thing by code; None where its source names none or several."""
        return {code: found[0] if len(found) == 1 else None for code, found in self.old_districts().items()}

    def coverage(self, by="ward", as_of=None, with_building=False):
        """A Coverage view. by: ward, district, city or zone; as_of: date; with_building: see geo.coverage.ledger."""
        if by not in LEVELS:
            raise ValueError(f"'{by}' is not one of {', '.join(LEVELS)}.")
        if as_of is None:
            raise ValueError("A coverage view is of one date; say which.")
        return self.kept("coverage", self._coverage, by, as_of, with_building)

    def _coverage(self, by, as_of, with_building):
        units = self.inputs().units
        result = self.ledger(as_of, with_building)
        if by in ("ward", "zone"):
            summary = coverage.by_unit(result)
            names = units[["name_vi", "name_en", "kind", "people", "confidence", "basis"]]
        else:
            summary = coverage.roll_up(result, self.members(by))
            names = self._group_names(by, summary.groups)
        rows = coveragerows.rows(summary, names)
        if by == "zone":
            rows = [r for r in rows if r["kind"] not in WARD_KINDS]
            some = [i for i, u in enumerate(result.units) if units.at[u, "kind"] not in WARD_KINDS]
            total = coverage.Summary(pd.Index(["total"]), result.worlds[:, some].sum(axis=1, keepdims=True))
        else:
            total = coverage.whole(result)
        total = coveragerows.rows(total, None)[0]
        if by != "zone":
            people = self._people(result, by)
            for r in rows:
                r["people"] = people.get(r["code"])
            total["people"] = {k: sum(p[k] for p in people.values()) for k in next(iter(people.values()), {})}
        facilities = self.facilities_by_group(by, as_of, with_building)
        guessed = {}
        if by in ("district", "city"):
            links, _told = self.ward_links(by)
            guessed = estimates.by_group(result, links, self.members(by), units["people"], coveragerows.NOT_TREATED)
        for r in rows:
            r["facilities"] = facilities.get(r["code"])
            r["outside"] = r["code"] in (_OTHER_DISTRICT, _OTHER_SIDE)
            r["estimate"] = guessed.get(r["code"])
        uncounted = self._uncounted(result)
        bare = [coveragerows.bare(u, facilities) for u in uncounted if by == "zone" and u["code"] in facilities]
        return Coverage(by, as_of, with_building, rows, total, result, uncounted, bare, self.version())

    def _group_names(self, by, groups):
        admin = self.store.snapshot("admin_units").set_index("code")
        names = admin.loc[admin.index.intersection(groups), ["name_vi", "name_en", "kind", "confidence"]].copy()
        names.loc[names.index.isin(groups), "basis"] = "sum"
        if NO_DISTRICT in groups:
            names.loc[NO_DISTRICT, ["name_vi", "name_en", "kind", "confidence", "basis"]] = [
                *coveragerows.nowhere(by), by, "low", "sum",
            ]  # fmt: skip
        return names

    def agreement(self, view):
        """That a total over old units is the total over today's; see server.estimates.agreement()."""
        return estimates.agreement(view.rows, self.coverage("ward", view.as_of, view.with_building).rows)

    def told_on(self, view):
        """Of a view: agreement (None where it is not of old units), and boundary, its boundary version as a dict."""
        old = view.by in ("district", "city")
        version = self.boundary(boundaries.OLD if old else boundaries.NOW)
        return {"agreement": self.agreement(view) if old else None, "boundary": version}

    def boundary(self, code):
        """A boundary version as a dict, or None where the table has none of that code."""
        rows = self.store.snapshot("boundary_versions")
        found = rows[rows["code"] == code]
        return {k: None if pd.isna(v) else v for k, v in found.iloc[0].items()} if len(found) else None

    def _people(self, result, by):
        """People by group: all; by what happens to their water: treated (three ways), not_treated, unknown."""
        people = self.inputs().units["people"].reindex(result.units)
        units = coverage.by_unit(result)
        share = units.share(TREATED)
        table = pd.DataFrame({"all": people} | {f"treated_{s}": people * share[s] for s in SCENARIOS})
        for name, parts in (("not_treated", coveragerows.KNOWN_GAP), ("unknown", ("unknown",))):
            table[name] = people * units.share(parts)["likely"]
        members = self.members(by)
        members = members[members["unit"].isin(result.units)]
        table = table.reindex(members["unit"]).set_axis(members.index).mul(members["share"], axis=0)
        table = table.dropna(how="all")
        sums = table.groupby(members["group"]).sum()
        return {group: row.to_dict() for group, row in sums.iterrows()}

    def domestic_share(self, as_of):
        """Share of the old city's domestic waste water that is treated: low, likely, high (before the merger's side)."""
        return self.kept("domestic_share", self._domestic_share, as_of)

    def _domestic_share(self, as_of):
        admin = self.store.snapshot("admin_units").set_index("code")
        result = self.ledger(as_of)
        old = [i for i, u in enumerate(result.units) if u in admin.index and admin.at[u, "side"] == "Hải Phòng"]
        some = coverage.Summary(pd.Index(["old"]), result.worlds[:, old].sum(axis=1, keepdims=True))
        return coveragerows.three(some.share(TREATED).loc["old"])

    def coverage_notes(self, view):
        """Facts beside a coverage view: how many units are in it and in no sum, and which plants were counted."""
        plants = view.ledger.plants
        return {
            "counted": len(view.ledger.units),
            "uncounted": len(view.uncounted),
            "working": int(plants["works"].sum()),
            "unsized": int((plants["works"] & plants["capacity_likely"].isna()).sum()),
        }

    # --- facilities ---

    def wards_of_places(self):
        """The ward in whose outline each zone, plant, port, waste site and hotspot lies, by code.

        With schematic outlines this is approximate; None where a record has no position.
        """
        return self.kept("wards_of_places", self._wards_of_places)

    def _wards_of_places(self):
        admin = self.store.snapshot("admin_units")
        wards = admin[admin["kind"].isin(WARD_KINDS)].set_index("code").geometry
        out = {}
        for layer in PLACED:
            rows = self.store.snapshot(layer).set_index("code")
            out |= places.containing(rows.geometry, wards).to_dict()
        return out

    def zone_treatment(self, as_of, with_building=False):
        """Central treatment of every operating zone at a date: working, not_working, none or unknown, by code."""
        return self.kept("zone_treatment", self._zone_treatment, as_of, with_building)

    def _zone_treatment(self, as_of, with_building):
        zones = self.store.snapshot("industrial_zones")
        zones = zones[(zones["state"] == "operating") & (zones["kind"] != "economic_zone")]
        plants = self.ledger(as_of, with_building).plants
        links = self.links(as_of)
        said_no = set(zones.loc[zones["central_treatment"] == "no", "code"])
        out = {}
        for code in zones["code"]:
            found = set()
            for destination in links.loc[links["unit"] == code, "destination"]:
                if destination in plants.index and plants.at[destination, "works"]:
                    found.add("working")
                elif destination in plants.index and plants.at[destination, "stands_idle"]:
                    found.add("not_working")
                elif destination in coverage.WITHOUT_PLANT:
                    found.add("none")
            found |= {"none"} if code in said_no else set()
            out[code] = next((w for w in ("working", "not_working", "none") if w in found), "unknown")
        return out

    def facilities_by_group(self, by, as_of, with_building=False):
        """Operating zones by group: all, and how many are treated, not_treated, unknown."""
        wards, old = self.wards_of_places(), self._one_old_district()
        out = {}
        for code, word in self.zone_treatment(as_of, with_building).items():
            group = {"ward": wards.get(code), "zone": code, "district": old.get(code) or NO_DISTRICT}.get(by)
            if by == "city":
                group = _OTHER_SIDE if old.get(code) == _OTHER_DISTRICT else _OLD_CITY
            held = out.setdefault(group, {"all": 0, "treated": 0, "not_treated": 0, "unknown": 0})
            held["all"] += 1
            held[{"working": "treated", "unknown": "unknown"}.get(word, "not_treated")] += 1
        return out

    def ledger_sources(self, view):
        """What a ledger rests on and stands beside: sources (texts), official (reported figures on waste water),
        domestic (the share treated of the old city's domestic water, which the reported "under 10 %" speaks of)."""
        made = self.inputs()
        used = set(made.units.loc[view.ledger.units, "source"])
        used |= set(view.ledger.flows["source"]) | set(self.store.snapshot("norms")["source"])
        used |= set(made.states["source"])
        admin = self.store.snapshot("admin_units")
        used |= set(admin.loc[admin["kind"].isin(WARD_KINDS), "population_source_en"].dropna())
        texts = sorted({part.strip() for text in used for part in text.split(" | ")} - {""})
        rows = self.store.snapshot("indicators")
        rows = rows[rows["key"].isin(WASTE_WATER_KEYS) & (rows["kind"] == "actual")]
        official = [
            {"key": r.key, "indicator": r.indicator_en, "scope": r.scope_en, "year": r.year, "value": r.value,
             "unit": r.unit_en, "why_differs": r.why_differs_en, "source": r.source}
            for r in rows.itertuples()
        ]  # fmt: skip
        domestic = {"unit": _OLD_CITY, "treated_share": self.domestic_share(view.as_of)}
        return {"sources": texts, "official": official, "domestic": domestic}

    def _uncounted(self, result):
        units = self.inputs().units
        return [
            {
                "code": u,
                "name_vi": units.at[u, "name_vi"],
                "name_en": units.at[u, "name_en"],
                "kind": units.at[u, "kind"],
            }
            for u in result.uncounted
        ]
