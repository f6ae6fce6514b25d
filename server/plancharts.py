"""Pictures of a siting study as SVG text: value curves, what each further plant adds, shares as bars.

Pure functions as in server/charts.py: data and words in, Markup out, every text escaped, no script and no style
attribute needed.
"""

from html import escape

from markupsafe import Markup

from server.charts import INK, QUIET

BRAND, WARM, LINE = "#0b5c56", "#c4501b", "#dcdcd2"
POINTS = (
    (6, True),
    (6, False),
    (4.5, True),
    (8, False),
)  # radius and whether full, of layeruses.Look.form; as in js/plan-map.js
CURVE = {"width": 240, "height": 112, "left": 30, "right": 8, "top": 8, "bottom": 24}


def _n(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _head(kind, width, height, title, desc):
    described = f"<desc>{escape(str(desc))}</desc>" if desc else ""
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(str(title))}</title>{described}"
    )


def _text(x, y, words, anchor="middle", size=11, fill=QUIET, weight=400):
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}">{escape(str(words))}</text>'
    )


def value_curve(points, *, title, desc="", low="", high="", unit=""):
    """How good a measure is: straight lines between (measure, value 0..1), level beyond both ends.

    low, high: the first and the last measure as written. The drawing script redraws it from data-points.
    """
    c = CURVE
    wide, tall = c["width"] - c["left"] - c["right"], c["height"] - c["top"] - c["bottom"]
    points = sorted((float(m), min(max(float(v), 0.0), 1.0)) for m, v in points)
    first, last = (points[0][0], points[-1][0]) if points else (0.0, 1.0)
    reach = (last - first) or 1.0

    def place(measure, value):
        return c["left"] + (measure - first) / reach * wide, c["top"] + (1 - value) * tall

    spots = [place(m, v) for m, v in points]
    line = " ".join(f"{_n(x)},{_n(y)}" for x, y in spots)
    base = c["top"] + tall
    grid = "".join(
        f'<path d="M{c["left"]} {_n(y)}H{c["width"] - c["right"]}" stroke="{LINE}"/>'
        for y in (c["top"], c["top"] + tall / 2, base)
    )
    area = (
        f'<path d="M{_n(spots[0][0])} {base}L{line.replace(" ", "L")}L{_n(spots[-1][0])} {base}Z" fill="{BRAND}" fill-opacity=".12"/>'
        if spots
        else ""
    )
    marks = "".join(
        f'<circle cx="{_n(x)}" cy="{_n(y)}" r="3.5" fill="#fff" stroke="{BRAND}" stroke-width="2"/>' for x, y in spots
    )
    words = (
        _text(c["left"] - 6, c["top"] + 4, "1", "end") + _text(c["left"] - 6, base + 4, "0", "end")
        + _text(c["left"], c["height"] - 6, low, "start")
        + _text(c["width"] - c["right"], c["height"] - 6, f"{high} {unit}".strip(), "end")
    )  # fmt: skip
    return Markup(
        _head("value-curve", c["width"], c["height"], title, desc)
        + f'{grid}{area}<polyline points="{line}" fill="none" stroke="{BRAND}" stroke-width="2"/>{marks}{words}</svg>'
    )


def steps_of(top, most=5):
    """Round numbers from 0 to at least top, for an axis.

    >>> steps_of(12340)
    [0, 5000, 10000, 15000]
    """
    if not top > 0:
        return [0, 1]
    step = next(n * 10**p for p in range(-3, 12) for n in (1, 2, 5) if n * 10**p * most >= top)
    out = [0]
    while out[-1] < top:
        out.append(out[-1] + step)
    return out


def served_curve(rows, *, standing=0.0, title, desc="", written, words):
    """What 0, 1, 2 ... new plants serve, with what no choice of as many can exceed.

    rows: dicts number, value, bound (None where unknown), in the order of number from 1. standing: by today's plants
    alone. written: function that writes a value. words: dict x, served, bound, standing.
    """
    width, height, left, right, top, bottom = 620, 300, 64, 116, 18, 44
    most = max([standing, *(r["value"] for r in rows), *((r["bound"] or 0) for r in rows)], default=0)
    ticks = steps_of(most)
    wide, tall = width - left - right, height - top - bottom
    count = max((r["number"] for r in rows), default=1)

    def x(number):
        return left + number / count * wide

    def y(value):
        return top + (1 - value / ticks[-1]) * tall

    out = [_head("served-curve", width, height, title, desc)]
    for tick in ticks:
        out.append(f'<path d="M{left} {_n(y(tick))}H{width - right}" stroke="{LINE}"/>')
        out.append(_text(left - 8, y(tick) + 4, written(tick), "end", 12))
    every = max(1, -(-count // 12))
    for number in range(0, count + 1, every):
        out.append(_text(x(number), height - bottom + 18, number, size=12))
    out.append(_text(left + wide / 2, height - 6, words["x"], size=12))
    served = [(0, standing), *((r["number"], r["value"]) for r in rows)]
    bound = [(0, standing), *((r["number"], r["bound"]) for r in rows if r["bound"] is not None)]
    path = "L".join(f"{_n(x(n))} {_n(y(v))}" for n, v in served)
    above = "L".join(f"{_n(x(n))} {_n(y(v))}" for n, v in bound)
    back = "L".join(f"{_n(x(n))} {_n(y(v))}" for n, v in reversed(served))
    if len(bound) == len(served):
        out.append(f'<path d="M{above}L{back}Z" fill="{WARM}" fill-opacity=".12"/>')
    if len(bound) > 1:
        out.append(f'<path d="M{above}" fill="none" stroke="{WARM}" stroke-width="1.8" stroke-dasharray="6 4"/>')
    if standing > 0:
        out.append(f'<path d="M{left} {_n(y(standing))}H{width - right}" stroke="{QUIET}" stroke-dasharray="2 3"/>')
    out.append(f'<path d="M{path}" fill="none" stroke="{BRAND}" stroke-width="2.5"/>')
    out += [
        f'<circle cx="{_n(x(n))}" cy="{_n(y(v))}" r="4" fill="{BRAND}" stroke="#fff" stroke-width="1.5"/>'
        for n, v in served
    ]
    ends = [(y(served[-1][1]), words["served"], BRAND, 600)]
    if len(bound) > 1:
        ends.append((y(bound[-1][1]), words["bound"], "#a8410f", 500))
    if standing > 0:
        ends.append((y(standing), words["standing"], QUIET, 400))
    for spot, label, fill, weight in _apart(ends, 17):
        out.append(_text(width - right + 8, spot + 4, label, "start", 12, fill, weight))
    return Markup("".join(out) + "</svg>")


def _apart(ends, room):
    """Labels at the heights of their lines, from above, pushed down where they would touch."""
    placed, last = [], -room
    for spot, *rest in sorted(ends, key=lambda e: e[0]):
        last = max(spot, last + room)
        placed.append((last, *rest))
    return placed


def share_bar(share, *, title, width=120, height=12):
    """A share 0..1 as a bar; None is hatched: not known."""
    filled = f'<rect width="100%" height="{height}" fill="url(#part-unknown)"/>'
    if share is not None:
        filled = (
            f'<rect width="100%" height="{height}" fill="#e4efec"/>'
            f'<rect width="{min(max(share, 0), 1) * 100:.1f}%" height="{height}" fill="{BRAND}"/>'
        )
    return Markup(
        f'<svg class="share-bar" width="{width}" height="{height}" role="img"><title>{escape(str(title))}</title>{filled}</svg>'
    )


def score_key(colours, *, title, low, high):
    """The scale of scores from 0 to 1 as a strip of `colours` with a word at both ends."""
    step = 240 / len(colours)
    strip = "".join(
        f'<rect x="{_n(k * step)}" width="{_n(step + 0.4)}" height="14" fill="{escape(c)}"/>'
        for k, c in enumerate(colours)
    )
    return Markup(
        _head("score-key", 240, 34, title, "") + f'{strip}<rect x=".5" y=".5" width="239" height="13" fill="none" stroke="{INK}" stroke-opacity=".35"/>'
        + _text(0, 30, low, "start", 12) + _text(240, 30, high, "end", 12) + "</svg>"
    )  # fmt: skip


def hatch_swatch(colour, lines, mark):
    """A square in the hatch of a reason, as on the map. lines: rows of booleans, repeated. mark: a unique id."""
    cells = "".join(
        f'<rect x="{i}" y="{j}" width="1" height="1" fill="{escape(colour)}"/>'
        for j, row in enumerate(lines) for i, on in enumerate(row) if on
    )  # fmt: skip
    size = len(lines)
    mark = escape(str(mark))
    return Markup(
        f'<svg class="swatch" width="22" height="18" aria-hidden="true"><defs><pattern id="{mark}" width="{size}" height="{size}" '
        f'patternUnits="userSpaceOnUse"><rect width="{size}" height="{size}" fill="#e3dfd6"/>{cells}</pattern></defs>'
        f'<rect x=".5" y=".5" width="21" height="17" rx="2" fill="url(#{mark})" stroke="{QUIET}" stroke-opacity=".6"/></svg>'
    )


def own_swatch(look, kinds):
    """A sign in the look of a layer of the study's own. kinds: as ownlayers.counted() gives them; look: layeruses.Look."""
    colour, dash = escape(look.colour), f' stroke-dasharray="{look.dash}"' if look.dash else ""
    out = ['<svg class="swatch" width="26" height="18" viewBox="0 0 26 18" aria-hidden="true">']
    if "areas" in kinds:
        out.append(
            f'<rect x="1.5" y="1.5" width="23" height="15" rx="2" fill="{colour}" fill-opacity=".2" stroke="{colour}" stroke-width="2"{dash}/>'
        )
    if "lines" in kinds:
        out.append(f'<path d="M1 13L9 6L17 11L25 4" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>')
    if "points" in kinds:
        radius, full = POINTS[look.form]
        out.append(
            f'<circle cx="13" cy="9" r="{radius}" fill="{colour if full else "#fff"}" stroke="{"#fff" if full else colour}" stroke-width="2"/>'
        )
    return Markup("".join(out) + "</svg>")
