"""The places that a study chooses from: the best of the land and the given ones, each asked for every size."""

import geopandas as gpd
import numpy as np
import pandas as pd

from server import sitecards, sitelaw, siteworld
from server.sitedata import METRIC
from server.sitedemands import ward_of


def places(world, found):
    """(frame by code, refused given sites): x, y, given, forced, score, allowed (tuple by size), why (dicts by size).

    The places wanted are shared among the sizes, the largest first, so that each size finds land that its own distances
    allow; every place is then asked for every size.
    """
    spec = world.spec
    wanted = spec["candidates"]["count"]
    given = gpd.GeoSeries.from_xy([g["lon"] for g in spec["given"]], [g["lat"] for g in spec["given"]], crs=4326)
    given = given.to_crs(METRIC)
    taken = [(g["code"], p.x, p.y, True) for g, p in zip(spec["given"], given, strict=True)]
    sizes = len(found)
    for k, best in enumerate(reversed(found)):
        most = wanted // sizes + (1 if k < wanted % sizes else 0)
        beside = [(x, y) for _, x, y, _ in taken]
        places = best.places(most, spread_m=spec["within_m"], beside=beside).geometry
        taken += [(_site_code(p.x, p.y), p.x, p.y, False) for p in places]
    frame = pd.DataFrame(taken, columns=["code", "x", "y", "given"]).drop_duplicates("code").set_index("code")
    asked = [siteworld.why(world, frame["x"].to_numpy(), frame["y"].to_numpy(), k) for k in range(sizes)]
    frame["why"] = list(zip(*asked, strict=True)) if len(frame) else []
    frame["upstream"] = [sitecards.upstream(world, x, y) for x, y in zip(frame["x"], frame["y"], strict=True)]
    frame["allowed"] = [
        tuple(_allowed(world, one[k], k, up) for k in range(sizes))
        for one, up in zip(frame["why"], frame["upstream"], strict=True)
    ]
    frame["score"] = [next((w["score"] for w in one if w["score"] is not None), np.nan) for one in frame["why"]]
    frame["forced"] = frame.index.isin(spec["force"])
    points = gpd.GeoSeries.from_xy(frame["x"], frame["y"], index=frame.index, crs=METRIC)
    lonlat = points.to_crs(4326)
    frame["lon"], frame["lat"], frame["ward"] = lonlat.x.round(7), lonlat.y.round(7), ward_of(points, world.data)
    good = np.array([any(a) for a in frame["allowed"]], dtype=bool)
    refused = [
        {"code": code, "lon": row.lon, "lat": row.lat, "broken": _broken(row.why[0]), "rules": row.why[0]["rules"]}
        for code, row in frame[~good].iterrows()
        if row.given
    ]
    frame = frame[good].sort_values(["score", "x", "y"], ascending=[False, True, True], kind="stable")
    return frame.assign(rank=np.arange(1, good.sum() + 1)), refused


def _site_code(x, y):
    """A name that says where, so that it stays the same from run to run: decametres east and north in EPSG:9210."""
    return f"{int(x // 10)}-{int(y // 10)}"


def _allowed(world, found, size, up):
    """Whether a size may stand there; upstream of an intake the larger distance to houses is asked for too."""
    if not found["allowed"]:
        return False
    if not sitecards.is_upstream(up) or up["state"] == "said_yes":
        return True
    further = sitelaw.law(world.spec, world.capacities[size], upstream=True).houses
    houses = next((r for r in found["rules"] if r["code"] == "houses" and r["measured"] is not None), None)
    return houses is None or further.state != "established" or houses["measured"] >= further.distance_m


def _broken(found):
    return [r["code"] for r in found["rules"] if r["broken"] is not False]
