/* Draws a place on a map: points, lines, areas with holes. Each page says what it does with it; fields beside the map
   do the same by keyboard and without this script.

   cx.draw({ map, part, changed, options, hints, does }) gives { buttons, say, place, show, clear, stop, pieces }.
   part: holds the buttons [data-draw-do], the line [data-draw-status] and what is shown with scripts only.
   changed(): after each change by the reader. options(): more options for Geoman at each drawing.
   does, hints: of buttons that only this page has; a button of `does` without a hint acts at once. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const STYLE = { color: "#8c1d13", weight: 2.5, fillColor: "#b3261e", fillOpacity: 0.15 };
  const pin = () =>
    L.divIcon({ className: "draw-pin", html: cx.el("span", { "aria-hidden": "true" }), iconSize: [26, 26], iconAnchor: [13, 13] });
  const kindOf = (layer) => (layer instanceof L.Marker ? "Point" : layer instanceof L.Polygon ? "Polygon" : "LineString");
  const DRAWN = { Point: t("A point is marked."), LineString: t("A line is drawn."), Polygon: t("An area is drawn.") };
  const HINTS = {
    Point: t("Click on the map where the place is. The point can be dragged afterwards."),
    LineString: t("Click corner by corner; click the last corner again to end the line."),
    Polygon: t("Click corner by corner; click the first corner again to close the area."),
    hole: t("Draw round what is to be cut out of the area."),
    corners: t("Drag the corners; drag a middle point to make a new corner; right-click a corner to remove it."),
    drag: t("Drag the place as a whole."),
  };

  cx.draw = ({ map, part, changed, options = () => ({}), hints = {}, does = {} }) => {
    const status = part.querySelector("[data-draw-status]");
    const buttons = Object.fromEntries([...part.querySelectorAll("[data-draw-do]")].map((b) => [b.dataset.drawDo, b]));
    let pieces = []; // Leaflet layers of the place, all of one kind

    map.dragging.enable(); // drawing needs it on touch screens too
    map.pm.setGlobalOptions({ tooltips: false, allowSelfIntersection: false, markerStyle: { icon: pin() }, pathOptions: STYLE,
      templineStyle: { color: STYLE.color }, hintlineStyle: { color: STYLE.color, dashArray: "5 5" }, snappable: false, ...options() });

    const say = (text) => {
      if (status) status.textContent = text;
    };

    /** The place on the map as GeoJSON, or null. digits: after the point of a degree; without it all that there are. */
    function place(digits = false) {
      if (!pieces.length) return null;
      const shapes = pieces.map((layer) => layer.toGeoJSON(digits).geometry);
      const one = shapes[0].type.replace("Multi", "");
      if (one === "Point") return shapes[0];
      const all = shapes.flatMap(({ type, coordinates }) => (type.startsWith("Multi") ? coordinates : [coordinates]));
      return all.length === 1 ? { type: one, coordinates: all[0] } : { type: `Multi${one}`, coordinates: all };
    }

    function told() {
      say(pieces.length ? DRAWN[kindOf(pieces[0])] : t("No place is marked."));
      changed();
    }

    function follow(layer) {
      layer.on("pm:edit pm:dragend pm:markerdragend dragend pm:vertexremoved", told);
      layer.on("pm:cut", (event) => {
        pieces = pieces.filter((other) => other !== event.originalLayer);
        event.originalLayer.remove();
        const left = event.layer instanceof L.LayerGroup && !event.layer.getLatLngs ? event.layer.getLayers() : [event.layer];
        for (const piece of left) take(piece);
        stop();
        told();
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

    function stop() {
      map.pm.disableDraw();
      for (const layer of pieces) {
        layer.pm?.disable();
        layer.pm?.disableLayerDrag?.();
      }
      for (const button of Object.values(buttons)) if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", "false");
    }

    function clear() {
      stop();
      for (const layer of pieces) layer.remove();
      pieces = [];
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
        else if (one === "LineString") take(L.polyline(turn(c), { ...STYLE, fill: false }).addTo(map));
        else take(L.polygon(c.map(turn), STYLE).addTo(map));
      }
    }

    const asked = () => ({ continueDrawing: false, allowSelfIntersection: false, ...options() });
    const draws = {
      Point: () => map.pm.enableDraw("Marker", { ...asked(), markerStyle: { icon: pin() } }),
      LineString: () => map.pm.enableDraw("Line", asked()),
      Polygon: () => map.pm.enableDraw("Polygon", asked()),
    };
    const changes = {
      hole: () => map.pm.enableDraw("Cut", { ...asked(), layersToCut: pieces.filter((piece) => kindOf(piece) === "Polygon") }),
      corners: () => pieces.forEach((piece) => piece.pm.enable({ ...asked(), preventMarkerRemoval: false })),
      drag: () => pieces.forEach((piece) => piece.pm.enableLayerDrag()),
    };
    const words = { ...HINTS, ...hints };

    part.addEventListener("click", (event) => {
      const button = event.target.closest("[data-draw-do]");
      if (!button) return;
      const what = button.dataset.drawDo;
      const again = button.getAttribute("aria-pressed") === "true";
      stop();
      if (what === "remove") {
        clear();
        told();
      } else if (does[what]) {
        does[what]();
      } else if (!again && (draws[what] || pieces.length)) {
        button.setAttribute("aria-pressed", "true");
        (draws[what] || changes[what])();
        say(words[what]);
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
      told();
    });
    for (const hidden of part.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
    return { buttons, say, place, show, clear, stop, pieces: () => pieces };
  };
})();
