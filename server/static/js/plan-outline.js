/* The study area drawn on a map. What is drawn stands as WKT in the field beside it, which does the same by keyboard.
   Needs drawing.js. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const map = cx.map;
  const part = document.querySelector("[data-outline]");
  if (!map || !part || !map.pm) return;
  const field = part.querySelector("textarea");
  const fold = part.closest("details");
  const city = JSON.parse(document.getElementById("map-data").textContent).bounds;

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
    const made = tool.place(6);
    if (!made) return "";
    const ring = (corners) => `(${corners.map(([x, y]) => `${x.toFixed(6)} ${y.toFixed(6)}`).join(", ")})`;
    const polygon = (rings) => `(${rings.map(ring).join(", ")})`;
    return made.type === "Polygon" ? `POLYGON ${polygon(made.coordinates)}` : `MULTIPOLYGON (${made.coordinates.map(polygon).join(", ")})`;
  }

  function keep() {
    field.value = written();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    if (field.value) document.querySelector("input[name=area][value=wkt]").checked = true;
  }

  const tool = cx.draw({ map, part, changed: keep });
  const bounds = () => L.featureGroup(tool.pieces()).getBounds().pad(0.2);

  function show() {
    const polygons = read(field.value);
    tool.show(polygons ? { type: "MultiPolygon", coordinates: polygons } : null);
    if (tool.pieces().length && map.getSize().x) map.fitBounds(bounds());
  }
  field.addEventListener("change", show);

  const open = () => {
    if (!fold.open) return;
    map.invalidateSize();
    map.fitBounds(tool.pieces().length ? bounds() : city, { animate: false });
  };
  fold.addEventListener("toggle", open);
  show();
  open();
})();
