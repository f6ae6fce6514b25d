"""The population surface of a city, made from the wards or brought by the user, and who lives where on it."""

from pathlib import Path

import numpy as np
import rasterio

from geo import coverage, population
from layers.errors import LayerError

WARD_KINDS = ("ward", "commune", "special_zone")


def population_of_wards(store):
    """(the people of the wards spread over their land, tags): built-up land, where the layer has any, is preferred."""
    admin = store.snapshot("admin_units")
    wards = admin[admin["kind"].isin(WARD_KINDS)].set_index("code")
    built_up = store.snapshot("built_up")
    surface = population.population_surface(wards, built_up=built_up if len(built_up) else None)
    sources = sorted(set(wards["population_source_en"].dropna()))
    return surface, {"source": " | ".join(sources), "method": "spread over ward land"}


def make_population(store, path):
    """Spread the people of the wards over their land and write the surface as a COG at `path`.

    The file appears whole or not at all.
    """
    surface, tags = population_of_wards(store)
    population.write_cog(surface, path, tags=tags)
    return surface


def take_population(store, source, path, *, like=None):
    """Write a user's own population GeoTIFF (people per cell, any CRS) at `path`, on our grid with its total kept.

    like: a raster on our grid; else the one at `path`, or the one of the wards. Returns the people on the
    grid and what was odd. Raises LayerError when the file cannot be read, or says no coordinate
    reference system; then nothing was changed.
    """
    source = Path(source)
    if not source.is_file():
        raise LayerError.of("There is no file {path}.", "Không có tệp {path}.", path=source)
    like = next((p for p in (like, path) if p is not None and Path(p).exists()), None)
    like = population.read_surface(like) if like is not None else population_of_wards(store)[0]
    try:
        surface, odd = population.conform(source, like=like)
    except rasterio.errors.RasterioError as e:
        raise LayerError.of(
            "{name} cannot be read as a GeoTIFF ({why}).",
            "{name} không đọc được dạng GeoTIFF ({why}).",
            name=source.name,
            why=e,
        ) from e
    except ValueError as e:
        raise LayerError.of("{name}: {why}", "{name}: {why}", name=source.name, why=e) from e
    population.write_cog(surface, path, tags={"source": source.name, "method": "brought by the user"})
    return float(np.nansum(surface.values)), odd


def service_links(store, path, as_of):
    """Service links at a date, by overlay of the service areas in force with the population surface at `path`.

    Returns (links as geo.coverage.links_from_service_areas gives them, sentences about areas that
    overlap so that a unit would be served more than whole; its shares are scaled back).
    """
    areas = store.snapshot("service_areas")
    areas = coverage.in_force(areas[areas.geometry.notna()], as_of).set_index("code")
    plants = set(store.snapshot("treatment_plants")["code"])
    said = [f"Service area {c} names plant '{p}', which is not there; it is not used."
            for c, p in areas["plant"].items() if p not in plants]  # fmt: skip
    areas = areas[areas["plant"].isin(plants)]
    if not len(areas):
        return None, said
    admin = store.snapshot("admin_units")
    wards = admin[admin["kind"].isin(WARD_KINDS)].set_index("code")
    # the areas of one plant may overlap: whoever lives there is served once
    reach = areas[["plant", "geometry"]].dissolve("plant")
    shares = population.share_of_units(population.read_surface(path), wards, reach)
    too_much = population.over_served(shares)
    factor = shares["unit"].map(1 / too_much).fillna(1.0)
    shares = shares.assign(plant=shares["area"], share=shares["share"] * factor).dropna(subset="share")
    said += [f"The service areas over {u} overlap; they would serve {v:.0%} of it." for u, v in too_much.items()]
    links = coverage.links_from_service_areas(shares)
    first = areas.reset_index().drop_duplicates("plant").set_index("plant")
    for column in ("source", "source_date", "confidence", "note_vi", "note_en"):
        links[column] = links["destination"].map(first[column])
    return links, said
