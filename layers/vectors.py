"""Map layers from outside, read in pieces: GeoJSON by its own reader, the other formats by GDAL."""

import json
import re
import sqlite3
from contextlib import closing

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from layers import geojson, shapefile
from layers.errors import LayerError, said

_IN_PARTS = {".gpkg", ".fgb", ".shp"}  # GDAL finds the n-th feature of these without reading the file again
_WHOLE_BYTES = 100_000_000  # of a file that GDAL holds in memory as a whole


def open_vector(source, paths, sheet, size, folder, *, chunk, most):
    """Settle how a layers.ingest.Source of a map layer is walked. paths: of its files; folder: where it was unpacked.

    sheet: name of the layer to read, or None. size: bytes of the file as it came. chunk: rows of one piece; most: rows
    that a file may have.
    """
    if source.kind in (".geojson", ".json"):
        source._walk = lambda: _geojson(source, paths[0], size, chunk, most)
        return
    if source.kind not in _IN_PARTS:
        _not_too_large(source, size)
    shown = source.shown
    try:
        names = [name for name, kind in pyogrio.list_layers(paths[0]) if kind is not None] or [None]
    except (pyogrio.errors.DataSourceError, UnicodeDecodeError) as e:
        raise _unreadable(shown, e) from e
    if sheet is not None and sheet not in names:
        raise LayerError.of(
            "{name} has no layer '{sheet}'. It has: {names}.",
            "{name} không có lớp '{sheet}'. Có: {names}.",
            name=shown,
            sheet=sheet,
            names=", ".join(map(str, names)),
        )
    chosen = sheet
    if chosen is None:
        chosen = next((n for n in names if len(names) > 1 and _features(paths[0], n) > 0), names[0])
    source.sheets = tuple(n for n in names if n is not None)
    others = [n for n in names if n != chosen]
    if others and len(paths) == 1:
        source.notes.append(
            said(
                "Only the layer '{name}' was read; left out: {others}.",
                "Chỉ đọc lớp '{name}'; bỏ qua: {others}.",
                name=chosen,
                others=", ".join(others),
            )
        )
    key = folder / "fields.csv"  # beside a Shapefile that we gave out: names and texts that did not fit
    words = key.read_text(encoding="utf-8-sig", errors="replace") if key.is_file() else None

    def walk():
        for path in paths:
            for frame in _gdal(source, path, chosen if len(paths) == 1 else None, chunk, most):
                shapes = frame.geometry.to_numpy() if isinstance(frame, gpd.GeoDataFrame) else None
                source.crs = getattr(frame, "crs", None) if source.crs is None else source.crs
                plain = pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))
                plain = plain if words is None else shapefile.restored(plain, words)
                yield _plain(plain), np.full(len(plain), None, dtype=object) if shapes is None else shapes, None

    source._walk = walk


def _not_too_large(source, size):
    if size > _WHOLE_BYTES:
        raise LayerError.of(
            "{name} has {size:,.0f} MB; files of this kind are taken up to {most:,.0f} MB. Save it as GeoPackage.",
            "{name} có {size:,.0f} MB; loại tệp này chỉ nhận đến {most:,.0f} MB. Hãy lưu thành GeoPackage.",
            name=source.shown,
            size=size / 1e6,
            most=_WHOLE_BYTES / 1e6,
        )


def _features(path, name):
    try:
        return pyogrio.read_info(path, layer=name, force_feature_count=True)["features"]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, UnicodeDecodeError):
        return 0


def _gdal(source, path, layer, chunk, most):
    try:
        if source.kind == ".gpkg" and _has_curves(path, layer):
            source.notes.append(
                said("Curves were drawn as chains of short lines.", "Các đường cong đã được vẽ thành chuỗi đoạn ngắn.")
            )
        if path.suffix.lower() not in _IN_PARTS and source.kind not in _IN_PARTS:
            frame = pyogrio.read_dataframe(path, layer=layer, max_features=most + 1)
            for at in range(0, len(frame), chunk):
                yield frame.iloc[at : at + chunk].reset_index(drop=True)
            return
        at = 0
        while True:
            frame = pyogrio.read_dataframe(path, layer=layer, skip_features=at, max_features=chunk)
            yield frame
            if len(frame) < chunk:
                return
            at += chunk
    except (
        pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError,
        pyogrio.errors.GeometryError, pyogrio.errors.CRSError, shapely.errors.ShapelyError,
        pyproj.exceptions.ProjError, UnicodeDecodeError, ValueError,
    ) as e:  # fmt: skip
        raise _unreadable(source.shown, e) from e
    except IndexError as e:  # of pyogrio, where a file holds no layer at all
        raise LayerError.of("{name} has no rows.", "{name} không có dòng nào.", name=source.shown) from e


def _has_curves(path, layer):
    """Whether a layer of a GeoPackage is declared to hold curves (GDAL gives them as chains of lines)."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as con:
            kinds = con.execute("SELECT table_name, geometry_type_name FROM gpkg_geometry_columns").fetchall()
    except sqlite3.DatabaseError:
        return False
    return any(
        "CURVE" in kind or kind in ("CIRCULARSTRING", "MULTISURFACE") for name, kind in kinds if layer in (None, name)
    )


def _unreadable(shown, error):
    return LayerError.of(
        "{name} cannot be read; it may be damaged or not whole ({why}).",
        "{name} không đọc được; tệp có thể bị hỏng hoặc không trọn vẹn ({why}).", name=shown,
        why=(str(error).splitlines() or [type(error).__name__])[0][:120],
    )  # fmt: skip


def _plain(frame):
    """Columns of texts, numbers, dates and None, as a table would hold them."""
    out = {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind in "iub":
            out[name] = pd.Series(values.tolist(), index=frame.index, dtype=object)
        else:
            out[name] = pd.Series([plain_value(v) for v in values], index=frame.index, dtype=object)
    return pd.DataFrame(out, index=frame.index, columns=list(frame.columns))


def plain_value(value):
    """A value as a table would hold it: text without margins, number, day or time; None for a blank; lists as JSON."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, np.generic):
        return plain_value(value.item())
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if isinstance(value, list | dict | tuple | np.ndarray):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, ensure_ascii=False, default=str)
    return value


def _geojson(source, path, size, chunk, most):
    features = geojson.Features(path, source.shown)
    columns, held = [], []
    try:
        for feature in features:
            held.append(feature)
            if len(held) == chunk:
                yield _features_frame(held, columns)
                held = []
    except geojson.Other:
        if held or columns or not _is_geojson(path):
            raise LayerError.of(
                "{name} is JSON, but not GeoJSON.", "{name} là JSON nhưng không phải GeoJSON.", name=source.shown
            ) from None
        _not_too_large(source, size)
        for frame in _gdal(source, path, None, chunk, most):
            source.crs = frame.crs if isinstance(frame, gpd.GeoDataFrame) else None
            shapes = frame.geometry.to_numpy() if source.crs is not None else np.full(len(frame), None, dtype=object)
            yield _plain(pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))), shapes, None
        return
    yield _features_frame(held, columns)
    source.crs = _json_crs(source, features.crs)


def _is_geojson(path):
    """Whether a JSON file that is no FeatureCollection may be given to GDAL: one geometry or feature, ESRI's or Topo."""
    with open(path, encoding="utf-8", errors="replace") as file:
        head = file.read(200_000)
    kinds = "Feature|Point|MultiPoint|LineString|MultiLineString|Polygon|MultiPolygon|GeometryCollection|Topology"
    return bool(re.search(rf'"type"\s*:\s*"(?:{kinds})"|"geometryType"\s*:\s*"esri', head))


def _features_frame(features, columns):
    """(frame, shapes, unread) of features; columns grows by what they have."""
    known, rows, shapes = set(columns), [], []
    for feature in features:
        given = feature.get("properties")
        given = given if isinstance(given, dict) else {}
        if feature.get("id") is not None and "id" not in given:
            given = {"id": feature["id"], **given}
        for name in given:
            if name not in known:
                known.add(name)
                columns.append(name)
        rows.append(given)
        shapes.append(feature.get("geometry"))
    frame = pd.DataFrame(
        {name: pd.Series([plain_value(row.get(name)) for row in rows], dtype=object) for name in columns},
        index=range(len(rows)),
        columns=list(columns),
    )
    texts = [None if g is None else json.dumps(g) for g in shapes]
    made = shapely.from_geojson(texts, on_invalid="ignore")
    unread = np.array([t is not None for t in texts], dtype=bool) & shapely.is_missing(made)
    return frame, np.asarray(made, dtype=object), unread


def _json_crs(source, member):
    """The system of a GeoJSON file: WGS 84 by its law, or what the old member "crs" names."""
    name = (member or {}).get("properties", {}).get("name") if isinstance(member, dict) else None
    if not isinstance(name, str):
        return pyproj.CRS(4326)
    try:
        return pyproj.CRS.from_user_input("EPSG:4326" if "CRS84" in name.upper() else name)
    except pyproj.exceptions.CRSError:
        source.notes.append(
            said(
                "The file names a coordinate system that is not known: {name}.",
                "Tệp ghi một hệ tọa độ không biết: {name}.",
                name=name[:80],
            )
        )
        return None
