"""The interface side by side with its peers on the same rows: requests a second, and how many times theirs.

    python run.py bench ogc [--rows areas|outlines] [--seconds 5] [--pygeoapi PYTHON] [--tipg PYTHON --postgis URL]

The rows: the starter facts, and 10,000 areas of 24 corners, or 400 outlines of 2,500 corners, most with a hole. Ours is `run.py serve`; pygeoapi reads a copy of the same
GeoPackage (its provider SQLiteGPKG) behind the same web server, waitress with 8 threads; tipg reads the same rows from
PostGIS behind uvicorn. The peers have Pythons of their own, which are no part of the program: one with pygeoapi and
waitress whose sqlite3 loads mod_spatialite (Debian's own does), one with tipg and uvicorn, and an empty database with
PostGIS. A peer that is not named is left out. Four readers ask at once, each in a connection that stays open, for
other pages, boxes, features and tiles each time; no tile is asked twice before all were asked once. Nothing here judges by the clock: the numbers are for people to read. Where /proc tells it (Linux), the processor time
of an answer stands beside, database included: it says more on a machine that does other work at the same time.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import geopandas as gpd
import numpy as np
import shapely

from layers import starter
from layers.catalogue import ALL
from layers.checks import check
from layers.store import Store

ROOT = Path(__file__).resolve().parents[1]
READERS, LAYER = 4, "built_up"
WEST, SOUTH, EAST, NORTH = 106.1, 20.6, 107.1, 21.2
TILES = {"wide": (9, 10), "middle": (12,), "near": (14,), "close": (16,)}  # zooms
MOST_TILES = 300  # of one width
PYGEOAPI = "from waitress import serve; from pygeoapi.flask_app import APP; serve(APP, host='127.0.0.1', port={port}, threads=8)"
TIPG = "import uvicorn; uvicorn.run('tipg.main:app', host='127.0.0.1', port={port}, log_level='error')"
LOAD = """
import json, sys, asyncio, asyncpg
async def load():
    con = await asyncpg.connect(sys.argv[1])
    await con.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    await con.execute('DROP TABLE IF EXISTS built_up')
    await con.execute('CREATE TABLE built_up (id text PRIMARY KEY, name_vi text, source text, confidence text, '
                      'geometry_quality text, geom geometry(MultiPolygon, 4326))')
    rows = json.load(open(sys.argv[2]))
    await con.executemany("INSERT INTO built_up VALUES ($1, $2, $3, $4, $5, ST_Multi(ST_GeomFromText($6, 4326)))", rows)
    await con.execute('CREATE INDEX ON built_up USING gist (geom)')
    await con.execute('ANALYZE built_up')
asyncio.run(load())
"""


def areas():
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = 0.004 * np.column_stack([np.cos(turn), np.sin(turn)])
    return _frame([shapely.Polygon(np.add(ring, place)) for place in _places(10_000)])


def outlines():
    turn = np.linspace(0, 2 * np.pi, 2500, endpoint=False)
    wave = (
        1 + 0.2 * np.sin(5 * turn) + 0.1 * np.sin(17 * turn) + 0.02 * np.sin(211 * turn) + 0.004 * np.sin(1200 * turn)
    )
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    ring, hole = 0.03 * wave[:, None] * circle, 0.003 * circle[::50]
    return _frame([shapely.Polygon(np.add(ring, place), [np.add(hole, place)]) for place in _places(400)])


def _places(n):
    rng = np.random.default_rng(1)
    return list(zip(rng.uniform(WEST, EAST, n), rng.uniform(SOUTH, NORTH, n), strict=True))


def _frame(shapes):
    n = len(shapes)
    said = {"source": "synthetic", "confidence": "low", "geometry_quality": "schematic"}
    names = {"code": [f"B{i}" for i in range(n)], "name_vi": [f"Khu đất số {i}" for i in range(n)]}
    return gpd.GeoDataFrame(names | said, geometry=shapes, crs=4326)


ROWS = {"areas": areas, "outlines": outlines}


def fill(folder, frame):
    store = Store(folder)
    starter.fill(store, today=date(2026, 11, 22))
    store.write(check(ALL[LAYER], frame), source="bench")
    store.copy_to(folder / "copy.gpkg")
    store.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def running(command, env=None, *, ready, wait_s=600):
    """A server in a process of its own, ended at the end; its address. ready: (its first lines) -> address or None."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
                               env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}))  # fmt: skip
    said = []
    threading.Thread(target=lambda: said.extend(process.stdout), daemon=True).start()
    try:
        end = time.monotonic() + wait_s
        while (address := ready("".join(said))) is None:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("it did not start: " + "".join(said)[-500:])
            time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(30)


def answers(address):
    """A `ready` for a server that says nothing: its address as soon as it answers."""

    def look(_said):
        parts = urlsplit(address)
        with contextlib.suppress(OSError, http.client.HTTPException):
            con = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
            con.request("GET", parts.path or "/")
            if con.getresponse().status < 500:
                return address
        return None

    return look


def ours(folder):
    command = [sys.executable, "-m", "server.cli", "serve", "--data", str(folder), "--port", "0"]

    def ready(said):
        found = re.search(r"ready: (http://[^/]+)/", said)
        return found and f"{found.group(1)}/ogc"

    return running(command, ready=ready)


def pygeoapi(python, folder):
    port, at = free_port(), Path(folder)
    provider = {
        "type": "feature",
        "name": "SQLiteGPKG",
        "data": str(at / "copy.gpkg"),
        "id_field": "code",
        "table": LAYER,
    }
    config = {
        "server": {"bind": {"host": "127.0.0.1", "port": port}, "url": f"http://127.0.0.1:{port}", "mimetype": "application/json",
                   "encoding": "utf-8", "languages": ["en-US"], "gzip": True,
                   "limits": {"default_items": 100, "max_items": 10000, "on_exceed": "throttle"},
                   "map": {"url": "https://example.com/{z}/{x}/{y}.png", "attribution": "-"}},
        "logging": {"level": "ERROR"},
        "metadata": {"identification": {"title": "bench", "description": "bench", "keywords": ["a"], "keywords_type": "theme",
                                        "terms_of_service": "-", "url": "https://example.com"},
                     "license": {"name": "-", "url": "https://example.com"},
                     "provider": {"name": "-", "url": "https://example.com"}, "contact": {"name": "-", "email": "a@example.com"}},
        "resources": {LAYER: {"type": "collection", "title": LAYER, "description": LAYER, "keywords": ["a"], "links": [],
                              "extents": {"spatial": {"bbox": [106, 20, 108, 22], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}},
                              "providers": [provider]}},
    }  # fmt: skip
    (at / "pygeoapi.yml").write_text(json.dumps(config))  # JSON is YAML
    env = {"PYGEOAPI_CONFIG": str(at / "pygeoapi.yml"), "PYGEOAPI_OPENAPI": str(at / "openapi.json")}
    made = subprocess.run([python, "-c", "import json, sys; from pygeoapi.openapi import generate_openapi_document as g; "
                           "from pathlib import Path; Path(sys.argv[2]).write_text(g(Path(sys.argv[1]), 'json'))",
                           env["PYGEOAPI_CONFIG"], env["PYGEOAPI_OPENAPI"]],
                          capture_output=True, text=True, env=os.environ | env)  # fmt: skip
    if made.returncode:
        raise RuntimeError(made.stderr.strip()[-500:])
    return running([python, "-c", PYGEOAPI.format(port=port)], env, ready=answers(f"http://127.0.0.1:{port}"))


def tipg(python, url, folder, frame):
    rows = Path(folder) / "rows.json"
    columns = [frame[c].tolist() for c in ("code", "name_vi", "source", "confidence", "geometry_quality")]
    rows.write_text(json.dumps(list(zip(*columns, shapely.to_wkt(frame.geometry, rounding_precision=-1), strict=True))))
    loaded = subprocess.run([python, "-c", LOAD, url, str(rows)], capture_output=True, text=True)
    if loaded.returncode:
        raise RuntimeError(loaded.stderr.strip()[-500:])
    port = free_port()
    env = {"DATABASE_URL": url, "TIPG_MAX_FEATURES_PER_QUERY": "10000", "TIPG_DEFAULT_FEATURES_LIMIT": "100"}
    return running([python, "-c", TIPG.format(port=port)], env, ready=answers(f"http://127.0.0.1:{port}"))


# --- what is asked ---


def questions(path, tiles, n):
    """{name: addresses after the server's}. path: of the collection; tiles: whether rows come before columns."""
    pick = random.Random(0)
    corners = [(pick.uniform(106.1, 107), pick.uniform(20.6, 21.1)) for _ in range(300)]
    pages = {f"pages of {size:,}": [f"{path}/items?limit={size}&offset={at}" for at in range(0, n, size)][:100]
             for size in (100, 1000) if size < n}  # fmt: skip
    order = (lambda z, x, y: f"{z}/{y}/{x}") if tiles == "yx" else (lambda z, x, y: f"{z}/{x}/{y}")
    return {
        **pages,
        "boxes": [f"{path}/items?limit=100&bbox={x:.4f},{y:.4f},{x + 0.1:.4f},{y + 0.1:.4f}" for x, y in corners],
        "single features": [f"{path}/items/B{pick.randrange(n)}" for _ in range(300)],
        **{
            f"{width} tiles": [f"{path}/tiles/WebMercatorQuad/{order(*t)}" for t in tiles_of(zooms)]
            for width, zooms in TILES.items()
        },
    }


def tiles_of(zooms):
    """Tiles over the rows in any order, none twice."""
    out = []
    for z in zooms:
        (x0, y0), (x1, y1) = tile_of(WEST, NORTH, z), tile_of(EAST, SOUTH, z)
        every = [(z, x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)]
        out += random.Random(z).sample(every, len(every))
    return out[:MOST_TILES]


def tile_of(lon, lat, z):
    n = 1 << z
    y = np.arcsinh(np.tan(np.radians(lat))) / np.pi
    return int((lon + 180) / 360 * n), int((1 - y) / 2 * n)


def count(address, path):
    """Features in one answer, or the bytes of a tile."""
    parts = urlsplit(address)
    con = http.client.HTTPConnection(parts.hostname, parts.port, timeout=300)
    con.request("GET", parts.path + path, headers={"Accept": "*/*" if "/tiles/" in path else "application/geo+json"})
    answer = con.getresponse()
    body = answer.read()
    if answer.status not in (200, 204):
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    if "/tiles/" in path:
        return None
    made = json.loads(body)
    return len(made["features"]) if "features" in made else 1


def answers_a_second(address, paths, seconds, *, gzipped, once=False):
    """Answers a second. once: every address one time at most, so that nothing was asked before."""
    parts, done, lock = urlsplit(address), [0, 0], threading.Lock()
    ahead = iter(range(len(paths) if once else sys.maxsize))
    end = time.perf_counter() + seconds
    headers = {"Accept": "*/*"} | ({"Accept-Encoding": "gzip"} if gzipped else {})

    def read():
        con = http.client.HTTPConnection(parts.hostname, parts.port, timeout=300)
        while time.perf_counter() < end:
            with lock:
                i = next(ahead, None)
            if i is None:
                return
            con.request("GET", parts.path + paths[i % len(paths)], headers=headers)
            answer = con.getresponse()
            answer.read()
            with lock:
                done[answer.status not in (200, 204)] += 1

    begun = time.perf_counter()
    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    if done[1]:
        print(f"{address}: {done[1]} of {sum(done)} answers were errors and do not count, e.g. of {paths[0]}")
    return done[0] / (time.perf_counter() - begun)


def processor_s(pids):
    """Seconds of processor time that processes and all their children took until now; NaN where nobody tells."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            if not Path("/proc/self/stat").exists():
                return float("nan")
            continue  # it has ended; its parent holds its time
        total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def databases():
    """Process numbers of PostgreSQL on this machine."""
    names = Path("/proc").glob("[0-9]*/comm")
    return [int(n.parent.name) for n in names if n.exists() and n.read_text().startswith("postgres")]


def measured(address, asked, seconds, pids):
    """{question: (answers a second, processor ms an answer)} of a server; tiles first cold, then warm.

    pids: gives the numbers of the processes that work for it.
    """
    out = {}

    def pace(*args, **options):
        before, begun = processor_s(pids()), time.perf_counter()
        rate = answers_a_second(*args, **options)
        answered = rate * (time.perf_counter() - begun)
        return rate, 1000 * (processor_s(pids()) - before) / max(answered, 1)

    for name, paths in asked.items():
        if name.endswith("tiles"):
            out[f"{name}, first time"] = pace(address, paths, 300, gzipped=True, once=True)
            out[f"{name}, again"] = pace(address, paths, seconds, gzipped=True)
        else:
            pace(address, paths[:5], 0.5, gzipped=False)
            out[name] = pace(address, paths, seconds, gzipped=False)
            out[f"{name}, gzip"] = pace(address, paths, seconds, gzipped=True)
    return out


def row(*cells):
    print("  ".join(str(c).ljust(w) for c, w in zip(cells, (26, 14, 16, 16, 0), strict=False)).rstrip(), flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="bench ogc", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", choices=ROWS, default="areas", help="areas of 24 corners, or outlines of 2,500")
    parser.add_argument("--seconds", type=float, default=5, help="how long each question is asked")
    parser.add_argument("--pygeoapi", metavar="PYTHON", help="a Python with pygeoapi and waitress")
    parser.add_argument("--tipg", metavar="PYTHON", help="a Python with tipg and uvicorn")
    parser.add_argument("--postgis", metavar="URL", help="an empty database for tipg, postgresql://...")
    options = parser.parse_args(arguments)
    made, path, frame = {}, f"/collections/{LAYER}", ROWS[options.rows]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, frame)
        servers = {"ours": (lambda: ours(folder), questions(path, "yx", len(frame)))}
        if options.pygeoapi:
            asked = {k: v for k, v in questions(path, "yx", len(frame)).items() if not k.endswith("tiles")}
            servers["pygeoapi"] = (lambda: pygeoapi(options.pygeoapi, folder), asked)
        if options.tipg and options.postgis:
            servers["tipg"] = (
                lambda: tipg(options.tipg, options.postgis, folder, frame),
                questions("/collections/public.built_up", "xy", len(frame)),
            )
        seen = {}
        for server, (begin, asked) in servers.items():
            try:
                with begin() as (address, pid):
                    seen[server] = [count(address, paths[1]) for paths in asked.values()]
                    made[server] = measured(address, asked, options.seconds, lambda p=pid, s=server: [p, *beside(s)])
            except (RuntimeError, OSError) as e:
                print(f"{server}: {e}")
    for server, counts in seen.items():
        if "ours" in seen and counts[:2] != seen["ours"][:2]:
            print(f"{server} gave other counts of features than ours: {counts} against {seen['ours']}")
    for i, title in enumerate(("answers a second", "processor ms an answer")):
        row(title, *made)
        for name, own in made.get("ours", {}).items():
            peers = [m[name][i] if name in m else None for server, m in made.items() if server != "ours"]
            times = [None if n is None else (own[0] / n, n / max(own[1], 0.01))[i] for n in peers]
            cells = zip(peers, times, strict=True)
            row(name, f"{own[i]:,.1f}", *("–" if n is None else f"{n:,.1f} ({t:,.1f} x)" for n, t in cells))
    return 0


def beside(server):
    """Processes that work for a server beside its own."""
    return databases() if server == "tipg" else []


if __name__ == "__main__":
    sys.exit(main())
