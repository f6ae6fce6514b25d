"""How long a large file takes to come in, and how much memory: python -m tests.bench_imports KIND ROWS [SHAPE].

KIND: gpkg, geojson, csv, xlsx, fgb, zip. SHAPE: point (default) or area. Makes the file in a process of its own, then
imports it (dry run and apply) in this one and prints the seconds and the peak of the memory, as `VmHWM` has it.
"""

import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def make(path, rows, shape):
    """A file of `rows` receptors (points) or built-up areas (small squares) inside the city."""
    import geopandas as gpd
    import numpy as np
    import pandas as pd
    import shapely

    random = np.random.default_rng(1)
    lon, lat = random.uniform(106.3, 106.8, rows), random.uniform(20.75, 21.0, rows)
    table = pd.DataFrame(
        {
            "code": [f"B{i:07}" for i in range(rows)],
            "name_vi": [f"Trường học số {i}" for i in range(rows)],
            "source": "điều tra 2026",
            "confidence": "high",
            "geometry_quality": "surveyed",
        }
    )
    kind = path.suffix
    if kind in (".csv", ".xlsx"):
        table["lon"], table["lat"] = lon.round(7), lat.round(7)
        if shape == "area":
            table = table.drop(columns=["lon", "lat"])
            table["wkt"] = shapely.to_wkt(shapely.box(lon, lat, lon + 2e-4, lat + 2e-4), rounding_precision=7)
        if kind == ".csv":
            table.to_csv(path, index=False)
        else:
            import openpyxl

            book = openpyxl.Workbook(write_only=True)
            sheet = book.create_sheet("data")
            sheet.append(list(table.columns))
            for row in table.itertuples(index=False):
                sheet.append(list(row))
            book.save(path)
        return
    shapes = shapely.points(lon, lat) if shape == "point" else shapely.box(lon, lat, lon + 2e-4, lat + 2e-4)
    frame = gpd.GeoDataFrame(table, geometry=shapes, crs=4326)
    if kind == ".zip":
        import zipfile

        with tempfile.TemporaryDirectory() as folder:
            frame.to_file(Path(folder) / "x.shp", encoding="UTF-8")
            with zipfile.ZipFile(path, "w") as archive:
                for part in Path(folder).iterdir():
                    archive.write(part, part.name)
        return
    frame.to_file(path)


def peak():
    """The peak of the resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def main(kind, rows, shape="point"):
    from layers.store import Store
    from server import imports

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{kind}"
        code = f"from tests.bench_imports import make; from pathlib import Path; make(Path({str(path)!r}), {rows}, {shape!r})"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        from layers import starter

        store = Store(Path(folder) / "data")
        starter.fill(store, today=date(2026, 11, 22))
        before, begun, worked = peak(), time.perf_counter(), time.process_time()
        layer = "receptors" if shape == "point" else "built_up"
        with imports.prepare(store, layer, path, reading=imports.reading_of("4326")) as prepared:
            tried, high = time.perf_counter(), peak()
            imports.apply(store, prepared, who="bench")
        done, worked = time.perf_counter(), time.process_time() - worked
        history = store.history(layer)[0]
        print(
            f"{kind} {rows} {shape}: {path.stat().st_size / 1e6:.0f} MB file, {history['rows']} rows kept; dry run "
            f"{tried - begun:.1f} s, apply {done - tried:.1f} s ({worked:.1f} s of a processor); memory at start {before:.0f} MB, peak of the dry run "
            f"{high:.0f} MB, of all {peak():.0f} MB"
        )
        store.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
