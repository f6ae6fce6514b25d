/* New plants of a scenario on the map: numbered pins, lines to what they serve, the ring of the safety distance. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const map = cx.map;
  if (!map) return;
  const LINE = { color: "#0b5c56", weight: 2, opacity: 0.6, interactive: false, pane: "scenario-lines" };
  const RING = { color: "#8c1d13", weight: 1.5, dashArray: "4 3", fillColor: "#8c1d13", fillOpacity: 0.1, interactive: false };
  const pane = map.createPane("scenario-lines");
  pane.style.zIndex = 450;
  const below = L.layerGroup().addTo(map);
  const pins = new Map(); // number -> marker

  const label = (p) => t("Plant P{number} {name}, from {year}", { number: p.number, name: p.name || "", year: p.year });

  const icon = (p, selected) =>
    L.divIcon({
      className: `plan-pin-place${selected ? " is-selected" : ""}`,
      html: cx.el("span", { class: "plan-pin" }, String(p.number)),
      iconSize: [30, 30],
    });

  const card = (p) => {
    const law = p.distance ? [[t("Safety distance"), p.by === "own" ? t("{metres} m, entered", { metres: p.distance }) : `${p.distance} m`]] : [];
    const sent = p.lines || [];
    const told = sent.slice(0, 6).map((u) => [u.name, `${u.m3d.toLocaleString(document.documentElement.lang)} m³`]);
    const rest = sent.length > told.length ? [[t("Other wards and zones"), sent.length - told.length]] : [];
    return cx.card({ name: `P${p.number} ${p.name || ""}`, lines: [[t("Works from the year"), p.year], ...law, ...told, ...rest] });
  };

  /** Lines and rings below the pins; plants as the server answered. */
  function lines(plants) {
    below.clearLayers();
    for (const p of plants) {
      if (p.metres) below.addLayer(L.circle([p.lat, p.lon], { ...RING, radius: p.metres }));
      for (const u of p.lines || []) {
        below.addLayer(L.polyline([[p.lat, p.lon], [u.lat, u.lon]], LINE));
        below.addLayer(L.circleMarker([u.lat, u.lon], { ...LINE, radius: 3, fill: true, fillColor: LINE.color, fillOpacity: 1, opacity: 1 }));
      }
    }
    map.getContainer().setAttribute("data-drawn-plants-new", String(plants.length));
  }

  /** Pins of the plants; edit: { moved(number, latlng, done), chosen(number), key(number, event) } makes them movable. */
  function marks(plants, { selected = null, edit = null } = {}) {
    const there = new Set(plants.map((p) => p.number));
    for (const [number, marker] of pins) {
      if (!there.has(number)) {
        marker.remove();
        pins.delete(number);
      }
    }
    for (const p of plants) {
      let marker = pins.get(p.number);
      if (!marker) {
        marker = L.marker([p.lat, p.lon], { icon: icon(p, p.number === selected), draggable: Boolean(edit), keyboard: true, zIndexOffset: 9000, autoPan: Boolean(edit) });
        marker.addTo(map);
        pins.set(p.number, marker);
        if (edit) {
          marker.on("drag", () => edit.moved(p.number, marker.getLatLng(), false));
          marker.on("dragend", () => edit.moved(p.number, marker.getLatLng(), true));
          marker.on("click", () => edit.chosen(p.number));
        } else marker.bindPopup(() => card(marker.plant), { maxWidth: 280 });
      }
      marker.plant = p;
      if (!marker.dragging?._draggable?._moving) marker.setLatLng([p.lat, p.lon]);
      const node = marker.getElement();
      node.classList.toggle("is-selected", p.number === selected);
      node.setAttribute("aria-label", label(p));
      node.setAttribute("role", "button");
      if (edit && !node.dataset.keys) {
        node.dataset.keys = "1";
        node.addEventListener("keydown", (event) => edit.key(p.number, event));
        node.addEventListener("focus", () => edit.chosen(p.number));
      }
    }
  }

  cx.scenario = { lines, marks, pin: (number) => pins.get(number) };

  const data = document.getElementById("scenario-drawn");
  if (data) {
    const { plants } = JSON.parse(data.textContent);
    lines(plants);
    marks(plants);
    for (const p of plants) {
      const row = document.querySelector(`tr[data-code="P${p.number}"]`);
      row?.addEventListener("click", (event) => {
        if (event.target.closest("a, button")) return;
        map.panTo([p.lat, p.lon]);
        pins.get(p.number).openPopup();
      });
    }
  }
})();
