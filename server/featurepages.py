"""Features of a collection as people read them: rows of a table, facts of one, a small map."""

import json

from server import atlas, documents, maps
from server.i18n import language, text

DRAWN = 1000  # features of a page that the map draws
_COLUMNS = 7


def shown_fields(c):
    """Fields of the table: keys, coded values, numbers and days; not the long texts, nor what the map shows."""
    short = [f for f in c.fields if f.kind != "text" or f.allowed or f.name in c.layer.key]
    return [f for f in short if f.unit != "°"][:_COLUMNS]


def title(c, row):
    """The name of a feature in the reader's language, or its identifier."""
    names = {n: c.values(n)[row] for n in ("name_vi", "name_en") if n in c.by_name}
    return text(names, "name") or c.ids[row]


def orders(c):
    """What the table can be sorted by: (name, label)."""
    named = [f for f in c.fields if f.name == f"name_{language()}"]
    return [(f.name, getattr(f, language())) for f in named + shown_fields(c)]


def example(c):
    """A filter that can be typed for this collection."""
    for f in c.fields:
        if f.allowed and f.name not in ("confidence", "geometry_quality"):
            return f"{f.name} = '{f.allowed[0].value}'"
    f = next((f for f in c.fields if f.name == "name_vi"), c.fields[0])
    return f"CASEI(ACCENTI({f.name})) LIKE '%hai%'"


def rows(c, chosen, url):
    return [
        {
            "code": c.ids[r],
            "name": title(c, r),
            "url": _page(c, r, url),
            "cells": [said(c, f, r) for f in shown_fields(c)],
        }
        for r in chosen
    ]


def _page(c, row, url):
    return url(f"/collections/{c.name}/items/{c.ids[row]}", f="html")


def said(c, f, row):
    """(kind, value) of a cell, coded values in words; None is missing."""
    value = c.values(f.name)[row]
    if value is not None and f.allowed:
        return "text", c.layer.words(f.name, value, language())
    return f.kind, value


def facts(c, row):
    """What is known of a feature: field, label and value."""
    return [
        {"field": f, "label": getattr(f, language()), "said": said(c, f, row)}
        for f in c.fields
        if c.values(f.name)[row] is not None and f.name != "source"
    ]


def map_of(c, chosen, url, store, settings):
    """A map of some features, or None where none of them has a place."""
    bounds = c.bounds_of(chosen)
    if not bounds:
        return None
    west, south, east, north = bounds
    features = []
    for r, feature in zip(chosen, c.features(chosen), strict=True):
        shape = json.loads(feature)["geometry"]
        if shape:
            known = {"code": c.ids[r], "name": title(c, r), "url": _page(c, r, url)}
            features.append({"type": "Feature", "geometry": maps.rounded(shape, 5), "properties": known})
    layer = maps.GeoJsonLayer(
        "features",
        documents.title(c.layer),
        data={"type": "FeatureCollection", "features": features},
        style={"color": "#0b5c56", "weight": 1.5, "fillColor": "#0b5c56", "fillOpacity": 0.15},
    )
    return maps.map_page(
        [atlas.ground(store), layer],
        bounds=((south - 0.02, west - 0.03), (north + 0.02, east + 0.03)),
        settings=settings,
        label=documents.title(c.layer),
    )
