/* Two kinds of marks: volumes (area in proportion to m³ a day) and signs (hotspots, plants). */
"use strict";
(() => {
  const cx = window.cangxanh;
  const NS = "http://www.w3.org/2000/svg";
  const PER_ROOT_M3 = 0.21; // the same as symbol_radius() in server/charts.py
  const NATURAL_ZOOM = 10.25; // here a symbol has its nominal size
  const WARM = "#c4501b";
  const TEAL = "#0b5c56";
  const UNKNOWN = "url(#part-unknown)";

  const svg = (tag, attributes, ...children) => {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
    node.append(...children);
    return node;
  };

  const scaleAt = (zoom) => Math.min(1.25, Math.max(0.42, 2 ** ((zoom - NATURAL_ZOOM) * 0.7)));
  const gapOf = (f) => (f.not_treated || 0) + (f.unknown || 0);

  function slice(r, from, to) {
    if (to - from >= 0.9999) return `M0 ${-r}A${r} ${r} 0 1 1 -0.001 ${-r}Z`;
    const point = (share) => `${(r * Math.sin(share * 2 * Math.PI)).toFixed(2)} ${(-r * Math.cos(share * 2 * Math.PI)).toFixed(2)}`;
    return `M0 0L${point(from)}A${r} ${r} 0 ${to - from > 0.5 ? 1 : 0} 1 ${point(to)}Z`;
  }

  /** One symbol as SVG, centred on 0,0. Warm: known not treated; hatched: unknown; teal ring: treated. */
  function symbol(f, scale) {
    const gap = gapOf(f);
    const whole = gap + (f.treated || 0);
    if (gap <= 0) {
      const known = (f.treated || 0) > 0;
      const r = Math.max(3, 4.5 * Math.min(1.3, scale));
      return { r, node: [svg("circle", { r, fill: known ? TEAL : UNKNOWN, stroke: known ? "#fff" : "#5d6b69", "stroke-width": 1.2 })] };
    }
    const r = Math.max(2.2, PER_ROOT_M3 * Math.sqrt(gap) * scale);
    const share = (f.not_treated || 0) / gap;
    const treated = whole > 0 ? (100 * (f.treated || 0)) / whole : 0;
    const ring = Math.max(1.6, Math.min(3.6, r * 0.2));
    const node = [];
    if (f.square) {
      const half = (r * Math.sqrt(Math.PI)) / 2;
      const cut = half - 2 * half * share;
      const out = half + ring / 2 + 0.8;
      node.push(svg("rect", { x: -out, y: -out, width: 2 * out, height: 2 * out, fill: "#fff", stroke: "#fff", "stroke-width": ring + 1 }));
      if (share < 1) node.push(svg("rect", { x: -half, y: -half, width: 2 * half, height: cut + half, fill: UNKNOWN }));
      if (share > 0) node.push(svg("rect", { x: -half, y: cut, width: 2 * half, height: half - cut, fill: WARM }));
      node.push(svg("rect", { x: -half, y: -half, width: 2 * half, height: 2 * half, fill: "none", stroke: "#5f2509", "stroke-opacity": 0.55, "stroke-width": 0.8 }));
      if (treated > 0) {
        node.push(svg("rect", { x: -out, y: -out, width: 2 * out, height: 2 * out, fill: "none", stroke: TEAL, "stroke-width": ring, pathLength: 100, "stroke-dasharray": `${treated} 100` }));
      }
      return { r: half * 1.12 + ring, node };
    }
    const out = r + ring / 2 + 0.8;
    node.push(svg("circle", { r: out + ring / 2 + 0.8, fill: "#fff", "fill-opacity": 0.9 }));
    if (share < 1) node.push(svg("path", { d: slice(r, share, 1), fill: UNKNOWN }));
    if (share > 0) node.push(svg("path", { d: slice(r, 0, share), fill: WARM }));
    node.push(svg("circle", { r, fill: "none", stroke: share > 0.5 ? "#5f2509" : "#5d6b69", "stroke-opacity": 0.7, "stroke-width": 0.8 }));
    if (treated > 0) {
      node.push(svg("circle", { r: out, fill: "none", stroke: TEAL, "stroke-width": ring, pathLength: 100, "stroke-dasharray": `${treated} 100`, transform: "rotate(-90)" }));
    }
    return { r: out + ring / 2, node };
  }

  function icon(node, r, name, selected) {
    const size = 2 * Math.ceil(r + 2);
    const picture = svg("svg", { width: size, height: size, viewBox: `${-size / 2} ${-size / 2} ${size} ${size}`, "aria-hidden": "true" }, ...node);
    return L.divIcon({ className: `map-symbol${selected ? " is-selected" : ""}`, html: picture, iconSize: [size, size] });
  }

  /** Pushes crowded symbols apart, each kept near its place. Deterministic. */
  function loosen(items) {
    if (items.length > 400) return;
    for (let round = 0; round < 60; round += 1) {
      for (let i = 0; i < items.length; i += 1) {
        for (let j = i + 1; j < items.length; j += 1) {
          const a = items[i];
          const b = items[j];
          let dx = b.x - a.x;
          let dy = b.y - a.y;
          const wanted = (a.r + b.r) * 0.94;
          if (Math.abs(dx) >= wanted || Math.abs(dy) >= wanted) continue;
          let distance = Math.hypot(dx, dy);
          if (distance >= wanted) continue;
          if (distance < 0.01) [dx, dy, distance] = [0.01 * (i % 2 ? 1 : -1), 0.01, 0.0141];
          const push = (wanted - distance) / distance / 2;
          const heavy = (b.r * b.r) / (a.r * a.r + b.r * b.r);
          a.x -= dx * push * 2 * heavy * 0.5;
          a.y -= dy * push * 2 * heavy * 0.5;
          b.x += dx * push * 2 * (1 - heavy) * 0.5;
          b.y += dy * push * 2 * (1 - heavy) * 0.5;
        }
      }
      for (const item of items) {
        item.x += (item.x0 - item.x) * 0.04;
        item.y += (item.y0 - item.y) * 0.04;
        const away = Math.hypot(item.x - item.x0, item.y - item.y0);
        if (away > item.reach) {
          item.x = item.x0 + ((item.x - item.x0) * item.reach) / away;
          item.y = item.y0 + ((item.y - item.y0) * item.reach) / away;
        }
      }
    }
  }

  function legend(scale) {
    for (const circle of document.querySelectorAll(".symbol-legend circle[data-m3]")) {
      const r = PER_ROOT_M3 * Math.sqrt(Number(circle.dataset.m3)) * scale;
      circle.setAttribute("r", r.toFixed(1));
      circle.setAttribute("cy", (Number(circle.dataset.base) - r).toFixed(1)); // all stand on one line
    }
  }

  cx.symbols = (map, entry, data) => {
    const features = [...data.features].sort((a, b) => gapOf(b) - gapOf(a));
    const leaders = L.polyline([], { color: "#16252b", weight: 0.8, opacity: 0.45, interactive: false });
    entry.group.addLayer(leaders);
    cx.volumes = features;
    const marks = features.map((f, place) => {
      const marker = L.marker([f.lat, f.lon], { icon: L.divIcon(), keyboard: false, zIndexOffset: place * 10, riseOnHover: true });
      marker.bindPopup(() => cx.card(f), { maxWidth: 280, autoPanPadding: [16, 16] });
      cx.link(entry, String(f.code), marker);
      return { f, marker };
    });
    const arrange = () => {
      const scale = scaleAt(map.getZoom());
      const items = marks.map((mark) => {
        const { r, node } = symbol(mark.f, scale);
        const at = map.latLngToLayerPoint([mark.f.lat, mark.f.lon]);
        return { ...mark, r, node, x0: at.x, y0: at.y, x: at.x, y: at.y, reach: 10 + 26 * scale };
      });
      loosen(items);
      const lines = [];
      for (const item of items) {
        const at = map.layerPointToLatLng([item.x, item.y]);
        item.marker.setLatLng(at);
        item.marker.setIcon(icon(item.node, item.r, item.f.name, item.marker.getElement()?.classList.contains("is-selected")));
        if (Math.hypot(item.x - item.x0, item.y - item.y0) > Math.max(4, item.r * 0.6)) lines.push([[item.f.lat, item.f.lon], at]);
      }
      leaders.setLatLngs(lines);
      legend(scale);
    };
    for (const { marker } of marks) entry.group.addLayer(marker);
    arrange();
    map.on("zoomend", arrange);
    return marks.length;
  };

  /** The crowded inner city again, larger, in the empty corner of a wide map; symbols keep the scale of the key. */
  cx.inset = (map) => {
    const stage = map.getContainer().parentElement;
    const button = stage.querySelector("[data-map-do=box]");
    const room = map.getSize();
    if (!button || !cx.cells || (cx.volumes || []).length < 30 || room.x < 760 || room.y < 560) return;
    const [south, west, north, east] = button.dataset.box.split(",").map(Number);
    const [width, height] = [252, 196];
    const x = (lon) => ((lon - west) / (east - west)) * width;
    const y = (lat) => ((north - lat) / (north - south)) * height;
    const start = map.getZoom();
    const scale = scaleAt(start);
    const items = cx.volumes
      .filter((f) => f.lat > south && f.lat < north && f.lon > west && f.lon < east)
      .map((f) => {
        const { r, node } = symbol(f, scale);
        return { f, r, node, x0: x(f.lon), y0: y(f.lat), x: x(f.lon), y: y(f.lat), reach: 30 };
      });
    if (items.length < 4) return;
    loosen(items);
    const path = (rings) => rings.map((ring) => `M${ring.map(([lon, lat]) => `${x(lon).toFixed(1)} ${y(lat).toFixed(1)}`).join("L")}Z`).join("");
    const lines = cx.cells.features.map(({ geometry: g }) => (g.type === "Polygon" ? path(g.coordinates) : g.coordinates.map(path).join(""))).join("");
    const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` },
      svg("path", { d: lines, fill: "none", stroke: "#b9b3a2", "stroke-width": 0.8, "stroke-dasharray": "1.5 3" }),
      ...items.map((item) => svg("g", { transform: `translate(${item.x.toFixed(1)} ${item.y.toFixed(1)})` }, ...item.node)));
    const inset = cx.el("button", { type: "button", class: "map-inset", tabindex: "-1", "aria-hidden": "true", "data-map-do": "box", "data-box": button.dataset.box },
      cx.el("span", {}, button.textContent), picture);
    const frame = L.rectangle([[south, west], [north, east]], { fill: false, color: "#16252b", weight: 1.5, interactive: false, pane: "names", renderer: L.svg({ pane: "names" }) });
    const show = () => {
      const wanted = Math.abs(map.getZoom() - start) < 0.3;
      inset.hidden = !wanted;
      frame[wanted ? "addTo" : "removeFrom"](map);
    };
    stage.append(inset);
    map.on("zoomend", show);
    show();
  };

  cx.signs = (map, entry, data) => {
    entry.clear?.(); // the same layer drawn anew, with other features
    // beside volumes the signs stay small, so that they do not hide them
    const usual = Object.values(cx.layers).some(({ spec }) => spec.kind === "symbols") ? 15 : 20;
    const sizeAt = (zoom) => Math.round(Math.min(26, Math.max(12, usual * 1.25 ** (zoom - NATURAL_ZOOM))));
    const leaders = L.polyline([], { color: "#16252b", weight: 0.8, opacity: 0.45, interactive: false });
    entry.group.addLayer(leaders);
    const draw = (f, selected) => {
      const size = sizeAt(map.getZoom());
      const picture = svg("svg", { width: size, height: size, viewBox: "0 0 20 20", "aria-hidden": "true" }, svg("use", { href: `#${f.sign}` }));
      const hit = Math.max(size, 20); // as large as a fingertip can find between its neighbours
      return L.divIcon({ className: `map-sign${selected ? " is-selected" : ""}`, html: picture, iconSize: [hit, hit] });
    };
    const marks = data.features.map((f) => {
      const marker = L.marker([f.lat, f.lon], { icon: draw(f), keyboard: false, zIndexOffset: 5000, riseOnHover: true });
      marker.bindPopup(() => cx.card(f), { maxWidth: 280, autoPanPadding: [16, 16] });
      cx.link(entry, String(f.code), marker);
      entry.group.addLayer(marker);
      return { f, marker };
    });
    const arrange = () => {
      const size = sizeAt(map.getZoom());
      const items = marks.map(({ f, marker }) => {
        const at = map.latLngToLayerPoint([f.lat, f.lon]);
        return { f, marker, r: size * 0.5, x0: at.x, y0: at.y, x: at.x, y: at.y, reach: size * 1.7 };
      });
      loosen(items);
      const lines = [];
      for (const item of items) {
        const at = map.layerPointToLatLng([item.x, item.y]);
        item.marker.setLatLng(at);
        item.marker.setIcon(draw(item.f, item.marker.getElement()?.classList.contains("is-selected")));
        if (Math.hypot(item.x - item.x0, item.y - item.y0) > size * 0.45) lines.push([[item.f.lat, item.f.lon], at]);
      }
      leaders.setLatLngs(lines);
    };
    arrange();
    map.on("zoomend", arrange);
    entry.clear = () => {
      map.off("zoomend", arrange);
      entry.group.clearLayers();
      entry.byCode.clear();
    };
    return marks.length;
  };
})();
