"""XLSX workbooks (ECMA-376) of one table: typed cells under headers in the reader's language, and what the columns are.

The same rows give the same bytes.
"""

import datetime
import io
import re
import zipfile

from layers.errors import LayerError

MIMETYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_CELL = 32_767
LONG_AGO = (1980, 1, 1, 0, 0, 0)
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write(name, fields, columns, places, language):
    """The bytes of a workbook with two sheets: data, and fields.

    fields: of the catalogue, one for each of `columns`: values in that order, None = missing, days as date.
    places: (header, values) of further columns, which say where a record lies. language: of the headers.
    Raises LayerError where a text is longer than a cell.
    """
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    headers = _headers(fields, language) + [header for header, _values in places]
    columns = [*columns, *(values for _header, values in places)]
    for header, column in zip(headers, columns, strict=True):
        for row, value in enumerate(column, start=1):
            if isinstance(value, str) and len(value) > MAX_CELL:
                raise LayerError.of(
                    "{name} row {row} ({header}): Excel holds no text of {letters:,} letters. Take CSV.",
                    "{name} dòng {row} ({header}): Excel không chứa được đoạn chữ dài {letters:,} ký tự. Hãy lấy CSV.",
                    name=name, row=row, header=header, letters=len(value),
                )  # fmt: skip
    book = openpyxl.Workbook(write_only=True)
    sheet, keys = book.create_sheet("data"), book.create_sheet("fields")

    def cell(on, value):
        if isinstance(value, datetime.date) and value.year < 1900:
            value = value.isoformat()  # Excel's days begin in 1900
        made = WriteOnlyCell(on, value=NOT_IN_XML.sub("", value) if isinstance(value, str) else value)
        if isinstance(value, str):
            made.data_type = "s"  # a text that begins with = stays a text
        elif isinstance(value, datetime.date):
            made.number_format = "yyyy-mm-dd"
        return made

    sheet.freeze_panes = "B2"
    for i, header in enumerate(headers):
        width = max([len(header), *(len(str(v)) for v in columns[i][:200] if v is not None)])
        sheet.column_dimensions[openpyxl.utils.get_column_letter(i + 1)].width = min(max(width + 2, 9), 48)
    sheet.append([cell(sheet, h) for h in headers])
    for values in zip(*columns, strict=True):
        sheet.append([cell(sheet, v) for v in values])
    keys.append([cell(keys, w) for w in ("column", "field", "vi", "en", "unit", "kind", "values")])
    for header, f in zip(headers, fields, strict=False):
        allowed = "; ".join(f"{c.value} = {getattr(c, language)}" for c in f.allowed)
        keys.append([cell(keys, w) for w in (header, f.name, f.vi, f.en, f.unit, f.kind, allowed)])
    book.properties.created = book.properties.modified = datetime.datetime(*LONG_AGO)
    out = io.BytesIO()
    book.save(out)
    return undated(out.getvalue())


def _headers(fields, language):
    labels = [getattr(f, language) for f in fields]
    return [
        f"{label} ({f.name})" if labels.count(label) > 1 else f"{label} ({f.unit})" if f.unit else label
        for label, f in zip(labels, fields, strict=True)
    ]


def undated(book):
    """The zip with every member dated alike and openpyxl's time of saving taken out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            body = old.read(info)
            if info.filename == "docProps/core.xml":
                body = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z?", b"1980-01-01T00:00:00Z", body)
            new.writestr(zipfile.ZipInfo(info.filename, LONG_AGO), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()
