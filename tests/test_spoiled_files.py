"""Files as departments send them: each is named correctly, with how sure, or refused with a reason.

Made here, all of them: points at the centres of the wards (or squares round them), spoiled in one way each.
"""

import csv
import io
import json
import zipfile
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyproj
import pytest
import shapely

from geo import encoding
from layers import starter
from layers.errors import LayerError
from server import imports

FILL = {"source": "điều tra 2026", "confidence": "high", "geometry_quality": "surveyed"}
WARDS = pd.read_csv(starter.TABLES / "wards.csv", dtype={"code": str})
WARDS = WARDS[WARDS["old_district_code"].notna()].reset_index(drop=True)
LON, LAT = WARDS["centre_lon"].to_numpy(), WARDS["centre_lat"].to_numpy()
GEOD = pyproj.Geod(ellps="WGS84")


def written(epsg, lon=LON, lat=LAT):
    """The points in another system, as (easting, northing) or (longitude, latitude)."""
    return pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(np.asarray(lon), np.asarray(lat))


def rows(x, y, *, names=True, head=("Mã", "Tên", "Phường", "X", "Y")):
    """A table of texts: code, name, ward, and the two columns as given."""
    body = [
        [f"T{i:03}", "Điểm quan trắc", WARDS["name_vi"][i] if names else "", _text(a), _text(b)]
        for i, (a, b) in enumerate(zip(x, y, strict=True))
    ]
    return [list(head), *body]


def _text(value):
    return value if isinstance(value, str) else f"{value:.6f}" if abs(value) < 1000 else f"{value:.3f}"


def as_csv(table, *, mark=";", code="utf-8"):
    out = io.StringIO()
    csv.writer(out, delimiter=mark, lineterminator="\n").writerows(table)
    return out.getvalue().encode(code)


def as_xlsx(table, *, merged=(), sheets=()):
    book = openpyxl.Workbook()
    for row in table:
        book.active.append(row)
    for span in merged:
        book.active.merge_cells(span)
    for name in sheets:
        book.create_sheet(name)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def as_zip(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def frame(epsg, shapes=None, **columns):
    """The points (or other shapes, given in degrees) as a frame that says `epsg`."""
    shapes = gpd.points_from_xy(LON, LAT) if shapes is None else shapes
    table = {"code": [f"T{i:03}" for i in range(len(shapes))], "name_vi": "Điểm", **columns}
    return gpd.GeoDataFrame(table, geometry=list(shapes), crs=4326).to_crs(epsg)


def as_layer(tmp_path, made, kind, *, says=None):
    """The bytes of a vector file; says: the system it claims to be in."""
    if says is not None:
        made = made.set_crs(says, allow_override=True)
    path = tmp_path / f"made.{kind}"
    made.to_file(path, **({"encoding": "UTF-8"} if kind == "shp" else {}))
    return path.read_bytes()


def as_shapefile(tmp_path, made, *, prj="keep"):
    folder = tmp_path / "shp"
    folder.mkdir()
    made.to_file(folder / "diem.shp", encoding="UTF-8")
    if prj is None:
        (folder / "diem.prj").unlink()
    elif prj != "keep":
        (folder / "diem.prj").write_text(pyproj.CRS(prj).to_wkt("WKT1_ESRI"))
    return as_zip(*((p.name, p.read_bytes()) for p in folder.iterdir()))


def geojson(features, **more):
    return json.dumps({"type": "FeatureCollection", "features": features, **more}, ensure_ascii=False).encode()


def feature(code, geometry, **properties):
    return {"type": "Feature", "properties": {"code": code, "name_vi": "Vùng", **properties}, "geometry": geometry}


def dms(value, side):
    minutes, seconds = divmod(round(abs(value) * 3600 * 100) / 100, 60)
    return f"{int(minutes // 60)}°{int(minutes % 60):02}'{seconds:05.2f}\"{side}"


def vietnamese_number(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


BOW = {
    "type": "Polygon",
    "coordinates": [[[106.7, 20.8], [106.72, 20.82], [106.72, 20.8], [106.7, 20.82], [106.7, 20.8]]],
}
BOX = {
    "type": "Polygon",
    "coordinates": [[[106.6, 20.8], [106.62, 20.8], [106.62, 20.82], [106.6, 20.82], [106.6, 20.8]]],
}
CURVE = '<OGRVRTDataSource><OGRVRTLayer name="c"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'


@dataclass
class Case:
    """name: of the file; make(tmp_path) -> its bytes.

    Either refused: what the reason says. Or reading: as --crs writes it, sure: whether the doctor decides alone (else
    it must ask, naming this one), away_m: how far points may lie from where they belong; told: what the notes say;
    taken, out: how many rows are taken and refused; why: what their reasons say; more: arguments of prepare.
    """

    id: str
    name: str
    make: object
    refused: str | None = None
    reading: str | None = None
    sure: bool = True
    away_m: float = 1.0
    told: tuple = ()
    taken: int = len(WARDS)
    out: int = 0
    why: str = ""
    layer: str = "receptors"
    more: dict = field(default_factory=dict)


def cases():
    x, y = written(9210)
    x5, y5 = written(9209)
    half = len(LON) // 2
    # --- the ten of the coordinate doctor ---
    yield Case("wrong .prj", "a.zip", lambda t: as_shapefile(t, frame(9209, ward=WARDS["name_vi"]), prj=9210),
               reading="9209", told=("declared EPSG:9210 is wrong",))  # fmt: skip
    yield Case(
        "no .prj", "a.zip", lambda t: as_shapefile(t, frame(9210, ward=WARDS["name_vi"]), prj=None), reading="9210"
    )
    yield Case("X and Y swapped", "a.csv", lambda t: as_csv(rows(y, x)), reading="9210:swapped")
    yield Case("decimal commas", "a.csv", lambda t: as_csv(rows([_text(v).replace(".", ",") for v in x],
               [_text(v).replace(".", ",") for v in y])), reading="9210")  # fmt: skip
    mixed = np.r_[x[:half], x5[half:]], np.r_[y[:half], y5[half:]]
    yield Case("two systems in one file", "a.csv", lambda t: as_csv(rows(*mixed)), reading="parts", sure=False,
               told=("holds 2 systems",))  # fmt: skip
    yield Case("datum shift left out", "a.geojson", lambda t: as_layer(t, frame(4756, ward=WARDS["name_vi"]), "geojson",
               says=4326), reading="4326", away_m=230, told=("shift from VN-2000 left out (224 m away) cannot be excluded",
               "Only the declaration tells them apart"))  # fmt: skip
    yield Case("degrees, minutes, seconds", "a.csv", lambda t: as_csv(rows([dms(v, "Đ") for v in LON],
               [dms(v, "B") for v in LAT], head=("Mã", "Tên", "Phường", "Kinh độ", "Vĩ độ"))), reading="4326", sure=False)  # fmt: skip
    yield Case("thousands separators", "a.csv", lambda t: as_csv(rows([vietnamese_number(v) for v in x],
               [vietnamese_number(v) for v in y])), reading="9210")  # fmt: skip
    yield Case("UTM of the wrong datum", "a.gpkg", lambda t: as_layer(t, frame(3405, ward=WARDS["name_vi"]), "gpkg",
               says=32648), reading="3405", sure=False)  # fmt: skip
    yield Case("Web Mercator without .prj", "a.zip", lambda t: as_shapefile(t, frame(3857), prj=None), reading="3857")
    # --- texts ---
    for code, page in (("tcvn3", "cp1252"), ("vni", "cp1252"), ("cp1258", "cp1258")):
        yield Case(f"text in {code}", "a.csv", lambda t, code=code, page=page: _old_text(code, page, x, y), reading="9210",
                   told=(f"was in {code}" if code != "cp1258" else "are not UTF-8; they were read as Windows-1258",))  # fmt: skip
    yield Case(
        "two encodings in one file", "a.csv", lambda t: _two_pages(x, y), reading="9210", told=("are not UTF-8",)
    )
    yield Case(
        "byte-order mark, UTF-16", "a.csv", lambda t: as_csv(rows(x, y), mark="\t", code="utf-16"), reading="9210"
    )
    # --- names of files, archives ---
    yield Case(
        "an Excel file called .csv", "a.csv", lambda t: as_xlsx(rows(x, y)), reading="9210", told=("an Excel file",)
    )
    yield Case("a CSV called .xlsx", "a.xlsx", lambda t: as_csv(rows(x, y)), refused="cannot be read as an Excel file")
    yield Case("a GeoPackage called .geojson", "a.geojson", lambda t: as_layer(t, frame(4326), "gpkg"), reading="4326",
               told=("a GeoPackage",))  # fmt: skip
    yield Case("Excel of before 2007", "a.xls.xlsx", lambda t: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
               refused=r"\.xls.*Save it as \.xlsx")  # fmt: skip
    yield Case(
        "a zip in a zip",
        "a.zip",
        lambda t: as_zip(("b.zip", as_zip(("c.csv", "a;b\n1;2\n")))),
        refused="another archive",
    )
    yield Case("a path out of the zip", "a.zip", lambda t: as_zip(("../../c.csv", "a;b\n1;2\n")), refused="leads out")
    yield Case("a file that points elsewhere", "a.kml", lambda t: CURVE.encode(), refused="points to data elsewhere")
    yield Case(
        "a truncated GeoJSON", "a.geojson", lambda t: as_layer(t, frame(4326), "geojson")[:-40], refused="breaks off"
    )
    yield Case(
        "a truncated GeoPackage", "a.gpkg", lambda t: as_layer(t, frame(4326), "gpkg")[:9000], refused="cannot be read"
    )
    # --- coordinates ---
    pair = [[r[0], r[1], r[2], f"{LAT[i]:.6f}, {LON[i]:.6f}"] for i, r in enumerate(rows(x, y)[1:])]
    yield Case("both coordinates in one cell", "a.csv", lambda t: as_csv([["Mã", "Tên", "Phường", "Tọa độ"], *pair]),
               reading="4326:swapped", sure=False)  # fmt: skip
    odd = [*map(_text, x)]
    odd[3], odd[4], odd[5] = "NaN", "inf", "ở cảng"
    yield Case("NaN, inf and words for numbers", "a.csv", lambda t: as_csv(rows(odd, y)), reading="9210",
               told=("Coordinates of 2 rows cannot be read",))  # fmt: skip
    zero = np.arange(len(x)) % 10 == 0
    yield Case("0, 0 for unknown", "a.csv", lambda t: as_csv(rows(np.where(zero, 0, x), np.where(zero, 0, y))), reading="9210",
               told=(f"{zero.sum()} rows have the coordinates 0, 0",))  # fmt: skip
    yield Case("points of another city", "a.csv", lambda t: as_csv(rows(*written(9209, LON - 0.9, LAT - 10.8), names=False)),
               refused="No reading puts half the rows in the area")  # fmt: skip
    yield Case("six points, no names, no .prj", "a.csv", lambda t: as_csv(rows(x[:6], y[:6], names=False)), reading="9210",
               sure=False, taken=6)  # fmt: skip
    # --- tables ---
    yield Case("a heading given twice", "a.csv", lambda t: as_csv(rows(x, y, head=("Mã", "Tên", "Tên", "X", "Y"))),
               refused="'Tên' stands twice")  # fmt: skip
    title = [["DANH SÁCH ĐIỂM QUAN TRẮC NĂM 2026"], [], ["Mã", "Tên", "Phường", "Tọa độ", None], [None, None, None, "X", "Y"],
             ["(1)", "(2)", "(3)", "(4)", "(5)"]]  # fmt: skip
    yield Case("titles and merged headings", "a.xlsx",
               lambda t: as_xlsx([*title, *rows(x, y)[1:]], merged=("A1:E1", "A3:A4", "B3:B4", "C3:C4", "D3:E3")),
               reading="9210", told=("passed over as a title", "stand in two lines"))  # fmt: skip
    body = rows(x, y)
    yield Case("headings again on every page", "a.csv", lambda t: as_csv([*body[:50], body[0], *body[50:]]), reading="9210",
               told=("headings stand again",))  # fmt: skip
    yield Case("decimal commas between commas", "a.csv", lambda t: as_csv([[*r[:3], *r[3].split("."), *r[4].split(".")]
               if i else r for i, r in enumerate(body)], mark=","), refused="values, but only 5 headings")  # fmt: skip
    doubled = [*body[:4], ["T000", "Điểm khác", *body[3][2:]], *body[4:]]
    yield Case(
        "a key given twice", "a.csv", lambda t: as_csv(doubled), reading="9210", out=1, why="this key is given twice"
    )
    # --- shapes ---
    yield Case("outlines that cross themselves", "a.geojson",
               lambda t: geojson([feature("A", BOX), feature("B", BOW)]), layer="built_up", taken=2,
               told=("row 2 (B): outline repaired (Self-intersection",), more={"reading": "4326"})  # fmt: skip
    yield Case("empty, missing and flat shapes", "a.geojson", lambda t: geojson([
               feature("A", BOX), feature("B", None), feature("C", {"type": "Polygon", "coordinates": []}),
               feature("D", {"type": "Polygon", "coordinates": [[[106.7, 20.8], [106.8, 20.9], [106.7, 20.8], [106.7, 20.8]]]}),
               feature("E", {"type": "Point", "coordinates": [106.7, 20.8]})]), layer="built_up", taken=3, out=2,
               why="encloses no area|an area is expected", more={"reading": "4326"})  # fmt: skip
    yield Case("a ring that is not closed", "a.geojson", lambda t: geojson([feature("A", BOX), feature("B", {"type": "Polygon",
               "coordinates": [[[106.7, 20.8], [106.8, 20.9]]]})]), layer="built_up", taken=1, out=1,
               why="geometry cannot be read", more={"reading": "4326"})  # fmt: skip
    yield Case(
        "curves", "a.gpkg", _curves, layer="built_up", taken=1, told=("Curves were drawn",), more={"reading": "4326"}
    )
    high = shapely.points(np.column_stack([LON, LAT, np.full(len(LON), 3.5)]))
    yield Case("heights and measures", "a.gpkg", lambda t: as_layer(t, frame(4326, high), "gpkg"), reading="4326",
               told=(f"Heights (or measures) of {len(LON)} geometries were left out",))  # fmt: skip
    yield Case("areas as WKT in a table", "a.csv", lambda t: as_csv([["code", "name_vi", "WKT"],
               ["A", "Vùng", shapely.geometry.shape(BOX).wkt], ["B", "Vùng", "POLYGON ((1 1"]]), layer="built_up", taken=1, out=1,
               why="geometry cannot be read", more={"reading": "4326"})  # fmt: skip


def _old_text(code, page, x, y):
    """Names of wards in an old encoding, as the bytes of its code page."""
    table = rows(x, y)
    back = {"tcvn3": {v: k for k, v in encoding.TCVN3.items()}, "vni": {v: k for k, v in encoding.VNI.items()}}.get(
        code
    )

    def old(text):
        if code == "cp1258":
            return _as_1258(text)
        return "".join(back.get(c, c) for c in text).encode(page, "replace")

    plain = [["Ma", "Ten", "Phuong", "X", "Y"], *table[1:]]
    return b"\n".join(b";".join(old(c) for c in row) for row in plain) + b"\n"


def _as_1258(text):
    import unicodedata

    out = []
    for letter in text:
        for piece in (letter, *[unicodedata.normalize("NFD", letter)]):
            try:
                out.append(piece.encode("cp1258"))
                break
            except UnicodeEncodeError:
                base = unicodedata.normalize("NFD", letter)
                tone = next((c for c in base if c in "\u0300\u0301\u0303\u0309\u0323"), "")
                rest = unicodedata.normalize("NFC", base.replace(tone, "")) if tone else letter
                out.append((rest + tone).encode("cp1258"))
                break
    return b"".join(out)


def _two_pages(x, y):
    table = rows(x, y)
    lines = [";".join(row) for row in table]
    return b"\n".join(_as_1258(line) if i > 20 else line.encode() for i, line in enumerate(lines)) + b"\n"


def _curves(tmp_path):
    """A GeoPackage with one curved outline, its blob written by hand (WKB of SQL/MM: curve polygon 10, circular string 8)."""
    import sqlite3
    import struct

    path = tmp_path / "curve.gpkg"
    frame(4326, [shapely.geometry.shape(BOX)]).to_file(path)
    points = [(106.70, 20.80), (106.71, 20.81), (106.72, 20.80), (106.71, 20.79), (106.70, 20.80)]
    ring = struct.pack("<BII", 1, 8, len(points)) + b"".join(struct.pack("<dd", *p) for p in points)
    blob = b"GP\0\x01" + struct.pack("<i", 4326) + struct.pack("<BII", 1, 10, 1) + ring
    with sqlite3.connect(path) as con:
        for (trigger,) in con.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            con.execute(f'DROP TRIGGER "{trigger}"')
        con.execute('UPDATE "curve" SET geom=?', (blob,))
        con.execute("UPDATE gpkg_geometry_columns SET geometry_type_name='CURVEPOLYGON'")
        con.execute("PRAGMA writable_schema=ON")
        con.execute("UPDATE sqlite_master SET sql=replace(sql, 'POLYGON', 'CURVEPOLYGON') WHERE name='curve'")
    con.close()
    return path.read_bytes()


CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_a_spoiled_file_is_named_or_refused(starter_facts, tmp_path, case):
    path = tmp_path / case.name
    path.write_bytes(case.make(tmp_path))
    more = dict(case.more)
    if "reading" in more:
        more["reading"] = imports.reading_of(more["reading"])
    wanted = {"fill": FILL, **more}
    if case.refused:
        with pytest.raises(LayerError, match=case.refused) as caught:
            imports.prepare(starter_facts, case.layer, path, **wanted)
        assert caught.value.vi and caught.value.vi != caught.value.en
        return
    if not case.sure:
        with pytest.raises(imports.ImportRefused) as caught:
            imports.prepare(starter_facts, case.layer, path, **wanted)
        told = caught.value.en
        assert f"--crs {case.reading}" in told or f"or --crs {case.reading}" in told, told
        assert all(t in told for t in case.told)
        wanted["reading"] = imports.reading_of(case.reading)
    with imports.prepare(starter_facts, case.layer, path, **wanted) as made:
        notes = " ".join(made.notes)
        assert all(t in notes for t in case.told), notes
        assert all(getattr(n, "vi", None) for n in made.notes)
        if case.reading and case.sure:
            assert [imports.option(r) for r in made.placement.readings] == [case.reading], notes
        taken = made.checked().rows
        assert (len(taken), made.trial.refused_count) == (case.taken, case.out), [str(p) for p in made.trial.refused]
        if case.out:
            import re

            assert all(re.search(case.why, p) and p.vi != str(p) for p in made.trial.refused)
            assert imports.write_refused(made, tmp_path / "back.csv") == case.out
        if case.reading:
            _lie_where_they_belong(taken, case)


def _lie_where_they_belong(taken, case):
    numbers = taken["code"].str.removeprefix("T").astype(int).to_numpy()
    there = taken.geometry.notna().to_numpy()
    assert there.mean() > 0.85
    got = taken.geometry[there]
    away = GEOD.inv(got.x, got.y, LON[numbers[there]], LAT[numbers[there]])[2]
    assert np.max(away) <= case.away_m


def test_there_are_thirty_and_more():
    assert len(CASES) >= 30 and len({c.id for c in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [c for c in CASES if c.reading], ids=lambda c: c.id)
def test_the_doctor_shows_the_right_reading_among_the_first(starter_facts, tmp_path, case):
    path = tmp_path / case.name
    path.write_bytes(case.make(tmp_path))
    seen = imports.doctor(starter_facts, path)
    assert case.reading in [o.text for o in seen.options]
    assert seen.diagnosis.verdict == ("sure" if case.sure else "mixed" if case.reading == "parts" else "ask")
    right = next(o for o in seen.options if o.text == case.reading)
    for row, lon, lat in right.points if not case.out else ():  # a row more moves those behind it
        assert GEOD.inv(lon, lat, LON[row], LAT[row])[2] <= case.away_m
    if len(seen.options) > 1:
        assert [p[0] for p in seen.options[0].points] == [p[0] for p in seen.options[1].points]
