"""Parquet, where the package pyarrow is installed: rows written as GeoParquet, and files from outside read in pieces.

A file from outside is not believed: before a row is read, the headers of its pages are walked, which say what each
page unpacks to, and the rows are then taken in pieces of a size that fits them. Columns of lists and structures are
left out and named.
"""

import io
import json
from functools import cache
from itertools import count

import numpy as np
import pandas as pd
import pyproj
import shapely

from layers.errors import LayerError, said
from layers.parquetpages import Header

MAX_UNPACKED = 2_000_000_000
MAX_PAGE = 130_000_000  # DuckDB closes a page at 100 MB; others at 1 MB
MAX_COLUMNS = 2_000
PIECE_BYTES = 200_000_000  # of the texts and shapes of one piece
_SHAPES = (
    "geometry",
    "geom",
    "wkb",
    "the_geom",
    "shape",
    "wkb_geometry",
)  # names of a column of shapes in plain Parquet
_SHORTENED = {6, 7}  # DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY: a short page may hold many long texts


class Unavailable(LayerError):
    """A format whose package is not installed here."""

    code = "format_unavailable"


WRITES = said(
    "GeoParquet needs the package pyarrow: python -m pip install -r requirements-parquet.txt",
    "GeoParquet cần gói pyarrow: python -m pip install -r requirements-parquet.txt",
)
READS = (
    "{name} is Parquet, which is read only where the package pyarrow is installed (requirements-parquet.txt). "
    "Save it as GeoPackage or CSV.",
    "{name} là Parquet, chỉ đọc được khi có gói pyarrow (requirements-parquet.txt). Hãy lưu thành GeoPackage hoặc CSV.",
)


@cache
def available():
    """Whether Parquet can be read and written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


# --- writing ---


def write(fields, columns, shapes, epsg):
    """The bytes of a Parquet file; a GeoParquet where shapes is not None.

    fields: (name, kind) of each column; kind is text, number, integer or date. columns: values in that order, None =
    missing. shapes: in the system `epsg`, easting or longitude first. Raises Unavailable without pyarrow.
    """
    if not available():
        raise Unavailable(WRITES)
    import geopandas as gpd
    import pyarrow as pa

    types = {"text": "string", "number": float, "integer": "Int64", "date": pd.ArrowDtype(pa.date32())}
    made = {name: pd.Series(values, dtype=types[kind]) for (name, kind), values in zip(fields, columns, strict=True)}
    frame, out = pd.DataFrame(made), io.BytesIO()
    if shapes is None:
        frame.to_parquet(out, index=False)
    else:
        gpd.GeoDataFrame(frame, geometry=shapes, crs=epsg).to_parquet(out, index=False)
    return out.getvalue()


# --- reading ---


class Parquet:
    """A file that was looked at. names: of the columns that are read; crs: pyproj.CRS that it declares, or None.

    has_shapes: whether one of its columns holds shapes; notes: what is left out, and why; rows: how many it says.
    """

    def __init__(self, path, shown):
        self._path, self.shown, self.notes, self.crs = path, shown, [], None
        if not available():
            raise Unavailable(said(*READS, name=shown))
        with self._open() as file:
            self.rows = file.metadata.num_rows
            self._columns(file)
            self._steps = self._weigh(file)

    @property
    def has_shapes(self):
        return self._shape is not None

    @property
    def names(self):
        return [name for _, name in self._plain]

    def pieces(self, most):
        """(columns {name: values}, shapes or None, which could not be read) of at most `most` rows at a time."""
        wanted = [path for path, _ in self._plain] + ([self._shape] if self._shape is not None else [])
        with self._open(self._often) as file:
            for group, rows in enumerate(self._steps):
                pieces = file.iter_batches(min(rows, most), row_groups=[group], columns=wanted, use_threads=False)
                for piece in self._guarded(pieces):
                    yield self._piece(piece)

    # --- what there is ---

    def _open(self, once=()):
        """The pyarrow.parquet.ParquetFile; once: columns of which a text that comes often is held once."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        try:
            return ParquetFile(
                self._path, read_dictionary=list(once), buffer_size=1 << 20, pre_buffer=False,
                arrow_extensions_enabled=False, thrift_string_size_limit=20_000_000, thrift_container_size_limit=1_000_000,
            )  # fmt: skip
        except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError, RecursionError) as e:
            raise self._broken(e) from e

    def _columns(self, file):
        """Settle which columns are read, which one holds the shapes, and in which system they are."""
        schema = file.schema
        if len(schema) > MAX_COLUMNS:
            raise LayerError.of(
                "{name} has {count} columns; up to {most} are taken.", "{name} có {count} cột; chỉ nhận tối đa {most}.",
                name=self.shown, count=len(schema), most=MAX_COLUMNS,
            )  # fmt: skip
        columns = [schema.column(i) for i in range(len(schema))]
        geo = _geo(file.schema_arrow.metadata or {})
        named = dict.fromkeys(c for c in geo.get("columns", {}) if isinstance(c, str))
        bytes_ = [c.path for c in columns if _is_flat(c) and c.physical_type.endswith("BYTE_ARRAY") and not _is_text(c)]
        self._shape = geo.get("primary_column") if geo else None
        if geo and self._shape not in bytes_:
            raise LayerError.of(
                "{name} keeps its shapes in another way than WKB. Save it as GeoParquet with WKB, or as GeoPackage.",
                "{name} lưu hình học theo cách khác WKB. Hãy lưu thành GeoParquet với WKB, hoặc GeoPackage.",
                name=self.shown,
            )
        if not geo:
            self._shape = next((c for c in bytes_ if c.lower() in _SHAPES), None)
        else:
            self.crs = self._system(geo["columns"].get(self._shape))
        others = {c.path for c in columns if not _is_flat(c)} | set(bytes_) | set(named)
        others.discard(self._shape)
        left = dict.fromkeys(c.path if _is_flat(c) else c.path.split(".")[0] for c in columns if c.path in others)
        left.pop("bbox", None)  # of each shape, for a quicker search
        if left:
            self.notes.append(
                said("Columns of lists, structures or bytes were left out: {names}.",
                     "Đã bỏ các cột danh sách, cấu trúc hoặc byte: {names}.", names=", ".join(left))
            )  # fmt: skip
        kept = [c.path for c in columns if c.path not in others and c.path != self._shape]
        kept = [p for p in kept if not p.startswith("__index_level_")]
        self._plain = list(zip(kept, _each_once(kept), strict=True))
        if not kept and self._shape is None:
            raise LayerError.of("{name} has no columns.", "{name} không có cột nào.", name=self.shown)

    def _system(self, column):
        """The pyproj.CRS of a column of shapes: WGS 84 where nothing is said, None where it is said to be unknown."""
        told = column.get("crs", {}) if isinstance(column, dict) else {}
        if told is None:
            return None
        if not told:
            return pyproj.CRS(4326)
        try:
            made = pyproj.CRS.from_user_input(told)
        except (pyproj.exceptions.CRSError, TypeError, ValueError, RecursionError):
            self.notes.append(said("The file names a coordinate system that is not known: {name}.",
                                   "Tệp ghi một hệ tọa độ không biết: {name}.", name=str(told)[:80]))  # fmt: skip
            return None
        return pyproj.CRS(4326) if made.to_authority() == ("OGC", "CRS84") else made

    def _weigh(self, file):
        """How many rows of each row group are taken at once, so that a piece stays small whatever the file says."""
        wanted = {path for path, _ in self._plain} | {self._shape}
        total, out, often, other = 0, [], set(), set()
        size = self._path.stat().st_size
        with open(self._path, "rb") as body:
            for g in range(file.metadata.num_row_groups):
                group, weight, most = file.metadata.row_group(g), 0, 1
                for c in (c for c in map(group.column, range(group.num_columns)) if c.path_in_schema in wanted):
                    begin = min(filter(None, (c.dictionary_page_offset, c.data_page_offset)), default=0)
                    pages = self._pages(body, begin, c.total_compressed_size, size)
                    unpacked, codes = sum(p.unpacked for p in pages), {p.coded for p in pages}
                    if c.physical_type == "BYTE_ARRAY":
                        often |= {c.path_in_schema} if None in codes else set()
                        other |= {c.path_in_schema} if codes & _SHORTENED else set()
                    if codes & _SHORTENED:
                        most = max(most, *(p.unpacked for p in pages))
                    weight, total = weight + unpacked, total + unpacked
                    if total > MAX_UNPACKED:
                        raise LayerError.of("{name} would unpack to more than {most:.0f} GB.",
                                 "{name} giải nén ra hơn {most:.0f} GB.", name=self.shown, most=MAX_UNPACKED / 1e9)  # fmt: skip
                rows = min(PIECE_BYTES / 2 * group.num_rows / max(weight, 1), PIECE_BYTES / most)
                out.append(max(1, int(rows)))
        self._often = sorted(often - other)
        return out

    def _pages(self, file, begin, length, size):
        """The pages of a column, as Page; LayerError where one is none or too large."""
        at, end, out = begin, begin + length, []
        if not 0 < begin < size or not 0 <= length <= size:
            raise self._broken("offset")
        while at < end:
            file.seek(at)
            try:
                page = Header(file.read(1 << 16)).page()
            except (IndexError, ValueError, RecursionError) as e:
                raise self._broken(e) from e
            if page.unpacked > MAX_PAGE:
                raise LayerError.of(
                    "{name} holds a page that unpacks to {size:,.0f} MB; up to {most:,.0f} MB are taken.",
                    "{name} có một trang giải nén ra {size:,.0f} MB; chỉ nhận đến {most:,.0f} MB.",
                    name=self.shown, size=page.unpacked / 1e6, most=MAX_PAGE / 1e6,
                )  # fmt: skip
            out.append(page)
            at += page.length
        return out

    # --- rows ---

    def _guarded(self, pieces):
        import pyarrow as pa

        while True:
            try:
                piece = next(pieces, None)
            except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError) as e:
                raise self._broken(e) from e
            if piece is None:
                return
            yield piece

    def _piece(self, piece):
        import pyarrow as pa

        columns, budget, at = {}, PIECE_BYTES, {}
        for i, name in enumerate(piece.schema.names):
            at.setdefault(name, []).append(i)
        try:
            for path, name in self._plain:
                columns[name], budget = self._values(piece.column(at[path].pop(0)), budget)
            if self._shape is None:
                return columns, None, None
            wkb, _ = self._values(piece.column(at[self._shape][0]), budget)
        except UnicodeDecodeError as e:
            raise self._broken("UTF-8") from e
        except (pa.ArrowException, ValueError, OverflowError, MemoryError) as e:
            raise self._broken(e) from e
        shapes = np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"), dtype=object)
        given = np.array([b is not None for b in wkb], dtype=bool)
        return columns, shapes, given & shapely.is_missing(shapes)

    def _values(self, column, budget):
        """(values, what is left of the budget of bytes) of an array; one that comes often is held once."""
        import pyarrow as pa

        if not pa.types.is_dictionary(column.type):
            return _listed(column), budget
        known = _listed(column.dictionary)
        codes = column.indices.to_pylist()
        sizes = [len(v) if isinstance(v, str | bytes) else 8 for v in known]
        budget -= sum(sizes[c] for c in codes if c is not None)
        if budget < 0:
            raise LayerError.of(
                "The texts and shapes of {name} are too large. Split it into smaller files.",
                "Chữ và hình trong {name} quá lớn. Hãy chia thành các tệp nhỏ hơn.",
                name=self.shown,
            )
        return [None if c is None else known[c] for c in codes], budget

    def _broken(self, why):
        why = (str(why).splitlines() or [type(why).__name__])[0][:200]
        return LayerError.of(
            "{name} cannot be read ({why}).", "{name} không đọc được ({why}).", name=self.shown, why=why
        )


def _listed(column):
    try:
        return column.to_pylist()
    except (ValueError, OverflowError) as e:
        if isinstance(e, UnicodeDecodeError):
            raise
        return column.cast("string").to_pylist()  # days beyond what Python counts


def _is_flat(column):
    return column.max_repetition_level == 0 and column.path == column.name


def _is_text(column):
    return column.logical_type.type in ("STRING", "JSON", "ENUM", "DECIMAL", "FLOAT16")


def _each_once(names):
    """The names, numbered where one comes twice.

    >>> _each_once(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    out = []
    for name in names:
        out.append(next(n for i in count(1) if (n := name if i == 1 else f"{name} ({i})") not in out))
    return out


def _geo(metadata):
    """The member "geo" of a GeoParquet file, {} where there is none that can be used."""
    try:
        made = json.loads(metadata.get(b"geo", b"{}"))
    except (ValueError, RecursionError):
        return {}
    fits = (
        isinstance(made, dict) and isinstance(made.get("columns"), dict) and isinstance(made.get("primary_column"), str)
    )
    return made if fits else {}
