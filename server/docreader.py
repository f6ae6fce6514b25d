"""Values of a JSON document read one by one: each of its kind, every problem kept with the name of its field."""

import math
from datetime import date

import shapely

from server.i18n import N_
from server.sitewords import said


class Reader:
    """Reads a document field by field. problems: [(field, {"en", "vi"})]; a value that is not good gives way to a harmless one."""

    def __init__(self, document):
        self.document, self.problems = document, []

    def wrong(self, field, words, **values):
        self.problems.append((field, said(words, **values)))

    def part(self, field, values):
        """The values of a new study with those of the document over them."""
        given = self.document.get(field)
        if given is None:
            return dict(values)
        if not isinstance(given, dict):
            self.wrong(field, N_("This must be a group of fields."))
            return dict(values)
        strange = sorted(set(given) - set(values))
        if strange:
            self.wrong(field, N_("There is no such field: %(names)s."), names=", ".join(map(str, strange)))
        return values | {k: v for k, v in given.items() if k in values}

    def text(self, field, value, *, most=2000, needed=False):
        if value is None or (isinstance(value, str) and not value.strip()):
            if needed:
                self.wrong(field, N_("This must be filled in."))
            return ""
        if not isinstance(value, str) or len(value) > most:
            self.wrong(field, N_("This must be a text of at most %(most)s characters."), most=most)
            return ""
        return " ".join(value.split())

    def day(self, field, value):
        try:
            return date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            self.wrong(field, N_("Give a day as year-month-day, such as 2026-11-22."))
            return "2026-01-01"

    def number(self, field, value, least, most=math.inf, *, whole=False, blank=False):
        if value is None and blank:
            return None
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or (whole and value != int(value)):
            self.wrong(field, N_("This must be a whole number.") if whole else N_("This must be a number."))
            return least
        if not least <= value <= most:
            bounds = {"least": least, "most": most}
            words = (
                N_("This must be %(least)s or more.") if most == math.inf else N_("This must be %(least)s to %(most)s.")
            )
            self.wrong(field, words, **bounds)
            return least
        return int(value) if whole else float(value)

    def flag(self, field, value, *, blank=False):
        if (value is None and blank) or isinstance(value, bool):
            return value
        self.wrong(field, N_("This must be yes or no."))
        return False

    def choice(self, field, value, allowed):
        if isinstance(value, str) and value in allowed:
            return value
        self.wrong(field, N_("This must be one of %(names)s."), names=", ".join(allowed))
        return allowed[0]

    def rows(self, field, value, names, most=1000):
        """The rows of a list of groups, each with only these names."""
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            self.wrong(field, N_("This must be a list of groups of fields."))
            return []
        if len(value) > most:
            self.wrong(field, N_("At most %(most)s entries are taken."), most=most)
            return []
        for k, row in enumerate(value):
            strange = sorted(set(row) - set(names))
            if strange:
                self.wrong(
                    f"{field}[{k}]", N_("There is no such field: %(names)s."), names=", ".join(map(str, strange))
                )
        return value

    def coded(self, field, value, names, most, known, unknown, twice):
        """{code: (place, row)} of rows(), each of a known code and each code once; unknown, twice: message ids with %(code)s."""
        found = {}
        for k, row in enumerate(self.rows(field, value, names, most)):
            code = row.get("code")
            if not isinstance(code, str) or code not in known:
                self.wrong(f"{field}[{k}].code", unknown, code=str(code))
            elif code in found:
                self.wrong(f"{field}[{k}].code", twice, code=code)
            else:
                found[code] = (k, row)
        return found

    def codes(self, field, value):
        if not isinstance(value, list) or not all(isinstance(code, str) and 0 < len(code) <= 60 for code in value):
            self.wrong(field, N_("This must be a list of codes."))
            return []
        return sorted(set(value))

    def shape(self, field, value, polygons):
        try:
            shape = shapely.from_wkt(value) if isinstance(value, str) else None
        except shapely.errors.ShapelyError:
            shape = None
        if shape is None or shape.is_empty or (polygons and "Polygon" not in shape.geom_type):
            self.wrong(field, N_("Give an outline in longitude and latitude, as WKT.") if polygons else N_("Give WKT."))
            return ""
        west, south, east, north = shape.bounds
        if min(west + 180, 180 - east, south + 90, 90 - north) < 0:
            self.wrong(field, N_("The coordinates must be longitude and latitude in degrees."))
            return ""
        if not shape.is_valid:
            self.wrong(field, N_("The outline crosses itself: %(why)s."), why=shapely.is_valid_reason(shape))
            return ""
        return shapely.to_wkt(shape, rounding_precision=8, trim=True)

    def place(self, field, row):
        lon = self.number(f"{field}.lon", row.get("lon"), -180, 180)
        lat = self.number(f"{field}.lat", row.get("lat"), -90, 90)
        return {"lon": round(lon, 7), "lat": round(lat, 7)}
