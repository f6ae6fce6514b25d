/* The pin of a report on our own map: put by a tap, by the phone's position, or moved by finger and arrow keys. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const map = cx.map;
  if (!map) return;
  const field = (name) => document.getElementById(name);
  const words = document.getElementById("pin-words");
  const STEP_M = { plain: 10, shift: 100 };
  const CLOSE = 14;
  let pin = null;
  let ring = null;
  let timer;

  const picture = () => {
    const NS = "http://www.w3.org/2000/svg";
    const make = (tag, attributes) => {
      const node = document.createElementNS(NS, tag);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      return node;
    };
    const svg = make("svg", { width: 40, height: 50, viewBox: "0 0 40 50", "aria-hidden": "true" });
    svg.append(
      make("ellipse", { cx: 20, cy: 46.5, rx: 7, ry: 2.5, fill: "#16252b", opacity: 0.25 }),
      make("path", { d: "M20 46C10 31 4 25.4 4 17.6a16 16 0 0 1 32 0C36 25.4 30 31 20 46Z", fill: "#c4501b", stroke: "#fff", "stroke-width": 2.5 }),
      make("circle", { cx: 20, cy: 17.6, r: 6, fill: "#fff" }),
    );
    return svg;
  };

  const said = (text) => { words.textContent = text; };

  function put(at, { accuracy = "", close = false } = {}) {
    const place = L.latLng(at);
    if (!pin) {
      const icon = L.divIcon({ className: "report-pin", html: picture(), iconSize: [40, 50], iconAnchor: [20, 46] });
      pin = L.marker(place, { icon, draggable: true, autoPan: true, keyboard: true, zIndexOffset: 9000 }).addTo(map);
      const node = pin.getElement();
      node.setAttribute("aria-label", t("Pin of your report. The arrow keys move it 10 m, with Shift 100 m."));
      node.addEventListener("keydown", byKey);
      pin.on("dragend", () => moved(pin.getLatLng(), ""));
      pin.on("dragstart", () => ring?.remove());
    } else pin.setLatLng(place);
    ring?.remove();
    if (accuracy && accuracy > 15) ring = L.circle(place, { radius: accuracy, weight: 1, color: "#1d5fa8", fillOpacity: 0.08, interactive: false }).addTo(map);
    if (close && map.getZoom() < CLOSE) map.setView(place, CLOSE, { animate: false });
    moved(place, accuracy);
  }

  function moved(place, accuracy) {
    field("lat").value = place.lat.toFixed(6);
    field("lon").value = place.lng.toFixed(6);
    field("accuracy_m").value = accuracy ? Math.round(accuracy) : "";
    const exact = accuracy ? t("The phone knows its place to about {m} m; move the pin if it is wrong.", { m: Math.round(accuracy) }) : t("The pin is set. Move it until it is right.");
    said(exact);
    clearTimeout(timer);
    timer = setTimeout(() => document.dispatchEvent(new CustomEvent("cangxanh:pin")), 350);
  }

  function byKey(event) {
    const metres = event.shiftKey ? STEP_M.shift : STEP_M.plain;
    const up = metres / 110704;
    const across = metres / (111320 * Math.cos((pin.getLatLng().lat * Math.PI) / 180));
    const move = { ArrowUp: [up, 0], ArrowDown: [-up, 0], ArrowLeft: [0, -across], ArrowRight: [0, across] }[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const { lat, lng } = pin.getLatLng();
    put([lat + move[0], lng + move[1]]);
    if (!map.getBounds().pad(-0.1).contains(pin.getLatLng())) map.panTo(pin.getLatLng(), { animate: false });
  }

  map.on("click", (event) => put(event.latlng, { close: true }));

  const here = document.getElementById("here");
  here.addEventListener("click", () => {
    if (!navigator.geolocation) return said(t("This device does not tell its place. Tap the map instead."));
    here.disabled = true;
    said(t("Looking for your place…"));
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        here.disabled = false;
        put([coords.latitude, coords.longitude], { accuracy: coords.accuracy || 1 });
        map.setView(pin.getLatLng(), 15, { animate: false });
      },
      () => {
        here.disabled = false;
        said(t("Your place could not be found. Tap the map, or choose the ward below."));
      },
      { enableHighAccuracy: true, timeout: 15000, maximumAge: 30000 },
    );
  });
  here.hidden = false;

  /** Shows a place that was kept, or takes the pin away. */
  cx.pin = (lat, lon) => {
    if (lat && lon) put([Number(lat), Number(lon)], { close: true });
    else {
      pin?.remove();
      ring?.remove();
      pin = ring = null;
      for (const name of ["lat", "lon", "accuracy_m"]) field(name).value = "";
    }
  };
  cx.pinSays = said;
  if (field("lat").value && field("lon").value) cx.pin(field("lat").value, field("lon").value);
})();
