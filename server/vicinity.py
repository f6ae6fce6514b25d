"""What lies round a report: other reports, published hotspots, the ward. Live, kept with the writes."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from server.nearby import Places, Points, distance_m
from server.reportbook import report

SIMILAR_M, SIMILAR_TIME = 300, timedelta(days=3)
HOTSPOT_M, WARD_M = 500, 2000
SETTLED = ("done", "rejected")  # stages of a hotspot that is not open any more
NOT_WARDS = ("city", "district")


def set_aside(row):
    """Whether an officer set a report aside as none."""
    return row.state == "closed"


def _rows(con, ids):
    """{id: row} of reports."""
    return {row.id: row for row in con.execute(sa.select(report).where(report.c.id.in_(ids)))} if ids else {}


class Vicinity:
    """Points of the reports of a store, filled at start and brought up to date before every look."""

    def __init__(self, store):
        self.store = store
        self._points, self._seen = Points(), 0
        self._frames = {}  # layer: (snapshot, what was made of it)
        with store.reading() as con:
            self.catch_up(con)

    def __len__(self):
        return len(self._points)

    def catch_up(self, con):
        """Take in reports that were written since, also by another process. Reports never move."""
        query = sa.select(report.c.id, report.c.lon, report.c.lat, report.c.at).where(report.c.id > self._seen)
        for row in con.execute(query.order_by(report.c.id)):
            if row.lon is not None:
                self._points.add(row.id, row.lon, row.lat, datetime.fromisoformat(row.at))
            self._seen = max(self._seen, row.id)

    def reports(self, con, lon, lat, metres=SIMILAR_M, *, since=None, until=None):
        """[(row, metres)] of reports within so many metres and between two moments, nearest first."""
        self.catch_up(con)
        found = self._points.within(lon, lat, metres, since=since, until=until)
        rows = _rows(con, [near.key for near in found])
        # a withdrawn one has no place any more
        return [(rows[n.key], n.metres) for n in found if rows[n.key].lon is not None]

    def round(self, con, geometry, metres):
        """Rows of the reports within so many metres of a geometry in degrees, inside it or of its nearest edge."""
        here, place = geometry.representative_point(), Places([0], [geometry])
        west, south, east, north = geometry.bounds
        reach = metres + max(distance_m(here.x, here.y, x, y) for x in (west, east) for y in (south, north))
        near = self.reports(con, here.x, here.y, reach)
        return [row for row, _away in near if place.within(row.lon, row.lat, metres)]

    def similar(self, con, row):
        """[(row, metres)] of the reports within 300 m and three days of a report, nearest first.

        Those that say the same as another stand under it; those set aside are left out.
        """
        if row.lon is None:
            return []
        at, found = datetime.fromisoformat(row.at), {}
        near = self.reports(con, row.lon, row.lat, since=at - SIMILAR_TIME, until=at + SIMILAR_TIME)
        roots = _rows(con, [other.same_as for other, _ in near if other.same_as is not None])
        for other, metres in near:
            root = roots.get(other.same_as, other)
            if root.id != row.id and root.id not in found and not set_aside(root):
                found[root.id] = (root, metres)
        return list(found.values())

    def _made(self, layer, make):
        frame = self.store.snapshot(layer)
        held = self._frames.get(layer)
        if held is None or held[0] is not frame:
            held = self._frames[layer] = (frame, make(frame))
        return held[1]

    def hotspots(self, lon, lat, metres=HOTSPOT_M):
        """Published hotspots still open within so many metres, nearest first: code, metres, stage, name_vi, name_en."""

        def make(frame):
            live = frame[~frame["stage"].isin(SETTLED)]
            names = live[["code", "stage", "name_vi", "name_en"]].to_dict("records")
            return Places(live["code"], live.geometry), {r["code"]: r for r in names}

        places, rows = self._made("hotspots", make)
        return [rows[n.key] | {"metres": n.metres} for n in places.within(lon, lat, metres)]

    def ward(self, lon, lat):
        """Code of the ward whose outline, which may be schematic, lies at a point or nearest to it; None far away."""

        def make(frame):
            wards = frame[~frame["kind"].isin(NOT_WARDS)]
            return Places(wards["code"], wards.geometry)

        near = self._made("admin_units", make).within(lon, lat, WARD_M)
        return near[0].key if near else None

    def wards(self):
        """The units a report may name: {code: (name_vi, name_en)}."""
        frame = self.store.snapshot("admin_units")
        frame = frame[~frame["kind"].isin(NOT_WARDS)]
        return {c: (vi, en or vi) for c, vi, en in zip(frame["code"], frame["name_vi"], frame["name_en"], strict=True)}
