"""The short way to a tile answers as the long one does, and leaves to it what it does not know."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import geopandas as gpd
import mapbox_vector_tile
import pytest

from layers import mvt
from layers.catalogue import ALL
from layers.checks import check
from layers.pulse import Pulse
from server import tiledoor, tiles
from server.app import create_app
from server.settings import Settings

BASE = "/ogc/collections/{}/tiles/WebMercatorQuad/{}/{}/{}"
_X, _Y = mvt.tile_at(106.6881, 20.8449, 10)
HERE = BASE.format("admin_units", 10, _Y, _X)


@pytest.fixture
def app(filled):
    services = SimpleNamespace(store=filled, population=None)
    return create_app(Settings(data_dir=filled.data_dir), services, views=("ogc",))


@pytest.fixture
def long_way(app):
    """How often the application itself was asked."""
    asked, door = [], app.wsgi_app
    inner = door._application
    door._application = lambda environ, start: asked.append(environ["PATH_INFO"]) or inner(environ, start)
    return asked


def told(answer):
    """What a client sees, but for the policy, which in the long answer holds a number used once, and the clock."""
    headers = sorted((k, v) for k, v in answer.headers if k not in ("Content-Security-Policy", "Date"))
    return answer.status, headers, answer.data


@pytest.mark.parametrize("accept", [None, "gzip", "gzip;q=0", "br, gzip;q=0.5", "identity"])
def test_both_ways_answer_alike(app, long_way, accept):
    client = app.test_client()
    headers = {"Accept-Encoding": accept} if accept else {}
    for address in (HERE, BASE.format("admin_units", 9, _Y // 2, _X // 2), BASE.format("admin_units", 10, 0, 0),
                    BASE.format("intakes", 0, 0, 0), BASE.format("stations", 22, 0, 0)):  # fmt: skip
        long_way.clear()
        short = client.get(address, headers=headers)
        assert not long_way, address
        assert told(short) == told(client.get(f"{address}?f=mvt", headers=headers))
        assert "default-src 'none'" in short.headers["Content-Security-Policy"]
        for tag in (short.headers["ETag"], '"other", ' + short.headers["ETag"], "*", '"other"', "nonsense"):
            long_way.clear()
            asked = headers | {"If-None-Match": tag}
            again = client.get(address, headers=asked)
            assert not long_way, tag
            assert told(again) == told(client.get(f"{address}?f=mvt", headers=asked))
            assert (again.status_code == 304) == (tag not in ('"other"', "nonsense")), tag


@pytest.mark.parametrize(
    "address",
    [
        BASE.format("nothing", 1, 0, 0), BASE.format("cases", 1, 0, 0), BASE.format("plant_states", 1, 0, 0),
        BASE.format("admin_units", 23, 0, 0), BASE.format("admin_units", 1, 2, 0), BASE.format("admin_units", 1, 0, "٣"),
        BASE.format("admin_units", 1, 0, "0/"), HERE + "?f=png", HERE + "?f=mvt",
        HERE.replace("WebMercatorQuad", "Other"), "/ogc", "/",
    ],
)  # fmt: skip
def test_what_is_not_a_plain_question_goes_the_long_way(app, long_way, address):
    answer = app.test_client().get(address)
    assert len(long_way) == 1 and (answer.status_code != 200 or address in ("/ogc", HERE + "?f=mvt"))


def test_other_methods_and_tokens_go_the_long_way(app, long_way):
    client = app.test_client()
    assert client.head(HERE).status_code == 200 and client.post(HERE).status_code == 405
    assert client.options(HERE).status_code == 200
    assert client.get(HERE, headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert len(long_way) == 4


def test_what_goes_wrong_is_told_by_the_application(app, long_way, monkeypatch):
    def broken(*_args):
        raise ValueError("secret of the house")

    monkeypatch.setattr(tiles.Drawing, "tile", broken)
    app.testing = False
    answer = app.test_client().get(HERE)
    assert answer.status_code == 500 and long_way and b"secret" not in answer.data


def names(client):
    layer = mapbox_vector_tile.decode(client.get(HERE).data)["admin_units"]
    return {f["properties"]["name_vi"] for f in layer["features"]}


def test_a_new_version_is_drawn_at_once(app, filled):
    client = app.test_client()
    before = client.get(HERE)
    frame = filled.snapshot("admin_units").copy()
    frame["name_vi"] = [f"{n} ({i})" for i, n in enumerate(frame["name_vi"])]
    filled.write(check(ALL["admin_units"], gpd.GeoDataFrame(frame, crs=4326)), source="test")
    after = client.get(HERE, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200 and after.headers["ETag"] != before.headers["ETag"]
    assert all(n.endswith(")") for n in names(client))


def test_an_edit_by_another_program_is_drawn_at_once(app, filled):
    client = app.test_client()
    assert "Bến thử" not in names(client)
    with closing(sqlite3.connect(filled.path)) as other, other:
        for name, of in (("ST_MinX", 0), ("ST_MinY", 1), ("ST_MaxX", 2), ("ST_MaxY", 3)):
            other.create_function(name, 1, lambda _b, of=of: float(of))
        other.create_function("ST_IsEmpty", 1, lambda _b: 0)
        other.execute("UPDATE admin_units SET name_vi = 'Bến thử' WHERE code = '11383'")
        other.execute("UPDATE gpkg_contents SET last_change = '2031-01-01T00:00:00Z' WHERE table_name = 'admin_units'")
    assert "Bến thử" in names(client)


# --- the pulse ---


def test_a_pulse_beats_when_something_is_written(tmp_path):
    path = tmp_path / "tên có dấu #1.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (x)")
        pulse = Pulse(path)
        first = pulse.beat()
        assert pulse.beat() == first
        writer.execute("INSERT INTO t VALUES (1)")
        assert pulse.beat() == first, "not committed yet"
        writer.commit()
        second = pulse.beat()
        assert second != first and pulse.beat() == second
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        writer.execute("DELETE FROM t")
        writer.rollback()
        held = pulse.beat()
        writer.execute("SELECT * FROM t").fetchall()
        assert pulse.beat() == held, "reading is no beat"


WRITES = """
import sqlite3
con = sqlite3.connect(args[0])
con.execute("INSERT INTO t VALUES (1)")
con.commit()
con.close()
say("done")
"""


def test_other_processes_are_felt(tmp_path, ask):
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as con:
        con.execute("CREATE TABLE t (x)")
        con.commit()
    pulse = Pulse(path)
    before = pulse.beat()
    assert ask(WRITES, str(path)) == "done"
    assert pulse.beat() != before


def test_what_the_etag_is_made_of_tells_layers_and_versions_apart():
    made = {
        tiledoor.version(SimpleNamespace(name=n, version=v, internal=i), z, 0, 0)
        for n in ("a", "b") for v in (1, 2) for i in (True, False) for z in (1, 2)
    }  # fmt: skip
    assert len(made) == 16
