/* Draws the layers of the JSON block #map-data on the Leaflet map that Folium made.
   Texts become text nodes; nothing is ever read as HTML. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const COLOURS = { land: "#faf7ef", edge: "#9fb0ab", cell: "#b9b3a2", outside: "#e7e7e2", water: "#a9c9d4" };
  const PANES = { outside: 190, land: 200, cells: 210, water: 220, names: 640 };

  const drawn = (cx.layers = {}); // id -> { group, byCode, spec }
  const waiting = [];
  let page;
  let box;

  /** An element with attributes and children; strings become text nodes. */
  const el = (cx.el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  });

  const ours = (url) => typeof url === "string" && /^\/(?!\/)/.test(url);

  /** The card in a popup: name, labelled values, link to the page of the thing. */
  cx.card = (feature) => {
    const name = String(feature.name ?? "");
    const card = el("div", { class: "map-card" }, el("p", { class: "map-card-name" }, name));
    if (feature.note) card.append(el("p", { class: "map-card-note" }, String(feature.note)));
    const lines = el("dl");
    for (const [label, value] of feature.lines || []) {
      lines.append(el("div", {}, el("dt", {}, String(label)), el("dd", {}, String(value))));
    }
    if (lines.children.length) card.append(lines);
    if (ours(feature.url)) card.append(el("a", { href: feature.url, class: "map-card-more" }, t("Open the full page")));
    return card;
  };

  const say = (text) => {
    const status = box.querySelector("[data-map-status]");
    if (status) status.textContent = text;
  };

  /* --- start: panes, controls, gestures --- */

  cx.start = (map) => {
    page = JSON.parse(document.getElementById("map-data").textContent);
    cx.map = map;
    box = map.getContainer().closest(".map-box") || map.getContainer().parentElement;
    const holder = map.getContainer();
    holder.setAttribute("role", "region");
    holder.setAttribute("aria-label", page.label);
    for (const [name, z] of Object.entries(PANES)) {
      const pane = map.createPane(name);
      pane.style.zIndex = z;
      pane.style.pointerEvents = "none";
    }
    map.options.zoomAnimation = map.options.zoomAnimation && !still;
    L.control.zoom({ position: "topright", zoomInTitle: t("Zoom in"), zoomOutTitle: t("Zoom out") }).addTo(map);
    L.control.scale({ imperial: false, position: "bottomleft", maxWidth: 120 }).addTo(map);
    const credits = L.control.attribution({ prefix: false, position: "bottomright" }).addTo(map);
    if (page.attribution) credits.addAttribution(el("span", {}, page.attribution).innerHTML);
    if (page.tiles) L.tileLayer(page.tiles.url, { attribution: page.tiles.credit, opacity: 0.6, maxZoom: 19 }).addTo(map);
    if (map.getSize().x < 500) map.options.zoomSnap = 0.1; // little room: fill it
    home(map);
    gestures(map, holder);
    buttons(map);
    new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(holder);
  };

  const home = (map) => map.fitBounds(page.bounds, { padding: [4, 4], animate: false });

  function gestures(map, holder) {
    const hint = el("p", { class: "map-hint", "aria-hidden": "true" });
    holder.append(hint);
    let timer;
    const show = (text) => {
      hint.textContent = text;
      hint.classList.add("is-shown");
      clearTimeout(timer);
      timer = setTimeout(() => hint.classList.remove("is-shown"), 1400);
    };
    if (coarse) {
      map.dragging.disable(); // one finger scrolls the page, two fingers move the map
      holder.addEventListener("touchmove", (event) => {
        if (event.touches.length === 1 && !box.classList.contains("is-full")) show(t("Use two fingers to move the map"));
      }, { passive: true });
    }
    let active = false;
    const activate = (on) => {
      active = on;
      map.scrollWheelZoom[on ? "enable" : "disable"]();
    };
    map.on("click focus", () => activate(true));
    map.on("blur", () => activate(false));
    holder.addEventListener("mouseleave", () => activate(false));
    holder.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        if (!active) map.setZoomAround(map.mouseEventToContainerPoint(event), map.getZoom() - Math.sign(event.deltaY) * 0.5);
      } else if (!active) show(t("Click the map first, or hold Ctrl, to zoom with the wheel"));
    }, { passive: false });
  }

  function buttons(map) {
    box.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-map-do]");
      if (!button) return;
      const what = button.dataset.mapDo;
      if (what === "full") full(map, button);
      if (what === "home") home(map);
      if (what === "near") near(map, button);
      if (what === "go") map.setView([Number(button.dataset.lat), Number(button.dataset.lon)], 11, { animate: !still });
      if (what === "box") {
        const [south, west, north, east] = button.dataset.box.split(",").map(Number);
        map.fitBounds([[south, west], [north, east]], { animate: !still });
      }
    });
    box.addEventListener("change", (event) => {
      const id = event.target.dataset.layer;
      if (!id || !drawn[id]) return;
      map[event.target.checked ? "addLayer" : "removeLayer"](drawn[id].group);
      cx.placeNames?.();
    });
    document.addEventListener("keydown", (event) => {
      const button = box.querySelector("[data-map-do=full]");
      if (event.key === "Escape" && box.classList.contains("is-full")) full(map, button);
    });
    const print = (on) => {
      document.documentElement.classList.toggle("is-printing", on);
      map.invalidateSize({ animate: false });
      if (on) map.fitBounds(page.bounds, { animate: false });
    };
    window.addEventListener("beforeprint", () => print(true));
    window.addEventListener("afterprint", () => print(false));
    for (const hidden of box.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  }

  function full(map, button) {
    const on = box.classList.toggle("is-full");
    document.documentElement.classList.toggle("has-full-map", on);
    button.setAttribute("aria-pressed", String(on));
    if (coarse) map.dragging[on ? "enable" : "disable"]();
    map.invalidateSize();
    if (!on) button.focus();
  }

  let me;
  function near(map, button) {
    if (!navigator.geolocation) return say(t("This device does not tell its place"));
    button.disabled = true;
    say(t("Looking for your place…"));
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        button.disabled = false;
        const place = [coords.latitude, coords.longitude];
        me?.remove();
        me = L.circleMarker(place, { radius: 7, color: "#fff", weight: 2, fillColor: "#1d5fa8", fillOpacity: 1 }).addTo(map);
        map.setView(place, 13, { animate: !still });
        say(t("The map shows the place where you are. Your place was not sent anywhere."));
      },
      () => {
        button.disabled = false;
        say(t("Your place could not be found. Use the search instead."));
      },
      { timeout: 10000, maximumAge: 60000 },
    );
  }

  /* --- draw one layer --- */

  cx.draw = (map, id) => {
    const spec = page.layers[id];
    const entry = (drawn[id] = { group: L.layerGroup(), byCode: new Map(), spec });
    const paint = (data) => {
      const count = { ground, geojson, symbols: cx.symbols, signs: cx.signs, ...cx.painters }[spec.kind](map, entry, data);
      map.getContainer().setAttribute(`data-drawn-${id}`, String(count));
    };
    if (spec.on) entry.group.addTo(map);
    if (!spec.url) return paint(spec);
    const work = fetch(spec.url)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
      .then((data) => paint(spec.kind === "geojson" ? { ...spec, data } : data))
      .catch(() => say(t("A part of the map could not be loaded. The table shows the same figures.")));
    waiting.push(work);
  };

  function ground(map, entry, data) {
    cx.cells = data.cells;
    const add = (geometry, pane, style) => {
      if (!geometry) return 0;
      const renderer = L.svg({ pane, padding: 0.6 });
      const layer = L.geoJSON(geometry, { pane, renderer, interactive: false, style: { smoothFactor: 0.6, ...style } });
      entry.group.addLayer(layer);
      return layer.getLayers().length;
    };
    add(data.outside, "outside", { stroke: false, fillColor: COLOURS.outside, fillOpacity: 1 });
    add(data.land, "land", { color: COLOURS.edge, weight: 1, fillColor: COLOURS.land, fillOpacity: 1 });
    const dashes = data.schematic ?? entry.spec.schematic ? { dashArray: "1.5 3" } : {};
    const cells = add(data.cells, "cells", { color: COLOURS.cell, weight: 0.8, fill: false, ...dashes });
    add(data.water, "water", { color: COLOURS.water, weight: 1.6, fillColor: COLOURS.water, fillOpacity: 0.7 });
    labels(map, entry, data.labels || []);
    return cells;
  }

  function labels(map, entry, list) {
    const shown = list.map((label) => {
      const html = el("span", { class: `map-name map-name-${label.kind || "place"}` }, String(label.name));
      const icon = L.divIcon({ className: "map-name-anchor", html, iconSize: [0, 0] });
      const marker = L.marker([label.lat, label.lon], { icon, pane: "names", interactive: false, keyboard: false });
      const letter = label.kind === "sea" ? 11 : 7.5;
      return { marker, html, from: label.from_zoom ?? 0, half: (String(label.name).length * letter) / 2 };
    });
    const update = () => {
      // Signs, symbols and buttons come first, then earlier names; a name steps below or above a mark, or is left out.
      const taken = [...marks(), ...controls(map)];
      const size = map.getSize();
      const hits = (box) => taken.find((other) => Math.abs(box.x - other.x) < box.w + other.w && Math.abs(box.y - other.y) < box.h + other.h);
      for (const { marker, html, from, half } of shown) {
        const at = map.latLngToContainerPoint(marker.getLatLng());
        const inside = at.x > half && at.x < size.x - half && at.y > 12 && at.y < size.y - 12;
        let box = null;
        let shift = 0;
        if (inside && map.getZoom() >= from) {
          box = { x: at.x, y: at.y, w: half, h: 9 };
          const mark = hits(box);
          if (mark) {
            const near = mark.mark ? [mark.y - at.y + mark.h + 10, mark.y - at.y - mark.h - 10] : [];
            const steps = [...near, 20, -20, 32, -32, 44, -44];
            shift = steps.find((step) => Math.abs(step) < 48 && at.y + step > 12 && at.y + step < size.y - 12 && !hits({ ...box, y: at.y + step })) ?? 0;
            box = shift ? { ...box, y: at.y + shift } : null;
          }
        }
        if (box) taken.push(box);
        html.style.marginTop = `${shift}px`;
        if (Boolean(box) !== entry.group.hasLayer(marker)) entry.group[box ? "addLayer" : "removeLayer"](marker);
      }
    };
    map.on("moveend", update);
    cx.placeNames = update;
    update();
  }

  /** Where symbols and signs stand now: centre and half sizes in px. */
  function marks() {
    const shapes = Object.values(drawn).flatMap(({ byCode, group }) => (cx.map.hasLayer(group) ? [...byCode.values()] : []));
    return shapes.filter((shape) => shape.getLatLng).map((shape) => {
      const { x, y } = cx.map.latLngToContainerPoint(shape.getLatLng());
      const half = (shape.options.icon?.options.iconSize?.[0] ?? 12) / 2;
      return { x, y, w: half, h: half, mark: true };
    });
  }

  /** Buttons, scale and credits that lie over the map, in the same way. */
  function controls(map) {
    const frame = map.getContainer().getBoundingClientRect();
    return [...box.querySelectorAll(".map-tools button, .leaflet-control, .map-inset:not([hidden])")].map((node) => {
      const r = node.getBoundingClientRect();
      return { x: (r.left + r.right) / 2 - frame.left, y: (r.top + r.bottom) / 2 - frame.top, w: r.width / 2, h: r.height / 2 };
    });
  }

  function geojson(map, entry, data) {
    const { breaks = [], colours = [], value, lines = [], key } = entry.spec;
    const colour = (v) => (v === null || v === undefined ? "url(#part-unknown)" : colours[breaks.filter((edge) => v >= edge).length]);
    const layer = L.geoJSON(data.data, {
      style: (feature) => ({
        color: "#5d6b69", weight: 0.8, fillOpacity: value ? 0.85 : 0.15, ...entry.spec.style,
        ...(value ? { fillColor: colour(feature.properties[value]) } : {}),
      }),
      pointToLayer: (_feature, at) => L.circleMarker(at, { radius: 5 }),
      onEachFeature: (feature, shape) => {
        const p = feature.properties;
        shape.bindPopup(() => cx.card({ ...p, lines: lines.map(([label, name]) => [label, p[name] ?? "–"]) }));
        cx.link(entry, String(p[key]), shape);
      },
    });
    entry.group.addLayer(layer);
    return layer.getLayers().length;
  }

  /* --- map and table point at each other --- */

  const rowOf = (code) => document.querySelector(`tr[data-code="${CSS.escape(code)}"]`);

  cx.link = (entry, code, shape) => {
    entry.byCode.set(code, shape);
    shape.on("popupopen", () => mark(code));
    shape.on("popupclose", () => mark(null));
  };

  function mark(code) {
    for (const old of document.querySelectorAll("tr.is-selected")) old.classList.remove("is-selected");
    for (const { byCode } of Object.values(drawn)) {
      for (const [other, shape] of byCode) shape.getElement?.()?.classList.toggle("is-selected", other === code);
    }
    const row = code === null ? null : rowOf(code);
    if (!row) return;
    row.classList.add("is-selected");
    const region = row.closest(".table-region");
    if (region && region.scrollHeight > region.clientHeight) {
      region.scrollTop = row.offsetTop - region.clientHeight / 2;
    }
  }

  /** Marks a unit on the map and in the table; `open` also shows its card. */
  cx.highlight = (code, { open = false } = {}) => {
    mark(code);
    if (!open) return;
    for (const { byCode, group } of Object.values(drawn)) {
      const shape = byCode.get(code);
      if (shape && cx.map.hasLayer(group)) {
        const at = shape.getLatLng ? shape.getLatLng() : shape.getBounds().getCenter();
        if (!cx.map.getBounds().contains(at)) cx.map.panTo(at, { animate: !still });
        return shape.openPopup();
      }
    }
  };

  cx.ready = (map) => {
    document.addEventListener("focusin", (event) => {
      const row = event.target.closest("tr[data-code]");
      if (row) mark(row.dataset.code);
    });
    document.addEventListener("mouseover", (event) => {
      const code = event.target.closest?.("tr[data-code]")?.dataset.code;
      for (const { byCode } of Object.values(drawn)) {
        for (const [other, shape] of byCode) shape.getElement?.()?.classList.toggle("is-hovered", other === code);
      }
    });
    document.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-code]");
      if (row && !event.target.closest("a, button, summary, input")) cx.highlight(row.dataset.code, { open: true });
    });
    Promise.all(waiting).then(() => {
      cx.inset?.(map);
      cx.placeNames?.();
      map.getContainer().setAttribute("data-ready", "1");
    });
  };
})();
