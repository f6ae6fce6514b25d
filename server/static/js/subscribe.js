/* The place of a subscription on our own map: put by a tap, the middle of the map or the phone's position. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const map = cx.map;
  const box = document.getElementById("map");
  if (!map || !box) return;
  box.querySelector(".folium-map").setAttribute("aria-describedby", "pin-words");
  const field = (name) => document.getElementById(name);
  const words = field("pin-words");
  const place = field("place");
  const named = place.value;
  let pin = null;
  let ring = null;

  const radius = () => Number(field("radius").value) * 1000;

  function draw(at) {
    pin?.remove();
    ring?.remove();
    ring = L.circle(at, { radius: radius(), weight: 2, color: "#0b5c56", fillOpacity: 0.1, interactive: false }).addTo(map);
    pin = L.circleMarker(at, { radius: 7, weight: 3, color: "#fff", fillColor: "#0b5c56", fillOpacity: 1, interactive: false }).addTo(map);
    words.textContent = t("The place is set. You get news from within the circle of {km} km.", { km: field("radius").value });
  }

  function put(at) {
    field("lat").value = at.lat.toFixed(5);
    field("lon").value = at.lng.toFixed(5);
    field("near").value = "";
    place.value = "";
    for (const pick of document.querySelectorAll("input[name=pick]")) pick.checked = false;
    draw(at);
    map.fitBounds(ring.getBounds(), { padding: [12, 12], animate: false });
  }

  map.on("click", (event) => put(event.latlng));
  field("middle").addEventListener("click", () => put(map.getCenter()));
  field("radius").addEventListener("change", () => {
    if (pin) {
      draw(pin.getLatLng());
      map.fitBounds(ring.getBounds(), { padding: [12, 12], animate: false });
    }
  });
  place.addEventListener("input", () => {
    // what is written counts: a point that was set before no longer does
    if (place.value === named && field("near").value) return;
    for (const name of ["lat", "lon", "near"]) field(name).value = "";
    pin?.remove();
    ring?.remove();
    pin = ring = null;
  });
  field("here").addEventListener("click", () => {
    if (!navigator.geolocation) return void (words.textContent = t("This device does not tell its place. Tap the map instead."));
    words.textContent = t("Looking for your place…");
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => put(L.latLng(coords.latitude, coords.longitude)),
      () => { words.textContent = t("Your place could not be found. Tap the map instead."); },
      { timeout: 10000, maximumAge: 60000 },
    );
  });
  if (field("lat").value && field("lon").value) {
    draw(L.latLng(Number(field("lat").value), Number(field("lon").value)));
    map.fitBounds(ring.getBounds(), { padding: [12, 12], animate: false });
  }
})();
