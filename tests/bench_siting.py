"""Siting side by side with its peer: sizes, gaps and seconds, and the same optimum on the same questions.

    python run.py bench siting [--large] [--with-peer] [--peer FOLDER]

The peer (spopt with CBC) has an environment of its own (.venv-bench), made from tests/requirements-bench.txt when
--with-peer asks for it; it is no part of the program, and without it only our own numbers are printed. The
questions: demands in 60 clusters of a square of 50 km, sites anywhere in it, a reach of 3 km. Nothing here judges
by the clock: the numbers are for people to read.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.grids import study_grid
from geo.locations import case
from geo.medians import covering, median
from geo.plans import Effort
from geo.siting import cover
from geo.studies import Criterion, Curve, Near, Study
from geo.suitability import strips

ROOT = Path(__file__).resolve().parents[1]
PEER = Path(__file__).with_name("requirements-bench.txt")

# What the peer runs; argv: the file of the question, where spopt's own test data may be found by it.
PEER_COVERAGE = """
import json, sys, time
import numpy as np
start = time.perf_counter()
import pulp
from spopt.locate import MCLP
imported = time.perf_counter()
q = np.load(sys.argv[1])
away = np.hypot(q["d"][:, None, 0] - q["s"][None, :, 0], q["d"][:, None, 1] - q["s"][None, :, 1])
model = MCLP.from_cost_matrix(away, q["w"], float(q["reach"]), p_facilities=int(q["plants"]))
model = model.solve(pulp.PULP_CBC_CMD(msg=False))
print(json.dumps({"value": model.problem.objective.value(), "status": pulp.LpStatus[model.problem.status],
                  "seconds": time.perf_counter() - imported, "import": imported - start}))
"""
PEER_CITY = """
import json
from pathlib import Path
import pandas as pd, pulp, spopt
from spopt.locate import LSCP, MCLP, PMedian
folder = Path(spopt.__file__).parent / "tests" / "test_locate" / "data"
far = pd.read_csv(folder / "SF_network_distance_candidateStore_16_censusTract_205_new.csv")
table = far.pivot_table(values="distance", index="DestinationName", columns="name")
weight = far.drop_duplicates("DestinationName").set_index("DestinationName")["demand"].loc[table.index]
cbc = pulp.PULP_CBC_CMD(msg=False)
cover = LSCP.from_cost_matrix(table.to_numpy(), 5000.0).solve(cbc).problem.objective.value()
most = MCLP.from_cost_matrix(table.to_numpy(), weight.to_numpy(), 5000.0, p_facilities=4).solve(cbc)
near = PMedian.from_cost_matrix(table.to_numpy(), weight.to_numpy(), 4).solve(cbc)
print(json.dumps({"covering": cover, "coverage": most.problem.objective.value(), "median": near.problem.objective.value(),
                  "table": far.rename(columns={"name": "facility", "DestinationName": "demand", "distance": "distance_m",
                                               "demand": "m3_day"}).to_dict("list")}))
"""


def question(demands, sites, *, seed=0):
    """(x, y of demands, x, y of sites in metres, m³/day of demands)."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 50, (60, 2))
    d = (centres[rng.integers(0, 60, demands)] + rng.normal(0, 2.5, (demands, 2))) * 1000
    s = rng.uniform(0, 50, (sites, 2)) * 1000
    return d, s, rng.gamma(2, 10, demands)


def asked(d, s, w, *, plants, share, standing=0):
    """The case: each new plant takes `share` of all waste water; the first sites stand already, with a third of it."""
    demands = gpd.GeoDataFrame(
        {"m3_day": w}, index=[f"d{i}" for i in range(len(d))], geometry=gpd.points_from_xy(*d.T), crs=9210
    )
    sites = gpd.GeoDataFrame(index=[f"s{i}" for i in range(len(s))], geometry=gpd.points_from_xy(*s.T), crs=9210)
    kept = sites.iloc[:standing].assign(spare_m3_day=w.sum() * share / 3) if standing else None
    sizes = pd.DataFrame({"capacity_m3_day": [w.sum() * share], "cost": [1.0]})
    return case(demands, sites.iloc[standing:], sizes, plants=kept, within_m=3000, number=plants)


def timed(work):
    """(answer, seconds on the wall, seconds of this process: less than the first where the machine is shared)."""
    wall, own = time.perf_counter(), time.process_time()
    answer = work()
    return answer, time.perf_counter() - wall, time.process_time() - own


def row(*cells):
    print(
        "  ".join(str(cell).ljust(width) for cell, width in zip(cells, (34, 26, 8, 8, 9, 0), strict=False)).rstrip(),
        flush=True,
    )


def ours(name, demands, sites, *, plants=15, target, gap=1e-3, **options):
    d, s, w = question(demands, sites)
    plan, seconds, own = timed(lambda: cover(asked(d, s, w, plants=plants, **options), effort=Effort(gap=gap)))
    size = f"{demands:,} x {sites:,} x {plants}"
    row(
        name,
        size,
        f"{seconds:.1f} s",
        f"{own:.1f} s",
        f"{100 * plan.gap:.3f} %",
        f"{plan.status}, {plan.value:,.0f} m³/day; {target}",
    )
    return plan, seconds


def peer_python(folder):
    """The Python of the peer's environment; made with pip where it is not there, or was broken off."""
    python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / ("python.exe" if os.name == "nt" else "python")
    made = Path(folder) / "made-from.txt"
    if not made.exists() or made.read_text("utf-8") != PEER.read_text("utf-8"):
        print(f"Making an environment of {PEER.name} in {folder} ...", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", PEER], check=True)
        made.write_text(PEER.read_text("utf-8"), "utf-8")
    return python


def ask_peer(python, script, *arguments):
    """The last line the script prints, as JSON; None, with the reason printed, if it fails."""
    done = subprocess.run([python, "-W", "ignore", "-c", script, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        print(f"  The peer failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def against_peer(python):
    d, s, w = question(10_000, 1_000)
    plan, seconds = ours("uncapacitated", 10_000, 1_000, share=100.0, target="same optimum, 30 x faster", gap=1e-6)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "question.npz"
        np.savez(file, d=d, s=s, w=w, reach=3000.0, plants=15)
        peer = ask_peer(python, PEER_COVERAGE, file)
    if peer is not None:
        same = "the same optimum" if abs(peer["value"] - plan.value) <= 1e-6 * plan.value else "ANOTHER VALUE"
        ratio = peer["seconds"] / seconds
        row(
            "  spopt, without its import",
            "",
            f"{peer['seconds']:.1f} s",
            "",
            "",
            f"{peer['value']:,.0f}: {same}; {ratio:.0f} times ours",
        )
    city = ask_peer(python, PEER_CITY)
    if city is None:
        return
    far = pd.DataFrame(city["table"])
    demands = far.drop_duplicates("demand").set_index("demand")[["m3_day"]]
    sites = pd.DataFrame(index=far["facility"].drop_duplicates())
    sizes = pd.DataFrame({"capacity_m3_day": [np.inf], "cost": [1.0]})
    within = {"within_m": 5000.0}
    answers = {
        "covering": covering(case(demands, sites, sizes, pairs=far, **within)).value,
        "coverage": cover(case(demands, sites, sizes, pairs=far, number=4, **within)).value,
        "median": median(case(demands, sites, sizes, pairs=far, number=4)).value,
    }
    for name, value in answers.items():
        same = "the same optimum" if abs(value - city[name]) <= 1e-6 * abs(city[name]) else "ANOTHER VALUE"
        row(f"San Francisco, {name}", "205 x 16", "", "", "", f"{value:,.0f}, spopt {city[name]:,.0f}: {same}")


def cells(side):
    """Suitability of side x side cells of 10 m: one rule, one criterion, 2,000 houses."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, side * 10, (2000, 2))
    houses = gpd.GeoSeries(shapely.box(*xy.T, *(xy + 30).T), crs=9210)
    area = gpd.GeoSeries([shapely.box(0, 0, side * 10, side * 10)], crs=9210)
    study = Study(
        study_grid(area, 10),
        area,
        (Near("houses", houses, 250),),
        (Criterion("far", houses, Curve(((0, 0), (2000, 1)))),),
    )
    free, seconds, own = timed(lambda: sum(int((part.reasons == 0).sum()) for part in strips(study)))
    row(
        "suitability",
        f"{side:,} x {side:,} cells",
        f"{seconds:.1f} s",
        f"{own:.1f} s",
        "",
        f"{free:,} cells free; most memory of this run {memory()}",
    )


def memory():
    """Largest resident size of this process, where the system tells it."""
    try:
        import resource
    except ImportError:
        return "not known here"
    return (
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10):,.0f} MB"
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="bench siting", description=__doc__.partition("\n")[0])
    parser.add_argument("--large", action="store_true", help="also 100,000 x 10,000 and 10,000 x 10,000 cells")
    parser.add_argument("--with-peer", action="store_true", help="also spopt, in an environment of its own (made once)")
    parser.add_argument("--peer", default=ROOT / ".venv-bench", help="folder of the peer's environment")
    options = parser.parse_args(arguments)
    row("question", "demands x sites x plants", "wall", "process", "gap", "")
    ours("capacity 4 % each", 20_000, 2_000, share=0.04, target="target under 0.5 % in 30 s")
    ours("capacity 2 % each", 20_000, 2_000, share=0.02, target="target under 0.5 % in 30 s")
    ours("beside 50 standing plants", 20_000, 2_000, share=0.04, standing=50, target="no target")
    if options.large:
        ours("capacity 4 % each", 100_000, 10_000, share=0.04, target="target under 1 % in 300 s", gap=5e-3)
    cells(10_000 if options.large else 2_000)
    if options.with_peer or (Path(options.peer) / "made-from.txt").exists():
        against_peer(peer_python(options.peer))
    else:
        print("The peer was left out; --with-peer makes its environment and runs it on the same questions.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
