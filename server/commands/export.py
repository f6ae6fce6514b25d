"""run.py export: layers out of the house, in any format, whole or chosen."""

import argparse
from datetime import date, datetime, time, timedelta
from pathlib import Path

import shapely

from layers import formats, wholefiles
from layers.catalogue import ALL
from layers.errors import said
from layers.geopackage import SRID
from server import cql2, listings
from server.collections import Collection, Selection, frame_of
from server.console import CommandError, open_services
from server.cql2tokens import FilterError, translated
from server.i18n import LANGUAGES, translations
from server.parameters import CQL2_KIND

EVERYTHING = "all"


def add(command):
    sub = command("export", run, "Write layers to a file: all rows, or those of a place, a time and a filter.")
    sub.add_argument("layers", nargs="+", metavar="LAYER",
                     help="layers and tables, as on the data page; several, or 'all', into one GeoPackage")  # fmt: skip
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to; its ending tells the format")
    sub.add_argument("--format", choices=tuple(formats.KINDS), help="the format, where the ending does not tell it")
    sub.add_argument("--crs", type=int, choices=formats.CRS, default=SRID,
                     help="4326 degrees (default), 9210 VN-2000 of Hải Phòng, 9209 of the former Hải Dương")  # fmt: skip
    sub.add_argument("--where", metavar="CQL2", help="rows to take, e.g. \"kind = 'ward' AND population > 60000\"")
    sub.add_argument("--bbox", type=_box, metavar="W,S,E,N", help="rows that meet a box in degrees")
    sub.add_argument("--columns", type=_names, default=(), metavar="A,B", help="columns to take, in this order")
    sub.add_argument("--language", choices=tuple(LANGUAGES),
                     help="of what is said here (default: English) and of the headers in Excel (default: Vietnamese)")  # fmt: skip
    sub.add_argument("--as-of", type=_day, metavar="DATE", help="the rows in use at the end of a day, YYYY-MM-DD")
    sub.add_argument("--outlines", action="store_true", help="whole shapes as WKT in CSV and Excel, beside the points")
    sub.add_argument("--internal", action="store_true",
                     help=f"with internal fields; also gives the lists {', '.join(listings.INTERNAL)}")  # fmt: skip
    sub.add_argument("--force", action="store_true", help="write over a file that is there")


def _box(text):
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not four numbers with commas: west,south,east,north") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise argparse.ArgumentTypeError(f"'{text}' is no box in degrees: west,south,east,north")
    return west, south, east, north


def _names(text):
    return tuple(n.strip() for n in text.split(",") if n.strip())


def _day(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a date; write it as YYYY-MM-DD") from None


def run(arguments):
    kind, out = _kind(arguments), arguments.out
    if out.exists() and not arguments.force:
        raise _refused("{out} is there already; --force writes over it.", "{out} đã có; --force để ghi đè.", out=out)
    if not out.parent.is_dir():
        raise _refused(
            "There is no folder {folder}; make it first.",
            "Không có thư mục {folder}; hãy tạo trước.",
            folder=out.parent,
        )
    services = open_services(arguments)
    names = _layers(arguments)
    if len(names) > 1 and kind != "gpkg":
        raise _refused(
            "Several layers fit into one GeoPackage only: give --out a name that ends in .gpkg.",
            "Nhiều lớp chỉ ghi chung được vào một GeoPackage: hãy đặt --out với tên kết thúc bằng .gpkg.",
        )
    counts = {}

    def tables():
        for name in names:
            made = _table(services, name, arguments)
            counts[name] = len(made)
            yield made

    try:
        if kind == "gpkg":
            formats.geopackage_file(out, tables(), arguments.crs)
        else:
            (made,) = tables()
            headers = arguments.language or "vi"
            wholefiles.write(out, formats.write(made, kind, arguments.crs, language=headers, outlines=arguments.outlines))
    except OSError as e:
        raise _refused(
            "{out} cannot be written ({why}).", "Không ghi được {out} ({why}).", out=out, why=e.strerror
        ) from e
    vi = arguments.language == "vi"
    for name, rows in counts.items():
        print(f"{name}: {rows} dòng" if vi else f"{name}: {rows} row{'' if rows == 1 else 's'}")
    there = SRID if formats.KINDS[kind].only_degrees else arguments.crs
    print(f"{out}: {formats.KINDS[kind].label}, EPSG:{there}, {out.stat().st_size:,} bytes")


def _kind(arguments):
    ending = arguments.out.suffix.lower().removeprefix(".")
    if arguments.format is None and ending not in formats.KINDS:
        raise _refused(
            "What format is {out}? Say --format {known}.", "{out} là định dạng nào? Hãy nêu --format {known}.",
            out=arguments.out, known="|".join(formats.KINDS),
        )  # fmt: skip
    return arguments.format or ending


def _layers(arguments):
    known = [n for n, layer in ALL.items() if layer.public or arguments.internal]
    if EVERYTHING in arguments.layers:
        return known
    known += listings.INTERNAL if arguments.internal else []
    for name in arguments.layers:
        if name in known:
            continue
        if name in ALL or name in listings.INTERNAL:
            raise _refused(
                "{name} is internal; --internal gives it out.", "{name} là nội bộ; --internal để xuất.", name=name
            )
        raise _refused(
            "There is no layer '{name}'. There are: {known}.", "Không có lớp '{name}'. Có: {known}.",
            name=name, known=", ".join(known),
        )  # fmt: skip
    return list(dict.fromkeys(arguments.layers))


def _table(services, name, arguments):
    """The chosen rows and columns of one layer, table or list."""
    internal = arguments.internal
    if name in ALL:
        layer, frame = ALL[name], _frame(services, name, arguments.as_of)
    else:
        if arguments.as_of:
            raise _refused(
                "{name} is known as it is now only; leave --as-of away.",
                "{name} chỉ có ở hiện tại; hãy bỏ --as-of.",
                name=name,
            )
        layer, records = listings.INTERNAL[name]
        frame = frame_of(layer, records(services))
    held = Collection(layer, 0, frame, internal=internal)
    rows = held.find(Selection((), area=shapely.box(*arguments.bbox) if arguments.bbox else None,
                               tree=_tree(arguments.where, held)))  # fmt: skip
    if arguments.bbox and held.spatial:  # the interface also gives features without a place; a box on paper does not
        rows = [r for r in rows if held.shapes()[r] is not None]
    return formats.table(layer, frame.iloc[rows], arguments.columns, internal=internal)


def _frame(services, name, day):
    if day is None:
        return services.store.snapshot(name)
    moment = datetime.combine(day + timedelta(days=1), time(), services.now().tzinfo)
    return services.store.as_of(name, min(moment, services.now()))


def _tree(text, held):
    if not text:
        return None
    kinds = {f.name: CQL2_KIND[f.kind] for f in held.fields} | ({"geometry": "geometry"} if held.spatial else {})
    try:
        return cql2.parse(text, kinds)
    except FilterError as e:
        why, why_vi = (translated(e, _gettext(code)) for code in ("en", "vi"))
        raise _refused("--where: {why}", "--where: {why_vi}", why=why, why_vi=why_vi) from None


def _gettext(code):
    return lambda message, **values: (translations(code).gettext(message) if code == "vi" else message) % values


def _refused(en, vi, /, **values):
    return CommandError(said(en, vi, **values))
