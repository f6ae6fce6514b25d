"""The rasters of a city: so far the population surface, made from the wards or brought by the user."""

from pathlib import Path

import numpy as np
import rasterio

from geo import coverage, population
from layers.errors import LayerError

WARD_KINDS = ("ward", "commune", "special_zone")


def make_population(store, path):
    """Spread the people of the wards over their land and write the surface as a COG at `path`.

    Built-up land, where the layer has any, is preferred. The file appears whole or not at all.
    """
    admin = store.snapshot("admin_units")
    wards = admin[admin["kind"].isin(WARD_KINDS)].set_index("code")
    built_up = store.snapshot("built_up")
    surface = population.population_surface(wards, built_up=built_up if len(built_up) else None)
    sources = sorted(set(wards["population_source_en"].dropna()))
    population.write_cog(surface, path, tags={"source": " | ".join(sources), "method": "spread over ward land"})
    return surface


def take_population(store, source, path):
    """Put a user's own population GeoTIFF (people per cell, any CRS) in place of the one at `path`.

    It is brought to our grid with its total kept. Returns the people on the grid and what was odd.
    Raises LayerError when the file cannot be read, or says no coordinate reference system; then
    nothing was changed.
    """
    source = Path(source)
    if not source.is_file():
        raise LayerError(f"There is no file {source}.")
    like = population.read_surface(path) if Path(path).exists() else make_population(store, path)
    try:
        surface, odd = population.conform(source, like=like)
    except rasterio.errors.RasterioError as e:
        raise LayerError(f"{source.name} cannot be read as a GeoTIFF ({e}).") from e
    except ValueError as e:
        raise LayerError(f"{source.name}: {e}") from e
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
