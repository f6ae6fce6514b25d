/* Draws the place of one row: points, lines, areas with holes. What is drawn goes into the form as GeoJSON with
   every digit of the corners that were not touched; the field of typed corners does the same by keyboard. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const map = cx.map;
  const part = document.querySelector(".row-draw");
  if (!map || !part || !map.pm) return;
  const form = part.closest("form");
  const field = form.querySelector("[name=geometry]");
  const typed = form.querySelector("[name=corners]");
  const was = form.querySelector("[name=corners_was]");
  const system = form.querySelector("[name=system]");
  const kind = form.querySelector("[name=form]");
  const status = part.querySelector("[data-draw-status]");
  const told = part.querySelector("[data-corners-status]");
  const snap = part.querySelector("[data-draw-snap]");
  const size = part.querySelector("[data-draw-size]");
  const buttons = Object.fromEntries([...part.querySelectorAll("[data-draw-do]")].map((b) => [b.dataset.drawDo, b]));
  const kinds = part.dataset.kinds.split(" ");
  const pin = () =>
    L.divIcon({ className: "draw-pin", html: cx.el("span", { "aria-hidden": "true" }), iconSize: [26, 26], iconAnchor: [13, 13] });
  const OURS = { color: "#8c1d13", weight: 2.5, fillColor: "#b3261e", fillOpacity: 0.15 };
  const THEIRS = { color: "#1d5fa8", weight: 1.5, fillColor: "#1d5fa8", fillOpacity: 0.06, pmIgnore: true, snapIgnore: false };

  let pieces = []; // Leaflet layers of the place, all of one kind
  let history = []; // GeoJSON texts before each change
  let now = ""; // GeoJSON text of what is on the map

  map.dragging.enable(); // drawing needs it on touch screens too
  map.pm.setGlobalOptions({ tooltips: false, allowSelfIntersection: false, markerStyle: { icon: pin() }, pathOptions: OURS,
    templineStyle: { color: "#8c1d13" }, hintlineStyle: { color: "#8c1d13", dashArray: "5 5" }, snappable: true, snapDistance: 12 });

  const say = (text) => {
    status.textContent = text;
  };
  const kindOf = (layer) => (layer instanceof L.Marker ? "Point" : layer instanceof L.Polygon ? "Polygon" : "LineString");

  /** The place on the map as GeoJSON, or null. */
  function place() {
    if (!pieces.length) return null;
    const shapes = pieces.map((layer) => layer.toGeoJSON(false).geometry);
    const one = shapes[0].type.replace("Multi", "");
    if (one === "Point") return shapes[0];
    const all = shapes.flatMap(({ type, coordinates }) => (type.startsWith("Multi") ? coordinates : [coordinates]));
    return all.length === 1 ? { type: one, coordinates: all[0] } : { type: `Multi${one}`, coordinates: all };
  }

  const words = { Point: t("A point is marked."), LineString: t("A line is drawn."), Polygon: t("An area is drawn.") };

  /** Writes what is on the map into the form; the typed corners wait until somebody opens them. */
  function keep() {
    const made = place();
    const text = made ? JSON.stringify(made) : "";
    if (text === now) return;
    history.push(now);
    now = text;
    field.value = text || "none";
    buttons.back.disabled = false;
    if (size) size.textContent = "";
    say(made ? words[made.type.replace("Multi", "")] : t("No place is marked."));
    form.dispatchEvent(new CustomEvent("layer-drawn"));
    write(made);
  }

  /** The corners as text in WGS 84. */
  function write(made) {
    const ring = (corners) => corners.map(([x, y]) => `${x.toFixed(8)} ${y.toFixed(8)}`).join("\n");
    const rings = (polygon) => polygon.map((corners) => ring(corners.slice(0, -1))).join("\n-\n");
    const shapes = { Point: (c) => ring([c]), LineString: ring, Polygon: rings, MultiLineString: (c) => c.map(ring).join("\n\n"),
      MultiPolygon: (c) => c.map(rings).join("\n\n") };
    system.value = "4326";
    before = "4326";
    typed.value = was.value = made ? shapes[made.type](made.coordinates) : "";
    if (made && kind.tagName === "SELECT") kind.value = made.type.replace("Multi", "");
  }

  function clear() {
    stop();
    for (const layer of pieces) layer.remove();
    pieces = [];
  }

  function follow(layer) {
    layer.on("pm:edit pm:dragend pm:markerdragend dragend pm:vertexremoved", keep);
    layer.on("pm:cut", (event) => {
      pieces = pieces.filter((other) => other !== event.originalLayer);
      event.originalLayer.remove();
      const left = event.layer instanceof L.LayerGroup && !event.layer.getLatLngs ? event.layer.getLayers() : [event.layer];
      for (const piece of left) take(piece);
      stop();
      keep();
    });
    layer.on("pm:snap", () => say(t("Snapped to a neighbour.")));
    if (layer instanceof L.Marker) layer.dragging?.enable();
  }

  /** A layer becomes part of the place; layers of another kind, and all of one point, go. */
  function take(layer) {
    const other = pieces.filter((piece) => kindOf(piece) !== kindOf(layer) || kindOf(layer) === "Point");
    for (const piece of other) piece.remove();
    pieces = [...pieces.filter((piece) => !other.includes(piece)), layer];
    follow(layer);
  }

  /** Shows a GeoJSON geometry as something that can be changed. */
  function show(geometry) {
    clear();
    if (!geometry) return;
    const one = geometry.type.replace("Multi", "");
    const all = geometry.type.startsWith("Multi") ? geometry.coordinates : [geometry.coordinates];
    const turn = (corners) => corners.map(([x, y]) => [y, x]);
    for (const c of all) {
      if (one === "Point") take(L.marker([c[1], c[0]], { icon: pin(), draggable: true, keyboard: false }).addTo(map));
      else if (one === "LineString") take(L.polyline(turn(c), { ...OURS, fill: false }).addTo(map));
      else take(L.polygon(c.map(turn), OURS).addTo(map));
    }
  }

  function stop() {
    map.pm.disableDraw();
    for (const layer of pieces) {
      layer.pm?.disable();
      layer.pm?.disableLayerDrag?.();
    }
    for (const button of Object.values(buttons)) if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", "false");
  }

  const options = () => ({ continueDrawing: false, snappable: snap.checked, allowSelfIntersection: false });
  const does = {
    Point: () => map.pm.enableDraw("Marker", { ...options(), markerStyle: { icon: pin() } }),
    LineString: () => map.pm.enableDraw("Line", options()),
    Polygon: () => map.pm.enableDraw("Polygon", options()),
    hole: () => map.pm.enableDraw("Cut", { ...options(), layersToCut: pieces.filter((piece) => kindOf(piece) === "Polygon") }),
    corners: () => pieces.forEach((piece) => piece.pm.enable({ ...options(), preventMarkerRemoval: false })),
    drag: () => pieces.forEach((piece) => piece.pm.enableLayerDrag()),
  };
  const hints = {
    Point: t("Click on the map where the place is. The point can be dragged afterwards."),
    LineString: t("Click corner by corner; click the last corner again to end the line."),
    Polygon: t("Click corner by corner; click the first corner again to close the area."),
    hole: t("Draw round what is to be cut out of the area."),
    corners: t("Drag the corners; drag a middle point to make a new corner; right-click a corner to remove it."),
    drag: t("Drag the place as a whole."),
  };

  part.addEventListener("click", (event) => {
    const button = event.target.closest("[data-draw-do]");
    if (!button) return;
    const what = button.dataset.drawDo;
    const again = button.getAttribute("aria-pressed") === "true";
    stop();
    if (what === "remove") {
      clear();
      keep();
    } else if (what === "back") {
      now = history.pop() ?? now;
      show(now ? JSON.parse(now) : null);
      const first = part.querySelector("[data-first]").value;
      field.value = now === start ? (first || !start ? "" : field.value) : now || "none";
      button.disabled = !history.length;
      write(now ? JSON.parse(now) : null);
      say(t("One step back."));
      form.dispatchEvent(new CustomEvent("layer-drawn"));
    } else if (!again && (pieces.length || kinds.includes(what))) {
      button.setAttribute("aria-pressed", "true");
      does[what]();
      say(hints[what]);
    } else if (!again) {
      say(t("No place is marked."));
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
  });
  map.on("pm:create", ({ layer, shape }) => {
    if (shape === "Cut") return;
    stop();
    take(layer);
    keep();
  });

  /* --- typed corners --- */

  let before = system.value;
  const token = document.querySelector("meta[name=csrf]")?.content;
  async function ask(body) {
    const answer = await fetch(part.dataset.corners, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF": token, Accept: "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) return answer.json();
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error && answer.status === 422 ? said.error : said.message || t("This could not be converted now."));
  }
  const asked = (to) => ask({ text: typed.value, system: Number(before), form: kind.value, to: Number(to) });

  system.addEventListener("change", async () => {
    const untouched = typed.value.trim() === was.value.trim();
    const to = system.value;
    if (!typed.value.trim()) {
      before = to;
      return;
    }
    if (!untouched) {
      before = to; // what is being typed is meant in the system that is chosen
      return;
    }
    try {
      const { text } = await asked(to);
      typed.value = was.value = text;
      before = to;
      told.textContent = t("The corners are written in this system now.");
    } catch (error) {
      told.textContent = error.message;
    }
  });
  part.querySelector("[data-corners-do=show]").addEventListener("click", async () => {
    try {
      before = system.value;
      const { geometry, text, words: said } = await asked(system.value);
      const [chosen, corners] = [system.value, typed.value];
      show(geometry);
      keep();
      system.value = before = chosen;
      typed.value = was.value = text || corners;
      if (geometry) look();
      told.textContent = geometry ? said : t("No place is marked.");
    } catch (error) {
      told.textContent = error.message;
    }
  });

  /* --- neighbours, to see and to snap to --- */

  const near = L.layerGroup().addTo(map);
  let request = 0;
  async function neighbours() {
    if (map.getZoom() < 12) {
      near.clearLayers();
      return;
    }
    const mine = (request += 1);
    const frame = map.getBounds();
    const box = [frame.getWest(), frame.getSouth(), frame.getEast(), frame.getNorth()].map((n) => n.toFixed(6)).join(",");
    const query = new URLSearchParams({ box, key: part.dataset.key });
    const answer = await fetch(`${part.dataset.near}?${query}`).catch(() => null);
    if (!answer?.ok || mine !== request) return;
    const data = await answer.json();
    near.clearLayers();
    L.geoJSON(data, {
      style: THEIRS, ...THEIRS, interactive: false,
      pointToLayer: (_feature, at) => L.circleMarker(at, { ...THEIRS, radius: 5, fillOpacity: 0.4, interactive: false }),
    }).eachLayer((layer) => near.addLayer(layer));
    map.getContainer().dataset.near = String(data.features.length);
  }
  map.on("moveend", neighbours);
  snap.addEventListener("change", () => {
    const pressed = buttons.corners?.getAttribute("aria-pressed") === "true";
    stop();
    if (pressed) buttons.corners.click();
  });

  /** The ground is there to look at, not to snap to. */
  function ground(layer) {
    if (layer.eachLayer) layer.eachLayer(ground);
    if (layer.options) Object.assign(layer.options, { snapIgnore: true, pmIgnore: true });
  }
  for (const { group } of Object.values(cx.layers)) {
    ground(group);
    group.on("layeradd", ({ layer }) => ground(layer));
  }
  map.on("layeradd", ({ layer }) => {
    if (["land", "outside", "cells", "water", "names"].includes(layer.options?.pane)) ground(layer);
  });

  function look() {
    const all = L.featureGroup(pieces).getBounds();
    if (all.isValid()) map.fitBounds(all, { padding: [40, 40], maxZoom: 16, animate: false });
  }

  form.addEventListener("formdata", ({ formData }) => {
    if (typed.value.trim() !== was.value.trim()) return;
    formData.delete("corners"); // untouched: what was drawn says all
    formData.delete("corners_was");
  });

  const first = part.querySelector("[data-first]").value;
  const start = first ? JSON.stringify(JSON.parse(first)) : "";
  if (field.value && field.value !== "none") show(JSON.parse(field.value));
  else if (first && field.value !== "none") show(JSON.parse(first));
  now = pieces.length ? JSON.stringify(place()) : "";
  if (pieces.length) look();
  for (const hidden of part.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  neighbours();
  cx.drawing = { map, show, keep, place, pieces: () => pieces }; // for the tests in a browser
})();
