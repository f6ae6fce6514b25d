/* Layers of a siting study on the map: tiles of its rasters, demand, sites, candidates and who sends where. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const NS = "http://www.w3.org/2000/svg";
  const TEAL = "#0b5c56";
  const WARM = "#c4501b";
  const PANES = { rasters: 205, reasons: 207, own: 385, flows: 390, demand: 395, candidates: 405 };

  const pane = (map, name) => {
    if (map.getPane(name)) return name;
    const made = map.createPane(name);
    made.style.zIndex = PANES[name];
    if (name === "rasters" || name === "reasons" || name === "own") made.style.pointerEvents = "none";
    return name;
  };

  const svg = (tag, attributes, ...children) => {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
    node.append(...children);
    return node;
  };

  const card = (feature) => () => cx.card(feature);

  /* --- tiles --- */

  const Tiles = L.TileLayer.extend({
    getTileUrl(at) {
      const bits = this.options.bits === undefined ? "" : `&bits=${this.options.bits}`;
      return L.TileLayer.prototype.getTileUrl.call(this, at) + bits;
    },
  });

  function raster(map, entry) {
    const { tiles, opacity, bits, area } = entry.spec;
    const name = bits === undefined ? "rasters" : "reasons";
    const bounds = area ? L.latLngBounds(area) : undefined;
    const layer = new Tiles(tiles, { pane: pane(map, name), opacity, bounds, minZoom: 7, maxZoom: 19, bits, updateWhenZooming: false });
    const holder = map.getContainer();
    layer.on("loading", () => holder.setAttribute(`data-tiles-${name}`, "loading"));
    layer.on("load", () => holder.setAttribute(`data-tiles-${name}`, "ready"));
    if (bits !== 0) entry.group.addLayer(layer);
    entry.tiles = layer;
    return 1;
  }

  /* Before a print the map changes its size and drops its tiles: what stands there now is kept as one picture. */

  function picture(map, layer) {
    const tiles = Object.values(layer._tiles).filter((tile) => tile.loaded && tile.coords.z === layer._tileZoom && tile.el.naturalWidth);
    if (!tiles.length) return null;
    const [xs, ys] = [tiles.map((tile) => tile.coords.x), tiles.map((tile) => tile.coords.y)];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const [right, low] = [Math.max(...xs) + 1, Math.max(...ys) + 1];
    const canvas = document.createElement("canvas");
    canvas.width = (right - left) * 256;
    canvas.height = (low - top) * 256;
    const sheet = canvas.getContext("2d");
    for (const { el, coords } of tiles) sheet.drawImage(el, (coords.x - left) * 256, (coords.y - top) * 256);
    const corner = (x, y) => map.unproject([x * 256, y * 256], layer._tileZoom);
    return L.svgOverlay(canvas, [corner(left, low), corner(right, top)], { pane: layer.options.pane, opacity: layer.options.opacity });
  }

  let pictures = [];
  window.addEventListener("beforeprint", () => {
    const shown = Object.values(cx.layers).filter((entry) => entry.tiles && cx.map.hasLayer(entry.tiles));
    pictures = shown.map((entry) => picture(cx.map, entry.tiles)).filter(Boolean);
    for (const one of pictures) one.addTo(cx.map);
  });
  window.addEventListener("afterprint", () => {
    for (const one of pictures) one.remove();
    pictures = [];
  });

  function chooseReasons(map) {
    const boxes = [...document.querySelectorAll("input[data-reason-bit]")];
    if (!boxes.length) return;
    const update = () => {
      const entry = cx.layers.reasons;
      if (!entry?.tiles) return;
      const bits = boxes.filter((box) => box.checked).reduce((sum, box) => sum + Number(box.dataset.reasonBit), 0);
      entry.tiles.options.bits = bits;
      entry.group.removeLayer(entry.tiles); // redraw() would ask for tiles of a zoom between two whole ones
      if (bits) entry.group.addLayer(entry.tiles);
    };
    for (const box of boxes) box.addEventListener("change", update);
    document.querySelector("[data-reasons-all]")?.addEventListener("click", (event) => {
      const on = !boxes.every((box) => box.checked);
      for (const box of boxes) box.checked = on;
      event.currentTarget.setAttribute("aria-pressed", String(on));
      update();
    });
  }

  /* --- demand: area in proportion to m³ a day, the served part filled --- */

  const PER_ROOT_M3 = 0.21; // as in map-signs.js

  function demand(map, entry, data) {
    const per = data.per || 1;
    const renderer = L.svg({ pane: pane(map, "demand"), padding: 0.5 });
    const shapes = data.features.map((f) => {
      const at = [f.lat, f.lon];
      const whole = L.circleMarker(at, { renderer, pane: "demand", color: "#fff", weight: 1.4, opacity: 0.95, fillColor: WARM, fillOpacity: 0.82 });
      const served = L.circleMarker(at, { renderer, pane: "demand", stroke: false, fillColor: TEAL, fillOpacity: 1, interactive: false });
      whole.bindPopup(card(f));
      cx.link(entry, f.code, whole);
      entry.group.addLayer(whole);
      if (f.served > 0) entry.group.addLayer(served);
      return { f, whole, served };
    });
    const size = () => {
      const scale = Math.min(1.6, Math.max(0.45, 2 ** ((map.getZoom() - 10.25) * 0.6)));
      for (const { f, whole, served } of shapes) {
        whole.setRadius(Math.max(2, PER_ROOT_M3 * Math.sqrt(f.m3 * per) * scale));
        served.setRadius(Math.max(1.4, PER_ROOT_M3 * Math.sqrt((f.served || 0) * per) * scale));
      }
    };
    map.on("zoomend", size);
    size();
    return shapes.length;
  }

  /* --- lines: who sends to which plant --- */

  function flows(map, entry, data) {
    const renderer = L.svg({ pane: pane(map, "flows"), padding: 0.5 });
    for (const f of data.features) {
      const line = L.polyline([f.from, f.to], {
        renderer, pane: "flows", color: f.new ? TEAL : "#3f4a52", opacity: 0.75, weight: Math.max(1.2, Math.min(9, Math.sqrt(f.m3 * (data.per || 1)) * 0.07)),
        dashArray: f.new ? null : "4 4",
      });
      line.bindPopup(card(f));
      entry.group.addLayer(line);
    }
    return data.features.length;
  }

  /* --- sites: chosen ones with their number, candidates as small rings --- */

  function sites(map, entry, data) {
    for (const f of data.features) {
      const size = 34;
      const picture = svg("svg", { width: size, height: size, viewBox: "-17 -17 34 34", "aria-hidden": "true" },
        svg("circle", { r: 15.5, fill: "#fff" }), svg("circle", { r: 13.5, fill: TEAL }),
        ...(f.forced ? [svg("circle", { r: 10.8, fill: "none", stroke: "#fff", "stroke-width": 1.4, "stroke-dasharray": "2.4 2.2" })] : []),
        svg("text", { y: 5, "text-anchor": "middle", "font-size": 14, "font-weight": 700, fill: "#fff" }, String(f.number)));
      const icon = L.divIcon({ className: "map-sign plan-site", html: picture, iconSize: [size, size] });
      const marker = L.marker([f.lat, f.lon], { icon, title: f.name, alt: f.name, zIndexOffset: 4000, keyboard: true });
      marker.bindPopup(card(f));
      cx.link(entry, f.code, marker);
      entry.group.addLayer(marker);
    }
    return data.features.length;
  }

  function candidates(map, entry, data) {
    const renderer = L.svg({ pane: pane(map, "candidates"), padding: 0.5 });
    for (const f of data.features) {
      const ring = L.circleMarker([f.lat, f.lon], { renderer, pane: "candidates", radius: 5, color: "#123f56", weight: 2, fillColor: "#fff", fillOpacity: 0.9 });
      ring.bindPopup(card(f));
      cx.link(entry, f.code, ring);
      entry.group.addLayer(ring);
    }
    return data.features.length;
  }

  /* --- layers that the study brought along; a click goes through them to the question "why not here?" --- */

  const POINTS = [[6, true], [6, false], [4.5, true], [8, false]]; // as in server/plancharts.py

  function own(map, entry) {
    const { geometry, colour, dash, form } = entry.spec;
    const [radius, full] = POINTS[form];
    const renderer = L.svg({ pane: pane(map, "own"), padding: 0.5 });
    const common = { pane: "own", renderer, interactive: false };
    const point = { color: full ? "#fff" : colour, weight: 2, dashArray: null, fillColor: full ? colour : "#fff", fillOpacity: 1 };
    const layer = L.geoJSON(geometry, {
      ...common,
      style: { ...common, color: colour, weight: 2.4, dashArray: dash || null, fillColor: colour, fillOpacity: 0.16 },
      pointToLayer: (_feature, at) => L.circleMarker(at, { ...common, radius }),
    });
    const each = (one) => (one.eachLayer ? one.eachLayer(each) : one instanceof L.CircleMarker && one.setStyle(point));
    each(layer); // the style of lines and outlines was given to the points too
    entry.group.addLayer(layer);
    return 1;
  }

  cx.painters = { ...cx.painters, own, raster, demand, flows, sites, candidates };

  const ready = cx.ready;
  cx.ready = (map) => {
    ready(map);
    chooseReasons(map);
    cx.whyOnMap?.(map);
  };
})();
