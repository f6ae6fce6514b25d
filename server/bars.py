"""Bars per quarter as SVG text: what was added to the open hotspots above the line, what was closed below it.

Pure: numbers and words in, Markup out, as in server/charts.py.
"""

from html import escape

from markupsafe import Markup

INK, QUIET, LINE = "#16252b", "#4c5c5e", "#dcdcd2"
# colour, hatch: opened is plain, relapsed is hatched, closed hangs below the line
LOOK = {"opened": "#e3ac33", "relapsed": "url(#bar-relapsed)", "closed": "#0b5c56"}
_HATCH = (
    '<pattern id="bar-relapsed" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" fill="#a8321c"/>'
    '<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="#f6d9d0" stroke-width="1.3"/></pattern>'
)


def quarter_bars(quarters, *, title, desc="", words, narrow=False):
    """One group per quarter of server/history.py quarters(): opened and relapsed upwards, closed downwards.

    words: {"opened", "relapsed", "closed", "open": heading of the row of numbers below, "quarter":
    callable (quarter, year) -> label}. The numbers stand at the bars and, open at the end, below them.
    """
    if not quarters:
        return Markup("")
    width, left, right, size = (360, 6, 6, 11) if narrow else (1000, 20, 20, 13)
    tallest_up = max(1, *(q.opened + q.relapsed for q in quarters))
    tallest_down = max(1, *(q.closed for q in quarters))
    unit = min((150 if narrow else 170) / (tallest_up + tallest_down), 26)
    top = 22
    base = top + tallest_up * unit + 4
    low = base + tallest_down * unit + 24
    slot = (width - left - right) / len(quarters)
    bar = min(slot * 0.56, 46)
    out, year = [], None
    for i, q in enumerate(quarters):
        x = left + i * slot + (slot - bar) / 2
        mid = x + bar / 2
        up = base
        for name in ("opened", "relapsed"):
            n = getattr(q, name)
            if n:
                up -= n * unit
                out.append(_bar(x, up, bar, n * unit, LOOK[name], f"{words[name]}: {n}"))
        if up < base:
            shown = str(q.opened + q.relapsed) if not (q.opened and q.relapsed) else f"{q.opened}+{q.relapsed}"
            out.append(_text(mid, up - 5, shown, size, INK, 600))
        if q.closed:
            out.append(_bar(x, base, bar, q.closed * unit, LOOK["closed"], f"{words['closed']}: {q.closed}"))
            out.append(_text(mid, base + q.closed * unit + size + 2, f"−{q.closed}", size, INK, 600))
        number, in_year = q.label
        out.append(_text(mid, low + size, words["quarter"](number, in_year), size, QUIET))
        if in_year != year:
            out.append(_text(mid, low + 2.3 * size, str(in_year), size, INK, 600))
            if year is not None:
                edge = left + i * slot
                out.append(f'<path d="M{edge:.1f} {top - 8}V{low + 2.4 * size:.1f}" stroke="{LINE}"/>')
            year = in_year
        out.append(_text(mid, low + 5.4 * size, str(q.open), size + 1, INK, 600))
    line = f'<path d="M{left} {base:.1f}H{width - right}" stroke="{INK}" stroke-width="1"/>'
    row = f'<text x="{left}" y="{low + 4 * size:.1f}" font-size="{size - 1}" fill="{QUIET}">{escape(words["open"])}</text>'
    kind = "flow-narrow" if narrow else "flow-wide"
    return Markup(
        f'<svg class="flow {kind}" viewBox="0 0 {width} {low + 6 * size:.1f}" role="img">'
        f"<title>{escape(str(title))}</title>{f'<desc>{escape(str(desc))}</desc>' if desc else ''}"
        f"<defs>{_HATCH.replace('bar-relapsed', f'bar-relapsed-{kind}')}</defs>"
        f"{line}{''.join(out).replace('#bar-relapsed', f'#bar-relapsed-{kind}')}{row}</svg>"
    )


def swatch(name, size=16):
    """The look of one kind of bar, for the key."""
    fill = LOOK[name].replace("#bar-relapsed", f"#bar-relapsed-key{size}")
    defs = f"<defs>{_HATCH.replace('bar-relapsed', f'bar-relapsed-key{size}')}</defs>" if name == "relapsed" else ""
    return Markup(
        f'<svg class="swatch" width="{size}" height="{size}" viewBox="0 0 {size} {size}" aria-hidden="true">'
        f"{defs}"
        f'<rect x=".5" y=".5" width="{size - 1}" height="{size - 1}" rx="3" fill="{fill}" stroke="{INK}" stroke-opacity=".35"/></svg>'
    )


def _bar(x, y, width, height, fill, hint):
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" '
        f'stroke="#fff" stroke-width="1"><title>{escape(hint)}</title></rect>'
    )


def _text(x, y, words, size, fill, weight=400):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}">{escape(words)}</text>'
    )
