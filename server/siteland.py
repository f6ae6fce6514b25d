"""The land of a study scored strip by strip: the best places of each size, the rasters of the smallest, what each rule takes."""

import json
from types import MappingProxyType

import numpy as np
import rasterio
from rasterio.windows import Window

from geo.candidates import Candidates
from geo.suitability import count_reasons, hectares, strips
from layers import wholefiles
from server import loadwords, siteworld

BLOCK = 256  # side of a tile of the rasters, cells
STRIP_CELLS = 1_500_000


def scored(world, folder, tell, stop):
    """([Candidates by size], {reason: cells} of the smallest size); writes its score and reasons as GeoTIFFs."""
    sizes, grid = len(world.capacities), world.grid
    apart, found, counts = world.spec["candidates"]["apart_m"], [], {}
    height = max(BLOCK, STRIP_CELLS // grid.columns // BLOCK * BLOCK)
    for size in range(sizes):
        study, best = world.study(size), Candidates(grid, apart)

        def progress(share, size=size):
            tell(
                0.04 + 0.45 * (size + share) / sizes,
                loadwords.phrase(siteworld.load_unit(world.spec), "scoring"),
                m3=world.capacities[size],
            )

        files = _Rasters(folder, study, world.capacities[0]) if size == 0 else None
        try:
            for part in strips(study, height=height, progress=progress, stop=stop):
                best.take(part.first, part.score)
                if files:
                    files.write(part)
                    for code, cells in count_reasons(study, part.reasons).items():
                        counts[code] = counts.get(code, 0) + cells
        finally:
            if files:
                files.close()
        if files:
            files.finish()
        found.append(best)
    return found, counts


class _Rasters:
    """suitability.tif (float32, NaN none) and reasons.tif (uint32 bits), written strip by strip and named when whole."""

    KINDS = MappingProxyType({"suitability": ("float32", np.nan), "reasons": ("uint32", None)})

    def __init__(self, folder, study, capacity):
        grid, self.folder = study.grid, folder
        tags = {"rules": json.dumps([r.code for r in study.rules]), "capacity_m3_day": f"{capacity:g}"}
        self.files = {}
        for name, (kind, nodata) in self.KINDS.items():
            profile = {"driver": "GTiff", "height": grid.rows, "width": grid.columns, "count": 1, "dtype": kind}
            profile |= {"crs": grid.crs.to_wkt(), "transform": grid.transform, "compress": "DEFLATE", "tiled": True}
            profile |= {"blockxsize": BLOCK, "blockysize": BLOCK, "BIGTIFF": "IF_SAFER"}
            profile |= {} if nodata is None else {"nodata": nodata}
            self.files[name] = rasterio.open(folder / f"{name}.tif.part", "w", **profile)
            self.files[name].update_tags(**tags)

    def write(self, part):
        window = Window(0, part.first, part.score.shape[1], part.last - part.first)
        self.files["suitability"].write(part.score, 1, window=window)
        self.files["reasons"].write(part.reasons, 1, window=window)

    def close(self):
        for file in self.files.values():
            file.close()

    def finish(self):
        for name in self.files:
            wholefiles.settle(self.folder / f"{name}.tif.part", self.folder / f"{name}.tif")


def excluded(world, counts):
    ha = hectares(world.study(0), counts)
    area = float(world.area.area.sum()) / 10_000
    source = {r.code: r.source[0] if r.source else "" for r in world.rules}
    rows = [
        {"code": code, "ha": round(float(v), 4), "share": round(float(v) / area, 6), "source": source.get(code, "")}
        for code, v in ha.items()
        if code != "free"
    ]
    rows.sort(key=lambda r: (-r["ha"], r["code"]))
    return {"excluded": rows, "free_ha": round(float(ha["free"]), 4)}
