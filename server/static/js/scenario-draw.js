/* Draws the plants of a scenario. The state is a list of plants as texts of the form; each change goes into the history,
   to the map, to the form and to the server, which answers what it changes. Nothing is saved before Save. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const map = cx.map;
  const root = document.querySelector("[data-scenario]");
  const start = JSON.parse(document.getElementById("scenario-start")?.textContent || "null");
  if (!map || !root || !start || !cx.scenario) return;

  const base = `/plan/scenarios/${root.dataset.scenario}`;
  const csrf = document.querySelector("meta[name=csrf]").content;
  const form = document.getElementById("plant-form");
  const status = root.querySelector("[data-status]");
  const list = root.querySelector("[data-list]");
  const panel = root.querySelector("[data-change]");
  const late = root.querySelector("[data-late]");
  const nothing = root.querySelector("[data-nothing]");
  const buttons = Object.fromEntries([...root.querySelectorAll("[data-do]")].map((b) => [b.dataset.do, b]));
  const fields = [...form.querySelectorAll("input:not([type=hidden]), select")];

  let plants = start.plants.map((p) => ({ ...p }));
  let selected = plants.length ? plants[0].number : null;
  let year = start.year;
  let adding = false;
  let saving = false;
  const past = [JSON.stringify(plants)];
  let now = 0; // place in past
  let saved = past[0];
  let laws = start.drawn.plants; // how each plant comes to its safety distance, as the server last answered

  for (const node of root.querySelectorAll("[data-needs-script]")) node.hidden = false;
  for (const node of root.querySelectorAll("[data-without-script]")) node.hidden = true;
  map.dragging.enable();

  const say = (text) => {
    status.textContent = text;
  };
  const find = (number) => plants.find((p) => p.number === number);
  const degrees = (text) => Number(String(text).trim().replace(",", "."));
  const placed = () =>
    plants
      .map((p) => ({ number: p.number, name: p.name, year: p.year, lat: degrees(p.lat), lon: degrees(p.lon) }))
      .filter((p) => Number.isFinite(p.lat) && Number.isFinite(p.lon) && Math.abs(p.lat) <= 90 && Math.abs(p.lon) <= 180);

  /* --- show --- */

  const edit = {
    moved(number, at, done) {
      const p = find(number);
      if (!p) return;
      p.lat = at.lat.toFixed(6);
      p.lon = at.lng.toFixed(6);
      selected = number;
      done ? keep(t("P{number} was moved.", { number })) : show({ form: true });
      ask();
    },
    chosen(number) {
      if (selected === number) return;
      selected = number;
      show();
    },
    key(number, event) {
      const step = event.shiftKey ? 60 : 10;
      const by = { ArrowUp: [0, -step], ArrowDown: [0, step], ArrowLeft: [-step, 0], ArrowRight: [step, 0] }[event.key];
      if (event.key === "Delete" || event.key === "Backspace") {
        event.preventDefault();
        remove(number);
      } else if (by) {
        event.preventDefault();
        event.stopPropagation();
        const p = find(number);
        const at = map.containerPointToLatLng(map.latLngToContainerPoint([degrees(p.lat), degrees(p.lon)]).add(by));
        edit.moved(number, at, true);
      }
    },
  };

  function show() {
    cx.scenario.marks(placed(), { selected, edit });
    list.replaceChildren(
      ...plants.map((p) => {
        const button = cx.el("button", { type: "button", class: "plant-choice", "aria-pressed": String(p.number === selected) }, cx.el("b", {}, `P${p.number}`), ` ${p.name || ""} `, cx.el("span", { class: "quiet" }, String(p.year)));
        button.addEventListener("click", () => {
          selected = p.number;
          show();
          list.querySelector("[aria-pressed=true]")?.focus();
          const at = [degrees(p.lat), degrees(p.lon)];
          if (at.every(Number.isFinite) && !map.getBounds().contains(at)) map.panTo(at);
        });
        return cx.el("li", {}, button);
      }),
    );
    const p = find(selected);
    form.hidden = !p;
    nothing.hidden = Boolean(p);
    if (p) {
      form.querySelector("[data-form-title]").textContent = t("Plant P{number}", { number: p.number });
      for (const field of fields) {
        if (field === document.activeElement && field.type !== "checkbox") continue;
        const value = p[field.name];
        if (field.type === "checkbox") field.checked = value === true || value === "yes";
        else field.value = value ?? "";
      }
    }
    buttons.same.hidden = !alike().length;
    buttons.undo.disabled = now === 0;
    buttons.redo.disabled = now === past.length - 1;
    buttons.save.disabled = saving || past[now] === saved;
    buttons.add.setAttribute("aria-pressed", String(adding));
    map.getContainer().classList.toggle("is-adding", adding);
  }

  /** A step of the history. */
  function keep(text) {
    const state = JSON.stringify(plants);
    if (state !== past[now]) {
      past.splice(now + 1);
      past.push(state);
      now = past.length - 1;
    }
    show();
    if (text) say(text);
  }

  function go(by) {
    if (now + by < 0 || now + by >= past.length) return;
    now += by;
    plants = JSON.parse(past[now]);
    if (!find(selected)) selected = plants[0]?.number ?? null;
    document.activeElement?.closest("#plant-form") && document.activeElement.blur();
    show();
    ask();
    say(by < 0 ? t("Undone.") : t("Done again."));
  }

  /* --- ask the server what it changes --- */

  let timer = null;
  let running = null;
  let again = false;
  let typing = false;

  /** Asks soon, and while a plant is dragged again and again; letters that are typed get a rest first. */
  function ask(rest = 40) {
    if (timer !== null && rest === 40 && !typing) return;
    clearTimeout(timer);
    typing = rest > 40;
    timer = setTimeout(() => {
      timer = null;
      typing = false;
      if (running) again = true;
      else send();
    }, rest);
  }

  async function send() {
    running = true;
    again = false;
    const asked = JSON.stringify({ plants, year });
    try {
      const answer = await post(`${base}/try`, asked);
      const told = await answer.json();
      complain(answer.ok ? {} : told.problems || {});
      if (answer.ok) {
        const focus = panel.contains(document.activeElement) ? document.activeElement.value : null;
        panel.replaceChildren(...new DOMParser().parseFromString(told.html, "text/html").body.childNodes);
        if (focus !== null) panel.querySelector(`input[value="${CSS.escape(focus)}"]`)?.focus();
        cx.scenario.lines(told.drawn.plants);
        laws = told.drawn.plants;
        buttons.same.hidden = !alike().length;
        panel.classList.remove("is-old");
        root.setAttribute("data-answered", String(Number(root.dataset.answered || 0) + 1));
      } else {
        panel.classList.add("is-old");
        if (!told.problems) say(told.message || t("The server did not answer as expected. Try again."));
      }
    } catch {
      panel.classList.add("is-old");
      say(t("The server cannot be reached. What you drew is still here."));
    }
    running = false;
    if (again) ask();
  }

  const post = (url, body) =>
    fetch(url, { method: "POST", body, headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF": csrf } });

  /** Problems beside their fields, those of other plants in the line of status. */
  function complain(problems) {
    for (const old of form.querySelectorAll(".field-error")) old.remove();
    for (const box of form.querySelectorAll(".has-error")) box.classList.remove("has-error");
    for (const field of fields) field.removeAttribute("aria-invalid");
    const others = [];
    for (const [where, sentence] of Object.entries(problems)) {
      const [number, name] = where.split(":");
      const field = Number(number) === selected && fields.find((f) => f.name === name);
      if (!field) {
        others.push(number ? `P${number}: ${sentence}` : sentence);
        continue;
      }
      const box = field.closest(".form-field");
      box.classList.add("has-error");
      const id = `${field.id}-error`;
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", id);
      field.before(cx.el("p", { class: "field-error", id }, sentence));
      others.push(`P${number}: ${sentence}`);
    }
    if (others.length) say(others.join(" "));
  }

  /* --- changes --- */

  function add(at) {
    const number = Math.max(0, ...plants.map((p) => p.number), ...JSON.parse(past[0]).map((p) => p.number)) + 1;
    const like = find(selected) || start.usual;
    const own = { name: "", cost: "", sewer_km: "", study: "", site: "" };
    plants.push({ ...start.usual, ...like, ...own, number, lat: at.lat.toFixed(6), lon: at.lng.toFixed(6) });
    selected = number;
    adding = false;
    keep(t("P{number} was added. Its fields are below the map.", { number }));
    ask();
  }

  /** Other plants of the kind of the chosen one that could take its own safety distance: the law of their year has none. */
  function alike() {
    const p = find(selected);
    if (!p || !String(p.own_m ?? "").trim() || !String(p.own_source ?? "").trim()) return [];
    const bare = new Set(laws.filter((x) => x.by !== "year").map((x) => x.number));
    const kind = (q) => q.technology === p.technology && (q.enclosed || "no") === (p.enclosed || "no");
    return plants.filter((q) => q !== p && kind(q) && bare.has(q.number) && (q.own_m !== p.own_m || q.own_source !== p.own_source));
  }

  function share() {
    const p = find(selected);
    const others = alike();
    for (const q of others) Object.assign(q, { own_m: p.own_m, own_source: p.own_source });
    keep(t("The distance was taken over by {plants}.", { plants: others.map((q) => `P${q.number}`).join(", ") }));
    form.querySelector("#own_source").focus();
    ask();
  }

  function remove(number) {
    plants = plants.filter((p) => p.number !== number);
    if (selected === number) selected = plants[0]?.number ?? null;
    keep(t("P{number} was removed. Undo brings it back.", { number }));
    ask();
  }

  form.addEventListener("input", (event) => {
    const p = find(selected);
    const field = event.target;
    if (!p || !fields.includes(field)) return;
    p[field.name] = field.type === "checkbox" ? (field.checked ? "yes" : "") : field.value;
    if (field.tagName === "SELECT" || field.type === "checkbox") {
      keep();
      ask();
    } else {
      ask(350);
      buttons.save.disabled = saving;
    }
  });
  form.addEventListener("change", () => {
    keep();
    ask();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keep();
    ask();
  });
  panel.addEventListener("change", (event) => {
    if (event.target.name !== "change-year") return;
    year = Number(event.target.value);
    ask();
  });

  map.on("click", (event) => adding && add(event.latlng));
  buttons.add.addEventListener("click", () => {
    adding = !adding;
    show();
    say(adding ? t("Click on the map where the plant shall stand; Escape ends it.") : "");
  });
  buttons.centre.addEventListener("click", () => add(map.getCenter()));
  buttons.undo.addEventListener("click", () => go(-1));
  buttons.redo.addEventListener("click", () => go(1));
  buttons.same.addEventListener("click", share);
  buttons.remove.addEventListener("click", () => selected !== null && remove(selected));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && adding) {
      adding = false;
      show();
      say("");
    }
    const typing = event.target.matches?.("input:not([type=radio], [type=checkbox]), textarea");
    if (!(event.ctrlKey || event.metaKey) || typing) return;
    const key = event.key.toLowerCase();
    if (key === "z" || key === "y") {
      event.preventDefault();
      go(key === "y" || event.shiftKey ? 1 : -1);
    }
  });

  /* --- save --- */

  async function save(more) {
    keep();
    saving = true;
    show();
    try {
      const answer = await post(`${base}/plants`, JSON.stringify({ plants, revision: start.revision, ...more }));
      const told = await answer.json();
      if (answer.ok) {
        saved = past[now];
        location.assign(told.url);
        return;
      }
      complain(told.problems || {});
      if (!Object.keys(told.problems || {}).length) say(told.message || t("The server did not answer as expected. Try again."));
      if (answer.status === 409) {
        // somebody else was quicker: what was drawn stays here, and can become a scenario of its own
        buttons.copy.hidden = false;
        late.querySelector("[data-late-words]").textContent = told.message;
        late.hidden = false;
        say("");
        late.querySelector("a").focus();
      }
    } catch {
      say(t("The server cannot be reached. What you drew is still here."));
    }
    saving = false;
    show();
  }
  buttons.save.addEventListener("click", () => save({}));
  buttons.copy.addEventListener("click", () => save({ as_copy: true }));
  window.addEventListener("beforeunload", (event) => {
    if (JSON.stringify(plants) !== saved) event.preventDefault();
  });

  cx.scenario.lines(start.drawn.plants);
  show();
  root.setAttribute("data-ready", "1");
})();
