"""What may stand behind the ? of an address under /ogc, checked at the door; a wrong or unknown one is refused.

Every refusal says which parameter, what is wrong and what is possible. Nothing is guessed or left out in silence.
"""

import math
from dataclasses import dataclass

import shapely
from werkzeug.datastructures import MultiDict

from geo.projection import shapes_to_wgs84
from server import cql2
from server.collections import CRS84, MOST, SYSTEMS, USUAL, Selection, System
from server.cql2tokens import MAX_LENGTH, FilterError, composed, day_of, translated
from server.errors import Refused
from server.i18n import LANGUAGES
from server.i18n import gettext as _

COMMON = ("f", "lang")
ITEM = (*COMMON, "crs")
CHOICE = ("bbox", "bbox-crs", "datetime", "filter", "filter-lang", "filter-crs", "sortby")
ITEMS = (*ITEM, *CHOICE, "limit", "offset", "properties")
FILTER_LANGUAGES = ("cql2-text", "cql-text")  # the second was its name in drafts; GDAL asks with it
MAX_OFFSET = 1_000_000_000
MAX_VALUE = 2_000  # letters of a parameter; a filter may have more
CQL2_KIND = {"text": "text", "number": "number", "integer": "number", "date": "date"}


@dataclass(frozen=True)
class Asked:
    """The checked parameters of a page of features. given: the parameters as they came, for links."""

    selection: Selection
    limit: int
    offset: int
    system: System
    properties: tuple | None
    given: tuple


def single(args, allowed):
    """The parameters as a dict, each at most once and all of them known."""
    held = {}
    for name, value in args.items(multi=True):
        if name not in allowed:
            raise Refused(
                _(
                    "There is no parameter “%(name)s” here. There are: %(names)s.",
                    name=name[:60],
                    names=", ".join(allowed),
                )
            )
        if name in held:
            raise Refused(_("The parameter “%(name)s” is given twice.", name=name))
        if len(value) > (MAX_LENGTH if name == "filter" else MAX_VALUE):
            raise Refused(_("The parameter “%(name)s” is too long.", name=name))
        held[name] = value
    if held.get("lang") is not None and held["lang"] not in LANGUAGES:
        raise Refused(_one_of("lang", LANGUAGES))
    return held


def representation(held, choices, best_match):
    """One of `choices`, by the parameter f or else by best_match(), the reader's headers."""
    wanted = held.get("f")
    if wanted is None:
        return best_match()
    if wanted not in choices:
        raise Refused(_one_of("f", choices))
    return wanted


def system(held, name="crs"):
    """The coordinate system that a parameter names by its URI; CRS84 where it is not given."""
    uri = held.get(name)
    if uri is None:
        return CRS84
    uri = uri.removeprefix("[").removesuffix("]")  # a "safe CURIE" of a URI
    if uri not in SYSTEMS:
        raise Refused(_one_of(name, SYSTEMS))
    return SYSTEMS[uri]


def items(args, collection):
    """The parameters of a page of features of a collection, checked, as Asked."""
    fields = collection.by_name
    held = single(args, (*ITEMS, *fields))
    return Asked(
        _selection(held, collection),
        _number(held, "limit", USUAL, 1, MOST),
        _number(held, "offset", 0, 0, MAX_OFFSET),
        system(held),
        _names(held.get("properties"), fields),
        tuple(held.items()),
    )


def selection(args, collection, *, beside=()):
    """What the same parameters choose of a collection for a file. beside: names of parameters of another meaning."""
    names = (*CHOICE, *(n for n in collection.by_name if n not in beside))
    return _selection(
        single(MultiDict([(k, v) for k, v in args.items(multi=True) if k not in beside]), names), collection
    )


def _selection(held, collection):
    fields = collection.by_name
    order = _order(held.get("sortby"), fields)
    equal = tuple((name, _value(fields[name], held[name])) for name in held if name in fields)
    if "bbox-crs" in held and "bbox" not in held:
        raise Refused(_("“%(name)s” says nothing without “%(other)s”.", name="bbox-crs", other="bbox"))
    for name in ("filter-lang", "filter-crs"):
        if name in held and "filter" not in held:
            raise Refused(_("“%(name)s” says nothing without “%(other)s”.", name=name, other="filter"))
    key = tuple((n, held[n]) for n in (*CHOICE, *fields) if n in held and n != "filter-lang")
    return Selection(key, _area(held), _days(held), equal, _tree(held, collection), order)


def _one_of(name, allowed):
    return _("“%(name)s” must be one of: %(allowed)s.", name=name, allowed=", ".join(allowed))


def _number(held, name, usual, least, most):
    text = held.get(name)
    if text is None:
        return usual
    if (
        not (text.isascii() and text.isdigit())
        or int(text[:20]) < least
        or (name == "offset" and int(text[:20]) > most)
    ):
        raise Refused(_("“%(name)s” must be a whole number from %(least)s to %(most)s.",
                        name=name, least=least, most=most))  # fmt: skip
    return min(int(text[:20]), most)  # the standard: more than the most is the most


def _numbers(held, name):
    parts = held[name].split(",")
    numbers = []
    for part in parts:
        try:
            numbers.append(float(part) if part.isascii() and "_" not in part else math.nan)
        except ValueError:
            numbers.append(math.nan)
    if len(parts) not in (4, 6) or not all(map(math.isfinite, numbers)):
        raise Refused(_("“%(name)s” must be four numbers with commas: west, south, east, north "
                        "(or six, with heights), in the order of the axes.", name=name))  # fmt: skip
    half = len(parts) // 2
    return numbers[:2], numbers[half : half + 2]


def _area(held):
    """The shape in longitude, latitude of bbox, or None."""
    if "bbox" not in held:
        return None
    low, high = _numbers(held, "bbox")
    asked = system(held, "bbox-crs")
    if asked.north_first:
        low, high = low[::-1], high[::-1]
    (west, south), (east, north) = low, high
    if south > north or (west > east and asked.epsg != 4326):
        raise Refused(_("“%(name)s”: the second corner lies below or left of the first.", name="bbox"))
    if asked.epsg == 4326:
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
            raise Refused(_("“%(name)s” must lie within longitude ±180 and latitude ±90.", name="bbox"))
        if west > east:  # over the 180th meridian
            area = shapely.union(shapely.box(west, south, 180, north), shapely.box(-180, south, east, north))
        else:
            area = shapely.box(west, south, east, north)
    else:
        area = _brought(shapely.box(west, south, east, north), asked, "bbox")
    shapely.prepare(area)
    return area


def _brought(box, asked, name):
    """A box of another system in degrees, with corners enough for its sides to stay where they are."""
    x0, y0, x1, y1 = box.bounds
    side = max(x1 - x0, y1 - y0)
    if 0 < side < 1e9:
        box = shapely.segmentize(box, side / 16)
    moved = shapes_to_wgs84([box], asked.epsg)[0]
    if max(map(abs, box.bounds)) > 1e9 or not all(map(math.isfinite, moved.bounds)):
        raise Refused(_("“%(name)s” lies outside its coordinate system.", name=name))
    return moved


def _days(held):
    """(first, last) of datetime, None at an open end; None where it is not given."""
    text = held.get("datetime")
    if text is None:
        return None
    ends = text.split("/")
    days = [None if e in ("", "..") and len(ends) == 2 else day_of(e) for e in ends]
    wrong = len(ends) > 2 or any(
        d is None and (len(ends) == 1 or e not in ("", "..")) for d, e in zip(days, ends, strict=True)
    )
    if wrong:
        raise Refused(_("“%(name)s” must be a day (2026-11-22), a time (2026-11-22T08:30:00Z) or two of them with "
                        "a slash between, “..” for an open end.", name="datetime"))  # fmt: skip
    first, last = days[0], days[-1]
    if first is not None and last is not None and first > last:
        raise Refused(_("“%(name)s” ends before it begins.", name="datetime"))
    return first, last


def _value(f, text):
    """The value of a property filter, in the kind of its field."""
    if f.kind == "text":
        if f.allowed and text not in [c.value for c in f.allowed]:
            raise Refused(_one_of(f.name, [c.value for c in f.allowed]))
        if not text:
            raise Refused(_("“%(name)s” is blank; for missing values write filter=%(name)s IS NULL.", name=f.name))
        return composed(text)
    if f.kind == "date":
        day = day_of(text, only="date")
        if day is None:
            raise Refused(_("“%(name)s” must be a date such as 2026-11-22.", name=f.name))
        return day
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Refused(_("“%(name)s” must be a number.", name=f.name))
    if f.kind == "integer" and number % 1:
        raise Refused(_("“%(name)s” must be a whole number.", name=f.name))
    return number


def _names(text, fields):
    if text is None:
        return None
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        _known(name, fields, "properties")
    return names


def _order(text, fields):
    if text is None:
        return ()
    order = []
    for part in text.split(","):
        name = part[1:] if part[:1] in ("-", "+", " ") else part  # a + that was not escaped arrives as a blank
        _known(name, fields, "sortby")
        order.append((name, part[:1] == "-"))
    return tuple(order)


def _known(name, fields, parameter):
    if name not in fields:
        names = ", ".join(fields)
        raise Refused(_("“%(parameter)s”: there is no property “%(name)s”. There are: %(names)s.",
                        parameter=parameter, name=name[:60], names=names))  # fmt: skip


def _tree(held, collection):
    text = held.get("filter")
    if text is None:
        return None
    if held.get("filter-lang", FILTER_LANGUAGES[0]) not in FILTER_LANGUAGES:
        raise Refused(_one_of("filter-lang", FILTER_LANGUAGES))
    asked = system(held, "filter-crs")
    kinds = {f.name: CQL2_KIND[f.kind] for f in collection.fields}
    if collection.spatial:
        kinds["geometry"] = "geometry"

    def to_lonlat(shape):
        if asked.north_first:
            shape = shapely.transform(shape, lambda xy: xy[:, ::-1])
        return shapes_to_wgs84([shape], asked.epsg)[0]

    try:
        return cql2.parse(text, kinds, to_lonlat=None if asked is CRS84 else to_lonlat)
    except FilterError as e:
        raise Refused(f"filter: {translated(e, _)}") from None
