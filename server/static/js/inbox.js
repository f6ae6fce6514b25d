/* The inbox without reloads: reports open in place, replies are sent in the background, keys do all of it.
   The server draws every piece (the same templates as the whole page); without this script each link
   and form does the same by itself. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const root = document.querySelector("[data-inbox]");
  if (!root) return;
  const token = document.querySelector("meta[name=csrf]")?.content || "";
  const listPlace = root.querySelector("[data-inbox-list]");
  const reportPlace = root.querySelector("[data-inbox-report]");
  const status = document.querySelector("[data-inbox-status]");
  const bar = document.querySelector("[data-undo]");
  const keys = document.querySelector("[data-keys]");
  const box = root.dataset.box;
  let busy = false;
  let undone = null; // {url, code} of what can be taken back

  root.dataset.live = "1";
  for (const hidden of root.querySelectorAll("[data-needs-script]")) hidden.hidden = false;

  const say = (text) => {
    status.textContent = text;
  };
  const links = () => [...listPlace.querySelectorAll("a[data-code]")];
  const now = () => links().find((link) => link.getAttribute("aria-current")) || null;
  const addressOf = (code) => `/inbox/${encodeURIComponent(code)}?box=${box}`;

  /* --- asking the server --- */

  async function ask(address, options = {}) {
    if (busy) return null;
    busy = true;
    root.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { ...options, headers: { Accept: "application/json", "X-CSRF": token } });
      const kind = answer.headers.get("Content-Type") || "";
      if (!kind.startsWith("application/json")) throw new Error(String(answer.status));
      return { ok: answer.ok, status: answer.status, body: await answer.json() };
    } catch {
      say(t("The server could not be reached. Nothing was changed; try again."));
      showBar(t("The server could not be reached. Nothing was changed; try again."), null);
      return null;
    } finally {
      busy = false;
      root.removeAttribute("aria-busy");
    }
  }

  function put(made, { keepList = false } = {}) {
    if (!keepList) {
      const place = listPlace.querySelector(".inbox-items")?.scrollTop ?? 0;
      const had = listPlace.contains(document.activeElement);
      listPlace.innerHTML = made.list;
      const items = listPlace.querySelector(".inbox-items");
      if (items) items.scrollTop = place;
      if (had) now()?.focus({ preventScroll: true });
    }
    reportPlace.innerHTML = made.detail;
    for (const link of links()) {
      if (link.dataset.code === made.code) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    now()?.scrollIntoView({ block: "nearest" });
    for (const [name, n] of Object.entries(made.counts)) {
      const shown = root.querySelector(`[data-inbox-count="${name}"]`);
      if (shown) shown.textContent = String(n);
    }
    const work = document.querySelector('[data-count="inbox"]');
    if (work) work.textContent = String(made.counts.todo);
    look(made.code, made.at);
  }

  async function open(code, { push = true } = {}) {
    const got = await ask(addressOf(code));
    if (!got) return;
    if (!got.ok) {
      say(got.body.message || "");
      return;
    }
    put(got.body, { keepList: true });
    if (push) history.pushState({ code }, "", addressOf(code));
    say(t("Open: {title}, {code}", { title: got.body.title, code }));
  }

  /* --- sending a reply --- */

  async function send(form) {
    const code = now()?.dataset.code;
    const got = await ask(form.action, { method: "POST", body: new FormData(form) });
    if (!got) return;
    if (got.status === 422) {
      put(got.body, { keepList: true });
      reportPlace.querySelector("[data-focus]")?.focus();
      return;
    }
    if (!got.ok) {
      showBar(got.body.message || "", null);
      return;
    }
    put(got.body);
    if (got.body.done) forget(got.body.done);
    history.replaceState({ code: got.body.code }, "", got.body.code ? addressOf(got.body.code) : `/inbox?box=${box}`);
    if (got.body.undo) undone = { url: got.body.undo, code };
    else undone = null;
    showBar(got.body.said, undone);
    reportPlace.scrollTop = 0;
    if (!listPlace.contains(document.activeElement)) reportPlace.focus({ preventScroll: true });
  }

  function showBar(text, undo) {
    bar.querySelector("[data-undo-said]").textContent = text;
    bar.querySelector("[data-undo-do]").hidden = !undo;
    bar.hidden = false;
  }

  async function takeBack() {
    if (!undone) return;
    const body = new FormData();
    body.set("csrf", token);
    body.set("code", undone.code);
    const got = await ask(`${undone.url}?box=${box}`, { method: "POST", body });
    if (!got) return;
    if (!got.ok) {
      showBar(Object.values(got.body.errors || {})[0] || got.body.message || t("It could not be taken back."), null);
      undone = null;
      return;
    }
    put(got.body);
    history.replaceState({ code: got.body.code }, "", addressOf(got.body.code));
    undone = null;
    showBar(got.body.said, null);
  }

  /* --- the forms of the replies --- */

  const forms = () => [...reportPlace.querySelectorAll(".act-form")];

  function close() {
    const open = forms().find((form) => form.classList.contains("is-open"));
    for (const form of forms()) form.classList.remove("is-open");
    for (const button of reportPlace.querySelectorAll("[data-act-open]")) button.setAttribute("aria-expanded", "false");
    reportPlace.querySelector("[data-acts]")?.removeAttribute("data-open");
    return open;
  }

  function show(action) {
    const form = reportPlace.querySelector(`#act-${CSS.escape(action)}`);
    if (!form) return;
    const was = form.classList.contains("is-open");
    close();
    if (was) return;
    form.classList.add("is-open");
    reportPlace.querySelector("[data-acts]").dataset.open = action;
    reportPlace.querySelector(`[data-act-open="${CSS.escape(action)}"]`)?.setAttribute("aria-expanded", "true");
    const empty = [...form.querySelectorAll("input:not([type=hidden]), select")].find((field) => !field.value && field.type !== "file");
    (empty || form.querySelector("textarea") || form.querySelector("button.button"))?.focus();
    form.scrollIntoView({ block: "nearest" });
  }

  root.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const opener = event.target.closest("[data-act-open]");
    if (opener) {
      event.preventDefault();
      return show(opener.dataset.actOpen);
    }
    if (event.target.closest("[data-act-close]")) {
      event.preventDefault();
      const form = close();
      reportPlace.querySelector(`[data-act-open="${form?.id.slice(4)}"]`)?.focus();
      return;
    }
    const fill = event.target.closest("[data-fill]");
    if (fill) {
      const field = document.getElementById(fill.dataset.fill);
      field.value = fill.dataset.value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
      return;
    }
    if (event.target.closest("[data-inbox-keys]")) return keys.showModal();
    const link = event.target.closest("a[href^='/inbox/']");
    const code = link && new URL(link.href).pathname.match(/^\/inbox\/([^/]+)$/)?.[1];
    if (code) {
      event.preventDefault();
      open(decodeURIComponent(code));
    }
  });

  /** The ready reply names the hotspot or the commune that is chosen now. */
  root.addEventListener("change", (event) => {
    const field = event.target;
    const reply = field.form?.querySelector("textarea[data-place]");
    if (!reply || !field.matches("[name=case], [name=commune]")) return;
    const place = field.selectedOptions ? field.selectedOptions[0]?.dataset.place : field.value.trim().toUpperCase();
    if (!place || !reply.value.includes(reply.dataset.place)) return;
    reply.value = reply.value.replace(reply.dataset.place, () => place);
    reply.dataset.place = place;
  });

  root.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-act]")) return;
    event.preventDefault();
    send(event.target);
  });

  bar.querySelector("[data-undo-do]").addEventListener("click", takeBack);

  root.addEventListener("keydown", (event) => {
    if (event.target.matches?.("[data-send]") && event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
    if (event.target.matches?.("[role=button]") && event.key === " ") {
      event.preventDefault();
      event.target.click();
    }
  });

  /* --- keys --- */

  const numbers = ["merge", "new", "pass", "not_ours", "ask"];

  function step(by) {
    const all = links();
    const at = all.indexOf(now());
    const next = all[at < 0 ? 0 : at + by];
    if (next) open(next.dataset.code);
    else say(by > 0 ? t("This is the last report.") : t("This is the first report."));
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || keys.open) return;
    if (event.key === "Escape") {
      const form = close();
      if (form) reportPlace.querySelector(`[data-act-open="${form.id.slice(4)}"]`)?.focus();
      return;
    }
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (event.target.closest?.(".folium-map") && !/^[jk1-5u?]$/i.test(event.key)) return;
    const key = event.key.toLowerCase();
    if (key === "j") step(1);
    else if (key === "k") step(-1);
    else if (key === "u") takeBack();
    else if (key === "?") keys.showModal();
    else if (numbers[Number(key) - 1]) show(numbers[Number(key) - 1]);
    else return;
    event.preventDefault();
  });

  window.addEventListener("popstate", (event) => {
    const code = event.state?.code || location.pathname.match(/^\/inbox\/([^/]+)$/)?.[1];
    if (code) open(decodeURIComponent(code), { push: false });
  });

  /* --- the map follows --- */

  let circle = null;

  function forget(code) {
    const layer = cx.layers?.reports;
    const mark = layer?.byCode.get(code);
    if (mark) layer.group.removeLayer(mark);
  }

  function look(code, at) {
    const map = cx.map;
    if (!map || !window.L) return;
    circle?.remove();
    circle = null;
    for (const [other, mark] of cx.layers?.reports?.byCode || []) mark.getElement?.()?.classList.toggle("is-selected", other === code);
    if (!at) return;
    circle = L.circle(at, { radius: 300, color: "#1d5fa8", weight: 1.5, fillOpacity: 0.06, interactive: false }).addTo(map);
    map.setView(at, Math.max(map.getZoom(), 15), { animate: false });
  }

  const first = reportPlace.querySelector("[data-at]");
  const begin = () => first && look(now()?.dataset.code, first.dataset.at ? first.dataset.at.split(",").map(Number) : null);
  if (cx.map) begin();
  const error = reportPlace.querySelector("[data-focus]");
  if (error) error.focus();
})();
