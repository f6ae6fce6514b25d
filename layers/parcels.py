"""Files as they arrive: what they really are by their first bytes, and the one readable file of an archive."""

import hashlib
import re
import zipfile
from pathlib import Path, PurePosixPath
from xml.parsers import expat

from layers.errors import LayerError, said

MAX_UNPACKED = 2_000_000_000
MAX_MEMBERS = 200
INSIDE_ZIP = (".gpkg", ".shp", ".geojson", ".json", ".kml", ".gpx", ".fgb", ".dxf", ".parquet", ".csv", ".tsv", ".xlsx",
              ".txt")  # fmt: skip
_HEAD = 65_536
_SUMMONS = re.compile(rb"<OGR\w*DataSource|<VRTDataset|<GDAL_W|gdal_streamed_alg", re.IGNORECASE)
_MAGIC = (
    (b"SQLite format 3\x00", ".gpkg"),
    (b"fgb\x03", ".fgb"),
    (b"PAR1", ".parquet"),
    (b"\x00\x00\x27\x0a", ".shp"),
    (b"AutoCAD Binary DXF", ".dxf"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"II+\x00", ".tif"),
    (b"MM\x00+", ".tif"),
    (b"%PDF", ".pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"),
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"Rar!", ".rar"),
    (b"7z\xbc\xaf", ".7z"),
    (b"AC10", ".dwg"),
)
WORDS = {
    ".gpkg": ("a GeoPackage", "GeoPackage"), ".fgb": ("FlatGeobuf", "FlatGeobuf"),
    ".parquet": ("a Parquet file", "tệp Parquet"),
    ".shp": ("a Shapefile", "Shapefile"), ".dxf": ("a drawing (DXF)", "bản vẽ DXF"),
    ".tif": ("a GeoTIFF raster", "ảnh GeoTIFF"), ".pdf": ("a PDF document", "tài liệu PDF"),
    ".xls": ("an Excel file of before 2007 (.xls)", "tệp Excel đời cũ (.xls)"), ".png": ("a picture", "ảnh"),
    ".jpg": ("a picture", "ảnh"), ".rar": ("a RAR archive", "tệp nén RAR"), ".7z": ("a 7z archive", "tệp nén 7z"),
    ".dwg": ("an AutoCAD drawing (DWG)", "bản vẽ AutoCAD (DWG)"), ".xlsx": ("an Excel file", "tệp Excel"),
    ".kmz": ("a KMZ file", "tệp KMZ"), ".zip": ("a zip archive", "tệp nén zip"), ".kml": ("KML", "KML"),
    ".gpx": ("GPX", "GPX"), ".geojson": ("GeoJSON", "GeoJSON"), ".xml": ("XML", "XML"),
    ".html": ("a web page", "trang web"), ".csv": ("a text table", "bảng chữ (CSV)"),
}  # fmt: skip
_TEXTS = {".csv", ".tsv", ".txt"}
_SAME = {".geoparquet": ".parquet", ".json": ".geojson", ".tiff": ".tif", ".tsv": ".csv", ".txt": ".csv"}


def digest(path):
    """The SHA-256 of a file, read in blocks."""
    made = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def kind(path, suffix, shown):
    """(what a file is by its content, as a suffix; a note or None where its name says another thing).

    Raises LayerError for content that is not read at all, or that would make GDAL open something else.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if _SUMMONS.search(head):
        raise LayerError.of(
            "{name} only points to data elsewhere; send the data themselves.",
            "{name} chỉ trỏ tới dữ liệu ở nơi khác; hãy gửi chính dữ liệu.",
            name=shown,
        )
    found = next((suffix for magic, suffix in _MAGIC if head.startswith(magic)), None)
    if found is None and head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        found = _zip_kind(path)
    if found is None:
        found = _text_kind(head)
    usual = _SAME.get(suffix, suffix)
    if found == usual or (found is None and suffix not in WORDS):
        return suffix, None
    if found is None and usual in (*_TEXTS, ".dxf", ".geojson", ".kml", ".gpx"):
        return usual, None  # its reader says what is wrong with it
    if found is None or (found == ".csv" and usual not in _TEXTS):
        return usual, None
    if found in (".pdf", ".xls", ".png", ".jpg", ".rar", ".7z", ".dwg", ".xml", ".html"):
        en, vi = WORDS[found]
        raise LayerError.of(
            "{name} is {en}, which is not read. {do_en}",
            "{name} là {vi}, không đọc được. {do_vi}",
            name=shown,
            en=en,
            vi=vi,
            do_en=_INSTEAD.get(found, _ELSE)[0],
            do_vi=_INSTEAD.get(found, _ELSE)[1],
        )
    note = said(
        "By its name {name} ends in '{suffix}', but it is {en}; it was read as that.",
        "Tên {name} kết thúc bằng '{suffix}' nhưng đây là {vi}; đã đọc như vậy.",
        name=shown, suffix=suffix, en=WORDS[found][0], vi=WORDS[found][1],
    )  # fmt: skip
    return found, note


_ELSE = ("Send the data as a table or a map layer.", "Hãy gửi dữ liệu dạng bảng hoặc lớp bản đồ.")
_INSTEAD = {
    ".xls": ("Save it as .xlsx in Excel.", "Hãy lưu thành .xlsx trong Excel."),
    ".rar": ("Pack it as zip.", "Hãy nén thành zip."),
    ".7z": ("Pack it as zip.", "Hãy nén thành zip."),
    ".dwg": ("Save it as DXF.", "Hãy lưu thành DXF."),
}


def _zip_kind(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = [m.filename for m in archive.infolist()[:1000]]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    if "xl/workbook.xml" in names:
        return ".xlsx"
    return ".kmz" if any(n.lower() == "doc.kml" for n in names) else ".zip"


def _text_kind(head):
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return ".geojson"
    if re.match(rb"(?:999\s+[^\n]*\n\s*)*0\s*\r?\n\s*SECTION", text):
        return ".dxf"
    if not text.startswith(b"<"):
        return None
    root = _root(head)
    return {"kml": ".kml", "gpx": ".gpx", "html": ".html"}.get(root, ".xml")


def _root(head):
    """The name of the first element, in small letters without its prefix, or None."""
    found = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: found.append(name.rpartition(":")[2].lower())
    try:
        parser.Parse(head, False)
    except (expat.ExpatError, ValueError):
        lower = head[:2000].lower()
        return "html" if b"<html" in lower else found[0] if found else None
    return found[0] if found else None


def unpack(path, folder, shown):
    """The readable file of a zip, unpacked into folder, its companions (.dbf, .prj, ...) beside it, as a list.

    The list has several only where a Shapefile that we gave out holds one file for each kind of shape.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _look_at(members, shown)
            # the system's own folders hold shadows of the files
            members = [m for m in members if not m.filename.startswith("__MACOSX/")]
            names = [_flat(m).lower() for m in members]
            doubled = next((n for n in names if names.count(n) > 1 and Path(n).suffix in INSIDE_ZIP), None)
            if doubled:
                raise _several(shown, [m.filename for m in members if _flat(m).lower() == doubled])
            budget = MAX_UNPACKED
            for m in members:
                with archive.open(m) as source, open(folder / _flat(m), "wb") as out:
                    while block := source.read(1 << 20):
                        budget -= len(block)
                        if budget < 0:  # the sizes in the directory may lie
                            raise LayerError.of("{name} unpacks to more than it says.", "{name} giải nén ra nhiều hơn nó khai.",
                                     name=shown)  # fmt: skip
                        out.write(block)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as e:
        if isinstance(e, LayerError):
            raise
        raise LayerError.of(
            "{name} cannot be unpacked ({why}).", "{name} không giải nén được ({why}).", name=shown, why=e
        ) from e
    found = [p for suffix in INSIDE_ZIP for p in sorted(folder.iterdir()) if p.suffix.lower() == suffix]
    if any(p.suffix.lower() == ".shp" for p in found) or any(p.suffix.lower() == ".gpkg" for p in found):
        found = [p for p in found if p.suffix.lower() not in _TEXTS]  # fields.csv, readme.txt beside the layer
    if not found:
        raise LayerError.of(
            "{name} holds no file that is read: {known}.",
            "{name} không có tệp nào đọc được: {known}.",
            name=shown,
            known=", ".join(s[1:] for s in INSIDE_ZIP),
        )
    ours = found[0].suffix.lower() == ".shp" and (folder / "fields.csv").is_file()
    if len(found) > 1 and found[0].suffix.lower() == found[1].suffix.lower() and not ours:
        raise _several(shown, [p.name for p in found if p.suffix.lower() == found[0].suffix.lower()])
    return [p for p in found if p.suffix.lower() == ".shp"] if ours else found[:1]


def _several(shown, names):
    return LayerError.of(
        "{name} holds several files ({names}). Put one in each archive.",
        "{name} chứa nhiều tệp ({names}). Hãy để mỗi tệp nén một tệp.",
        name=shown,
        names=", ".join(names),
    )


def _flat(member):
    return PurePosixPath(member.filename.replace("\\", "/")).name


def _look_at(members, shown):
    if len(members) > MAX_MEMBERS:
        raise LayerError.of(
            "{name} holds {count} files; up to {most} are taken.",
            "{name} chứa {count} tệp; chỉ nhận tối đa {most}.",
            name=shown,
            count=len(members),
            most=MAX_MEMBERS,
        )
    if sum(m.file_size for m in members) > MAX_UNPACKED:
        raise LayerError.of(
            "{name} would unpack to more than {most:.0f} GB.",
            "{name} giải nén ra hơn {most:.0f} GB.",
            name=shown,
            most=MAX_UNPACKED / 1e9,
        )
    for m in members:
        inner = PurePosixPath(m.filename.replace("\\", "/"))
        if inner.is_absolute() or ".." in inner.parts or ":" in m.filename or not inner.name:
            raise LayerError.of(
                "{name} holds '{inner}', a path that leads out of the archive.",
                "{name} chứa '{inner}', một đường dẫn ra ngoài tệp nén.",
                name=shown,
                inner=m.filename,
            )
        if inner.suffix.lower() in (".zip", ".kmz"):
            raise LayerError.of(
                "{name} holds another archive ('{inner}'). Unpack it first.",
                "{name} chứa một tệp nén khác ('{inner}'). Hãy giải nén nó trước.",
                name=shown,
                inner=inner.name,
            )
