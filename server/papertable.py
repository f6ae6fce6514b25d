"""A table on a printed sheet: its lines broken, its rows over as many pages as they need, the head on each of them."""

from dataclasses import dataclass

INK, LINE, TINT = (22, 37, 43), (190, 194, 188), (236, 243, 241)
PAD_X, PAD_Y = 1.2, 0.9


@dataclass(frozen=True)
class _Look:
    """How the letters of a row stand: style and size (points), the width of each letter in thousandths of the size."""

    style: str
    size: float
    advance: dict

    def wide(self, text):
        """Millimetres."""
        return sum(map(self.advance.__getitem__, map(ord, text))) * self.size / 1000 * 25.4 / 72


def draw(pdf, heads, rows, widths, *, numbers=(), size, strong=()):
    """Set a table from the line where pdf stands; afterwards it stands below it.

    pdf: a server.paper.Paper; heads, rows: lists of texts that its letters can draw. widths: of the columns, as shares.
    numbers: places of columns that stand to the right; strong: places of rows in bold letters. size: points for A4.
    A row higher than a page goes on on the next.
    """
    looks = {style: _look(pdf, style, size) for style in ("", "B")}
    edges = _edges(pdf, widths)
    step, floor = _step(pdf), pdf.h - pdf.b_margin
    head = _broken(heads, looks["B"], edges)
    if pdf.get_y() + _high(head, step) + step > floor:
        pdf.add_page()
    _row(pdf, head, looks["B"], edges, numbers, step, fill=True)
    room = floor - pdf.t_margin - _high(head, step)
    for i, row in enumerate(rows):
        look = looks["B" if i in strong else ""]
        cells = _broken(row, look, edges)
        at_once = max(map(len, cells)) if _high(cells, step) <= room else None
        while any(cells):
            fits = int((floor - pdf.get_y() - 2 * PAD_Y) // step)
            if fits < (at_once or 2):
                pdf.add_page()
                _row(pdf, head, looks["B"], edges, numbers, step, fill=True)
                continue
            _row(pdf, [c[:fits] for c in cells], look, edges, numbers, step)
            cells = [c[fits:] for c in cells]


def height(pdf, heads, rows, widths, *, size):
    """Millimetres that draw() would take on one page."""
    looks, edges = [_look(pdf, "B", size), *[_look(pdf, "", size)] * len(rows)], _edges(pdf, widths)
    return sum(_high(_broken(row, look, edges), _step(pdf)) for row, look in zip([heads, *rows], looks, strict=True))


def _step(pdf):
    return 3.7 * pdf.k_text


def _edges(pdf, widths):
    out = [pdf.l_margin]
    for w in widths:
        out.append(out[-1] + pdf.epw * w / sum(widths))
    return out


def _broken(row, look, edges):
    return [lines(text, look, right - left - 2 * PAD_X)
            for text, left, right in zip(row, edges[:-1], edges[1:], strict=True)]  # fmt: skip


def _look(pdf, style, size):
    pdf.face(size, style)
    return _Look(style, size * pdf.k_text, pdf.current_font.cw)


def _high(cells, step):
    return max(map(len, cells)) * step + 2 * PAD_Y


def lines(text, look, width):
    """A text as lines no wider than width (mm), broken at spaces, inside a word only where it is wider than a line."""
    out = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if look.wide(longer) <= width:
                line = longer
                continue
            if line:
                out.append(line)
            while look.wide(word) > width and len(word) > 1:
                n = next((n for n in range(len(word) - 1, 1, -1) if look.wide(word[:n]) <= width), 1)
                out.append(word[:n])
                word = word[n:]
            line = word
        out.append(line)
    return out


def _row(pdf, cells, look, edges, numbers, step, *, fill=False):
    top = pdf.get_y()
    high = _high(cells, step)
    if fill:
        pdf.set_fill_color(*TINT)
        pdf.rect(edges[0], top, edges[-1] - edges[0], high, style="F")
    pdf.set_font(style=look.style, size=look.size)
    pdf.set_text_color(*INK)
    for i, cell in enumerate(cells):
        for k, text in enumerate(cell):
            if text:
                x = edges[i + 1] - PAD_X - look.wide(text) if i in numbers else edges[i] + PAD_X
                pdf.text(x, top + PAD_Y + (k + 0.5) * step + 0.3 * look.size * 25.4 / 72, text)
    pdf.set_draw_color(*LINE)
    pdf.set_line_width(0.15)
    pdf.line(edges[0], top + high, edges[-1], top + high)
    pdf.set_xy(pdf.l_margin, top + high)
