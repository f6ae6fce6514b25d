"""Colours, hatches and signs: what each coded value looks like, in charts, lists and on maps.

Every value has a colour and a second mark (hatch or shape), so that colour is never the only sign.
The patterns and symbols are written once into each page by hatch_defs() and used by id.
"""

from html import escape

from markupsafe import Markup

# part: (colour, hatch colour, hatch): hatch "" is solid
PART_LOOK = {
    "treated_to_standard": ("#0b5c56", "#0b5c56", ""),
    "treated_unknown": ("#8cc5bd", "#1f7068", "dots"),
    "treated_over_limit": ("#7c5295", "#efe2f6", "cross"),
    "over_capacity": ("#e3ac33", "#7d5700", "lines"),
    "plant_not_working": ("#7a2a10", "#e9b7a3", "rising"),
    "on_site_only": ("#e8c7a0", "#94622b", "rings"),
    "not_connected": ("#c4501b", "#c4501b", ""),
    "unknown": ("#e2e5e4", "#7b8785", "falling"),
}
PARTS = tuple(PART_LOOK)

_HATCH = {
    "dots": (6, '<circle cx="1.5" cy="1.5" r="1" fill="{c}"/><circle cx="4.5" cy="4.5" r="1" fill="{c}"/>'),
    "cross": (7, '<path d="M0 0L7 7M7 0L0 7" stroke="{c}" stroke-width="1" fill="none"/>'),
    "lines": (5, '<path d="M0 2.5H5" stroke="{c}" stroke-width="1.1"/>'),
    "rising": (6, '<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="{c}" stroke-width="1.2"/>'),
    "rings": (8, '<circle cx="4" cy="4" r="1.9" fill="none" stroke="{c}" stroke-width="1"/>'),
    "falling": (6, '<path d="M-1 -1L7 7M5 -1L7 1M-1 5L1 7" stroke="{c}" stroke-width="1.2"/>'),
}


def part_fill(part):
    colour, _hatch_colour, hatch = PART_LOOK[part]
    return f"url(#part-{part})" if hatch else colour


def _pattern(part):
    colour, hatch_colour, hatch = PART_LOOK[part]
    size, marks = _HATCH[hatch]
    return (
        f'<pattern id="part-{part}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
        f'<rect width="{size}" height="{size}" fill="{colour}"/>{marks.format(c=hatch_colour)}</pattern>'
    )


_RING = '<circle cx="10" cy="10" r="7.5" fill="{fill}" stroke="{line}" stroke-width="2"/>'
_DISC = '<circle cx="10" cy="10" r="8.5" fill="{fill}"/>'
_INK = 'fill="none" stroke="{ink}" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
_DROP = "M10 4.4c2.3 3 3.8 4.8 3.8 6.9a3.8 3.8 0 0 1-7.6 0c0-2.1 1.5-3.9 3.8-6.9Z"
_BOX = '<rect x="2" y="2" width="16" height="16" rx="3" fill="{fill}" stroke="{line}" stroke-width="2"/>'
_DIAMOND = '<path d="M10 1.2L18.8 10 10 18.8 1.2 10Z" fill="{fill}" stroke="{line}" stroke-width="1.8"/>'


def _sign(shape, mark="", fill="#fff", line="#fff", ink="#fff"):
    return (shape + mark).replace("{ink}", ink).replace("{fill}", fill).replace("{line}", line)


_GREY = "#5d6b69"
SIGNS = {
    "stage-received": _sign(_RING, line="#8a5a00"),
    "stage-checking": _sign(
        _RING, f'<path d="M7.8 8.2a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.5" {_INK}/>'
        '<circle cx="10" cy="14" r="1.1" fill="{ink}"/>', line="#8a5a00", ink="#8a5a00"),
    "stage-confirmed": _sign(
        '<path d="M10 1.5L19 17.5H1Z" fill="{fill}" stroke="{fill}" stroke-width="1.5" '
        'stroke-linejoin="round"/>',
        f'<path d="M10 7V11.6" {_INK}/><circle cx="10" cy="14.6" r="1.2" fill="{{ink}}"/>', fill="#b3261e"),
    "stage-contained": _sign(
        _BOX, '<circle cx="10" cy="10" r="3.4" fill="{ink}"/>', line="#c4501b", ink="#c4501b"),
    "stage-plan_approved": _sign(
        _DIAMOND, f'<path d="M6.8 10.2l2.2 2.2 4.2-4.4" {_INK}/>', line="#1d5fa8", ink="#1d5fa8"),
    "stage-in_remediation": _sign(
        _RING, '<path d="M10 4.6a5.4 5.4 0 0 1 0 10.8Z" fill="{ink}"/>', line="#1d5fa8", ink="#1d5fa8"),
    "stage-verifying": _sign(
        '<circle cx="8.5" cy="8.5" r="6.2" fill="#fff" stroke="{line}" stroke-width="2"/>',
        f'<path d="M13.2 13.2L18 18" {_INK}/>', line="#6a4c93", ink="#6a4c93"),
    "stage-watched": _sign(
        _RING, '<circle cx="10" cy="10" r="3.2" fill="{ink}"/>', line="#0b5c56", ink="#0b5c56"),
    "stage-done": _sign(_DISC, f'<path d="M5.8 10.3l2.9 2.9 5.6-6" {_INK}/>', fill="#0b5c56"),
    "stage-rejected": _sign(_RING, f'<path d="M7 7l6 6M13 7l-6 6" {_INK}/>', line=_GREY, ink=_GREY),
    "stage-suspended": _sign(_RING, f'<path d="M8 7v6M12 7v6" {_INK}/>', line=_GREY, ink=_GREY),
    "stage-unknown": _sign(
        '<circle cx="10" cy="10" r="7.8" fill="url(#part-unknown)" stroke="{line}" stroke-width="1.6" '
        'stroke-dasharray="3 2"/>', line=_GREY),
    "state-operating": _sign(
        _BOX, f'<path d="{_DROP}" fill="{{ink}}"/>',
        fill="#0b5c56", line="#0b5c56"),
    "state-trial": _sign(
        _BOX, f'<path d="{_DROP}" fill="none" stroke="{{ink}}" stroke-width="1.6"/>',
        line="#0b5c56", ink="#0b5c56"),
    "state-building": _sign(
        '<rect x="2" y="2" width="16" height="16" rx="3" fill="#fff" stroke="{line}" stroke-width="2" '
        'stroke-dasharray="4 2"/>', f'<path d="M6 14h8M10 14V6M7 9l3-3 3 3" {_INK}/>',
        line="#8a5a00", ink="#8a5a00"),
    "state-planned": _sign(
        '<rect x="2" y="2" width="16" height="16" rx="3" fill="#fff" stroke="{line}" stroke-width="1.6" '
        'stroke-dasharray="2 2.4"/>', line=_GREY),
    "state-idle": _sign(
        _BOX, f'<path d="M6.5 6.5l7 7M13.5 6.5l-7 7" {_INK}/>', fill="#7a2a10", line="#7a2a10"),
    "state-closed": _sign(_BOX, f'<path d="M6.5 6.5l7 7M13.5 6.5l-7 7" {_INK}/>', line=_GREY, ink=_GREY),
    "state-unknown": _sign(
        '<rect x="2.2" y="2.2" width="15.6" height="15.6" rx="3" fill="url(#part-unknown)" stroke="{line}" '
        'stroke-width="1.6" stroke-dasharray="3 2"/>', line=_GREY),
    "kind-port": _sign(
        _DISC, f'<path d="M10 6v9M7 9h6M5.6 11.4c.4 2.4 2 3.6 4.4 3.6s4-1.2 4.4-3.6" {_INK}/>'
        '<circle cx="10" cy="5.2" r="1.3" fill="{ink}"/>', fill="#1d5fa8"),
    "kind-zone": _sign(
        '<rect x="3" y="3" width="14" height="14" fill="{fill}" stroke="{line}" stroke-width="2"/>',
        f'<path d="M6.5 13.5v-4l3 2v-2l3 2v-3.5" {_INK}/>', fill="#fff", line="#3d4f4d", ink="#3d4f4d"),
    "kind-village": _sign(
        '<path d="M10 2.2L18 9v8.6H2V9Z" fill="{fill}" stroke="{line}" stroke-width="2" '
        'stroke-linejoin="round"/>',
        line="#8a5a00"),
    "kind-waste": _sign(
        '<path d="M10 1.8l7.4 5.4-2.8 8.8H5.4L2.6 7.2Z" fill="{fill}" stroke="{line}" stroke-width="2"/>',
        line="#6a4c93"),
}  # fmt: skip
MAP_SIGNS = {"in_zone": "kind-zone", "industrial_park": "kind-zone", "industrial_cluster": "kind-zone",
             "economic_zone": "kind-zone", "port": "kind-port", "craft_village": "kind-village",
             "solid_waste": "kind-waste", "medical_waste": "kind-waste",
             "hazardous_waste": "kind-waste"}  # fmt: skip


def sign_for(family, code):
    """Id of the sign for a coded value; unknown codes get the hatched "unknown" sign, never none."""
    if family == "kind":
        return MAP_SIGNS.get(code, "state-unknown")
    name = f"{family}-{code}"
    return name if name in SIGNS else f"{family}-unknown"


def sign(name, size=20):
    """One sign as a small picture; the words stand beside it, so it is hidden from screen readers."""
    return Markup('<svg class="sign" width="{0}" height="{0}" viewBox="0 0 20 20" aria-hidden="true">'
                  '<use href="#{1}"/></svg>').format(size, name)  # fmt: skip


def swatch(part, size=16):
    return Markup(
        f'<svg class="swatch" width="{size}" height="{size}" viewBox="0 0 {size} {size}" aria-hidden="true">'
        f'<rect x=".5" y=".5" width="{size - 1}" height="{size - 1}" rx="3" fill="{escape(part_fill(part))}" '
        f'stroke="#16252b" stroke-opacity=".35"/></svg>'
    )


def hatch_defs():
    """The patterns and signs, once per page; must not be display:none or the patterns vanish."""
    patterns = "".join(_pattern(part) for part, look in PART_LOOK.items() if look[2])
    symbols = "".join(f'<symbol id="{name}" viewBox="0 0 20 20">{body}</symbol>' for name, body in SIGNS.items())
    return Markup(
        '<svg class="defs" width="0" height="0" aria-hidden="true" focusable="false">'
        f"<defs>{patterns}</defs>{symbols}</svg>"
    )
