"""Files from outside: read as they stand, refused with a sentence, compared before anything is written."""

import json
import zipfile

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import checks, ingest, parcels
from layers.catalogue import ALL
from layers.errors import LayerError
from layers.staging import Staging, key_text
from layers.trials import Held, compare

HOTSPOTS = ALL["hotspots"]
FILL = {"source": "survey", "confidence": "high", "geometry_quality": "surveyed"}


@pytest.fixture
def points():
    return gpd.GeoDataFrame(
        {
            "code": ["A1", "A2"],
            "Tên": ["Kênh Tây Nam", "Hồ Sen"],
            "Giai đoạn": ["Đã xác nhận", "received"],
            "media": ["water", "water"],
        },
        geometry=[shapely.Point(106.7, 20.8), shapely.Point(106.6, 20.9)],
        crs=4326,
    )


@pytest.mark.parametrize("name", ["x.gpkg", "x.geojson", "x.fgb"])
def test_vector_files_are_read_with_their_crs(tmp_path, points, name):
    points.rename(columns={"Tên": "Name", "Giai đoạn": "stage"}).to_file(tmp_path / name, engine="pyogrio")
    got = ingest.read(tmp_path / name)
    assert len(got.frame) == 2 and got.crs.to_epsg() == 4326 and len(got.sha256) == 64
    assert "Kênh Tây Nam" in set(got.frame["Name"])


@pytest.mark.parametrize("kind", ["kml", "kmz"])
def test_kml_from_a_phone_is_read(tmp_path, kind):
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>'
        "<name>Kênh Tây Nam</name><Point><coordinates>106.7,20.8,3</coordinates></Point></Placemark></Document></kml>"
    )
    path = tmp_path / f"x.{kind}"
    path.write_text(text, encoding="utf-8") if kind == "kml" else _zip(path, [("doc.kml", text)])
    got = ingest.read(path)
    assert got.crs.to_epsg() == 4326 and got.frame["Name"].tolist() == ["Kênh Tây Nam"]
    assert got.frame.geometry.iloc[0].x == 106.7


def test_a_zipped_shapefile_is_read_in_its_own_crs(tmp_path, points):
    points.to_crs(9210).rename(columns={"Tên": "ten", "Giai đoạn": "gd"}).to_file(tmp_path / "a.shp", encoding="UTF-8")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for part in tmp_path.glob("a.*"):
            if part.suffix != ".zip":
                archive.write(part, "folder/" + part.name)
    got = ingest.read(tmp_path / "a.zip")
    assert got.crs.to_epsg() == 9210 and set(got.frame["ten"]) == {"Kênh Tây Nam", "Hồ Sen"}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_csv_is_read_whatever_its_separator(tmp_path, mark, bom):
    text = mark.join(["Mã", "Kinh độ", "Vĩ độ"]) + "\n" + mark.join(["A1", "106.7", "20.8"]) + "\n\n"
    (tmp_path / "x.csv").write_bytes(bom + text.encode())
    got = ingest.read(tmp_path / "x.csv")
    assert (got.x, got.y, len(got.frame)) == ("Kinh độ", "Vĩ độ", 1) and got.crs is None
    assert got.frame["Mã"].tolist() == ["A1"]


def test_excel_lists_name_the_sheets_left_out(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "Trống"
    for name in ("Điểm", "Khác"):
        book.create_sheet(name).append(["Mã", "X", "Y"])
        book[name].append(["A1", 2306067.773, 597432.442])
    book.save(tmp_path / "x.xlsx")
    got = ingest.read(tmp_path / "x.xlsx")
    assert got.frame["X"].tolist() == [2306067.773] and "left out: Trống, Khác" in got.notes[0]
    assert ingest.read(tmp_path / "x.xlsx", sheet="Khác").frame["Mã"].tolist() == ["A1"]
    with pytest.raises(LayerError, match="no sheet 'Y'"):
        ingest.read(tmp_path / "x.xlsx", sheet="Y")


def test_csv_with_wkt_gives_shapes(tmp_path):
    (tmp_path / "x.csv").write_text("code;WKT\nA1;POINT (106.7 20.8)\nA2;\n", encoding="utf-8")
    got = ingest.read(tmp_path / "x.csv")
    assert got.frame.geometry.iloc[0].equals(shapely.Point(106.7, 20.8)) and got.frame.geometry.iloc[1] is None


def test_a_long_outline_is_read_from_csv(tmp_path):
    """Longer than the 131,072 signs that Python's csv takes by itself."""
    shape = shapely.Point(106.7, 20.8).buffer(0.01, quad_segs=4_000)
    assert len(shape.wkt) > 400_000
    (tmp_path / "x.csv").write_text(f'code,wkt\nA1,"{shape.wkt}"\n', encoding="utf-8")
    (got,) = ingest.read(tmp_path / "x.csv").frame.geometry
    assert shapely.equals_exact(got, shape, 1e-12)


@pytest.mark.parametrize("columns", [("X (m)", "Y (m)"), ("Toạ độ X", "Toạ độ Y"), ("Kinh độ (WGS84)", "Vĩ độ (WGS84)"),
                                     ("LONGITUDE", "latitude"), ("Point_X", "Point_Y"), ("Lng", "Lat")])  # fmt: skip
def test_coordinate_columns_are_known_by_many_names(columns):
    for head in (["Mã", *columns], [columns[1], "Ghi chú", columns[0]]):
        found = ingest.roles(head)
        assert (found.x, found.y, found.pair, found.wkt) == (*columns, None, None)


def test_a_geojson_that_gdal_knows_better_is_left_to_it(tmp_path):
    (tmp_path / "x.geojson").write_text('{"type": "Feature", "properties": {"code": "A"}, "geometry": '
                                        '{"type": "Point", "coordinates": [106.7, 20.8]}}')  # fmt: skip
    got = ingest.read(tmp_path / "x.geojson")
    assert got.frame["code"].tolist() == ["A"] and got.frame.geometry.iloc[0].x == 106.7
    (tmp_path / "y.json").write_text(
        '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read /etc/x"}'
    )
    with pytest.raises(LayerError, match="points to data elsewhere"):
        ingest.read(tmp_path / "y.json")
    (tmp_path / "z.json").write_text('{"hello": [1, 2, 3]}')
    with pytest.raises(LayerError, match="not GeoJSON"):
        ingest.read(tmp_path / "z.json")


@given(st.data())
def test_geojson_in_pieces_is_what_json_says(tmp_path_factory, data):
    """Whatever the features hold and however the text is cut into blocks."""
    from layers import geojson

    values = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.text(max_size=8)
        | st.lists(st.integers(), max_size=2)
    )
    features = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.just("Feature"),
                    "properties": st.none() | st.dictionaries(st.text(max_size=4), values, max_size=3),
                    "geometry": st.none() | st.just({"type": "Point", "coordinates": [106.5, 20.5]}),
                }
            ),
            max_size=6,
        )
    )
    whole = {"name": "x]}{", "features": features, "type": "FeatureCollection", "crs": {"a": [1]}}
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(
        json.dumps(whole, indent=data.draw(st.none() | st.integers(0, 3)), ensure_ascii=False), encoding="utf-8"
    )
    before = geojson._BLOCK
    geojson._BLOCK = data.draw(st.integers(1, 40))
    try:
        walked = geojson.Features(path, "x.json")
        assert list(walked) == features and walked.crs == {"a": [1]}
    finally:
        geojson._BLOCK = before


def _zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", b"\n\n", "is empty"),
        ("x.csv", b"a;b\n1;2;3\n", "line 2: 3 values"),
        ("x.csv", b"a;;b\n1;2;3\n", "column 2 has no heading"),
        ("x.csv", b"a;a\n1;2\n", "'a' stands twice"),
        ("x.csv", b"a;b\n", "has no rows"),
        ("x.csv", b'a;b\n"1;2\n', "cannot be read as CSV"),
        ("x.csv", b"a\x00;b\n1;2\n", "not a text file"),
        ("x.exe", b"MZ", "'.exe' are not read"),
        ("x.geojson", b'{"type": "FeatureColl', "cannot be read"),
        ("x.geojson", b'{"type": "FeatureCollection", "features": []}', "no rows"),
        ("x.gpkg", b"SQLite format 3\x00 broken", "cannot be read"),
        ("x.xlsx", b"PK broken", "cannot be read as an Excel file"),
        ("x.zip", b"PK broken", "cannot be unpacked"),
        ("x.zip", [("../../etc/passwd", "x")], "leads out of the archive"),
        ("x.zip", [("/abs.csv", "x")], "leads out of the archive"),
        ("x.zip", [("c:\\x.csv", "x")], "leads out of the archive"),
        ("x.zip", [("inner.zip", "x")], "another archive"),
        ("x.zip", [("readme.md", "x")], "holds no file"),
        ("x.zip", [("a.csv", "a\n1"), ("b.csv", "a\n1")], "several files"),
        ("x.zip", [(f"{i}.txt", "x") for i in range(300)], "300 files"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else _zip(path, content)
    with pytest.raises(LayerError, match=said):
        ingest.read(path)


def test_a_zip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(parcels, "MAX_UNPACKED", 1_000_000)
    _zip(tmp_path / "x.zip", [("a.csv", b"a\n" + b"0" * 5_000_000)])
    with pytest.raises(LayerError, match="unpack"):
        ingest.read(tmp_path / "x.zip")


def test_a_missing_or_huge_file_is_told(tmp_path, monkeypatch):
    with pytest.raises(LayerError, match="no file"):
        ingest.read(tmp_path / "no.csv")
    (tmp_path / "x.csv").write_bytes(b"a\n1\n")
    monkeypatch.setattr(ingest, "MAX_BYTES", 2)
    with pytest.raises(LayerError, match="MB are taken"):
        ingest.read(tmp_path / "x.csv")


@given(st.binary(max_size=400), st.sampled_from([".csv", ".geojson", ".gpkg", ".xlsx", ".zip", ".kml", ".shp", ".dxf"]))
def test_no_file_however_odd_breaks_the_door(tmp_path_factory, content, kind):
    path = tmp_path_factory.mktemp("fuzz") / f"x{kind}"
    path.write_bytes(content)
    try:
        ingest.read(path)
    except LayerError as e:
        assert str(e)


# --- columns ---


def test_columns_are_guessed_from_names_and_labels_in_both_languages():
    got = ingest.mapping(HOTSPOTS, ["Mã", "ten", "STAGE", "Chất ô nhiễm", "pollutants_en", "Ghi_chú", "unknown thing"])
    assert got == {"Mã": "code", "ten": "name_vi", "STAGE": "stage", "Chất ô nhiễm": "pollutants_vi",
                   "pollutants_en": "pollutants_en", "Ghi_chú": "note_vi"}  # fmt: skip


def test_words_become_codes_and_numbers_that_are_names_become_text(points):
    columns = ingest.mapping(HOTSPOTS, points.columns)
    made = ingest.fill_blanks(ingest.rename(points.assign(code=[7.0, 8.0]), HOTSPOTS, columns), FILL)
    assert made["stage"].tolist() == ["confirmed", "received"] and made["code"].tolist() == ["7", "8"]
    assert made["source"].tolist() == ["survey", "survey"] and made.crs.to_epsg() == 4326


# --- the dry run ---


@pytest.fixture
def tried(tmp_path):
    """A trial of a whole frame, as server/imports.py makes one piece by piece: (Trial, taken rows)."""

    def tried(name, store, frame):
        layer = ALL[name]
        held, staging = Held(layer, store.snapshot(name)), Staging(tmp_path, layer)
        keys = [key_text(k) for k in checks.key_texts(layer, frame)]
        staging.take_keys(range(len(frame)), keys)
        checked, refused, at = checks.sift(layer, frame, alone=True)
        staging.take(at, checked, [keys[i] for i in at])
        staging.refuse(refused)
        staging.refuse_doubled()
        staging.refuse_together(held.frame, lambda there: np.ones(len(there), dtype=bool))
        trial = compare(staging, held)
        rows = pd.concat([p.rows for _, _, p in staging.pieces()], ignore_index=True)
        staging.close()
        return trial, rows

    return tried


def test_a_dry_run_tells_new_changed_same_missing_and_refused(filled, points, tried):
    before = filled.stamp()
    there = filled.snapshot("hotspots")
    frame = pd.concat(
        [
            there.iloc[:3],
            ingest.fill_blanks(ingest.rename(points, HOTSPOTS, ingest.mapping(HOTSPOTS, points.columns)), FILL),
        ]
    )
    frame = frame.reset_index(drop=True)
    frame.loc[0, "name_vi"] = "Tên khác"
    frame.loc[1, "geometry"] = shapely.Point(106.5, 20.7)
    frame.loc[4, "stage"] = "clean"
    trial, rows = tried("hotspots", filled, frame)
    assert trial.new == [("A1",)] and trial.same == 1 and len(trial.missing) == 26
    assert trial.changed[("HS01",)] == {"name_vi": (there["name_vi"].iloc[0], "Tên khác")}
    assert trial.changed[("HS02",)] == {"geometry": ("", "moved")}
    assert [(p.row, p.field) for p in trial.refused] == [(4, "stage")] and "row 5 (A2)" in trial.refused[0]
    assert filled.stamp() == before and len(rows) == 4


def test_the_same_file_again_changes_nothing(filled, tried):
    for name in ("hotspots", "admin_units", "treatment_plants", "plant_states", "indicators"):
        trial, _ = tried(name, filled, filled.snapshot(name))
        assert not trial.new and not trial.changed and not trial.missing and not trial.refused, name
        assert trial.same == len(filled.snapshot(name))


def test_every_refused_row_is_told_once_for_each_of_its_faults(filled, tried):
    frame = filled.snapshot("norms").copy()
    frame["value_low"] = frame["value_low"].astype(object)
    frame.loc[1, ["value_low", "confidence"]] = ["many", "sure"]
    frame.loc[3, "code"] = frame.loc[2, "code"]
    trial, rows = tried("norms", filled, frame)
    assert sorted((p.row, p.field) for p in trial.refused) == [(1, "confidence"), (1, "value_low"), (3, "code")]
    assert len(rows) == len(frame) - 2
    assert np.isfinite(rows["value_low"]).all()
