"""Pictures as SVG text: the ledger bar, the flow diagram, the map key.

Pure functions: data and words in, Markup out. Every text is escaped here. Nothing needs a script or
a style attribute, so the pictures work under the content policy, in print and in saved pages.
"""

from html import escape

from markupsafe import Markup

from server.signs import PARTS, hatch_defs, part_fill, sign, sign_for, swatch

__all__ = ["PARTS", "flow_diagram", "hatch_defs", "ledger_bar_svg", "sign", "sign_for", "swatch",
           "symbol_legend_svg", "symbol_radius"]  # fmt: skip
INK, QUIET = "#16252b", "#4c5c5e"


def _n(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")


def likely(value):
    """The middle of {low, likely, high}, a plain number as it is, missing as None."""
    return value.get("likely") if isinstance(value, dict) else value


def ledger_bar_svg(parts, *, title, desc="", height=28):
    """One stacked bar; widths are shares of the sum of the parts.

    parts: {part: {low, likely, high}} or {part: number}, in m³/day; missing parts count as nothing.
    An empty ledger is drawn hatched: nothing known is not the same as nothing there.
    """
    values = {part: max(0.0, likely(parts.get(part)) or 0.0) for part in PARTS}
    total = sum(values.values())
    if total <= 0:
        values, total = {"unknown": 1.0}, 1.0
    pieces, x = [], 0.0
    for part, value in values.items():
        if value <= 0:
            continue
        width = 100 * value / total
        pieces.append(
            f'<rect x="{x:.3f}%" width="{width:.3f}%" height="{height}" fill="{part_fill(part)}" data-part="{part}"/>'
        )
        if x > 0:
            pieces.append(f'<rect x="{x:.3f}%" width="1.5" height="{height}" fill="#fff"/>')
        x += width
    return Markup(
        f'<svg class="ledger-bar" width="100%" height="{height}" role="img">'
        f"<title>{escape(str(title))}</title>{f'<desc>{escape(str(desc))}</desc>' if desc else ''}"
        f"{''.join(pieces)}</svg>"
    )


# --- flow diagram ---------------------------------------------------------------------------------

COLUMNS = ("producer", "plant", "outcome")


class _Node:
    def __init__(self, spec):
        self.id, self.label = spec["id"], spec["label"]
        self.column = COLUMNS.index(spec["column"])
        self.part = spec.get("part")
        self.shown = spec.get("shown")  # the written value
        self.value = 0.0
        self.y = self.height = 0.0
        self.out_y = self.in_y = 0.0


def _nodes(nodes, links):
    made = {spec["id"]: _Node(spec) for spec in nodes}
    flows = {node_id: [0.0, 0.0] for node_id in made}
    for link in links:
        flows[link["source"]][0] += max(0.0, link["value"])
        flows[link["target"]][1] += max(0.0, link["value"])
    for node_id, node in made.items():
        node.value = max(flows[node_id])
    return {node_id: node for node_id, node in made.items() if node.value > 0}


def _place(nodes, scale, pitch, gap, top, bottom):
    """Stacks each column so that labels never meet; plants stay at the top, beside what they treat."""
    for column in range(len(COLUMNS)):
        stack = [n for n in nodes.values() if n.column == column]
        y = top
        for node in stack:
            node.height = max(1.5, node.value * scale)
            slot = max(node.height, pitch)
            node.y = y + (pitch if column == 1 else (slot - node.height) / 2)
            y = node.y + node.height + gap if column == 1 else y + slot + gap
        spare = bottom - (y - gap)
        if spare > 0 and stack and column != 1:
            between = spare / (len(stack) + 1)
            for index, node in enumerate(stack, 1):
                node.y += between * index
    for node in nodes.values():
        node.out_y = node.in_y = node.y


def _ribbon(x0, y0, x1, y1, h, fill, opacity, hint):
    mid = (x0 + x1) / 2
    d = (
        f"M{_n(x0)} {_n(y0)}C{_n(mid)} {_n(y0)} {_n(mid)} {_n(y1)} {_n(x1)} {_n(y1)}"
        f"V{_n(y1 + h)}C{_n(mid)} {_n(y1 + h)} {_n(mid)} {_n(y0 + h)} {_n(x0)} {_n(y0 + h)}Z"
    )
    return f'<path d="{d}" fill="{fill}" fill-opacity="{opacity}"><title>{escape(hint)}</title></path>'


def _wrapped(text, room):
    """text in lines of at most `room` letters, broken at spaces."""
    lines = [""]
    for word in str(text).split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _label_lines(node, room):
    """(line, weight) pairs: the name, then the value."""
    lines = [(line, 600) for line in _wrapped(_flat(node.label), room)]
    return lines + [(line, 400) for line in (_wrapped(node.shown, room) if node.shown else ())]


def _label(x, y, anchor, lines, size, above=False):
    """Text centred on y, or with its last line on y; above a bar it gets a white edge."""
    step = size * 1.24
    start = y - (len(lines) - 1) * step if above else y - (len(lines) - 1) * step / 2 + size * 0.35
    edge = ' paint-order="stroke" stroke="#fff" stroke-width="4" stroke-linejoin="round"' if above else ""
    return "".join(
        f'<text x="{_n(x)}" y="{_n(start + i * step)}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{INK if weight == 600 else QUIET}"{edge}>{escape(line)}</text>'
        for i, (line, weight) in enumerate(lines)
    )


def flow_diagram(nodes, links, *, title, desc="", narrow=False):
    """A Sankey diagram: who produces on the left, plants in the middle, what happens on the right.

    nodes: list of {id, label, column: "producer" | "plant" | "outcome", part (for outcomes and for
    plants that do not work), shown: the value as written}. Order is kept.
    links: list of {source, target, value (m³/day), part, shown}. Band height is proportional to value;
    the colour is that of the part the water ends in. Nodes with nothing in or out are left out.
    narrow: the variant for phones, with short lines.
    Raises KeyError for a link to a node that is not listed.
    """
    kept = _nodes(nodes, links)
    if not kept:
        return Markup("")
    width = 360 if narrow else 1000
    size = 11.5 if narrow else 14
    left, right, bar = (86, 234, 8) if narrow else (190, 770, 14)
    rooms = (13, 14, 17) if narrow else (24, 24, 34)
    lines = {node_id: _label_lines(node, rooms[node.column]) for node_id, node in kept.items()}
    pitch, gap = max(len(found) for found in lines.values()) * size * 1.24 + 6, 8
    totals = [sum(n.value for n in kept.values() if n.column == c) for c in range(3)]
    counts = [sum(1 for n in kept.values() if n.column == c) for c in range(3)]
    scale = (360 if narrow else 330) / max(totals)
    tallest = max(
        sum((n.value * scale + pitch if c == 1 else max(n.value * scale, pitch)) + gap
            for n in kept.values() if n.column == c)
        for c in range(3)
    )  # fmt: skip
    top, bottom = 12, 12 + tallest
    _place(kept, scale, pitch, gap, top, bottom)
    xs = (left, (left + right - bar) / 2, right - bar) if counts[1] else (left, None, right - bar)

    order = {node_id: index for index, node_id in enumerate(kept)}
    flowing = [link for link in links if link["value"] > 0]
    flowing.sort(key=lambda link: (order[link["source"]], order[link["target"]]))
    starts = {}
    for link in flowing:
        node = kept[link["source"]]
        starts[id(link)] = node.out_y
        node.out_y += link["value"] * scale
    flowing.sort(key=lambda link: (order[link["target"]], order[link["source"]]))
    bands = []
    for link in flowing:
        source, target = kept[link["source"]], kept[link["target"]]
        part = link.get("part") or target.part
        hint = f"{_flat(source.label)} → {_flat(target.label)}"
        hint += f": {link['shown']}" if link.get("shown") else ""
        bands.append(
            _ribbon(xs[source.column] + bar, starts[id(link)], xs[target.column], target.in_y,
                    max(0.6, link["value"] * scale), part_fill(part) if part else "#9fb3b1",
                    0.6, hint)
        )  # fmt: skip
        target.in_y += link["value"] * scale

    bars, labels = [], []
    for node in kept.values():
        x = xs[node.column]
        fill = part_fill(node.part) if node.part else (INK if node.column == 0 else "#0b5c56")
        bars.append(
            f'<rect x="{_n(x)}" y="{_n(node.y)}" width="{bar}" height="{_n(node.height)}" fill="{fill}" '
            f'stroke="{INK}" stroke-opacity=".35" stroke-width=".8"/>'
        )
        middle, edge = node.y + node.height / 2, 6 if narrow else 10
        if node.column == 0:
            labels.append(_label(x - edge, middle, "end", lines[node.id], size))
        elif node.column == 2:
            labels.append(_label(x + bar + edge, middle, "start", lines[node.id], size))
        else:
            labels.append(_label(x + bar / 2, node.y - 7, "middle", lines[node.id], size, above=True))
    kind = "flow flow-narrow" if narrow else "flow flow-wide"
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width} {_n(bottom + 12)}" role="img">'
        f"<title>{escape(str(title))}</title>{f'<desc>{escape(str(desc))}</desc>' if desc else ''}"
        f"{''.join(bands)}{''.join(bars)}<g>{''.join(labels)}</g></svg>"
    )


def merged_plants(nodes, links, label, *, keep=2):
    """The same flows with all plants as one, where there are more than `keep`: for a narrow picture."""
    plants = {node["id"] for node in nodes if node["column"] == "plant"}
    if len(plants) <= keep:
        return nodes, links
    one = {"id": "plants", "label": label, "column": "plant"}
    sums = {}
    for link in links:
        ends = ("plants" if link[end] in plants else link[end] for end in ("source", "target"))
        key = (*ends, link.get("part"))
        sums[key] = sums.get(key, 0.0) + link["value"]
    joined = [{"source": s, "target": t, "part": part, "value": v, "shown": ""} for (s, t, part), v in sums.items()]
    order = {"producer": 0, "plant": 1, "outcome": 2}
    kept = [node for node in nodes if node["id"] not in plants]
    return sorted([*kept, one], key=lambda node: order[node["column"]]), joined


def _flat(label):
    return " ".join(label) if isinstance(label, (list, tuple)) else str(label)


# --- key to the map -------------------------------------------------------------------------------


LARGEST_SCALE = 1.25  # the most that map-signs.js enlarges a symbol when the map is near


def symbol_radius(volume_m3, scale=1.0):
    """Radius in px of a gap symbol: area is proportional to the volume. The same rule is in map-signs.js."""
    return 0.21 * max(0.0, volume_m3) ** 0.5 * scale


def symbol_legend_svg(sizes, *, title):
    """Circles side by side, each with its volume below. sizes: list of (m³/day, written value).

    The circles carry data-m3 so that the map script can redraw them at the scale of the map.
    """
    sizes = sorted(sizes)
    biggest = symbol_radius(sizes[-1][0], LARGEST_SCALE)
    base, parts, x = 2 * biggest + 2, [], 0.0
    for volume, written in sizes:
        r = symbol_radius(volume)
        slot = max(2 * r * LARGEST_SCALE + 6, 9 * len(str(written)) + 8, 40)
        parts.append(
            f'<circle cx="{_n(x + slot / 2)}" cy="{_n(base - r)}" r="{_n(r)}" data-m3="{volume:g}" data-base="{_n(base)}" '
            f'fill="#fff" stroke="{QUIET}" stroke-width="1.5"/>'
            f'<text x="{_n(x + slot / 2)}" y="{_n(2 * biggest + 20)}" font-size="13" text-anchor="middle" '
            f'fill="{INK}">{escape(str(written))}</text>'
        )
        x += slot
    return Markup(
        f'<svg class="symbol-legend" width="{_n(x)}" height="{_n(2 * biggest + 26)}" role="img">'
        f"<title>{escape(str(title))}</title>{''.join(parts)}</svg>"
    )
