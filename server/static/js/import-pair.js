/* Two small maps that move together: the same points under two readings of their coordinates. It stands in for map.js
   on this page: Folium's scripts call start, draw and ready. Texts become text nodes. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const PANES = { outside: 190, land: 200, cells: 210 };
  const STYLES = {
    outside: { stroke: false, fillColor: "#e7e7e2", fillOpacity: 1 },
    land: { color: "#9fb0ab", weight: 1, fillColor: "#faf7ef", fillOpacity: 1 },
    cells: { color: "#b9b3a2", weight: 0.8, fill: false },
  };
  const maps = [];
  let moving = false;

  const documentOf = (map) => maps.find((one) => one.map === map).page;

  cx.start = (map) => {
    const holder = map.getContainer();
    const name = holder.closest("[data-pair]").dataset.pair;
    const page = JSON.parse(document.querySelector(`[data-pair-data="${CSS.escape(name)}"]`).textContent);
    maps.push({ map, page });
    holder.setAttribute("role", "region");
    holder.setAttribute("aria-label", page.label);
    for (const [pane, z] of Object.entries(PANES)) {
      map.createPane(pane).style.zIndex = z;
      map.getPane(pane).style.pointerEvents = "none";
    }
    if (still) map.options.zoomAnimation = false;
    if (coarse) map.dragging.disable();
    L.control.zoom({ position: "topright", zoomInTitle: t("Zoom in"), zoomOutTitle: t("Zoom out") }).addTo(map);
    L.control.scale({ imperial: false, position: "bottomleft", maxWidth: 120 }).addTo(map);
    if (page.tiles) L.tileLayer(page.tiles.url, { attribution: page.tiles.credit, opacity: 0.6, maxZoom: 19 }).addTo(map);
    map.fitBounds(page.bounds, { padding: [4, 4], animate: false });
    map.on("moveend", () => follow(map));
    new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(holder);
  };

  function follow(moved) {
    if (moving) return;
    moving = true;
    for (const { map } of maps) if (map !== moved) map.setView(moved.getCenter(), moved.getZoom(), { animate: false });
    moving = false;
  }

  cx.draw = (map, id) => {
    const spec = documentOf(map).layers[id];
    if (spec.kind === "ground") return ground(map, spec);
    const radius = spec.style.radius;
    L.geoJSON(spec.data, {
      pointToLayer: (feature, at) => {
        const dot = L.circleMarker(at, { ...spec.style, radius });
        const label = document.createElement("span");
        label.textContent = feature.properties.name;
        return dot.bindTooltip(label);
      },
    }).addTo(map);
  };

  async function ground(map, spec) {
    let data = spec;
    if (spec.url) {
      const answer = await fetch(spec.url);
      if (!answer.ok) return;
      data = await answer.json();
    }
    for (const pane of Object.keys(PANES)) {
      if (data[pane]) {
        const renderer = L.svg({ pane, padding: 0.6 });
        L.geoJSON(data[pane], { pane, renderer, interactive: false, style: STYLES[pane] }).addTo(map);
      }
    }
    map.getContainer().setAttribute("data-drawn-ground", "1");
  }

  cx.ready = (map) => {
    map.getContainer().setAttribute("data-ready", "1");
    if (maps.length < document.querySelectorAll("[data-pair]").length) return;
    for (const button of document.querySelectorAll("[data-pair-do]")) button.hidden = false;
  };

  /** Corners round one point under both readings where they lie near each other; else round the first of them. */
  function closer() {
    const { own, other } = maps[0].page.layers;
    const place = (feature) => L.latLng(feature.geometry.coordinates[1], feature.geometry.coordinates[0]);
    const middle = own.data.features[Math.floor(own.data.features.length / 2)];
    const twin = other?.data.features.find((f) => f.properties.code === middle.properties.code);
    const at = place(middle);
    const away = twin ? at.distanceTo(place(twin)) : 0;
    return away > 0 && away < 5000 ? L.latLngBounds([at, place(twin)]).pad(0.8) : at.toBounds(5000);
  }

  document.addEventListener("click", (event) => {
    const what = event.target.closest("[data-pair-do]")?.dataset.pairDo;
    if (!what || !maps.length) return;
    if (what === "home") maps[0].map.fitBounds(maps[0].page.bounds, { animate: false });
    else maps[0].map.fitBounds(closer(), { animate: false, maxZoom: 16 });
  });
})();
