"""The priority of each case, from what the register and the layers know of it (geo.priority explains it)."""

import threading

import geopandas as gpd

from geo import limits, priority, waterways
from geo.population import read_surface
from layers import rasters

TOUCHES_WATER = frozenset({"water", "soil", "solid_waste"})


class Priorities:
    """Priorities of one city's cases, kept until the case, the layers or the day change.

    population: path of the raster of people, or None. now: aware clock.
    """

    def __init__(self, store, book, population, *, now):
        self._store, self._book, self._population, self._now = store, book, population, now
        self._lock = threading.Lock()
        self._kept, self._ground, self._stamp = {}, None, None

    def of(self, case):
        """geo.priority.Priority of a case."""
        today = self._now().date()
        ground = self._read_ground()
        key = (case.code, case.revision, self._stamp, today)
        with self._lock:
            known = self._kept.get(case.code)
        if known is None or known[0] != key:
            known = (key, self._assess(case, ground, today))
            with self._lock:
                self._kept[case.code] = known
        return known[1]

    def _assess(self, case, ground, today):
        newest = {}
        for r in self._book.samplings(case.code):
            if r["voided"] is None:
                newest[r["medium"]] = r
        exceeding, ratio = limits.worst([v for r in newest.values() for v in r["verdicts"]])
        return priority.assess(
            None if case.geometry is None else gpd.GeoSeries([case.geometry], crs=4326),
            exceeding=exceeding, ratio=ratio, accuracy_m=case.facts.get("coord_accuracy_m"),
            days_open=None if case.opened_on is None else (today - case.opened_on).days,
            # of a hotspot that came with the starter facts nobody recorded whether it came back
            relapses=case.relapses if case.opened_on or case.relapses else None,
            water=bool(TOUCHES_WATER & set(case.media)) or not case.media,
            **ground,
        )  # fmt: skip

    def _read_ground(self):
        """What lies around, read once per version of the layers and of the raster of people."""
        stamp = f"{self._store.stamp()}-{rasters.stamp(self._population)}"
        if stamp != self._stamp:
            there = self._population is not None and self._population.exists()
            ground = {
                "surface": read_surface(self._population) if there else None,
                "land": self._store.snapshot("land"),
                "receptors": self._store.snapshot("receptors"),
                "intakes": self._store.snapshot("intakes"),
                "net": waterways.network(_with_tide(self._store.snapshot("water_bodies"))),
            }
            with self._lock:
                self._ground, self._stamp = ground, stamp
        return self._ground


def _with_tide(waters):
    """The tide of each water as True, False or None, as geo.waterways wants it."""
    return waters.assign(tidal=[{"yes": True, "no": False}.get(word) for word in waters["tidal"]])
