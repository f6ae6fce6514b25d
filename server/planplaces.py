"""Places as a planner types them: latitude and longitude, one place or a list with a name on each line."""

import math
import re

from server.i18n import gettext as _
from server.i18n import language
from server.quantities import quantity

BOUNDS = (105.9, 19.9, 108.2, 21.5)  # west, south, east, north of what a study of this city can be asked


def place(lat, lon):
    """((lon, lat), {}) of two texts, or (None, {"lat" or "lon": sentence})."""
    wrong, values = {}, {}
    for name, typed, low, high in (("lat", lat, BOUNDS[1], BOUNDS[3]), ("lon", lon, BOUNDS[0], BOUNDS[2])):
        try:
            values[name] = quantity(typed, "en" if "." in typed else language())
        except ValueError:
            values[name] = math.nan
        if not math.isfinite(values[name]):
            wrong[name] = _("Write latitude and longitude as decimal degrees, such as 20.8561 and 106.6822.")
        elif not low <= values[name] <= high:
            wrong[name] = _("The place does not lie in the city or its waters. Latitude comes first, then longitude.")
    return (None, wrong) if wrong else ((values["lon"], values["lat"]), {})


def listed(text):
    """([{"code", "lon", "lat"}], sentences about lines that are none) of lines "name; latitude; longitude".

    Parts stand apart by semicolons, tabs or bars; a table copied out of a spreadsheet is such a text.
    """
    out, wrong, taken = [], [], set()
    for k, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        parts = [" ".join(part.split()) for part in re.split(r"[;\t|]", line.strip().strip(";|"))]
        if len(parts) != 3 or not parts[0]:
            wrong.append(_("Line %(n)s: write name; latitude; longitude.", n=k))
            continue
        code, (found, errors) = parts[0], place(parts[1], parts[2])
        if found is None:
            wrong.append(_("Line %(n)s: %(why)s", n=k, why=next(iter(errors.values()))))
        elif len(code) > 60:
            wrong.append(_("Line %(n)s: a name has at most %(most)s letters.", n=k, most=60))
        elif code in taken:
            wrong.append(_("Line %(n)s: the name %(name)s stands there twice.", n=k, name=code))
        else:
            taken.add(code)
            out.append({"code": code, "lon": round(found[0], 7), "lat": round(found[1], 7)})
    return out, wrong


def lines(rows):
    """The text of which listed() reads these rows."""
    return "\n".join(f"{row['code']}; {row['lat']:.7f}; {row['lon']:.7f}" for row in rows)
