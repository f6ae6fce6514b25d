/* The steps of a siting study: the legal distance follows the choice of works, curves follow their points,
   weights follow the answers on pairs. Nothing here is needed: saving shows the same. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const NS = "http://www.w3.org/2000/svg";
  const lang = document.documentElement.lang || "vi";
  const form = document.querySelector(".plan-form");
  if (!form) return;

  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  /** A number as people write it, as server/planforms.py quantity(); NaN for anything else. */
  const quantity = (text) => {
    const typed = text.trim();
    if (!typed) return NaN;
    const mark = lang === "vi" ? "." : ",";
    const grouped = lang === "vi" ? /^[1-9]\d{0,2}(?:\.\d{3})+$/ : /^[1-9]\d{0,2}(?:,\d{3})+$/;
    if (grouped.test(typed)) return Number(typed.replaceAll(mark, ""));
    const point = Math.max(typed.lastIndexOf("."), typed.lastIndexOf(","));
    const whole = point < 0 ? typed : typed.slice(0, point).replace(/[.,]/g, "") + "." + typed.slice(point + 1);
    return /^-?\d*\.?\d+$/.test(whole) ? Number(whole) : NaN;
  };

  const written = (value) => value.toLocaleString(lang, { maximumFractionDigits: 2 });

  function later(run, wait) {
    let timer;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(run, wait);
    };
  }

  /* --- the distance of the law --- */

  const law = document.querySelector("[data-law-of]");
  const lines = document.querySelector("[data-law]");
  if (law && lines) {
    let asked = 0;
    const ask = later(async () => {
      const mine = (asked += 1);
      const query = new URLSearchParams();
      for (const name of ["facility.technology", "facility.enclosed", "facility.upstream", "as_of"]) query.set(name, form.elements[name].value);
      if (form.elements["facility.upwind"].checked) query.set("facility.upwind", "yes");
      for (const field of form.querySelectorAll("input[name$='.capacity_m3_day']")) if (field.value.trim()) query.append("capacity", field.value);
      try {
        const answer = await fetch(`${law.dataset.lawOf}?${query}`);
        const found = await answer.json();
        if (mine !== asked || !answer.ok) return;
        lines.replaceChildren(...found.lines.map(lawLine));
        for (const unit of document.querySelectorAll("[data-load-unit]")) unit.textContent = found.unit;
        if (found.waste) document.querySelector("[data-waste]").open = true;
        document.querySelector("[data-law-status]").textContent = found.lines.map((l) => `${l.capacity} ${l.unit}: ${l.distance ? `${l.distance} m` : l.problem || l.state_word}`).join("; ");
      } catch {
        /* the saved lines stay */
      }
    }, 250);
    form.addEventListener("input", (event) => {
      if (/^(facility\.|as_of|sizes)/.test(event.target.name)) ask();
    });
  }

  function lawLine(line) {
    const item = el("li", {}, el("b", {}, `${line.capacity} ${line.unit}`), " ");
    if (line.problem) {
      item.append(el("span", { class: "field-error" }, line.problem));
      return item;
    }
    item.append(el("strong", { class: `law-distance${line.distance ? "" : " is-open"}` }, line.distance ? `${line.distance} m` : line.state_word));
    if (line.distance && line.factor) item.append(" ", el("small", {}, `(${line.base} m × ${line.factor})`));
    item.append(" ", el("small", {}, line.to), " ", el("small", { class: "law-source" }, line.source));
    for (const caution of line.cautions) item.append(" ", el("small", { class: "law-caution" }, caution));
    return item;
  }

  /* --- a unit that is ticked means: these units --- */

  form.addEventListener("change", (event) => {
    if (event.target.name === "area.units" && event.target.checked) form.querySelector("input[name=area][value=units]").checked = true;
  });

  /* --- curves --- */

  const draw = (item) => {
    const points = [...item.querySelectorAll(".curve-point")]
      .map((row) => [...row.querySelectorAll("input")].map((field) => quantity(field.value)))
      .filter(([m, v]) => Number.isFinite(m) && Number.isFinite(v))
      .sort((a, b) => a[0] - b[0]);
    const svg = item.querySelector("svg.value-curve");
    if (points.length < 2 || !svg) return;
    const [left, right, top, base] = [30, 232, 8, 88];
    const [first, last] = [points[0][0], points.at(-1)[0]];
    const spot = ([m, v]) => [left + ((m - first) / (last - first || 1)) * (right - left), top + (1 - Math.min(1, Math.max(0, v))) * (base - top)];
    const spots = points.map(spot).map(([x, y]) => [x.toFixed(1), y.toFixed(1)]);
    const line = spots.map((s) => s.join(",")).join(" ");
    svg.querySelector("polyline").setAttribute("points", line);
    svg.querySelectorAll("circle").forEach((circle) => circle.remove());
    svg.querySelector("path[fill-opacity]")?.setAttribute("d", `M${spots[0][0]} ${base}L${line.replaceAll(" ", "L")}L${spots.at(-1)[0]} ${base}Z`);
    for (const [x, y] of spots) {
      const dot = document.createElementNS(NS, "circle");
      for (const [name, value] of Object.entries({ cx: x, cy: y, r: 3.5, fill: "#fff", stroke: "#0b5c56", "stroke-width": 2 })) dot.setAttribute(name, value);
      svg.append(dot);
    }
    const texts = svg.querySelectorAll("text");
    const unit = item.querySelector("[data-curve]").dataset.unit;
    if (texts.length >= 4) {
      texts[2].textContent = written(first);
      texts[3].textContent = `${written(last)} ${unit}`;
    }
  };
  for (const item of document.querySelectorAll("[data-criterion]")) {
    item.addEventListener("input", (event) => {
      if (event.target.closest(".curve-point")) draw(item);
    });
  }

  /* --- typed weights or answers on pairs --- */

  const pairs = document.querySelector("[data-pairs]");
  if (pairs) {
    const show = () => {
      const by = form.elements.by.value;
      pairs.hidden = by !== "pairs";
    };
    form.querySelector("[data-by]").addEventListener("change", show);
    show();
    let asked = 0;
    const ask = later(async () => {
      const mine = (asked += 1);
      const query = new URLSearchParams({ names: pairs.dataset.names, study: pairs.dataset.study });
      for (const choice of pairs.querySelectorAll("select[data-pair]")) if (choice.value) query.set(choice.dataset.pair, choice.value);
      try {
        const answer = await fetch(`${pairs.dataset.pairs}?${query}`);
        const found = await answer.json();
        if (mine !== asked || !answer.ok) return;
        const place = pairs.querySelector("[data-ahp]");
        place.className = `ahp-said ahp-${found.state}`;
        place.querySelector("[data-ahp-said]").textContent = found.said;
        place.querySelector("[data-ahp-odd]").textContent = found.odd;
        place.querySelector("[data-ahp-weights]").replaceChildren(
          ...found.weights.map((w) => el("li", {}, el("span", {}, w.title), " ", el("b", {}, w.written))));
      } catch {
        /* the next answer asks again */
      }
    }, 200);
    pairs.addEventListener("change", ask);
  }

  /* --- values of one's own for the search unfold when they are chosen --- */

  form.elements["effort.how"]?.addEventListener("change", ({ target }) => {
    target.closest("fieldset").querySelector("details").open = target.value === "own";
  });

  /* --- the list of what is wrong names the fields --- */

  for (const link of document.querySelectorAll(".error-box a[href^='#']")) {
    const label = document.querySelector(`label[for="${CSS.escape(link.hash.slice(1))}"]`);
    if (label) link.prepend(`${label.textContent.trim().replace(/\s+/g, " ")}: `);
  }

  /* --- leaving with something typed --- */

  let typed = false;
  form.addEventListener("input", () => (typed = true));
  form.addEventListener("submit", () => (typed = false));
  window.addEventListener("beforeunload", (event) => {
    if (typed) event.preventDefault();
  });
})();
