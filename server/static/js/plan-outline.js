/* The study area drawn on a map. What is drawn stands as WKT in the field beside it, which does the same by keyboard. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const map = cx.map;
  const part = document.querySelector("[data-outline]");
  if (!map || !part || !map.pm) return;
  const field = part.querySelector("textarea");
  const status = part.querySelector("[data-draw-status]");
  const fold = part.closest("details");
  const buttons = Object.fromEntries([...part.querySelectorAll("[data-draw-do]")].map((b) => [b.dataset.drawDo, b]));
  const OURS = { color: "#8c1d13", weight: 2.5, fillColor: "#b3261e", fillOpacity: 0.15 };
  const city = JSON.parse(document.getElementById("map-data").textContent).bounds;
  let pieces = [];

  map.dragging.enable();
  map.pm.setGlobalOptions({ tooltips: false, allowSelfIntersection: false, pathOptions: OURS,
    templineStyle: { color: "#8c1d13" }, hintlineStyle: { color: "#8c1d13", dashArray: "5 5" } });
  part.querySelector("[data-needs-script]").hidden = false;

  /** [polygon[ring[[lon, lat]]]] of POLYGON or MULTIPOLYGON text; null for anything else. */
  function read(text) {
    const found = /^\s*(MULTI)?POLYGON\s*(\(.*\))\s*$/is.exec(text);
    if (!found) return null;
    try {
      const corner = /(-?[\d.]+(?:e[-+]?\d+)?)\s+(-?[\d.]+(?:e[-+]?\d+)?)/gi;
      const made = JSON.parse(found[2].replace(corner, "[$1,$2]").replaceAll("(", "[").replaceAll(")", "]"));
      return found[1] ? made : [made];
    } catch {
      return null;
    }
  }

  function written() {
    const ring = (corners) => {
      const all = corners.map(({ lat, lng }) => `${lng.toFixed(6)} ${lat.toFixed(6)}`);
      return `(${[...all, all[0]].join(", ")})`;
    };
    const polygons = pieces.flatMap((layer) => {
      const corners = layer.getLatLngs();
      return Array.isArray(corners[0]?.[0]) ? corners : [corners];
    });
    const texts = polygons.map((rings) => `(${rings.map(ring).join(", ")})`);
    if (!texts.length) return "";
    return texts.length === 1 ? `POLYGON ${texts[0]}` : `MULTIPOLYGON (${texts.join(", ")})`;
  }

  function keep() {
    field.value = written();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    if (pieces.length) document.querySelector("input[name=area][value=wkt]").checked = true;
    status.textContent = pieces.length ? t("An area is drawn.") : t("No place is marked.");
  }

  function take(layer) {
    pieces.push(layer);
    layer.on("pm:edit pm:dragend pm:vertexremoved", keep);
  }

  function stop() {
    map.pm.disableDraw();
    for (const layer of pieces) layer.pm?.disable();
    for (const button of Object.values(buttons)) if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", "false");
  }

  function clear() {
    stop();
    for (const layer of pieces) layer.remove();
    pieces = [];
  }

  function show() {
    const polygons = read(field.value);
    clear();
    for (const rings of polygons || []) take(L.polygon(rings.map((ring) => ring.slice(0, -1).map(([x, y]) => [y, x])), OURS).addTo(map));
    if (pieces.length && map.getSize().x) map.fitBounds(L.featureGroup(pieces).getBounds().pad(0.2));
  }

  map.on("pm:create", ({ layer }) => {
    take(layer);
    stop();
    keep();
  });
  part.addEventListener("click", (event) => {
    const button = event.target.closest("[data-draw-do]");
    if (!button) return;
    const on = button.getAttribute("aria-pressed") === "true";
    const what = button.dataset.drawDo;
    stop();
    if (what === "remove") {
      clear();
      keep();
    } else if (!on) {
      button.setAttribute("aria-pressed", "true");
      if (what === "Polygon") map.pm.enableDraw("Polygon", { continueDrawing: false, allowSelfIntersection: false });
      else pieces.forEach((piece) => piece.pm.enable({ allowSelfIntersection: false }));
      status.textContent = what === "Polygon" ? t("Click corner by corner; click the first corner again to close the area.")
        : t("Drag the corners; drag a middle point to make a new corner; right-click a corner to remove it.");
    }
  });
  field.addEventListener("change", show);

  const open = () => {
    if (!fold.open) return;
    map.invalidateSize();
    map.fitBounds(pieces.length ? L.featureGroup(pieces).getBounds().pad(0.2) : city, { animate: false });
  };
  fold.addEventListener("toggle", open);
  show();
  open();
})();
