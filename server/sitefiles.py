"""An answer as files: a GeoPackage for a GIS, a workbook for a spreadsheet, and a replay file that holds question and data.

Everything is taken from result.json and the rasters of the run; the same answer gives the same workbook and replay file.
"""

import hashlib
import io
import json
from datetime import datetime

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from rasterio.enums import Resampling

from layers import formats, wholefiles
from layers.workbook import LONG_AGO, NOT_IN_XML, undated
from server import sitedata, sitetables
from server.i18n import N_
from server.sitespec import SpecError, checked
from server.sitewords import said, word

REPLAY = "cangxanh-siting-replay/1"
OUTLINE_CELLS = 4_000_000  # above this the outlines of excluded land are drawn from every second, third ... cell
MAX_CELL = 32_000
FIGURES = (
    *(
        "unit",
        "grid",
        "area_ha",
        "free_ha",
        "excluded",
        "rules",
        "criteria",
        "ahp",
        "laws",
        "unchecked",
        "demand",
        "demands",
    ),
    *("plants", "candidates", "refused", "plan", "curve", "chain", "flows", "robustness", "prints", "spec"),
)


def write_files(result, spec, data, folder):
    """study.gpkg, study.xlsx and replay.json into the folder of the run, where result.json and the rasters are."""
    formats.geopackage_file(folder / "study.gpkg", tables(result, folder))
    wholefiles.write(folder / "study.xlsx", workbook(result))
    wholefiles.write(folder / "replay.json", replay_text(spec, data, result))


# --- GeoPackage ---


def tables(result, folder):
    """The Tables of the GeoPackage, places first."""
    made = sitetables.rows(result) | {sitetables.EXCLUDED: _excluded(result, folder)}
    layers = (layer for layer in sitetables.ORDER if layer in made)
    return [formats.listed(sitetables.of_load(layer, result["unit"]), made[layer]) for layer in layers]


def _excluded(result, folder):
    """One row per reason with its land as polygons, from the raster of reasons."""
    path = folder / "reasons.tif"
    if not path.exists():
        return []
    with rasterio.open(path) as file:
        step = max(1, int(np.ceil(np.sqrt(file.width * file.height / OUTLINE_CELLS))))
        size = (-(-file.height // step), -(-file.width // step))
        bits = file.read(1, out_shape=size, resampling=Resampling.nearest)
        t = file.transform
        transform = Affine(t.a * file.width / size[1], 0.0, t.c, 0.0, t.e * file.height / size[0], t.f)
        crs = file.crs.to_wkt()
    out, layers = [], result["spec"]["layers"]
    places = {r["code"]: 4 << r["bit"] for r in result["rules"] if r["bit"] is not None} | {"unknown": 2}
    for row in result["excluded"]:
        mask = ((bits & 1) == 0) & ((bits & places[row["code"]]) > 0)
        if not mask.any():
            continue
        found = rasterio.features.shapes(mask.astype("uint8"), mask=mask, transform=transform)
        shape = shapely.multipolygons([shapely.geometry.shape(ring) for ring, _ in found])
        shape = gpd.GeoSeries([shape], crs=crs).to_crs(4326).iloc[0]
        names = {f"reason_{language}": word("rule", row["code"], language, layers) for language in ("vi", "en")}
        out.append(row | names | {"geometry": shape})
    return out


# --- the workbook ---


def workbook(result):
    """The bytes of an XLSX: one sheet for each list, two rows of headings (Vietnamese, English), typed cells."""
    import openpyxl
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook(write_only=True)
    bold = Font(bold=True)
    for kind, records in sitetables.rows(result).items():
        layer = sitetables.of_load(kind, result["unit"])
        sheet = book.create_sheet(f"{layer.vi}"[:31])
        sheet.freeze_panes = "A3"

        def cell(value, font=None, sheet=sheet):
            if isinstance(value, str):
                value = NOT_IN_XML.sub("", value)[:MAX_CELL]
            made = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                made.data_type = "s"  # a text that begins with = stays a text
            if font:
                made.font = font
            return made

        table = formats.listed(layer, records)
        for k, (field, column) in enumerate(zip(table.fields, table.columns, strict=True), start=1):
            longest = max([len(field.vi), len(field.en), *(len(str(v)) for v in column[:100] if v is not None)])
            sheet.column_dimensions[get_column_letter(k)].width = min(max(longest + 2, 9), 60)
        for language in ("vi", "en"):
            unit = {"vi": lambda u: u, "en": lambda u: u.replace("ngày", "day")}[language]
            heads = [getattr(f, language) + (f" ({unit(f.unit)})" if f.unit else "") for f in table.fields]
            sheet.append([cell(head, bold) for head in heads])
        for values in table.rows():
            sheet.append([cell(v) for v in values])
    book.properties.created = book.properties.modified = datetime(*LONG_AGO)
    out = io.BytesIO()
    book.save(out)
    return undated(out.getvalue())


# --- replay ---


def fingerprint(result):
    """The sha256 of every figure of an answer: all its tables, without the sentences, which may be worded anew."""
    tables = {name: result[name] for name in FIGURES}
    bare = [s | {"card": {k: v for k, v in s["card"].items() if k != "conflicts"}} for s in result["sites"]]
    binding = result["infeasible"] and result["infeasible"]["rule"]
    made = tables | {"sites": bare, "infeasible": binding}
    return hashlib.sha256(sitedata.packed(made).encode()).hexdigest()


def replay_text(spec, data, result):
    """Question, data and the fingerprint of the answer, as JSON text."""
    left_out = sorted(set(data.rasters) - {slot for slot, raster in data.rasters.items() if hasattr(raster, "values")})
    document = {"format": REPLAY, "spec": spec, "data": sitedata.to_json(data), "fingerprint": fingerprint(result)}
    return sitedata.packed(document | {"left_out": left_out})


def read_replay(path):
    """(spec, Data, fingerprint of the answer) of a replay file. Raises SpecError."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise SpecError([("replay", said(N_("%(file)s cannot be read (%(why)s)."), file=path.name, why=str(e)))]) from e
    if not isinstance(document, dict) or document.get("format") != REPLAY:
        raise SpecError([("replay", said(N_("%(file)s is not a replay file of a siting study."), file=path.name))])
    if document.get("left_out"):
        names = ", ".join(document["left_out"])
        raise SpecError([("replay", said(N_("The rasters %(names)s were too large for the replay file: run the study where they are."), names=names))])  # fmt: skip
    return checked(document["spec"]), sitedata.from_json(document["data"]), document["fingerprint"]
