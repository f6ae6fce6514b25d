/* "Why not here?": a click on the map, or typed coordinates, asks the server; the answer is written into the panel. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const form = document.getElementById("why-form");
  const panel = document.getElementById("why");
  if (!form || !panel) return;
  const place = panel.querySelector("[data-why-answer]");
  let mark;
  let asked = 0;

  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children.filter((c) => c !== null && c !== undefined));
    return node;
  };

  function rows(caption, heads, lines) {
    const table = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h)))));
    const body = el("tbody");
    for (const line of lines) body.append(line);
    table.append(body);
    return el("div", { class: "table-region why-table is-stack", role: "region", tabindex: "0", "aria-label": caption }, table);
  }

  const cell = (label, text) => el("td", { "data-label": label }, text);
  const small = (text) => (text ? el("small", {}, text) : null);

  function show(answer) {
    place.replaceChildren();
    place.append(el("p", { class: `why-head is-${answer.state}` }, el("strong", {}, answer.head), " ", el("span", {}, answer.sentence || "")));
    place.append(el("p", { class: "quiet small" }, answer.where));
    if (answer.rules.length) {
      place.append(rows(t("Rules"), [t("Rule"), t("Here"), t("Limit"), t("Missing")], answer.rules.map((rule) =>
        el("tr", { class: `is-${rule.state}` },
          el("th", { scope: "row" }, el("span", { class: "why-mark", "aria-hidden": "true" }, rule.mark), " ", rule.word, el("small", {}, rule.state_word), small(rule.source)),
          cell(t("Here"), rule.measured), cell(t("Limit"), rule.limit), cell(t("Missing"), rule.by)))));
    }
    if (answer.criteria.length) {
      place.append(rows(t("Criteria"), [t("Criterion"), t("Here"), t("Value"), t("Weight")], answer.criteria.map((part) =>
        el("tr", {}, el("th", { scope: "row" }, part.word), cell(t("Here"), part.measured), cell(t("Value"), part.value), cell(t("Weight"), part.weight)))));
    }
    if (answer.sizes.length > 1) {
      const line = el("p", { class: "small" });
      answer.sizes.forEach((size, k) => line.append(k ? "; " : "", el("b", {}, `${size.capacity} ${answer.unit}`), `: ${size.words}`));
      place.append(line);
    }
    if (answer.score) place.append(el("p", {}, answer.score));
    for (const sentence of answer.unchecked || []) place.append(el("p", { class: "note note-unknown" }, sentence));
    const acts = document.getElementById("why-acts");
    if (acts) {
      acts.hidden = false;
      for (const [name, value] of [["lat", answer.lat], ["lon", answer.lon]]) {
        for (const field of acts.querySelectorAll(`input[name=${name}]`)) field.value = value;
      }
    }
  }

  async function ask(lat, lon) {
    const mine = (asked += 1);
    place.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${form.dataset.json}?lat=${encodeURIComponent(lat)}&lon=${encodeURIComponent(lon)}`, { headers: { Accept: "application/json" } });
      const found = await answer.json();
      if (mine !== asked) return;
      if (!answer.ok) {
        place.replaceChildren(el("p", { class: "field-error", role: "alert" }, found.message || t("The answer did not come. Try again.")));
        return;
      }
      show(found);
      put(found);
    } catch {
      if (mine === asked) place.replaceChildren(el("p", { class: "field-error", role: "alert" }, t("The answer did not come. Try again.")));
    } finally {
      if (mine === asked) place.removeAttribute("aria-busy");
    }
  }

  /** Marks the place on the map with the answer in short; the panel below holds all of it. */
  function put({ at, head, sentence, score }) {
    if (!cx.map) return;
    mark?.remove();
    mark = L.circleMarker(at, { radius: 9, color: "#16252b", weight: 3, fillColor: "#ffd84d", fillOpacity: 0.9 }).addTo(cx.map);
    const card = cx.card({ name: head, note: sentence || score });
    card.append(el("a", { href: "#why", class: "map-card-more" }, t("All rules, block or force")));
    const room = cx.map.getSize().x - 100; // beside the buttons of the map
    mark.bindPopup(card, { maxWidth: Math.max(160, Math.min(300, room)), autoPanPaddingTopLeft: [12, 60], autoPanPaddingBottomRight: [64, 12] }).openPopup();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form.elements.lat.value, form.elements.lon.value);
  });

  cx.whyOnMap = (map) => {
    const middle = form.querySelector("[data-why-middle]");
    if (middle) {
      middle.hidden = false;
      middle.addEventListener("click", () => fill(map.getCenter()));
    }
    map.on("click", (event) => {
      if (event.originalEvent.target.closest?.(".leaflet-interactive, .leaflet-marker-icon")) return;
      fill(event.latlng);
    });
  };

  function fill({ lat, lng }) {
    form.elements.lat.value = lat.toFixed(5);
    form.elements.lon.value = lng.toFixed(5);
    ask(form.elements.lat.value, form.elements.lon.value);
  }
})();
