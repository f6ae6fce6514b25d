"""What a siting study reads of a city, taken together once: the answer is computed from this and from nothing else.

A Data can be written into a replay file and read back without loss, so that another machine, without the city's
store, gives the same tables. Coordinates are kept bit by bit.
"""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from affine import Affine
from pyproj import CRS

from geo import coverage, population
from geo.grids import in_crs, resampled, study_grid
from layers import rasters
from server.coveragerows import KNOWN_GAP, NOT_TREATED
from server.figures import WARD_KINDS
from server.i18n import N_
from server.sitekinds import SOLID, TABLE_FILE
from server.sitespec import SpecError
from server.sitewords import said

FORMAT = "cangxanh-siting-data/1"
METRIC = "EPSG:9210"
# the layers a rule or criterion may ask, with the columns that are used beside the geometry
LAYERS = {
    "built_up": (),
    "receptors": ("code", "name_vi", "name_en", "geometry_quality"),
    "intakes": ("code", "name_vi", "name_en", "geometry_quality"),
    "protected_areas": ("code", "name_vi", "name_en", "geometry_quality"),
    "water_bodies": ("code", "name_vi", "name_en", "tidal", "geometry_quality"),
    "land": ("code",),
    "industrial_zones": ("code", "name_vi", "name_en", "kind", "geometry_quality"),
    "port_areas": ("code", "name_vi", "name_en", "geometry_quality"),
    "treatment_plants": ("code", "name_vi", "name_en", "kind", "geometry_quality"),
    "waste_sites": ("code", "name_vi", "name_en", "kind", "geometry_quality"),
    "hotspots": ("code", "name_vi", "name_en", "media", "stage", "past_event", "geometry_quality"),
    "roads": ("code",),
}
SLOTS = ("elevation", "land_cover")
IN_MEMORY = (
    20_000_000  # cells of a raster that are read at once; a larger one is read in windows and stays out of replays
)
USE = {"elevation": "bilinear", "land_cover": "nearest"}


@dataclass(frozen=True, eq=False)
class Data:
    """layers: {name: GeoDataFrame in EPSG:4326, without rows that have no position}; unplaced: {name: how many had none}.
    units: frame by code of wards, zones and ports: names, kind, people, m3_day (untreated, likely), untreated_people,
    unknown_m3_day (the part of m3_day of which nobody knows where it goes), geometry. plants: frame by code, see _plants.
    population: geo.population.Surface or None. rasters: {slot: raster on the grid of the study}. prints: what each
    came from, {name: {"version", "rows", "sha256"}}. sources: texts of where the figures come from.
    """

    layers: dict
    unplaced: dict
    units: gpd.GeoDataFrame
    plants: gpd.GeoDataFrame
    population: population.Surface | None
    rasters: dict
    prints: dict
    sources: tuple = ()
    open_files: list = field(default_factory=list)

    def close(self):
        """Let go of rasters that are read in windows."""
        for file in reversed(self.open_files):
            file.close()

    def area(self, spec):
        """GeoSeries (EPSG:9210) of the study area, never more than the units of the city."""
        wards = self.units[self.units["kind"].isin(WARD_KINDS)]
        codes = spec["area"].get("units")
        lost = sorted(set(codes or ()) - set(wards.index))
        if lost:
            raise SpecError([("area.units", said(N_("There are no such units: %(codes)s."), codes=", ".join(lost)))])
        wards = in_crs(wards.loc[codes] if codes else wards, METRIC, "units")
        area = shapely.union_all(wards.values)
        if "wkt" in spec["area"]:
            drawn = gpd.GeoSeries([shapely.from_wkt(spec["area"]["wkt"])], crs=4326).to_crs(METRIC)
            area = shapely.intersection(area, drawn.iloc[0])
            if not area.area > 0:
                raise SpecError([("area.wkt", said(N_("The outline lies outside the city.")))])
        return gpd.GeoSeries([area], crs=METRIC)

    def grid(self, spec):
        return study_grid(self.area(spec), spec["cell_m"])


def gather(services, spec):
    """The Data of a question, as the city is now."""
    store, on = services.store, date.fromisoformat(spec["as_of"])
    layers, unplaced, prints = {}, {}, {"safe_distances": _file_print(TABLE_FILE)}
    for name, columns in LAYERS.items():
        if name not in store.versions():
            continue
        frame = store.snapshot(name)
        placed = frame.geometry.notna() & ~frame.geometry.is_empty
        layers[name] = frame.loc[placed, [*columns, "geometry"]].reset_index(drop=True)
        unplaced[name] = int((~placed).sum())
    for name in (*layers, "admin_units", "plant_states", "service_links", "service_areas", "norms", "crosswalk"):
        prints[name] = _print(store, name)
    surface = None
    if services.population is not None and Path(services.population).exists():
        surface = population.read_surface(services.population)
        prints["population"] = _file_print(services.population)
    view = services.figures.coverage("ward", on, spec["plants"]["building"])
    sources = tuple(services.figures.ledger_sources(view)["sources"])
    units, plants = _units(services, on, spec), _plants(services, on, spec)
    made = Data(layers, unplaced, units, plants, surface, {}, prints, sources)
    grid = made.grid(spec)
    for slot in SLOTS:
        path = rasters.slot_path(store.data_dir, slot)
        if path.exists():
            made.rasters[slot] = _on_grid(path, grid, USE[slot], made.open_files)
            prints[slot] = _file_print(path)
    return made


def _print(store, name):
    newest = next(iter(store.history(name)), None)
    return {} if newest is None else {k: newest[k] for k in ("version", "rows", "sha256")}


def _file_print(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return {"sha256": digest.hexdigest()}


def _on_grid(path, grid, method, open_files):
    file = rasterio.open(path)
    vrt = resampled(file, grid, method=method)
    if grid.rows * grid.columns > IN_MEMORY:
        open_files += [file, vrt]
        return vrt
    with file, vrt:
        return population.Surface(vrt.read(1, masked=True).astype(float).filled(np.nan), grid.transform, grid.crs)


def _units(services, on, spec):
    """Wards, zones and ports with what is not treated, by code; for solid waste all that the people of a ward make."""
    ledger = services.figures.ledger(on, spec["plants"]["building"])
    rows = services.figures.inputs().units
    parts = coverage.by_unit(ledger).parts("likely")
    wanted = NOT_TREATED if spec["demand"]["of"] == "gap" else KNOWN_GAP
    m3, whole = parts[list(wanted)].sum(axis=1), parts.sum(axis=1)
    share = (m3 / whole).where(whole > 0, 0.0)
    out = pd.DataFrame(
        {
            "name_vi": rows["name_vi"],
            "name_en": rows["name_en"],
            "kind": rows["kind"],
            "people": rows["people"].astype(float),
            "m3_day": m3.reindex(rows.index),
            "untreated_people": (rows["people"] * share.reindex(rows.index)).astype(float),
            "unknown_m3_day": (parts["unknown"] if "unknown" in wanted else 0 * m3).reindex(rows.index),
        }
    )
    if spec["facility"]["kind"] in SOLID:
        wards = out["kind"].isin(WARD_KINDS)
        out["m3_day"] = (out["people"] * spec["demand"]["kg_person_day"] / 1000).where(wards)
        out["untreated_people"], out["unknown_m3_day"] = out["people"].where(wards), 0.0
    shapes = {}
    for name in ("admin_units", "industrial_zones", "port_areas"):
        frame = services.store.snapshot(name)
        shapes |= dict(zip(frame["code"], frame.geometry, strict=True))
    geometry = gpd.GeoSeries([shapes.get(code) for code in out.index], index=out.index, crs=4326)
    return gpd.GeoDataFrame(out, geometry=geometry).sort_index()


def _plants(services, on, spec):
    """Standing plants by code: names, kind, state, capacity_m3_day, flow_m3_day, spare_m3_day, why (a key of
    sitewords.WHY), geometry (None: position not known)."""
    ledger = services.figures.ledger(on, spec["plants"]["building"]).plants
    rows = services.store.snapshot("treatment_plants").set_index("code")
    rows = rows[rows["kind"] != "programme"]
    rows = rows.iloc[:0] if spec["facility"]["kind"] in SOLID else rows
    now = ledger.reindex(rows.index)
    capacity = now["capacity_likely"].fillna(rows["design_m3d"]).astype(float)
    inflow, measured = now["inflow_likely"].astype(float), now["measured"].astype(float)
    flow = measured.where(measured.notna(), inflow.where(inflow > 0))
    works, spare, why = now["works"].eq(True), [], []
    for code in rows.index:
        given = spec["plants"]["spare"].get(code)
        if given is not None:
            kept, reason = given, "entered"
        elif not works[code]:
            kept, reason = 0.0, "not_working"
        elif rows.at[code, "kind"] != "municipal":
            kept, reason = 0.0, "own_use"
        elif np.isnan(capacity[code]):
            kept, reason = 0.0, "capacity_unknown"
        elif np.isnan(flow[code]):
            kept, reason = 0.0, "flow_unknown"
        else:
            kept = max(float(capacity[code] - flow[code]), 0.0)
            reason = "full" if kept == 0 else ("measured" if not np.isnan(measured[code]) else "computed")
        place = rows.geometry[code]
        reason = "no_place" if kept > 0 and (place is None or place.is_empty) else reason
        spare.append(0.0 if reason == "no_place" else float(kept))
        why.append(reason)
    out = rows[["name_vi", "name_en", "kind"]].assign(
        state=now["state"].fillna("unknown"),
        capacity_m3_day=capacity,
        flow_m3_day=flow,
        spare_m3_day=spare,
        why=why,
    )
    return gpd.GeoDataFrame(out, geometry=rows.geometry, crs=4326).sort_index()


# --- as text ---


def to_json(data):
    """A JSON-able dict from which from_json makes the same Data, but for rasters above IN_MEMORY cells."""
    return {
        "format": FORMAT,
        "prints": data.prints,
        "sources": list(data.sources),
        "unplaced": data.unplaced,
        "layers": {name: _frame_out(frame) for name, frame in data.layers.items()},
        "units": _frame_out(data.units.reset_index(names="code")),
        "plants": _frame_out(data.plants.reset_index(names="code")),
        "population": _raster_out(data.population),
        "rasters": {slot: _raster_out(raster) for slot, raster in data.rasters.items() if hasattr(raster, "values")},
    }


def from_json(document):
    """The Data of to_json. Raises SpecError where it is none."""
    try:
        if document["format"] != FORMAT:
            raise ValueError(document["format"])
        return Data(
            {name: _frame_in(table) for name, table in document["layers"].items()},
            dict(document["unplaced"]),
            _frame_in(document["units"]).set_index("code"),
            _frame_in(document["plants"]).set_index("code"),
            _raster_in(document["population"]),
            {slot: _raster_in(raster) for slot, raster in document["rasters"].items()},
            document["prints"],
            tuple(document["sources"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, shapely.errors.ShapelyError) as e:
        raise SpecError(
            [("data", said(N_("The data of this replay file cannot be read (%(why)s)."), why=str(e)))]
        ) from e


def same_data(one, other):
    """Names of the prints that differ."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _frame_out(frame):
    columns = [c for c in frame.columns if c != "geometry"]
    rows = [[_value(v) for v in row] for row in frame[columns].itertuples(index=False)]
    numbers = [c for c in columns if frame[c].dtype.kind == "f"]
    shapes = [None if g is None else shapely.to_wkb(g).hex() for g in frame.geometry]
    return {"columns": columns, "numbers": numbers, "rows": rows, "geometry": shapes}


def _value(value):
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return float(value) if isinstance(value, float | np.floating) else str(value)


def _frame_in(table):
    frame = pd.DataFrame(table["rows"], columns=table["columns"], dtype=object)
    for column in table["numbers"]:
        frame[column] = frame[column].astype(float)
    shapes = [None if g is None else shapely.from_wkb(bytes.fromhex(g)) for g in table["geometry"]]
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=4326)


def _raster_out(raster):
    if raster is None:
        return None
    values = np.ascontiguousarray(raster.values, dtype="<f8")
    packed = base64.b64encode(zlib.compress(values.tobytes(), 6)).decode()
    crs = raster.crs.to_epsg()
    return {
        "shape": list(values.shape),
        "transform": list(raster.transform)[:6],
        "crs": f"EPSG:{crs}" if crs else raster.crs.to_wkt(),
        "tags": dict(raster.tags),
        "values": packed,
    }


def _raster_in(made):
    if made is None:
        return None
    values = np.frombuffer(zlib.decompress(base64.b64decode(made["values"])), dtype="<f8").reshape(made["shape"])
    return population.Surface(values, Affine(*made["transform"]), CRS.from_user_input(made["crs"]), tags=made["tags"])


def packed(document):
    """JSON text, always the same for the same values."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
