/* Draws the place of a case: one point, or one or more areas. What is drawn goes into the form as
   GeoJSON; the two fields for latitude and longitude do the same by keyboard and without this script. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const map = cx.map;
  const form = document.querySelector("[data-draw]")?.closest("form");
  if (!map || !form || !map.pm) return;
  const field = form.querySelector("[name=geometry]");
  const lat = form.querySelector("[name=lat]");
  const lon = form.querySelector("[name=lon]");
  const status = form.querySelector("[data-draw-status]");
  const buttons = Object.fromEntries([...form.querySelectorAll("[data-draw-do]")].map((b) => [b.dataset.drawDo, b]));
  const pin = () =>
    L.divIcon({ className: "draw-pin", html: cx.el("span", { "aria-hidden": "true" }), iconSize: [26, 26], iconAnchor: [13, 13] });
  const AREA = { color: "#8c1d13", weight: 2.5, fillColor: "#b3261e", fillOpacity: 0.15 };

  let point = null;
  let areas = [];
  map.dragging.enable(); // drawing needs it on touch screens too
  map.pm.setGlobalOptions({ tooltips: false, allowSelfIntersection: false, markerStyle: { icon: pin() }, pathOptions: AREA,
    templineStyle: { color: "#8c1d13" }, hintlineStyle: { color: "#8c1d13", dashArray: "5 5" }, snappable: false });

  const say = (text) => {
    if (status) status.textContent = text;
  };
  const round = (number) => Math.round(number * 1e6) / 1e6;

  /** Writes what is on the map into the form. */
  function keep() {
    const shapes = areas.flatMap((area) => {
      const { type, coordinates } = area.toGeoJSON(6).geometry;
      return type === "MultiPolygon" ? coordinates : [coordinates];
    });
    if (point) {
      const at = point.getLatLng();
      field.value = JSON.stringify({ type: "Point", coordinates: [round(at.lng), round(at.lat)] });
      lat.value = at.lat.toFixed(6);
      lon.value = at.lng.toFixed(6);
      say(t("A point is marked."));
    } else if (shapes.length) {
      field.value = JSON.stringify(
        shapes.length === 1 ? { type: "Polygon", coordinates: shapes[0] } : { type: "MultiPolygon", coordinates: shapes });
      lat.value = lon.value = "";
      say(t("An area is drawn."));
    } else {
      field.value = "none";
      lat.value = lon.value = "";
      say(t("No place is marked."));
    }
  }

  function clear() {
    for (const layer of [point, ...areas]) layer?.remove();
    point = null;
    areas = [];
  }

  function follow(layer) {
    layer.on("pm:edit pm:dragend pm:markerdragend dragend", keep);
  }

  function take(layer) {
    if (layer instanceof L.Marker) {
      const kept = layer;
      for (const area of areas) area.remove();
      areas = [];
      if (point !== kept) point?.remove();
      point = kept;
      point.options.draggable = true;
      point.dragging?.enable();
    } else {
      point?.remove();
      point = null;
      areas.push(layer);
    }
    follow(layer);
  }

  /** Shows a GeoJSON geometry as something that can be changed. */
  function show(geometry) {
    clear();
    if (!geometry) return;
    if (geometry.type === "Point") {
      take(L.marker([geometry.coordinates[1], geometry.coordinates[0]], { icon: pin(), draggable: true, keyboard: false }).addTo(map));
      return;
    }
    const pieces = geometry.type === "MultiPolygon" ? geometry.coordinates : [geometry.coordinates];
    for (const coordinates of pieces) {
      const rings = coordinates.map((ring) => ring.map(([x, y]) => [y, x]));
      take(L.polygon(rings, AREA).addTo(map));
    }
  }

  function stop() {
    map.pm.disableDraw();
    for (const area of areas) area.pm.disable();
    for (const button of Object.values(buttons)) button.setAttribute("aria-pressed", "false");
  }

  const does = {
    point: () => map.pm.enableDraw("Marker", { continueDrawing: false, markerStyle: { icon: pin() } }),
    area: () => map.pm.enableDraw("Polygon", { continueDrawing: false }),
    corners: () => areas.forEach((area) => area.pm.enable({ allowSelfIntersection: false })),
  };
  const hints = {
    point: t("Click on the map where the place is. The point can be dragged afterwards."),
    area: t("Click corner by corner; click the first corner again to close the area."),
    corners: t("Drag the corners; drag a middle point to make a new corner."),
  };

  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-draw-do]");
    if (!button) return;
    const what = button.dataset.drawDo;
    const again = button.getAttribute("aria-pressed") === "true";
    stop();
    if (what === "remove") {
      clear();
      keep();
    } else if (!again) {
      button.setAttribute("aria-pressed", "true");
      does[what]();
      say(hints[what]);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
  });

  map.on("pm:create", ({ layer }) => {
    stop();
    take(layer);
    keep();
  });

  const typed = () => {
    const x = Number(lon.value.replace(",", "."));
    const y = Number(lat.value.replace(",", "."));
    if (!lat.value || !lon.value || !Number.isFinite(x) || !Number.isFinite(y) || Math.abs(y) > 90) return;
    show({ type: "Point", coordinates: [x, y] });
    keep();
    map.setView([y, x], Math.max(map.getZoom(), 13), { animate: false });
  };
  lat.addEventListener("change", typed);
  lon.addEventListener("change", typed);

  const first = form.querySelector("[data-draw]").dataset.draw;
  if (field.value && field.value !== "none") show(JSON.parse(field.value));
  else if (first && field.value !== "none") show(JSON.parse(first));
  for (const hidden of form.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  cx.drawing = { map, show, keep }; // for the tests in a browser
})();
