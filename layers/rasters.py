"""The raster slots of a city: population, elevation and land cover, each one file beside the store.

    facts, notes = try_slot(store, slot, source, tried)     checked and brought into shape, as a file of its own
    put(store, slot, tried, who=..., source=...)            in its place; the one before is kept

What stands in a slot is a Cloud-Optimised GeoTIFF of one band: people per cell on our grid, metres above
sea level, or class numbers. The versions of a slot lie in rasters/ and in the audit as raster:SLOT.
"""

import hashlib
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rasterio
import shapely
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds
from rasterio.windows import transform as window_transform

from layers import audit, wholefiles
from layers.errors import LayerError, Said, said
from layers.surfaces import WARD_KINDS, make_population, service_links, take_population

__all__ = ["SLOTS", "WARD_KINDS", "Slot", "history", "make_population", "put", "put_back", "service_links", "slot_path"]
__all__ += ["empty", "take", "take_population", "try_slot"]

KEPT = 5  # earlier rasters of a slot that can be put back
MARGIN_DEG = 0.05
MOST_CELLS = 40_000_000
MOST_CLASSES = 256
METRES = (-500.0, 9_000.0)
FOOT_M = 0.3048
_UNDECLARED = (-32768.0, -32767.0, -9999.0, -99999.0, -3.4028234663852886e38)


@dataclass(frozen=True)
class Slot:
    """What belongs into a slot. unit: of its values, "" for classes."""

    vi: str
    en: str
    unit: str


SLOTS = {
    "population": Slot("Dân số theo ô lưới", "People per cell", "people"),
    "elevation": Slot("Độ cao mặt đất", "Elevation", "m"),
    "land_cover": Slot("Lớp phủ mặt đất", "Land cover", ""),
}


def stamp(path):
    """A short text that changes when another raster is put in place; "" where there is none."""
    try:
        told = Path(path).stat()
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(f"{told.st_mtime_ns} {told.st_size}".encode()).hexdigest()[:6]


def slot_path(data_dir, slot):
    """Where the raster of a slot lies, whether there is one or not."""
    if slot not in SLOTS:
        raise KeyError(slot)
    return Path(data_dir) / f"{slot}.tif"


# --- trying ---


def try_slot(store, slot, source, target):
    """Check a GeoTIFF for a slot and write it, brought into shape, to `target`; (facts, notes).

    facts: {name: number or text} of what was found; notes: sentences about what was done or is odd.
    Raises LayerError when it cannot be used; then there is no target. The file at source is only read.
    """
    source, target = Path(source), Path(target)
    if slot not in SLOTS:
        raise LayerError.of("There is no raster place '{slot}'.", "Không có chỗ cho ảnh '{slot}'.", slot=slot)
    if not source.is_file():
        raise LayerError.of("There is no file {path}.", "Không có tệp {path}.", path=source)
    _must_be_tiff(source)
    if slot == "population":
        people, odd = take_population(store, source, target, like=slot_path(store.data_dir, slot))
        notes = [_told_by_geo(sentence) for sentence in odd]
        with rasterio.open(target) as file:
            return {"people": round(people), **_facts(file)}, notes
    try:
        with rasterio.open(source) as file:
            _must_fit(file, source.name, slot)
            return _shaped(store, slot, file, source.name, target)
    except (RasterioError, CRSError) as e:
        raise LayerError.of(
            "{name} cannot be read as a GeoTIFF ({why}).", "{name} không đọc được dạng GeoTIFF ({why}).",
            name=source.name, why=e,
        ) from e  # fmt: skip


def _must_be_tiff(path):
    with open(path, "rb") as file:
        head = file.read(4)
    if head not in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        raise LayerError.of(
            "{name} cannot be read as a GeoTIFF (it is none).", "{name} không đọc được dạng GeoTIFF (không phải TIFF).",
            name=path.name,
        )  # fmt: skip


def _must_fit(file, name, slot):
    problems, meant = [], SLOTS[slot]
    if file.crs is None:
        problems.append(
            said(
                "{name} has no coordinate reference system: set it in your GIS, then send it again.",
                "{name} không có hệ tọa độ: hãy đặt trong phần mềm GIS rồi gửi lại.",
                name=name,
            )
        )
    if file.transform.is_identity:
        problems.append(
            said(
                "{name} has no georeference: its cells have no place on the map.",
                "{name} không có tham chiếu: các ô không có vị trí trên bản đồ.",
                name=name,
            )
        )
    elif file.transform.b or file.transform.d or file.transform.a <= 0 or file.transform.e >= 0:
        problems.append(
            said("{name} is turned: save it with north up.", "{name} bị xoay: hãy lưu với hướng bắc ở trên.", name=name)
        )
    if file.count != 1:
        problems.append(
            said(
                "{name} has {count} bands: send one band, {what}.",
                "{name} có {count} kênh: hãy gửi một kênh, {what_vi}.",
                name=name, count=file.count, what=meant.en.lower(), what_vi=meant.vi.lower(),
            )
        )  # fmt: skip
    if np.dtype(file.dtypes[0]).kind not in "iuf":
        problems.append(
            said(
                "{name} holds {kind}: plain numbers are expected.", "{name} chứa {kind}: cần các số thường.",
                name=name, kind=file.dtypes[0],
            )
        )  # fmt: skip
    if problems:
        raise LayerError(problems)


def _shaped(store, slot, file, name, target):
    land = store.snapshot("land")
    west, south, east, north = land[land["code"] != "L-OUT"].total_bounds
    city = west - MARGIN_DEG, south - MARGIN_DEG, east + MARGIN_DEG, north + MARGIN_DEG
    window = _over(file, city, name)
    notes = []
    coarser = max(1, int(np.ceil(np.sqrt(window.width * window.height / MOST_CELLS))))
    shape = max(1, int(window.height) // coarser), max(1, int(window.width) // coarser)
    how = Resampling.average if slot == "elevation" else Resampling.mode
    masked = file.read(
        1, window=window, masked=True, out_shape=shape, resampling=how if coarser > 1 else Resampling.nearest
    )
    if coarser > 1:
        notes.append(
            said(
                "The cells were brought together {n} by {n}, the raster is very fine.",
                "Ảnh quá mịn nên đã gộp {n} × {n} ô thành một.",
                n=coarser,
            )
        )
    values = masked.astype(float).filled(np.nan)
    values = _known(file, values, notes)
    values = _heights(file, values, name, notes) if slot == "elevation" else _classes(values, name)
    known = np.isfinite(values)
    if not known.any():
        raise _nowhere(name)
    share = _share_of_land(known, file, window, shape, land)
    if share < 0.99:
        notes.append(
            said(
                "{share:.0%} of the city's land is covered; the rest stays unknown.",
                "Ảnh phủ {share:.0%} đất liền của thành phố; phần còn lại vẫn là chưa biết.",
                share=share,
            )
        )
    t = window_transform(window, file.transform)
    t = t * Affine.scale(window.width / shape[1], window.height / shape[0])
    tags = {"source": name, "slot": slot, "unit": SLOTS[slot].unit}
    _write(values, t, file.crs, target, classes=slot == "land_cover", tags=tags)
    with rasterio.open(target) as made:
        facts = {**_facts(made), "land_covered": round(share, 4)}
    facts |= {"least": float(np.nanmin(values)), "most": float(np.nanmax(values))}
    if slot == "land_cover":
        found, counts = np.unique(values[known].astype(int), return_counts=True)
        facts["classes"] = {str(c): round(n / counts.sum(), 4) for c, n in zip(found, counts, strict=True)}
    else:
        facts["mean"] = round(float(np.nanmean(values)), 2)
    return facts, notes


def _over(file, city, name):
    """The window of a file over the city's box."""
    try:
        box = transform_bounds("EPSG:4326", file.crs, *city, densify_pts=21)
        near = from_bounds(*box, file.transform)
    except (RasterioError, CRSError, ValueError) as e:
        raise _nowhere(name) from e
    ends = [near.col_off, near.row_off, near.col_off + near.width, near.row_off + near.height]
    if not np.isfinite(ends).all():
        raise _nowhere(name)
    left, right = np.clip([np.floor(ends[0]), np.ceil(ends[2])], 0, file.width).astype(int)
    top, bottom = np.clip([np.floor(ends[1]), np.ceil(ends[3])], 0, file.height).astype(int)
    if right <= left or bottom <= top:
        raise _nowhere(name)
    return Window(left, top, right - left, bottom - top)


def _nowhere(name):
    return LayerError.of(
        "{name} has no known cell over the city: is it the right place and coordinate reference system?",
        "{name} không có ô nào có số liệu trong thành phố: có đúng nơi và đúng hệ tọa độ không?",
        name=name,
    )


def _known(file, values, notes):
    """Values with scale and offset applied and what only stands for "unknown" made so."""
    if file.nodata is None:
        for mark in _UNDECLARED:
            count = int((values == np.float64(mark)).sum())
            if count:
                values[values == mark] = np.nan
                notes.append(
                    said(
                        "No nodata value is declared; {count} cells of {mark:g} were read as unknown.",
                        "Tệp không khai giá trị trống; đã coi {count} ô có giá trị {mark:g} là chưa biết.",
                        count=count,
                        mark=mark,
                    )
                )
    if (file.scales[0], file.offsets[0]) != (1.0, 0.0):
        values = values * file.scales[0] + file.offsets[0]
        notes.append(
            said(
                "The scale and offset declared in the file were applied.",
                "Đã áp dụng hệ số và độ lệch khai trong tệp.",
            )
        )
    bad = np.isinf(values)
    if bad.any():
        values[bad] = np.nan
        notes.append(
            said(
                "{n} infinite values were read as unknown.", "Đã coi {n} giá trị vô hạn là chưa biết.", n=int(bad.sum())
            )
        )
    return values


def _heights(file, values, name, notes):
    words = " ".join(
        map(str, (file.units[0], file.descriptions[0], file.tags().get("units"), file.tags(1).get("units")))
    )
    if re.search(r"\b(feet|foot|ft|us-ft)\b", words, re.IGNORECASE):
        values = values * FOOT_M
        notes.append(
            said("The heights are in feet; they were brought to metres.", "Độ cao theo foot, đã đổi sang mét.")
        )
    elif re.search(r"\bcm\b|centimet", words, re.IGNORECASE):
        values = values / 100
        notes.append(said("The heights are in cm; they were brought to metres.", "Độ cao theo cm, đã đổi sang mét."))
    with np.errstate(invalid="ignore"):
        least, most = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 0.0)
    if least < METRES[0] or most > METRES[1]:
        raise LayerError.of(
            "{name} has values from {least:g} to {most:g}: heights in metres are expected. Is the nodata value or the "
            "unit not declared?",
            "{name} có giá trị từ {least:g} đến {most:g}: cần độ cao theo mét. Tệp có thiếu khai báo giá trị trống hay "
            "đơn vị không?",
            name=name, least=least, most=most,
        )  # fmt: skip
    return values


def _classes(values, name):
    known = values[np.isfinite(values)]
    found = np.unique(known)
    if (found % 1 != 0).any() or (len(found) and (found[0] < 0 or found[-1] > 65_535)):
        raise LayerError.of(
            "{name} has values such as {value:g}: land cover is a whole class number in each cell.",
            "{name} có giá trị như {value:g}: lớp phủ phải là số nguyên chỉ loại đất trong mỗi ô.",
            name=name,
            value=found[(found % 1 != 0) | (found < 0) | (found > 65_535)][0],
        )
    if len(found) > MOST_CLASSES:
        raise LayerError.of(
            "{name} has {count} different values; land cover has at most {most} classes.",
            "{name} có {count} giá trị khác nhau; lớp phủ có tối đa {most} loại.",
            name=name,
            count=len(found),
            most=MOST_CLASSES,
        )
    return values


def _share_of_land(known, file, window, shape, land):
    """The share of points spread over the city's land that lie on a known cell."""
    area = land[land["code"] != "L-OUT"].union_all()
    west, south, east, north = area.bounds
    lon, lat = np.meshgrid(np.linspace(west, east, 120), np.linspace(south, north, 120))
    inside = shapely.contains_xy(area, lon, lat)
    x, y = Transformer.from_crs(4326, CRS.from_wkt(file.crs.to_wkt()), always_xy=True).transform(
        lon[inside], lat[inside]
    )
    columns, rows = ~window_transform(window, file.transform) * (np.asarray(x), np.asarray(y))
    columns, rows = columns * shape[1] / window.width, rows * shape[0] / window.height
    with np.errstate(invalid="ignore"):
        on = (columns >= 0) & (rows >= 0) & (columns < shape[1]) & (rows < shape[0])
    hit = np.zeros(len(on), dtype=bool)
    hit[on] = known[rows[on].astype(int), columns[on].astype(int)]
    return float(hit.mean()) if len(hit) else 0.0


def _write(values, transform, crs, target, *, classes, tags):
    """Write a Cloud-Optimised GeoTIFF; it appears whole or not at all."""
    rows, columns = values.shape
    nothing = 65_535 if classes else np.nan
    profile = {"driver": "COG", "height": rows, "width": columns, "count": 1, "crs": crs, "transform": transform,
               "dtype": "uint16" if classes else "float32", "nodata": nothing, "compress": "DEFLATE",
               "overview_resampling": "MODE" if classes else "AVERAGE"}  # fmt: skip
    body = np.where(np.isfinite(values), values, nothing).astype(profile["dtype"])
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".cog-") as folder:
        part = Path(folder) / "part.tif"
        with rasterio.open(part, "w", **profile) as file:
            file.write(body, 1)
            file.update_tags(**tags)
        wholefiles.settle(part, target)


def _facts(file):
    return {
        "crs": f"EPSG:{file.crs.to_epsg()}" if file.crs.to_epsg() else file.crs.to_wkt()[:60],
        "columns": file.width, "rows": file.height,
        "cell": round(abs(file.transform.a), 8), "cell_unit": "°" if file.crs.is_geographic else "m",
    }  # fmt: skip


_GEO = (
    (r"Only the part over our grid was read, the raster is very large\.",
     "Ảnh rất lớn nên chỉ đọc phần nằm trên lưới của ta."),
    (r"No nodata value is declared: 0 was read as nobody, not as unknown\.",
     "Tệp không khai giá trị trống: đã coi 0 là không có người, không phải chưa biết."),
    (r"The scale and offset declared in the file were applied\.", "Đã áp dụng hệ số và độ lệch khai trong tệp."),
    (r"The file speaks of km: .*", "Tệp nhắc đến km: nếu là số người trên km² thì không phải số người trong mỗi ô."),
    (r"(\d+) negative values were read as unknown\.", r"Đã coi \1 giá trị âm là chưa biết."),
    (r"(\d+) infinite values were read as unknown\.", r"Đã coi \1 giá trị vô hạn là chưa biết."),
    (r"(\S+%) of the raster's people \((\S+)\) lie outside our grid\.",
     r"\1 số người của ảnh (\2) nằm ngoài lưới của ta."),
    (r"There are no people in the raster\.", "Ảnh không có người nào."),
)  # fmt: skip


def _told_by_geo(sentence):
    """A sentence of geo/population.py with its Vietnamese."""
    for pattern, vi in _GEO:
        if re.fullmatch(pattern, sentence):
            return Said(sentence, re.sub(pattern, vi, sentence))
    return Said(sentence)


# --- putting in place ---


def put(store, slot, tried, *, who, source, facts=None):
    """Put a tried raster in its slot, as a new version whose number is returned; `tried` is used up.

    The raster before stays in rasters/ and can be put back. The change and its row of the audit are
    one: where the row cannot be written the file stays as it was.
    """
    with _next_version(store, slot) as (con, number, path, folder):
        _keep(Path(tried), folder / f"{slot}-{number}.tif")
        _note(con, slot, number, tried, who, source, facts)
        wholefiles.settle(tried, path)
    return number


def empty(store, slot, *, who, source):
    """Take the raster out of its slot, as a new version without one, whose number is returned; it can be put back.

    Raises LayerError for people per cell: the figures need one.
    """
    if slot == "population":
        raise LayerError.of(
            "The figures need a raster of people: put another one in its place instead of taking it out.",
            "Số liệu cần ảnh dân số: hãy thay bằng ảnh khác chứ không bỏ trống.",
        )
    with _next_version(store, slot) as (con, number, path, _folder):
        _note(con, slot, number, None, who, source, None)
        path.unlink(missing_ok=True)
    return number


@contextmanager
def _next_version(store, slot):
    """(connection of a transaction, number of the next version, the slot's file, the folder of its versions)."""
    path, folder = slot_path(store.data_dir, slot), Path(store.data_dir) / "rasters"
    folder.mkdir(exist_ok=True)
    with store.transaction() as con:
        known = _history(con, slot)
        number = known[0]["version"] + 1 if known else 1
        if not known and path.is_file():  # it was there before versions were counted
            _keep(path, folder / f"{slot}-1.tif")
            _note(con, slot, 1, path, "system", "as it was before", None)
            number = 2
        yield con, number, path, folder
    for old in sorted(_numbers(folder, slot))[: -KEPT - 1]:
        (folder / f"{slot}-{old}.tif").unlink(missing_ok=True)


def take(store, path, slot, *, who="system"):
    """Check a GeoTIFF and put it in its slot at once; (version, facts, notes). LayerError leaves all as it was."""
    with tempfile.TemporaryDirectory(dir=store.data_dir, prefix=".raster-") as folder:
        tried = Path(folder) / "tried.tif"
        facts, notes = try_slot(store, slot, path, tried)
        return put(store, slot, tried, who=who, source=Path(path).name, facts=facts), facts, notes


def put_back(store, slot, number, *, who="system"):
    """Put an earlier version of a slot back, as a new one whose number is returned. 0: empty, as before the first one."""
    kept = Path(store.data_dir) / "rasters" / f"{slot}-{number}.tif"
    slot_path(store.data_dir, slot)
    if number in {0, *(v["version"] for v in history(store, slot) if v["empty"])}:
        return empty(store, slot, who=who, source=f"version {number}")
    if not kept.is_file():
        raise LayerError.of(
            "Version {number} of the raster {slot} is not kept.", "Không còn giữ phiên bản {number} của ảnh {label}.",
            number=number, slot=slot, label=SLOTS[slot].vi.lower(),
        )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=store.data_dir, prefix=".raster-") as folder:
        tried = Path(folder) / "tried.tif"
        shutil.copyfile(kept, tried)
        return put(store, slot, tried, who=who, source=f"version {number}")


def history(store, slot):
    """Versions of a slot, newest first: version, at, who, source, sha256 and facts, empty (a version without a raster,
    whose sha256 is None), kept (whether it can be put back)."""
    kept = _numbers(Path(store.data_dir) / "rasters", slot)
    with store.reading() as con:
        found = _history(con, slot)
    return [
        row | {"empty": row["sha256"] is None, "kept": row["sha256"] is None or row["version"] in kept} for row in found
    ]


def _history(con, slot):
    rows = audit.rows(con, thing=f"raster:{slot}", action="version")
    return [{"at": r["at"], "who": r["who"], **r["new"]} for r in rows]


def _note(con, slot, number, path, who, source, facts):
    """The row of a version in the audit. path: None for a version without a raster."""
    sha = None
    if path is not None:
        with open(path, "rb") as file:
            sha = hashlib.file_digest(file, "sha256").hexdigest()
    new = {"version": number, "sha256": sha, "source": source, "facts": facts}
    audit.append(con, at=datetime.now(UTC), who=who, action="version", thing=f"raster:{slot}", new=new)


def _keep(path, target):
    fresh = target.with_suffix(".part")
    shutil.copyfile(path, fresh)
    wholefiles.settle(fresh, target)


def _numbers(folder, slot):
    found = (re.fullmatch(rf"{slot}-(\d+)\.tif", p.name) for p in folder.glob(f"{slot}-*.tif"))
    return {int(m[1]) for m in found if m}
