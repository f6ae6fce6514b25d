"""Tables as people keep them: CSV and Excel, read row by row, with their headings found and said.

A Sheet is walked once. Its notes are whole after the walk.
"""

import csv
import re
import unicodedata
import zipfile
from itertools import chain, islice

from layers.errors import LayerError, said

LOOK = 25  # rows in which the headings are looked for
MAX_LINE = 10_000_000
MAX_STRINGS = 300_000_000  # bytes of the shared texts of an Excel file, which are held in memory
MAX_UNPACKED = 2_000_000_000
csv.field_size_limit(MAX_LINE)  # an outline as WKT is longer than what csv takes by itself
_GUARD = re.compile(r"\A'(?='*[=+\-@\t\r])")  # before a text that Excel would take for a formula
_QUOTED = re.compile(r'"[^"]*"')
_NUMBERED = re.compile(r"\((\d{1,3})\)")
_NUMERIC = re.compile(r"[-+]?[\d.,\s°'\"]+")


class Sheet:
    """One table. head: names of its columns. rows(): lists of values of that length, None where blank."""

    def __init__(self, head, rows, notes, names=()):
        self.head, self._rows, self.notes, self.names = head, rows, notes, tuple(names)

    def rows(self):
        return self._rows


# --- CSV ---


def open_csv(path, shown):
    """The Sheet of a CSV file in UTF-8, UTF-16 or an old code page; LayerError where it is none."""
    notes, odd = [], []
    lines = _lines(path, shown, odd)
    first = next((line for line in lines if line.strip("\r\n\t ;,")), None)
    if first is None:
        raise LayerError.of("{name} is empty.", "{name} trống.", name=shown)
    mark = None
    if re.fullmatch(r"sep=.\s*", first):
        mark, first = first[4], next(lines, "")
    start = [first, *islice(lines, LOOK)]
    mark = mark or max(";\t,|", key=lambda m: _regular(start, m))
    rows = _csv_rows(chain(start, lines), mark, shown)
    return _sheet(rows, shown, notes, lambda: _told_odd(odd, notes), strict=True)


def _regular(lines, mark):
    """How well a sign parts the columns: the lines that have the usual number of it, and how often the first has it."""
    bare = [_QUOTED.sub("", line) for line in lines]
    counts = [n for line in bare if (n := line.count(mark))]
    usual = max(set(counts), key=counts.count) if counts else 0
    return counts.count(usual) if counts else 0, bare[0].count(mark)


def _lines(path, shown, odd):
    """The lines of a text file; `odd` collects the numbers of those that are not UTF-8 (at most the first and a count)."""
    with open(path, "rb") as file:
        wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    if wide:
        try:
            with open(path, encoding="utf-16", newline="") as file:
                yield from file
        except (UnicodeError, EOFError) as e:
            raise _unknown(shown) from e
        return
    number = 0
    with open(path, "rb") as file:
        while raw := file.readline(MAX_LINE + 1):
            if len(raw) > MAX_LINE:
                raise LayerError.of(
                    "{name} has a line of more than {most} MB: this is not a table.",
                    "{name} có một dòng dài hơn {most} MB: đây không phải là bảng.",
                    name=shown,
                    most=MAX_LINE // 1_000_000,
                )
            if b"\x00" in raw:
                raise LayerError.of("{name} is not a text file.", "{name} không phải là tệp văn bản.", name=shown)
            if number == 0:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            for line in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").splitlines(keepends=True):
                number += 1
                try:
                    yield line.decode("utf-8")
                except UnicodeDecodeError:
                    odd[:] = [odd[0] if odd else number, (odd[1] if odd else 0) + 1, number]
                    yield _old_page(line, shown)


def _old_page(line, shown):
    for page in ("cp1258", "cp1252"):
        try:
            return unicodedata.normalize("NFC", line.decode(page))
        except UnicodeDecodeError:
            continue
    raise _unknown(shown)


def _unknown(shown):
    return LayerError.of(
        "{name}: the text encoding is not known. Save it as UTF-8.",
        "{name}: không biết bảng mã chữ. Hãy lưu theo UTF-8.",
        name=shown,
    )


def _told_odd(odd, notes):
    if odd:
        notes.append(
            said(
                "{count} lines (the first: line {first}) are not UTF-8; they were read as Windows-1258. "
                "Check the Vietnamese letters.",
                "{count} dòng (đầu tiên: dòng {first}) không theo UTF-8, đã đọc theo Windows-1258. "
                "Hãy kiểm tra chữ tiếng Việt.",
                count=odd[1],
                first=odd[0],
            )
        )


def _csv_rows(lines, mark, shown):
    reader = csv.reader(lines, delimiter=mark, strict=True)
    try:
        for row in reader:
            yield reader.line_num, [_GUARD.sub("", c.strip()) or None for c in row]
    except csv.Error as e:
        raise LayerError.of(
            "{name} cannot be read as CSV ({why}).", "{name} không đọc được dạng CSV ({why}).", name=shown, why=e
        ) from e


# --- Excel ---


def open_xlsx(path, sheet, shown):
    """The Sheet of an Excel file: the named one, or the first with rows; the others are named in the notes."""
    import openpyxl

    file = None
    try:
        with zipfile.ZipFile(path) as archive:
            large = [m for m in archive.infolist() if m.filename == "xl/sharedStrings.xml"]
            whole = sum(m.file_size for m in archive.infolist())
            if whole > MAX_UNPACKED or (large and large[0].file_size > MAX_STRINGS):
                raise LayerError.of(
                    "{name} holds too much text for an Excel file; save it as CSV.",
                    "{name} chứa quá nhiều chữ cho một tệp Excel; hãy lưu thành CSV.",
                    name=shown,
                )
        file = open(path, "rb")  # noqa: SIM115 - closed by done(); by its content, whatever its name
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except LayerError:
        raise
    except Exception as e:  # openpyxl says in many ways that a file is broken
        if file is not None:
            file.close()
        raise _no_excel(shown, e) from e

    def done():
        book.close()
        file.close()

    names = [ws.title for ws in book.worksheets]
    if sheet is not None and sheet not in names:
        done()
        raise LayerError.of(
            "{name} has no sheet '{sheet}'. It has: {names}.",
            "{name} không có trang '{sheet}'. Có: {names}.",
            name=shown,
            sheet=sheet,
            names=", ".join(names),
        )
    for name in [sheet] if sheet else names:
        rows = _excel_rows(book, name, shown)
        first = next(rows, None)
        if first is not None:
            break
        rows.close()
    else:
        done()
        raise LayerError.of("{name} has no filled sheet.", "{name} không có trang nào có số liệu.", name=shown)
    others = [n for n in names if n != name]
    notes = []
    if others:
        notes.append(
            said(
                "Only the sheet '{name}' was read; left out: {others}.",
                "Chỉ đọc trang '{name}'; bỏ qua: {others}.",
                name=name,
                others=", ".join(others),
            )
        )
    return _sheet(chain([first], rows), shown, notes, done, names=names)


def _excel_rows(book, name, shown):
    ws = book[name]
    ws.reset_dimensions()  # what the file says of its size is often wrong
    try:
        for number, row in enumerate(ws.iter_rows(values_only=True), 1):
            values = [(c.strip() or None) if isinstance(c, str) else c for c in row]
            if any(v is not None for v in values):
                yield number, values
    except Exception as e:
        raise _no_excel(shown, e) from e


def _no_excel(shown, error):
    return LayerError.of(
        "{name} cannot be read as an Excel file ({why}).",
        "{name} không đọc được dạng Excel ({why}).",
        name=shown,
        why=str(error)[:120] or type(error).__name__,
    )


# --- headings ---


def _sheet(numbered, shown, notes, done, *, names=(), strict=False):
    """The Sheet of rows (line number, values): titles above the headings passed over, two lines of headings joined."""
    numbered = ((number, row) for number, row in numbered if any(v is not None for v in row))
    start = list(islice(numbered, LOOK))
    if not start:
        raise LayerError.of("{name} is empty.", "{name} trống.", name=shown)
    at = _head_at([row for _, row in start])
    if at:
        notes.append(
            said(
                "{count} lines above the headings were passed over as a title.",
                "Đã bỏ qua {count} dòng tiêu đề phía trên hàng tên cột.",
                count=at,
            )
        )
    top = [None if v is None else str(v) for v in start[at][1]]
    below = at + 1
    width = max(len(row) for _, row in start[at:])
    if below < len(start) and (joined := _two_lines(top, start[below][1], width)):
        notes.append(
            said(
                "The headings stand in two lines; they were joined, e.g. '{name}'.",
                "Tên cột nằm trên hai dòng; đã ghép lại, ví dụ '{name}'.",
                name=next(j for j, t in zip(joined, [*top, *[None] * width], strict=False) if j != t),
            )
        )
        top, below = joined, below + 1
    if below < len(start) and _is_numbering(start[below][1]):
        below += 1
    rows = chain(start[below:], numbered)
    head, keep = _headings(top, [row for _, row in start[below:]], shown)
    return Sheet([head[i] for i in keep], _body(rows, head, keep, shown, notes, done, strict), notes, names)


def _head_at(rows):
    """The first row that can hold headings: those above have one filled cell, and the table has more."""
    filled = [sum(v is not None for v in row) for row in rows]
    most = max(filled)
    return next(i for i, count in enumerate(filled) if count > 1 or most == 1)


def _two_lines(top, second, width):
    """Headings of two lines joined: 'Toạ độ' over 'X' and 'Y'; None where the second line is none."""
    top = [*top, *[None] * (width - len(top))]
    second = [*second, *[None] * (width - len(second))]
    texts = [v for v in second if v is not None]
    gaps = [i for i in range(width) if top[i] is None and second[i] is not None]
    if not gaps or len(texts) < 2 or not all(isinstance(v, str) and not _NUMERIC.fullmatch(v) for v in texts):
        return None
    if all(second[i] is not None for i in range(width)):  # a full line is a row with values
        return None
    out, group = [], None
    for above, under in zip(top, second, strict=True):
        group = above if above is not None else group
        out.append(above if under is None else under if group is None else f"{group} {under}")
    return out


def _is_numbering(row):
    """A line (1) (2) (3) under the headings, as in official tables."""
    marks = [_NUMBERED.fullmatch(str(v)) for v in row if v is not None]
    return len(marks) > 2 and all(marks) and [int(m[1]) for m in marks] == list(range(1, len(marks) + 1))


def _headings(cells, rows, shown):
    """(names, which columns are kept): a column without a heading is left out where the first rows are blank in it."""
    head = [(c or "").strip() for c in cells]
    while head and not head[-1]:
        head.pop()
    blank = [i for i, h in enumerate(head) if not h]
    used = [i for i in blank if any(len(row) > i and row[i] is not None for row in rows)]
    doubled = sorted({h for h in head if h and head.count(h) > 1})
    if not head or used or doubled:
        en, vi = (
            (f"column {used[0] + 1} has no heading", f"cột {used[0] + 1} không có tên")
            if used
            else (f"the heading '{doubled[0]}' stands twice", f"tên cột '{doubled[0]}' có hai lần")
            if doubled
            else ("there are no headings", "không có tên cột")
        )
        raise LayerError.of("{name}: {en} in the first line.", "{name}: {vi} ở dòng đầu.", name=shown, en=en, vi=vi)
    return head, [i for i in range(len(head)) if i not in blank]


def _body(rows, head, keep, shown, notes, done, strict):
    again, beside = [], []
    try:
        for number, row in rows:
            if len(row) > len(head) and any(v is not None for v in row[len(head) :]):
                if strict:
                    raise LayerError.of(
                        "{name} line {line}: {values} values, but only {headings} headings. Where numbers have "
                        "decimal commas, save the table with semicolons.",
                        "{name} dòng {line}: {values} giá trị nhưng chỉ có {headings} tên cột. Nếu số dùng dấu phẩy "
                        "thập phân, hãy lưu bảng với dấu chấm phẩy.",
                        name=shown, line=number, values=len(row), headings=len(head),
                    )  # fmt: skip
                beside.append(number)
            values = [row[i] if i < len(row) else None for i in keep]
            if [None if v is None else str(v) for v in values] == [head[i] for i in keep]:
                again.append(number)
                continue
            if any(v is not None for v in values):
                yield values
    finally:
        done()
    if again:
        notes.append(
            said(
                "The headings stand again in line {first}; {count} such lines were passed over.",
                "Hàng tên cột lặp lại ở dòng {first}; đã bỏ qua {count} dòng như vậy.",
                first=again[0],
                count=len(again),
            )
        )
    if beside:
        notes.append(
            said(
                "Values beside the headings were left out in {count} rows (the first: row {first} of the sheet).",
                "Đã bỏ các giá trị nằm ngoài cột có tên ở {count} dòng (đầu tiên: dòng {first} của trang).",
                count=len(beside),
                first=beside[0],
            )
        )
