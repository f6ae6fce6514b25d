/* The place of one row: points, lines, areas with holes. What is drawn goes into the form as GeoJSON with every digit of
   the corners that were not touched; the field of typed corners does the same by keyboard. Needs drawing.js. */
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
  const told = part.querySelector("[data-corners-status]");
  const snap = part.querySelector("[data-draw-snap]");
  const size = part.querySelector("[data-draw-size]");
  const THEIRS = { color: "#1d5fa8", weight: 1.5, fillColor: "#1d5fa8", fillOpacity: 0.06, pmIgnore: true, snapIgnore: false };

  let history = []; // GeoJSON texts before each change
  let now = ""; // GeoJSON text of what is on the map

  /** Writes what is on the map into the form; the typed corners wait until somebody opens them. */
  function keep() {
    const made = tool.place();
    const text = made ? JSON.stringify(made) : "";
    if (text === now) return;
    history.push(now);
    now = text;
    field.value = text || "none";
    tool.buttons.back.disabled = false;
    if (size) size.textContent = "";
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

  function back() {
    now = history.pop() ?? now;
    tool.show(now ? JSON.parse(now) : null);
    const first = part.querySelector("[data-first]").value;
    field.value = now === start ? (first || !start ? "" : field.value) : now || "none";
    tool.buttons.back.disabled = !history.length;
    write(now ? JSON.parse(now) : null);
    tool.say(t("One step back."));
    form.dispatchEvent(new CustomEvent("layer-drawn"));
  }

  const tool = cx.draw({ map, part, changed: keep, does: { back },
    options: () => ({ snappable: snap.checked, snapDistance: 12 }) });

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
      tool.show(geometry);
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
    const pressed = tool.buttons.corners?.getAttribute("aria-pressed") === "true";
    tool.stop();
    if (pressed) tool.buttons.corners.click();
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
    const all = L.featureGroup(tool.pieces()).getBounds();
    if (all.isValid()) map.fitBounds(all, { padding: [40, 40], maxZoom: 16, animate: false });
  }

  form.addEventListener("formdata", ({ formData }) => {
    if (typed.value.trim() !== was.value.trim()) return;
    formData.delete("corners"); // untouched: what was drawn says all
    formData.delete("corners_was");
  });

  const first = part.querySelector("[data-first]").value;
  const start = first ? JSON.stringify(JSON.parse(first)) : "";
  if (field.value && field.value !== "none") tool.show(JSON.parse(field.value));
  else if (first && field.value !== "none") tool.show(JSON.parse(first));
  now = tool.pieces().length ? JSON.stringify(tool.place()) : "";
  if (now) look();
  neighbours();
  cx.drawing = { ...tool, map, keep }; // for the tests in a browser
})();
