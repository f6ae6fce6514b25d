"""Shapes that a planner brings along for one study: a small file or WKT, brought to EPSG:4326 or refused with a sentence."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from geo import crs
from layers import ingest
from layers.errors import LayerError, said
from server import placing

MOST_CORNERS = 10_000
FILE_BYTES = 8_000_000
TEXT_MOST = 1_000_000
SUFFIXES = (".geojson", ".json", ".gpkg", ".kml", ".kmz", ".zip", ".gpx", ".fgb", ".dxf")
_KINDS = {0: "points", 1: "lines", 2: "lines", 3: "areas"}
_SRID = re.compile(r"^\s*SRID=(\d{4,6});")


@dataclass(frozen=True)
class Brought:
    """wkt: one geometry in EPSG:4326; notes: sentences as layers.errors.Said; reading: the geo.crs.Reading taken."""

    wkt: str
    notes: tuple
    reading: object


def of_file(store, name, stream, reading=None):
    """Brought of a file with shapes. name: as sent; stream: its bytes. reading: somebody's choice, else the coordinate
    doctor's, with what the file declares. Raises LayerError."""
    suffix = Path(name.replace("\\", "/")).suffix.lower()
    if suffix not in SUFFIXES:
        raise LayerError.of(
            "{name}: choose a GeoJSON, GeoPackage or KML file or a zipped Shapefile.",
            "{name}: hãy chọn tệp GeoJSON, GeoPackage, KML hoặc Shapefile nén zip.",
            name=name[:100],
        )
    data = stream.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise LayerError.of(
            "{name} is larger than {most} MB. Cut out the part around the study area, or simplify it.",
            "{name} lớn hơn {most} MB. Hãy cắt lấy phần quanh vùng nghiên cứu hoặc đơn giản hóa.",
            name=name[:100], most=FILE_BYTES // 1_000_000,
        )  # fmt: skip
    shapes, corners = [], 0
    with tempfile.TemporaryDirectory(prefix="cangxanh-file-") as folder:
        path = Path(folder) / f"sent{suffix}"
        path.write_bytes(data)
        with ingest.opened(path, shown=name[:100]) as source:
            for chunk in source.chunks():
                if chunk.shapes is None:
                    raise _no_shapes()
                if chunk.unread.any():
                    raise LayerError.of(
                        "The shape of row {row} cannot be read.",
                        "Không đọc được hình của dòng {row}.",
                        row=chunk.first + int(chunk.unread.argmax()) + 1,
                    )
                shapes.append(chunk.shapes)
                corners += int(shapely.get_num_coordinates(chunk.shapes).sum())
                _few(corners)
            notes, declared = tuple(source.notes), source.crs
    return _brought(store, np.concatenate(shapes), declared, reading, notes)


def of_text(store, text, reading=None):
    """Brought of WKT, or of one WKT a line. Degrees are taken as longitude and latitude, EWKT's SRID as the system.
    Raises LayerError."""
    if len(text) > TEXT_MOST:
        raise LayerError.of(
            "The text is longer than {most} characters: send a file.",
            "Văn bản dài hơn {most} ký tự: hãy gửi tệp.",
            most=TEXT_MOST,
        )
    found = _SRID.match(text)
    shapes, bad = ingest.wkt_shapes([" ".join(text.split())])
    if bad.any():
        lines = [line for line in text.splitlines() if line.strip()]
        shapes, bad = ingest.wkt_shapes(lines)
        if bad.any():
            raise LayerError.of(
                "Line {row} is not WKT. It should look like LINESTRING (106.68 20.85, 106.70 20.86).",
                "Dòng {row} không phải WKT. Ví dụ đúng: LINESTRING (106.68 20.85, 106.70 20.86).",
                row=int(bad.argmax()) + 1,
            )
    shapes = np.asarray(shapes, dtype=object)
    _few(int(shapely.get_num_coordinates(shapes).sum()))
    if found is None:
        bounds = shapely.total_bounds(shapes)
        declared = 4326 if (np.abs(bounds) <= (180, 90, 180, 90)).all() else None
    else:
        declared = int(found[1])
    return _brought(store, shapes, declared, reading, ())


def _few(corners):
    if corners > MOST_CORNERS:
        raise LayerError.of(
            "The shapes have more than {most} corners. Simplify them (in QGIS: Vector geometry, Simplify) or cut out "
            "the part around the study area.",
            "Các hình có hơn {most} đỉnh. Hãy đơn giản hóa (trong QGIS: Vector geometry, Simplify) hoặc cắt lấy phần "
            "quanh vùng nghiên cứu.",
            most=MOST_CORNERS,
        )


def _no_shapes():
    return LayerError.of("There are no shapes in it.", "Không có hình nào trong đó.")


def _brought(store, shapes, declared, reading, notes):
    whole = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if not whole.any():
        raise _no_shapes()
    if not whole.all():
        notes += (
            said(
                "{n} rows have no shape and are left out.", "{n} dòng không có hình, đã bỏ qua.", n=int((~whole).sum())
            ),
        )
    shapes = shapely.force_2d(shapes[whole])
    if reading is None:
        reading, told = _diagnosed(store, shapes, declared)
        notes += (told,)
    placed = placing.Placement((reading,)).shapes(shapes)
    if shapely.is_missing(placed).any() or not _on_earth(placed):
        raise LayerError.of(
            "The coordinates are no places on earth in EPSG:{epsg} {en}.",
            "Tọa độ không phải vị trí trên mặt đất theo EPSG:{epsg} {vi}.",
            epsg=reading.epsg, en=reading.name_en, vi=reading.name_vi,
        )  # fmt: skip
    parts, mended = _parts(placed)
    if mended:
        notes += (
            said("{n} outlines that crossed themselves were repaired.", "Đã sửa {n} đường biên tự cắt.", n=mended),
        )
    return Brought(shapely.to_wkt(together(parts), rounding_precision=8, trim=True), notes, reading)


class SystemAsked(LayerError):
    """Somebody must say in which system the coordinates are. wkt: the shapes as they stand; declared: the geo.crs.Reading
    that the file names where it fits as well, else None."""

    wkt, declared = "", None


def _diagnosed(store, shapes, declared):
    x, y = shapely.get_coordinates(shapes).T
    some = np.unique(np.linspace(0, len(x) - 1, min(len(x), 2000)).astype(int))
    found = crs.diagnose(x[some], y[some], placing.area(store), declared=declared)
    first = found.first
    if found.verdict == "sure":
        told = "Coordinates read as EPSG:{epsg} {en}.", "Tọa độ được đọc theo EPSG:{epsg} {vi}."
        return first, said(*told, epsg=first.epsg, en=first.name_en, vi=first.name_vi)
    if found.verdict == "ask" and found.second is not None:
        km = found.apart_m / 1000
        asked = SystemAsked.of(
            "The coordinates fit EPSG:{a} {a_en}, but also EPSG:{b} {b_en}, {km:.1f} km away. Choose which it is; the shapes "
            "are kept.",
            "Tọa độ hợp với EPSG:{a} {a_vi}, nhưng cũng hợp với EPSG:{b} {b_vi}, cách {km_vi} km. Hãy chọn hệ đúng; "
            "các hình vẫn được giữ.",
            a=first.epsg, a_en=first.name_en, a_vi=first.name_vi, b=found.second.epsg, b_en=found.second.name_en,
            b_vi=found.second.name_vi, km=km, km_vi=f"{km:.1f}".replace(".", ","),
        )  # fmt: skip
        asked.declared = first if declared is not None and not found.declared_wrong else None
    else:
        asked = SystemAsked.of(
            "{en} Choose the coordinate system.", "{vi} Hãy chọn hệ tọa độ.", en=found.reason_en, vi=found.reason_vi
        )
    asked.wkt = shapely.to_wkt(shapely.geometrycollections(shapes), rounding_precision=9, trim=True)
    raise asked


def _on_earth(placed):
    west, south, east, north = shapely.total_bounds(placed)
    return west >= -180 and east <= 180 and south >= -90 and north <= 90


def _parts(shapes):
    """(simple parts, how many were repaired)."""
    parts = shapely.get_parts(shapely.get_parts(shapes))
    bad = ~shapely.is_valid(parts)
    mended = shapely.get_parts(shapely.make_valid(parts[bad], method="structure", keep_collapsed=False))
    mended = mended[~shapely.is_empty(mended)]
    parts = np.concatenate([parts[~bad], shapely.get_parts(mended)])
    parts = parts[~shapely.is_empty(parts)]
    if not len(parts):
        raise _no_shapes()
    return parts, int(bad.sum())


def together(parts):
    """One valid geometry of simple parts: a Multi… of one kind, else, or where areas overlap, a collection."""
    make = {"points": shapely.multipoints, "lines": shapely.multilinestrings, "areas": shapely.multipolygons}
    found = kinds(parts)
    if len(found) == 1:
        made = make[next(iter(found))](parts)
        if made.is_valid:
            return made
    return shapely.geometrycollections(parts)


def kinds(parts):
    """{"points" | "lines" | "areas": how many}."""
    names = [_KINDS[k] for k in shapely.get_type_id(parts)]
    return {name: names.count(name) for name in ("points", "lines", "areas") if name in names}


def counted(wkt):
    """(kinds() of a layer's WKT, its corners)."""
    shape = shapely.from_wkt(wkt)
    return kinds(shapely.get_parts(shapely.get_parts([shape]))), int(shapely.get_num_coordinates(shape))
