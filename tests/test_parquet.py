"""Parquet from outside: read as it stands, in pieces; whatever is wrong with it is a sentence, never a crash."""

import io
import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers import ingest, parquet
from layers.errors import LayerError

needs = pytest.mark.skipif(not parquet.available(), reason="pyarrow is not installed")
PLACES = [shapely.Point(106.68, 20.86), None, shapely.box(106.6, 20.8, 106.7, 20.9)]
FRAME = gpd.GeoDataFrame(
    {"code": ["P1", "P2", None], "tên": ["Trạm xử lý Vĩnh Niệm", "  ", "ở đâu"], "n": [1, None, 3]},
    geometry=PLACES,
    crs=4326,
)


def written(folder, **columns):
    import pyarrow as pa
    from pyarrow import parquet as pq

    path = Path(folder) / "a.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def refused(path):
    with pytest.raises(LayerError) as told, ingest.opened(path) as source:
        for _ in source.chunks():
            pass
    assert told.value.vi != told.value.en
    return told.value.en


def test_without_pyarrow_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "available", lambda: False)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and so on")
    assert "pyarrow" in refused(path) and "GeoPackage" in refused(path)


@needs
@pytest.mark.parametrize("epsg", [4326, 9210, None])
@pytest.mark.parametrize("name", ["a.parquet", "a.geoparquet", "a.csv"])
def test_geoparquet_is_read_with_its_system(tmp_path, epsg, name):
    frame = FRAME.set_crs(epsg, allow_override=True)
    frame.to_parquet(tmp_path / name)
    made = ingest.read(tmp_path / name)
    assert made.frame["code"].tolist() == ["P1", "P2", None] and made.frame["n"].tolist() == [1.0, None, 3.0]
    assert made.frame["tên"].tolist() == ["Trạm xử lý Vĩnh Niệm", None, "ở đâu"]
    assert (made.crs.to_epsg() if made.crs else None) == epsg
    for a, b in zip(made.frame.geometry, frame.geometry, strict=True):
        assert (a is None) == (b is None) and (a is None or a.equals_exact(b, 0))
    assert any("Parquet" in n for n in made.notes) == (name == "a.csv")


@needs
def test_every_kind_of_column_becomes_what_a_table_would_hold(tmp_path):
    import pyarrow as pa

    path = written(
        tmp_path, day=[date(2026, 11, 22)], at=pa.array([1_000_000_000_000], pa.timestamp("us", "UTC")), yes=[True],
        money=[Decimal("12.50")], whole=[7], real=[0.1], kind=pa.array(["a"]).dictionary_encode(), nan=[float("nan")],
        far=pa.array([2**62], pa.timestamp("us")), none=pa.array([None], pa.null()),
    )  # fmt: skip
    row = ingest.read(path).frame.iloc[0]
    assert row["day"] == date(2026, 11, 22) and str(row["at"]).startswith("1970-01-12 13:46:40")
    assert (row["yes"], row["whole"], row["real"], row["kind"], row["nan"]) == (True, 7, 0.1, "a", None)
    assert float(row["money"]) == 12.5 and isinstance(row["far"], str) and row["none"] is None


@needs
def test_what_is_no_table_is_left_out_and_named(tmp_path):
    import pyarrow as pa

    path = written(tmp_path, code=["a"], many=[[1, 2]], two=[{"x": 1, "y": 2}], raw=pa.array([b"\x00\xff"]),
                   id=pa.array([b"0123456789abcdef"], pa.binary(16)), **{"with.dot": ["kept"]})  # fmt: skip
    made = ingest.read(path)
    assert list(made.frame.columns) == ["code", "with.dot"] and made.frame.iloc[0].tolist() == ["a", "kept"]
    assert any(all(n in str(note) for n in ("many", "two", "raw", "id")) for note in made.notes)


@needs
def test_columns_of_one_name_are_both_kept(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet as pq

    made = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"]), pa.array([1])], names=["a", "a", "b"])
    pq.write_table(made, tmp_path / "a.parquet")
    frame = ingest.read(tmp_path / "a.parquet").frame
    assert list(frame.columns) == ["a", "a (2)", "b"] and frame.iloc[0].tolist() == ["x", "y", 1]


@needs
def test_plain_parquet_gives_shapes_from_wkb_wkt_or_two_columns(tmp_path):
    wkb = written(tmp_path, code=["a", "b"], geom=[shapely.to_wkb(PLACES[0]), b"\x01\x02"])
    made = ingest.read(wkb)
    assert made.crs is None and made.frame.geometry[0].equals(PLACES[0]) and made.frame.geometry[1] is None
    with ingest.opened(wkb) as source:
        assert [c.unread.tolist() for c in source.chunks()] == [[False, True]]
    made = ingest.read(written(tmp_path, code=["a"], wkt=["POINT (106 20)"]))
    assert made.frame.geometry[0].equals(shapely.Point(106, 20))
    made = ingest.read(written(tmp_path, code=["a"], lon=[106.5], lat=[20.5]))
    assert (made.x, made.y) == ("lon", "lat")


@needs
def test_rows_come_in_pieces_over_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "CHUNK", 7)
    frame = pd.DataFrame({"code": [f"C{i}" for i in range(50)]})
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=20)
    with ingest.opened(tmp_path / "a.parquet") as source:
        chunks = list(source.chunks())
    assert [len(c.frame) for c in chunks] == [7, 7, 6, 7, 7, 6, 7, 3] and [c.first for c in chunks] == [
        0, 7, 14, 20, 27, 34, 40, 47]  # fmt: skip
    assert pd.concat([c.frame for c in chunks])["code"].tolist() == frame["code"].tolist()
    monkeypatch.setattr(ingest, "MAX_ROWS", 49)
    assert "more than 49 rows" in refused(tmp_path / "a.parquet")


@needs
@pytest.mark.parametrize(
    ("geo", "said"),
    [
        ({"primary_column": "geometry", "columns": {"geometry": {"encoding": "point"}, "x": 1}}, None),
        ({"primary_column": "nothing", "columns": {"nothing": {}}}, "WKB"),
        ({"primary_column": 7, "columns": []}, None), ("{" * 5000, None), (b"\xff\xfe", None),
        ({"primary_column": "geometry", "columns": {"geometry": {"crs": {"type": "?"}}}}, None),
        ({"primary_column": "geometry", "columns": {"geometry": 5}}, None),
    ],
)  # fmt: skip
def test_odd_words_about_shapes_do_no_harm(tmp_path, geo, said):
    import pyarrow as pa
    from pyarrow import parquet as pq

    text = geo if isinstance(geo, bytes) else (geo if isinstance(geo, str) else json.dumps(geo)).encode()
    table = pa.table({"code": ["a"], "geometry": [shapely.to_wkb(PLACES[0])]}).replace_schema_metadata({b"geo": text})
    pq.write_table(table, tmp_path / "a.parquet")
    if said:
        assert said in refused(tmp_path / "a.parquet")
    else:
        made = ingest.read(tmp_path / "a.parquet")
        assert made.frame.geometry[0].equals(PLACES[0])


@needs
def test_what_unpacks_beyond_all_measure_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    import pyarrow as pa
    from pyarrow import parquet as pq

    long = pa.table({"code": ["a" * 10_000_000] * 3})
    pq.write_table(long, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    monkeypatch.setattr(parquet, "MAX_PAGE", 1_000_000)
    assert "a page that unpacks to" in refused(tmp_path / "a.parquet")
    monkeypatch.undo()
    monkeypatch.setattr(parquet, "MAX_UNPACKED", 20_000_000)
    assert "unpack to more than" in refused(tmp_path / "a.parquet")
    monkeypatch.undo()
    many = pa.table({"code": ["a" * 1_000_000] * 5000})  # once in the dictionary, 5 GB as rows
    pq.write_table(many, tmp_path / "a.parquet", compression="zstd")
    assert "too large" in refused(tmp_path / "a.parquet")


@needs
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", None])
def test_the_headers_of_pages_are_read_as_they_are_written(tmp_path, version, encoding):
    import pyarrow as pa
    from pyarrow import parquet as pq

    rows = [f"mã {i} " + "á" * (i % 50 + 1) for i in range(20_000)]
    more = (
        {"use_dictionary": True}
        if encoding is None
        else {"use_dictionary": False, "column_encoding": {"code": encoding}}
    )
    pq.write_table(pa.table({"code": rows}), tmp_path / "a.parquet", data_page_version=version, data_page_size=20_000,
                   row_group_size=9_000, **more)  # fmt: skip
    meta = pq.ParquetFile(tmp_path / "a.parquet").metadata
    said = sum(meta.row_group(g).column(0).total_uncompressed_size for g in range(meta.num_row_groups))
    file = parquet.Parquet(tmp_path / "a.parquet", "a.parquet")
    with open(tmp_path / "a.parquet", "rb") as body:
        held = []
        for g in range(meta.num_row_groups):
            c = meta.row_group(g).column(0)
            begin = c.dictionary_page_offset or c.data_page_offset
            held += file._pages(body, begin, c.total_compressed_size, 10**9)
    assert 0.9 * said < sum(p.unpacked for p in held) <= said, "the file says the same, with the headers"
    assert ({p.coded for p in held} == {7}) == (encoding == "DELTA_BYTE_ARRAY")
    assert ingest.read(tmp_path / "a.parquet").frame["code"].tolist() == rows


@pytest.fixture(scope="module")
def good():
    if not parquet.available():
        return []
    out = []
    for compression in ("snappy", "zstd", None):
        body = io.BytesIO()
        FRAME.to_parquet(body, compression=compression)
        out.append(body.getvalue())
    return out


@needs
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    which=st.integers(0, 2),
    how=st.sampled_from(("cut", "flip", "tail", "middle")),
    where=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_broken_file_is_a_sentence(good, tmp_path, which, how, where):
    body = bytearray(good[which])
    at, byte = where[0]
    at = 4 + at % (len(body) - 30)
    if how == "cut":
        del body[at:]
    elif how == "tail":
        body[-8:-4] = (at * 256 + byte).to_bytes(4, "little")
    elif how == "middle":
        body[at : at + 16] = bytes([byte]) * 16
    else:
        for place, byte in where:
            body[4 + place % (len(body) - 4)] = byte
    path = tmp_path / "a.parquet"
    path.write_bytes(body)
    try:
        made = ingest.read(path)
    except LayerError as e:
        assert e.vi != e.en
    else:
        assert len(made.frame) <= 3


_READ = """
import resource, sys
from layers import ingest
with ingest.opened(sys.argv[1]) as source:
    rows = sum(len(c.frame) for c in source.chunks())
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@needs
def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = {}
    for count in (20_000, 400_000):
        path = tmp_path / f"{count}.parquet"
        at = np.arange(count)
        points = shapely.points(106.5 + at * 1e-7, 20.5 + at * 1e-7)
        names = [f"Điểm số {i} ở nơi nào đó của thành phố" for i in range(count)]
        gpd.GeoDataFrame({"code": names, "n": at}, geometry=points, crs=4326).to_parquet(path, row_group_size=20_000)
        out = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True,
                             cwd=Path(__file__).resolve().parents[1])  # fmt: skip
        rows, peaks[count] = map(int, out.stdout.split())
        assert rows == count
    assert peaks[400_000] < peaks[20_000] + 80_000, peaks  # kB
