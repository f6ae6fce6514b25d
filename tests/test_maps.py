"""Maps: hostile text stays text, nothing outside is named, the same input gives the same bytes."""

import html
import itertools
import json
import re

import folium
import folium.plugins
import pytest
from flask import Blueprint, render_template_string

from server import charts, maps, signs
from server.app import create_app
from server.security import public
from server.settings import Settings
from tests import browser

HOSTILE = [
    "<img src=x onerror='window.__xss=1'>",
    "</script><script>window.__xss=1</script>",
    "${window.__xss=1}",
    "`+(window.__xss=1)+`",
    "\\u003cimg src=x onerror=window.__xss=1>",
    '"><svg onload=window.__xss=1>',
    "<!--<script>",
    "\u2028window.__xss=1",
]
BOUNDS = ((20.6, 106.1), (21.2, 107.1))
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[106.2, 20.7], [106.9, 20.7], [106.9, 21.0], [106.2, 21.0], [106.2, 20.7]]],
}


def unit(code="U1", name="Lê Chân", **more):
    return {"code": code, "name": name, "lon": 106.6, "lat": 20.85, "kind": "ward", "not_treated": 900,
            "unknown": 300, "treated": 100, "lines": [["m³", "1.200"]], "url": f"/{code}"} | more  # fmt: skip


def layers(name="Lê Chân", count=1):
    cells = {"type": "FeatureCollection",
             "features": [{"type": "Feature", "geometry": SQUARE,
                           "properties": {"code": "U1", "name": name}}],
    }  # fmt: skip
    return [
        maps.Ground(land=SQUARE, cells=cells, labels=({"name": name, "lon": 106.5, "lat": 20.8, "kind": "place"},)),
        maps.GeoJsonLayer("zones", name, data=cells, lines=((name, "name"),)),
        maps.SymbolLayer("gap", name, tuple(unit(f"U{i}", name) for i in range(count))),
        maps.hotspot_layer([unit("H1", name, sign="confirmed")], name),
        maps.plant_layer([unit("P1", name, sign="never heard of")], name),
    ]


def outside(text):
    return [a for a in re.findall(r"(?:https?:)?//[a-z0-9.-]+", text) if "www.w3.org" not in a]


@pytest.mark.parametrize("text", HOSTILE)
def test_safe_leaves_nothing_that_html_or_a_template_literal_could_read(text):
    shown = maps.safe(text)
    assert not set(shown) & set("<>\"'`${}\\")
    assert html.unescape(shown) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_map_data_cannot_leave_its_script_tag(text):
    parts = maps.map_page(layers(text), bounds=BOUNDS, label=text, attribution=text)
    assert not set(str(parts.data)) & set("<>&\u2028\u2029")
    assert json.loads(parts.data)["layers"]["gap"]["features"][0]["name"] == text
    assert "__xss" not in parts.script + parts.body + parts.header


def test_no_outside_address_even_with_plugins():
    parts = maps.map_page(layers(), bounds=BOUNDS)
    assert not outside(parts.header + parts.body + parts.script + parts.data)
    board = folium.Map(tiles=None)
    folium.plugins.Fullscreen().add_to(board)
    folium.plugins.MarkerCluster().add_to(board)
    assert not outside(re.sub(r"<meta[^>]*>", "", board.get_root().render()))


def test_same_input_same_bytes():
    first, second = (maps.map_page(layers(), bounds=BOUNDS) for _ in range(2))
    assert first == second


def test_script_needs_no_folium_page_styles():
    parts = maps.map_page(layers(), bounds=BOUNDS)
    assert "<style" not in parts.header + parts.body
    assert "user-scalable" not in parts.header
    assert parts.name == "map_cangxanh" and 'id="map_cangxanh"' in parts.body


def test_tiles_only_when_set(tmp_path):
    assert "tiles" not in json.loads(maps.map_page(layers(), bounds=BOUNDS, settings=Settings(tmp_path)).data)
    settings = Settings(tmp_path, internet_tiles="https://t.example/{z}/{x}/{y}.png", internet_tiles_credit="<b>x")
    tiles = json.loads(maps.map_page(layers(), bounds=BOUNDS, settings=settings).data)["tiles"]
    assert tiles == {"url": "https://t.example/{z}/{x}/{y}.png", "credit": "&lt;b&gt;x"}


def test_counts_and_far_places():
    island = unit("U2", "Bạch Long Vĩ", lat=20.13, lon=107.72)
    parts = maps.map_page([maps.SymbolLayer("gap", "Gap", (unit(), island))],
                          bounds=BOUNDS)  # fmt: skip
    assert parts.layers == (("gap", "Gap", True, 2),)
    assert parts.far == (("Bạch Long Vĩ", 20.13, 107.72),)


def test_what_is_refused():
    with pytest.raises(ValueError, match="give a url"):
        maps.map_page(layers(count=1001), bounds=BOUNDS)
    with pytest.raises(ValueError, match="has no lat"):
        maps.SymbolLayer(
            "gap", "Gap", ({"code": "1", "name": "", "lon": 1, "not_treated": 1, "unknown": 1, "treated": 1},)
        )
    with pytest.raises(ValueError, match="colours"):
        maps.GeoJsonLayer("a", "A", data=SQUARE, value="v", breaks=(1, 2), colours=("red",))
    with pytest.raises(ValueError, match="data or url"):
        maps.GeoJsonLayer("a", "A")
    with pytest.raises(ValueError, match="Out of range float"):
        maps.map_page([maps.SymbolLayer("gap", "Gap", (unit(unknown=float("nan")),))], bounds=BOUNDS)


def test_unknown_is_hatched_and_never_green():
    assert signs.sign_for("stage", "??") == "stage-unknown" and signs.sign_for("state", None) == "state-unknown"
    assert signs.part_fill("unknown").startswith("url(#")
    assert "part-unknown" in signs.SIGNS["stage-unknown"] and "#0b5c56" not in signs.SIGNS["stage-unknown"]
    looks = [(signs.part_fill(part), signs.PART_LOOK[part][0]) for part in signs.PARTS]
    assert len(set(looks)) == 8


def test_ledger_bar_widths_add_up():
    bar = charts.ledger_bar_svg({"treated_to_standard": {"likely": 1}, "unknown": {"likely": 3}}, title="<a>")
    widths = [float(w) for w in re.findall(r'width="([\d.]+)%" height="28" fill="[^"]+" data-part', bar)]
    assert widths == [25.0, 75.0]
    assert "&lt;a&gt;" in bar and "style=" not in bar
    assert 'data-part="unknown"' in charts.ledger_bar_svg({}, title="x")


def test_flow_diagram_labels_never_meet():
    nodes = [{"id": "a", "label": "A", "column": "producer", "shown": "100"},
             {"id": "b", "label": "B & <b>", "column": "producer", "shown": "1"},
             {"id": "p", "label": "Plant", "column": "plant", "shown": "40"}]  # fmt: skip
    nodes += [{"id": part, "label": part, "column": "outcome", "part": part, "shown": "1"} for part in signs.PARTS]
    links = [{"source": "a", "target": "p", "value": 40, "part": "treated_unknown", "shown": "40"},
             {"source": "p", "target": "treated_unknown", "value": 40, "shown": "40"}]  # fmt: skip
    links += [{"source": s, "target": part, "value": 0.2, "shown": "0,2"} for part in signs.PARTS for s in "ab"]
    for narrow in (False, True):
        svg = charts.flow_diagram(nodes, links, title="t", narrow=narrow)
        assert "<b>" not in svg and "style=" not in svg and " on" not in re.sub(r">[^<]*<", "><", svg)
        places = {}
        for x, y, anchor in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)"', svg):
            places.setdefault((x, anchor), []).append(float(y))
        for column in places.values():
            assert all(b - a > 11 for a, b in itertools.pairwise(column))
    assert charts.flow_diagram(nodes, [], title="t") == ""


def test_merged_plants_keep_every_flow():
    nodes = [{"id": "a", "label": "A", "column": "producer"}, {"id": "x", "label": "X", "column": "outcome"}]
    nodes += [{"id": f"p{i}", "label": "P", "column": "plant"} for i in range(4)]
    links = [{"source": "a", "target": f"p{i}", "value": i} for i in range(4)]
    links += [{"source": f"p{i}", "target": "x", "value": i} for i in range(4)]
    few_nodes, few_links = charts.merged_plants(nodes, links, "Plants")
    assert [n["id"] for n in few_nodes] == ["a", "plants", "x"]
    assert [(v["source"], v["target"], v["value"]) for v in few_links] == [
        ("a", "plants", 6),
        ("plants", "x", 6),
    ]
    assert charts.merged_plants(nodes[:3], links[:1], "Plants")[0] == nodes[:3]


PAGE = """{% extends "base.html" %}
{% from "_map.html" import map_head, map_box, gap_key, map_scripts with context %}
{% set scripts = ["site.js", "map.js", "map-signs.js"] %}{% block head %}{{ map_head(map) }}{% endblock %}
{% block content %}{% call map_box(map, "t") %}{{ gap_key([(500, "500"), (5000, "5.000")]) }}{% endcall %}
<table><tbody>{% for c in codes %}<tr data-code="{{ c }}"><td>{{ c }}</td></tr>{% endfor %}</tbody></table>
{% endblock %}
{% block scripts %}{{ map_scripts(map) }}{% endblock %}"""


def map_app(tmp_path, made):
    bp = Blueprint("sample", __name__)

    @bp.get("/map")
    @public
    def view():
        return render_template_string(PAGE, map=maps.map_page(made, bounds=BOUNDS), codes=["U0", "H1"])

    app = create_app(Settings(tmp_path), views=())
    app.register_blueprint(bp)
    return app


def needs_leaflet(app):
    if app.extensions["cangxanh-assets"].path("vendor/leaflet/dist/leaflet.js") is None:
        browser.missing("Leaflet is not set up")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_do_not_run_in_a_browser(tmp_path, text):
    app = map_app(tmp_path, layers(text))
    needs_leaflet(app)
    with browser.serving(app) as address, browser.page() as (page, seen):
        page.goto(address + "/map")
        page.wait_for_selector("[data-ready]")
        for code in ("U0", "H1", "P1"):
            page.evaluate("code => cangxanh.highlight(code, {open: true})", code)
            page.wait_for_timeout(60)
            assert text in page.locator(".map-card-name").first.evaluate("node => node.textContent")
        assert page.evaluate("window.__xss") is None
        assert not seen.errors and not seen.outside and not seen.failed


@pytest.mark.parametrize("width", [1366, 390, 320])
def test_map_page_in_a_browser(tmp_path, width):
    units = tuple(
        unit(f"U{i}", f"Phường {i}", lon=106.3 + 0.06 * (i % 9), lat=20.75 + 0.02 * (i // 9)) for i in range(100)
    )
    app = map_app(tmp_path, [*layers()[:1], maps.SymbolLayer("gap", "Gap", units), layers()[3]])
    needs_leaflet(app)
    with browser.serving(app) as address, browser.page(width=width) as (page, seen):
        page.goto(address + "/map")
        page.wait_for_selector("[data-ready]")
        board = page.locator("#map_cangxanh")
        assert board.get_attribute("data-drawn-gap") == "100" and board.get_attribute("data-drawn-hotspots") == "1"
        assert page.locator(".map-symbol").count() == 100
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("[data-layer=gap]").uncheck()
        assert page.locator(".map-symbol").count() == 0
        page.locator("[data-layer=gap]").check()
        page.locator("tr[data-code=U0]").click()
        assert "is-selected" in page.locator("tr[data-code=U0]").get_attribute("class")
        assert page.locator(".map-card-more").get_attribute("href") == "/U0"
        page.locator("[data-map-do=full]").click()
        page.keyboard.press("Escape")
        assert "is-full" not in page.locator("#map").get_attribute("class")
        assert not seen.errors and not seen.outside and not seen.failed
