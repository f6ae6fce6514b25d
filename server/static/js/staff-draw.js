/* The place of a case: one point, or one or more areas. What is drawn goes into the form as GeoJSON; the two fields for
   latitude and longitude do the same by keyboard and without this script. Needs drawing.js. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const map = cx.map;
  const box = document.querySelector("[data-draw]");
  if (!map || !box || !map.pm) return;
  const part = box.closest("fieldset");
  const field = part.querySelector("[name=geometry]");
  const lat = part.querySelector("[name=lat]");
  const lon = part.querySelector("[name=lon]");

  /** Writes what is on the map into the form. */
  function keep() {
    const made = tool.place(6);
    field.value = made ? JSON.stringify(made) : "none";
    const [x, y] = made?.type === "Point" ? made.coordinates : [];
    lat.value = y === undefined ? "" : y.toFixed(6);
    lon.value = x === undefined ? "" : x.toFixed(6);
  }

  const tool = cx.draw({ map, part, changed: keep });

  const typed = () => {
    const x = Number(lon.value.replace(",", "."));
    const y = Number(lat.value.replace(",", "."));
    if (!lat.value || !lon.value || !Number.isFinite(x) || !Number.isFinite(y) || Math.abs(y) > 90) return;
    tool.show({ type: "Point", coordinates: [x, y] });
    keep();
    tool.say(cx.t("A point is marked."));
    map.setView([y, x], Math.max(map.getZoom(), 13), { animate: false });
  };
  lat.addEventListener("change", typed);
  lon.addEventListener("change", typed);

  const first = box.dataset.draw;
  if (field.value && field.value !== "none") tool.show(JSON.parse(field.value));
  else if (first && field.value !== "none") tool.show(JSON.parse(first));
  cx.drawing = { map, show: tool.show, keep }; // for the tests in a browser
})();
