"""A printed sheet: fonts with Vietnamese letters, head and foot, tables, and a map drawn as vectors with scale and north.

fpdf2 sets the letters; only those used are embedded, and the text can be copied out of the file. The same content and
date give the same bytes. Lengths are millimetres; map coordinates metres (EPSG:9210).
"""

import unicodedata
from contextlib import contextmanager
from datetime import UTC
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTFont
from fpdf import FPDF

from geo import projection
from server import papertable
from server.i18n import gettext as _
from server.i18n import language, number
from server.outlines import METRIC, round_length

FONTS = Path(__file__).resolve().parent / "vendor" / "@expo-google-fonts__be-vietnam-pro"
FAMILY = "BeVietnamPro"
STYLES = {"": "400Regular/BeVietnamPro_400Regular.ttf", "B": "600SemiBold/BeVietnamPro_600SemiBold.ttf"}
SIZES = ("A3", "A4")
INK, QUIET, LINE, BRAND, TINT = (22, 37, 43), (76, 92, 94), (190, 194, 188), (11, 92, 86), (236, 243, 241)
LAND, OUTSIDE, SEA, CELL, WARM = (252, 250, 244), (231, 231, 226), (226, 237, 241), (201, 194, 178), (168, 65, 15)
_INSTEAD = {"\u00a0": " ", "\u202f": " ", "′": "'", "″": '"', "→": "–", "\t": " "}


@cache
def _letters():
    """Code points that the font can draw."""
    with TTFont(FONTS / STYLES[""], lazy=True) as font:
        return frozenset(font.getBestCmap())


def plain(text):
    """Text as the font can draw it: composed letters, no control characters, what it lacks as a box-like question mark.

    >>> plain("Phu\\u031bo\\u031b\\u0323ng\\x07 → 漢")
    'Phượng – ?'
    """
    text = "".join(_INSTEAD.get(c, c) for c in unicodedata.normalize("NFC", str(text)))
    shown = (c for c in text if c == "\n" or c.isprintable())
    return "".join(c if c == "\n" or ord(c) in _letters() else "?" for c in shown)


class Paper(FPDF):
    """One document of landscape pages. made_at: aware moment that stands as the date of the file."""

    def __init__(self, size, title, *, subtitle="", foot="", made_at):
        if size not in SIZES:
            raise ValueError(f"'{size}' is not one of {', '.join(SIZES)}")
        super().__init__(orientation="landscape", format=size, unit="mm")
        self.k_text = 1.25 if size == "A3" else 1.0
        self.edge = 12.0 * self.k_text
        self._title, self._subtitle, self._foot = plain(title), plain(subtitle), plain(foot)
        for style, file in STYLES.items():
            self.add_font(FAMILY, style, FONTS / file)
        self.set_creation_date(made_at.astimezone(UTC))
        self.set_title(self._title)
        self.set_creator("Cảng Xanh")
        self.set_producer("Cảng Xanh")
        self.set_lang(language())
        self.set_margins(self.edge, self.edge + 13 * self.k_text, self.edge)
        self.set_auto_page_break(True, self.edge + 7 * self.k_text)
        self.alias_nb_pages("{nb}")
        self.add_page()

    def face(self, size=8.5, style="", colour=INK):
        """Set the letters: size in points for A4."""
        self.set_font(FAMILY, style, size * self.k_text)
        self.set_text_color(*colour)

    def header(self):
        self.set_xy(self.edge, self.edge - 2)
        self.face(14 if self.page == 1 else 10, "B")
        self.cell(self.epw * 0.72, 7 * self.k_text, cut(self, self._title, self.epw * 0.72))
        self.face(8.5, "", QUIET)
        self.cell(self.epw * 0.28, 7 * self.k_text, "Cảng Xanh", align="R", new_x="LMARGIN", new_y="NEXT")
        if self._subtitle:
            self.cell(self.epw, 4.2 * self.k_text, cut(self, self._subtitle, self.epw))
        self.set_draw_color(*BRAND)
        self.set_line_width(0.5)
        y = self.t_margin - 2.2 * self.k_text
        self.line(self.edge, y, self.w - self.edge, y)
        self.set_y(self.t_margin)

    def footer(self):
        self.set_y(-self.edge - 3 * self.k_text)
        self.face(7, "", QUIET)
        self.cell(self.epw * 0.86, 4 * self.k_text, cut(self, self._foot, self.epw * 0.86))
        words = plain(_("Page %(n)s of %(all)s", n=self.page_no(), all="{nb}"))
        self.cell(self.epw * 0.14, 4 * self.k_text, words, align="R")

    def heading(self, text, size=10.5):
        if self.get_y() > self.h - self.edge - 30 * self.k_text:
            self.add_page()
        self.ln(2.4 * self.k_text)
        self.face(size, "B", BRAND)
        self.multi_cell(self.epw, 5 * self.k_text, plain(text), new_x="LMARGIN", new_y="NEXT")
        self.ln(0.8 * self.k_text)

    def lines(self, sentences, *, size=8, mark="– "):
        """Sentences one below the other, each with a mark."""
        self.face(size)
        for sentence in sentences:
            self.multi_cell(self.epw, 4 * self.k_text, plain(mark + sentence), new_x="LMARGIN", new_y="NEXT", align="L")
            self.ln(0.5 * self.k_text)

    def table_of(self, heads, rows, widths, *, numbers=(), size=7.6, strong=()):
        """A table; numbers: places of columns that stand to the right; strong: places of rows that stand out.

        The head comes again on every page.
        """
        rows = [list(map(plain, row)) for row in rows]
        papertable.draw(self, list(map(plain, heads)), rows, widths, numbers=numbers, size=size, strong=strong)
        self.ln(1.5 * self.k_text)

    def section(self, title, heads, rows, widths, *, size=7.6, **more):
        """A heading with its table, together on one page where they fit on one."""
        plain_rows = [list(map(plain, row)) for row in (heads, *rows)]
        high = papertable.height(self, plain_rows[0], plain_rows[1:], widths, size=size) + 12 * self.k_text
        room = self.h - self.b_margin
        if self.get_y() + high > room >= self.t_margin + high:
            self.add_page()
        self.heading(title)
        self.table_of(heads, rows, widths, size=size, **more)

    def done(self):
        """The bytes; the files of the letters, which fpdf2 leaves open, are closed."""
        try:
            return bytes(self.output())
        finally:
            for font in self.fonts.values():
                font.ttfont.close()


def cut(pdf, text, width):
    """The text as it can be printed on one line of a width (mm), cut where it must be."""
    text = plain(text)
    if pdf.get_string_width(text) <= width:
        return text
    while text and pdf.get_string_width(text + "…") > width:
        text = text[:-1]
    return text + "…"


class Map:
    """A map in a frame of a Paper. frame: x, y, width, height (mm). box: west, south, east, north (m), of the same shape."""

    def __init__(self, pdf, frame, box):
        self.pdf, self.frame, self.box = pdf, frame, box
        self.scale = frame[2] / (box[2] - box[0])
        self.taken = []  # boxes (mm) of names and signs, so that names keep clear of them

    def at(self, x, y):
        """Millimetres on the page of a position in metres."""
        return self.frame[0] + (x - self.box[0]) * self.scale, self.frame[1] + (self.box[3] - y) * self.scale

    def ground(self, outline):
        """Sea, land and the outlines of wards, dashed where they are schematic."""
        pdf = self.pdf
        pdf.set_fill_color(*SEA)
        pdf.rect(*self.frame, style="F")
        with self.clip():
            self.areas(outline.outside, fill=OUTSIDE)
            self.areas(outline.land, fill=LAND, line=(159, 176, 171), width=0.2)
            if outline.schematic:
                pdf.set_dash_pattern(0.5, 0.9)
            self.areas(outline.wards, line=CELL, width=0.15)
            pdf.set_dash_pattern()

    @contextmanager
    def clip(self):
        """Nothing is drawn outside the frame; colours and lines are afterwards as before, for fpdf2 and in the file."""
        with self.pdf.local_context(), self.pdf.rect_clip(*self.frame):
            yield

    def areas(self, rings, *, fill=None, line=None, width=0.2):
        """Rings (arrays of x, y in m) as one area: inner rings are holes."""
        west, south, east, north = self.box
        pdf, k = self.pdf, self.pdf.k
        out = []
        for ring in rings:
            xs, ys = ring[:, 0], ring[:, 1]
            if xs.max() < west or xs.min() > east or ys.max() < south or ys.min() > north:
                continue
            places = [self.at(x, y) for x, y in ring[:-1]]
            out += [f"{x * k:.2f} {(pdf.h - y) * k:.2f} {'m' if i == 0 else 'l'}" for i, (x, y) in enumerate(places)]
            out.append("h")
        if not out:
            return
        if fill:
            pdf.set_fill_color(*fill)
        if line:
            pdf.set_draw_color(*line)
            pdf.set_line_width(width * pdf.k_text)
        # fpdf2 has no call for areas with holes; these are the operators of the format (ISO 32000-1, 8.5.3)
        pdf._out("\n".join([*out, {(1, 0): "f*", (0, 1): "S", (1, 1): "B*"}[bool(fill), bool(line)]]))

    def line(self, a, b, *, colour=BRAND, width=0.35, dashed=False):
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(width * self.pdf.k_text)
        if dashed:
            self.pdf.set_dash_pattern(0.9, 0.7)
        self.pdf.line(*self.at(*a), *self.at(*b))
        self.pdf.set_dash_pattern()

    def ring(self, at, radius_m, *, colour=WARM):
        """A circle of so many metres, drawn where it is large enough to be seen."""
        r = radius_m * self.scale
        if r < 0.8:
            return
        x, y = self.at(*at)
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(0.25 * self.pdf.k_text)
        self.pdf.set_dash_pattern(0.8, 0.6)
        self.pdf.circle(x, y, r, style="D")
        self.pdf.set_dash_pattern()

    def mark(self, at, shape, *, fill=BRAND, line=(255, 255, 255), size=1.4, text=None, ink=(255, 255, 255)):
        """A sign at a position in metres; see sign()."""
        x, y = self.at(*at)
        r = size * self.pdf.k_text
        self.taken.append((x - r, y - r, x + r, y + r))
        self.sign(x, y, shape, fill=fill, line=line, size=size, text=text, ink=ink)

    def sign(self, x, y, shape, *, fill=BRAND, line=(255, 255, 255), size=1.4, text=None, ink=(255, 255, 255)):
        """A sign at millimetres. shape: circle, square, triangle; size: half of its width; text stands in it."""
        pdf, size = self.pdf, size * self.pdf.k_text
        pdf.set_fill_color(*fill)
        pdf.set_draw_color(*line)
        pdf.set_line_width(0.3 * pdf.k_text)
        if shape == "circle":
            pdf.circle(x, y, size, style="DF")
        elif shape == "square":
            pdf.rect(x - size, y - size, 2 * size, 2 * size, style="DF")
        else:
            pdf.polygon([(x, y - size), (x + size, y + size * 0.8), (x - size, y + size * 0.8)], style="DF")
        if text:
            pdf.face(size / pdf.k_text * 3.0, "B", ink)
            wide = pdf.get_string_width(plain(text))
            pdf.set_xy(x - wide / 2 - pdf.c_margin, y - size)
            pdf.cell(wide + 2 * pdf.c_margin, 2 * size, plain(text), align="C")

    def name(self, at, text, *, size=6, colour=INK, below=False, style="", away=2.0):
        """A name above or below a position, inside the frame; left out where another name or sign stands already."""
        pdf = self.pdf
        x, y = self.at(*at)
        pdf.face(size, style, colour)
        text = plain(text)
        wide, high = pdf.get_string_width(text), size * pdf.k_text * 0.3528
        left = min(max(x - wide / 2, self.frame[0] + 1), self.frame[0] + self.frame[2] - wide - 1)
        base = y + (away * pdf.k_text + high * 0.8 if below else -away * pdf.k_text)
        box = (left, base - high, left + wide, base + high * 0.3)
        if any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in self.taken):
            return
        self.taken.append(box)
        pdf.set_fill_color(255, 255, 255)
        with pdf.local_context(fill_opacity=0.78):
            pdf.rect(box[0] - 0.4, box[1] - 0.2, wide + 0.8, high * 1.35, style="F")
        pdf.face(size, style, colour)
        pdf.text(left, base, text)

    def finish(self, note):
        """Frame, lines of longitude and latitude with their degrees, scale bar, north arrow, and a note below."""
        pdf, (x, y, w, h) = self.pdf, self.frame
        self._graticule()
        pdf.set_draw_color(*INK)
        pdf.set_line_width(0.3)
        pdf.rect(x, y, w, h)
        self._scale_bar()
        self._north()
        pdf.face(6, "", QUIET)
        pdf.set_xy(x, y + h + 3.4 * pdf.k_text)
        pdf.multi_cell(w, 2.9 * pdf.k_text, plain(note), align="L")

    def _graticule(self):
        pdf, (x, y, w, h) = self.pdf, self.frame
        west, south, east, north = self.box
        (lon0, lat0), (lon1, lat1) = (projection.to_wgs84(*p, METRIC) for p in ((west, south), (east, north)))
        step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (lon1 - lon0) / s <= 7)
        digits = 2 if step < 0.1 else 1
        pdf.set_draw_color(120, 132, 132)
        for first, last, is_lon in ((lon0, lon1, True), (lat0, lat1, False)):
            value = -(-float(first) // step) * step
            while value < last:
                ends = [(value, lat0), (value, lat1)] if is_lon else [(lon0, value), (lon1, value)]
                a, b = (self.at(*map(float, projection.from_wgs84(*p, METRIC))) for p in ends)
                with self.clip(), pdf.local_context(stroke_opacity=0.35):
                    pdf.set_line_width(0.1)
                    pdf.line(*a, *b)
                pdf.face(5.2, "", QUIET)
                text = plain(number(value, digits) + ("° Đ" if language() == "vi" else "° E") if is_lon
                             else number(value, digits) + ("° B" if language() == "vi" else "° N"))  # fmt: skip
                if is_lon:
                    at = min(max(a[0], x + 5), x + w - 5)
                    pdf.text(at - pdf.get_string_width(text) / 2, y + h + 2.2 * pdf.k_text, text)
                elif y + 5 * pdf.k_text < (a[1] + b[1]) / 2 < y + h - 5 * pdf.k_text:
                    with pdf.rotation(90, x - 0.9 * pdf.k_text, (a[1] + b[1]) / 2):
                        pdf.text(x - 0.9 * pdf.k_text - pdf.get_string_width(text) / 2, (a[1] + b[1]) / 2, text)
                value = round(value + step, 6)

    def _scale_bar(self):
        pdf, (x, y, _w, h) = self.pdf, self.frame
        long = round_length(self.box[2] - self.box[0], 0.22)
        wide, high = long * self.scale, 1.2 * pdf.k_text
        left, top = x + 4, y + h - 5 * pdf.k_text
        pdf.set_fill_color(255, 255, 255)
        with pdf.local_context(fill_opacity=0.8):
            pdf.rect(left - 2, top - 4.2 * pdf.k_text, wide + 12 * pdf.k_text, 8 * pdf.k_text, style="F")
        pdf.set_draw_color(*INK)
        pdf.set_line_width(0.2)
        for i in range(4):
            pdf.set_fill_color(*(INK if i % 2 == 0 else (255, 255, 255)))
            pdf.rect(left + wide * i / 4, top, wide / 4, high, style="DF")
        pdf.face(6)
        for share in (0, 0.5, 1) if wide > 14 * pdf.k_text else (0, 1):
            text = plain(number(long * share / 1000) + (" km" if share == 1 else ""))
            pdf.text(left + wide * share - (0 if share == 0 else pdf.get_string_width(text) / 2), top - 1, text)
        ratio = round((1000 / self.scale) / 1000) * 1000
        pdf.face(5.5, "", QUIET)
        pdf.text(left, top + high + 2.2 * pdf.k_text, plain(_("about 1 : %(ratio)s", ratio=number(ratio, 0))))

    def _north(self):
        """Grid north of EPSG:9210; within the city it is true north to half a degree."""
        pdf, (x, y, w, _h) = self.pdf, self.frame
        s = pdf.k_text
        cx, top = x + w - 7 * s, y + 4 * s
        pdf.set_fill_color(255, 255, 255)
        with pdf.local_context(fill_opacity=0.8):
            pdf.rect(cx - 4 * s, y + 1.5 * s, 8 * s, 15 * s, style="F")
        pdf.set_draw_color(*INK)
        pdf.set_line_width(0.2)
        pdf.set_fill_color(*INK)
        pdf.polygon([(cx, top), (cx, top + 7 * s), (cx - 2.4 * s, top + 8.6 * s)], style="DF")
        pdf.set_fill_color(255, 255, 255)
        pdf.polygon([(cx, top), (cx, top + 7 * s), (cx + 2.4 * s, top + 8.6 * s)], style="DF")
        pdf.face(7, "B")
        text = "B" if language() == "vi" else "N"
        pdf.text(cx - pdf.get_string_width(text) / 2, top + 11.8 * s, text)
