"""The upload door under fire: whatever comes, the answer is a sentence, and no layer changes without being asked.

Each file goes through the form and the whole work on it, as far as it goes without a person; then its page is
read in both languages.
"""

import io
import struct
import zipfile

import geopandas as gpd
import pandas as pd
import people
import pytest
import shapely
import staffroom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers import ingest, parcels, parquet
from server import importdesk, importdoor, worker

MISTAKE = "mistake in the program"
SUFFIXES = [*importdoor.SUFFIXES, ".exe", ".shp", "", ".csv.zip", ".CSV"]
HOSTILE = [
    "../../../../etc/passwd", "..\\..\\windows\\system32\\config", "/abs/olute", "C:\\x", "a\x00b", "con", "nul.csv", "...", "",
    " ", "\u202egpj", "x" * 500, "'; DROP TABLE imports; --", "<svg onload=alert(1)>", "%s%s%n", "${jndi:ldap://x}", "{{7*7}}",
    "Trạm xử lý nước thải", "e\u0301" * 60, "\U0001f4a9", "a\nb", "a\r\nSet-Cookie: x=y", ".htaccess", "-rf", "~root",
]  # fmt: skip


@pytest.fixture(scope="module")
def office(starter_store, tmp_path_factory):
    with staffroom.office(starter_store, tmp_path_factory.mktemp("door") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """{suffix: bytes} of one good file of each kind that is read."""
    folder = tmp_path_factory.mktemp("good")
    frame = gpd.GeoDataFrame(
        {"code": ["A", "B"], "name_vi": ["Bãi một", "Bãi hai"], "kind": ["dump", "landfill"]},
        geometry=[shapely.Point(106.68, 20.85), shapely.Point(106.7, 20.86)], crs=4326,
    )  # fmt: skip
    out = {".csv": b"code;name_vi;kind;lon;lat\nA;B\xc3\xa3i;dump;106.68;20.85\nB;B;landfill;106.7;20.86\n"}
    out[".tsv"] = out[".txt"] = out[".csv"].replace(b";", b"\t")
    for suffix, driver in (
        (".gpkg", "GPKG"),
        (".geojson", "GeoJSON"),
        (".fgb", "FlatGeobuf"),
        (".kml", "KML"),
        (".gpx", "GPX"),
    ):
        made = frame[["geometry"]].assign(name=frame["code"]) if driver in ("GPX", "KML") else frame
        made.to_file(folder / f"a{suffix}", driver=driver)
        out[suffix] = (folder / f"a{suffix}").read_bytes()
    out[".json"] = out[".geojson"]
    frame.to_file(folder / "s.shp", encoding="utf-8")
    if parquet.available():
        frame.to_parquet(folder / "a.parquet")
        out[".parquet"] = (folder / "a.parquet").read_bytes()
    out[".zip"] = zipped({p.name: p.read_bytes() for p in folder.glob("s.*")})
    out[".kmz"] = zipped({"doc.kml": out[".kml"]})
    pd.DataFrame(frame.drop(columns="geometry")).to_excel(folder / "a.xlsx", index=False)
    out[".xlsx"] = (folder / "a.xlsx").read_bytes()
    return out


def zipped(members, **more):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data, **more)
    return body.getvalue()


def through(office, name, body, layer=""):
    """Send a file and do all work on it: the import, or None where the door refused it. Everything is checked here."""
    client, desk, store = (
        people.signed_in(office.app, office.users["planner"]),
        office.services.imports,
        office.services.store,
    )
    before = store.versions()
    answer = client.post(
        "/admin/import?lang=en", data={"csrf": client.csrf, "layer": layer, "file": (io.BytesIO(body), name)}
    )
    assert answer.status_code in (303, 413, 422), (name, answer.status_code)
    if answer.status_code != 303:
        assert "Something went wrong on our side" not in answer.get_data(as_text=True)
        if answer.status_code == 422:
            assert "field-error" in answer.get_data(as_text=True), name
        return None
    number = int(answer.headers["Location"].rsplit("/", 1)[1])
    worker.work_off(office.services)
    one = desk.settled(desk.get(number))
    assert one.state in ("layer", "place", "columns", "ready", "refused"), (
        name,
        one.state,
        one.error,
        office.services.jobs.log(one.job),
    )
    if one.state == "refused":
        assert one.error["en"].strip() and one.error["vi"].strip() and MISTAKE not in one.error["en"]
    assert store.versions() == before and store.refused() == {}
    inside = {p.name for p in desk.folder(number).iterdir()}
    known = {one.name, "look.json", "trial.json", "refused.csv"} | (
        {"rows.sqlite", "tried.tif"} if one.state == "ready" else set()
    )
    assert inside <= known, inside
    for lang in ("vi", "en"):
        page = client.get(f"/admin/import/{number}?lang={lang}")
        assert page.status_code == 200, (name, page.status_code)
    return one


RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@RELAXED
@given(st.sampled_from(SUFFIXES), st.binary(max_size=400))
def test_random_bytes_with_any_suffix(office, suffix, body):
    through(office, f"a{suffix}", body)


@RELAXED
@given(st.data())
def test_good_files_cut_off_or_spoiled(office, samples, data):
    suffix = data.draw(st.sampled_from(sorted(samples)))
    body = bytearray(samples[suffix])
    for _ in range(data.draw(st.integers(0, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    body = bytes(body[:cut]) if data.draw(st.booleans()) else bytes(body)
    through(office, f"a{suffix}", body, layer=data.draw(st.sampled_from(["", "waste_sites"])))


@RELAXED
@given(st.data())
def test_good_files_under_a_wrong_name(office, samples, data):
    body = samples[data.draw(st.sampled_from(sorted(samples)))]
    through(office, f"a{data.draw(st.sampled_from(importdoor.SUFFIXES))}", body)


@RELAXED
@given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=80)), st.sampled_from([".csv", ".zip", ".geojson", ""]))
def test_hostile_names(office, name, suffix):
    one = through(office, name + suffix, b"code;name_vi\nA;B\n")
    if one is not None:
        path = office.services.imports.path(one)
        assert path.parent == office.services.imports.folder(one.number)
        assert len(path.name.encode()) < 255 and not set('/\\\x00<>:"|?*\n\r') & set(one.name)


CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "NaN", "inf", "-1e999", "1e308", "106.7", "20,85", "20°51'30\"B", "=1+1", "'", '"', "\x00", "\ufeff",
                     "\ud7ff", "POINT (1 2)", "POLYGON EMPTY", "2026-13-45", "0x10", "９", "true", "None"]),
    st.integers(-(2**70), 2**70).map(str), st.floats(allow_nan=True).map(str),
)  # fmt: skip
HEADING = st.one_of(
    st.sampled_from(["code", "kind", "name_vi", "lon", "lat", "X", "Y", "wkt", "source", "confidence", "valid_from", "geometry",
                     "fid", "row", "index", "state", "Mã", "toa do x", "__class__", "a" * 300]), st.text(max_size=10),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(HEADING, min_size=1, max_size=6),
    st.lists(st.lists(CELL, max_size=7), max_size=6),
    st.sampled_from(";,\t|"),
)
def test_tables_of_anything(office, headings, rows, mark):
    text = "\n".join(mark.join(line) for line in (headings, *rows))
    one = through(office, "a.csv", text.encode("utf-8", "replace"), layer="waste_sites")
    if one is not None and one.state == "columns":
        look = office.services.imports.read(one.number, "look.json")
        columns = {c["name"]: c["guess"] or c["role"] for c in look["columns"]} | {look["columns"][0]["name"]: "code"}
        chosen = {"columns": columns, "fill": {"source": "s", "confidence": "high"}, "mode": "replace", "seen": True}
        before = office.services.store.versions()
        office.services.imports.choose(office.users["planner"], one.number, one.revision, **chosen)
        worker.work_off(office.services)
        one = office.services.imports.settled(office.services.imports.get(one.number))
        assert one.state in ("ready", "place", "refused"), (one.state, office.services.jobs.log(one.job))
        assert office.services.store.versions() == before
        client = people.signed_in(office.app, office.users["planner"])
        assert client.get(f"/admin/import/{one.number}").status_code == 200


def test_archives_that_are_traps(office, monkeypatch):
    inner = zipped({"a.csv": b"code\nA\n"})
    traps = {
        "nested.zip": zipped({"b.zip": inner}),
        "nested.kmz": zipped({"b.kmz": inner}),
        "climb.zip": zipped({"../../../../tmp/evil.csv": b"code\nA\n"}),
        "backslash.zip": zipped({"..\\..\\evil.csv": b"code\nA\n"}),
        "absolute.zip": zipped({"/etc/evil.csv": b"code\nA\n"}),
        "drive.zip": zipped({"C:evil.csv": b"code\nA\n"}),
        "many.zip": zipped({f"{i}.txt": b"" for i in range(parcels.MAX_MEMBERS + 1)}),
        "nothing.zip": zipped({}),
        "foreign.zip": zipped({"a.exe": b"MZ", "b.html": b"<p>"}),
        "two.zip": zipped({"a.csv": b"code\nA\n", "b.csv": b"code\nB\n"}),
        "mac.zip": zipped({"__MACOSX/._a.csv": b"\x00\x05", "a.csv": b"code;name_vi\nA;B\n"}),
        "lonely.zip": zipped({"a.shp": b"\x00\x00\x27\x0a" + b"\x00" * 96}),
        "itself.zip": inner[:-10],
    }
    for name, body in traps.items():
        one = through(office, name, body)
        if name != "mac.zip":
            assert one.state == "refused", (name, one.state)
    monkeypatch.setattr(parcels, "MAX_UNPACKED", 200_000)
    assert through(office, "bomb.zip", zipped({"a.csv": b"code\n" + b"A\n" * 200_000})).state == "refused"


def test_an_archive_that_lies_about_its_size(office, monkeypatch):
    monkeypatch.setattr(parcels, "MAX_UNPACKED", 200_000)
    body = bytearray(zipped({"a.csv": b"code\n" + b"A\n" * 200_000}))
    at = body.rfind(b"PK\x01\x02")
    body[at + 24 : at + 28] = struct.pack("<I", 10)  # the size in the directory
    assert through(office, "lie.zip", bytes(body)).state == "refused"


def test_counts_beyond_all_measure(office, monkeypatch):
    monkeypatch.setattr(ingest, "MAX_ROWS", 50)
    assert (
        through(office, "long.csv", b"code;name_vi\n" + b"".join(b"%d;B\n" % i for i in range(60))).state == "refused"
    )
    wide = ";".join(f"c{i}" for i in range(3_000))
    one = through(office, "wide.csv", (wide + "\n" + ";".join("1" * 3_000) + "\n").encode(), layer="waste_sites")
    assert one.state in ("refused", "columns")
    deep = "[" * 50_000 + "]" * 50_000
    assert through(office, "deep.geojson", deep.encode()).state == "refused"
    ring = ",".join("[106.6,20.8]" for _ in range(20_000))
    body = '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"A"},"geometry":{"type":"Polygon","coordinates":[[%s]]}}]}'
    through(office, "ring.geojson", (body % ring).encode(), layer="waste_sites")
    head = b"P" * 100
    assert (
        through(office, "fake.xlsx", zipped({"xl/workbook.xml": head, "[Content_Types].xml": head})).state == "refused"
    )
    laughs = '<?xml version="1.0"?><!DOCTYPE k [' + "".join(
        f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(9)) + '<!ENTITY a0 "ha">]><kml>&a9;</kml>'  # fmt: skip
    assert through(office, "laughs.kml", laughs.encode()).state == "refused"
    outside = '<?xml version="1.0"?><!DOCTYPE k [<!ENTITY x SYSTEM "file:///etc/passwd">]><kml><Document><Placemark><name>&x;</name></Placemark></Document></kml>'
    one = through(office, "outside.kml", outside.encode())
    look = office.services.imports.read(one.number, "look.json") or {}
    assert "root:" not in str(look) and "root:" not in str(one.error)


@RELAXED
@given(st.one_of(st.none(), st.text(max_size=20), st.integers(), st.floats(), st.booleans(), st.lists(st.integers(), max_size=2)),
       st.one_of(st.none(), st.text(max_size=5), st.integers(-5, 10**19), st.booleans(), st.floats()),
       st.one_of(st.none(), st.text(max_size=10), st.integers()))  # fmt: skip
def test_the_beginning_of_a_sending_with_nonsense(office, name, size, layer):
    client = people.signed_in(office.app, office.users["planner"])
    answer = client.post(
        "/admin/import/begin", json={"name": name, "size": size, "layer": layer}, headers={"X-CSRF": client.csrf}
    )
    assert answer.status_code == 422 and answer.get_json()["message"]


@RELAXED
@given(st.binary(max_size=60), st.sampled_from(["application/json", "text/plain", ""]))
def test_the_beginning_of_a_sending_with_no_json(office, body, kind):
    client = people.signed_in(office.app, office.users["planner"])
    answer = client.post("/admin/import/begin", data=body, headers={"X-CSRF": client.csrf, "Content-Type": kind})
    assert answer.status_code == 422 and answer.get_json()["message"]


@RELAXED
@given(st.sampled_from(["file", "place", "columns", "again", "apply", "undo", "redo", "drop"]),
       st.dictionaries(st.sampled_from(["revision", "layer", "sheet", "reading", "mode", "field-0", "field-1", "fill-source"]),
                       st.one_of(st.text(max_size=20), st.integers(-1, 9).map(str))))  # fmt: skip
def test_forms_with_nonsense_never_break_and_never_write(office, what, form):
    number = fresh(office)
    before = office.services.store.versions()
    client = people.signed_in(office.app, office.users["planner"])
    answer = client.post(f"/admin/import/{number}/{what}", data={"csrf": client.csrf, **form})
    assert answer.status_code in (303, 409, 422), (what, form, answer.status_code)
    worker.work_off(office.services)
    assert office.services.store.versions() == before
    assert client.get(f"/admin/import/{number}").status_code == 200
    one = office.services.imports.settled(office.services.imports.get(number))
    assert one.state in importdesk.STATES and one.state != "failed", office.services.jobs.log(one.job)


def fresh(office):
    """An import that waits for its columns; the same one again as long as nobody laid it aside."""
    desk = office.services.imports
    for one in desk.recent(5):
        if one.name == "ban.csv" and one.state == "columns":
            return one.number
    return through(office, "ban.csv", b"code;name_vi\nA;B\n", layer="waste_sites").number
