/* The form of a report: photos, what becomes public, similar reports, and what waits on this phone. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const el = cx.el;
  const form = document.getElementById("report-form");
  const $ = (id) => document.getElementById(id);
  const lang = document.documentElement.lang;
  const MOST = 5;
  let photos = []; // {name, canvas, takenOn}
  let near = { similar: [], hotspots: [], ward: null };

  form.noValidate = true;
  begin(); // the page may lie on this phone since days: never its old key or day
  for (const hidden of document.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  document.documentElement.classList.add("has-scripts");

  function begin() {
    // The day of the city, also on a phone that is set to another zone; Swedish writes it as 2026-11-22.
    const today = new Date().toLocaleDateString("sv", { timeZone: "Asia/Ho_Chi_Minh" });
    form.elements.key.value = cx.freshKey();
    form.elements.seen_on.max = today;
    form.elements.seen_on.value = today;
  }

  const value = (name) => form.elements[name]?.value ?? "";
  const wordOf = (name) => {
    const chosen = form.querySelector(`input[name=${name}]:checked`);
    const card = chosen?.value && chosen.parentElement;
    return card ? (card.querySelector("b") || card.querySelector("span")).textContent.trim() : "";
  };

  /* --- photos --- */

  const say = (text) => { $("photo-status").textContent = text; };

  function showPhotos() {
    $("photo-list").replaceChildren(...photos.map((photo, i) => {
      const small = cx.thumbnail(photo.canvas);
      small.setAttribute("role", "img");
      small.setAttribute("aria-label", t("Photo {n}", { n: i + 1 }));
      const blur = el("button", { type: "button", class: "button button-quiet" }, t("Blur…"));
      blur.setAttribute("aria-label", t("Blur parts of photo {n}", { n: i + 1 }));
      blur.addEventListener("click", async () => {
        await cx.blurBoard(photo.canvas);
        showPhotos();
        $("photo-list").querySelectorAll("li")[i]?.querySelector("button").focus();
      });
      const away = el("button", { type: "button", class: "button button-quiet" }, t("Remove"));
      away.setAttribute("aria-label", t("Remove photo {n}", { n: i + 1 }));
      away.addEventListener("click", () => {
        photos.splice(i, 1);
        showPhotos();
        $("photos").focus();
      });
      return el("li", {}, small, el("div", {}, blur, away));
    }));
    preview();
  }

  async function addPhotos(files) {
    problem("photos", "");
    for (const file of files) {
      if (photos.length >= MOST) {
        problem("photos", t("At most {n} photos can be sent with one report.", { n: MOST }));
        break;
      }
      try {
        photos.push({ name: file.name, ...(await cx.openPhoto(file)) });
      } catch (error) {
        problem("photos", error.message);
      }
    }
    showPhotos();
    say(t("{n} photos chosen", { n: photos.length }));
  }

  for (const name of ["shoot", "photos"]) {
    $(name).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = ""; // the same photo may be chosen again
      addPhotos(files);
    });
  }

  /* --- problems beside their fields --- */

  function problem(name, sentence) {
    const place = $(`${name}-problem`);
    if (!place) return;
    place.textContent = sentence;
    place.hidden = !sentence;
    const tied = document.querySelector(`[aria-describedby~="${name}-problem"]`);
    if (sentence) tied?.setAttribute("aria-invalid", "true");
    else tied?.removeAttribute("aria-invalid");
  }

  const FIRST = { kind: "kind-water", smell: "smell-1", place: "ward", colour: "colour-" };

  function showProblems(found) {
    document.getElementById("problems")?.remove();
    for (const place of form.querySelectorAll(".field-problem")) problem(place.id.replace(/-problem$/, ""), found[place.id.replace(/-problem$/, "")] || "");
    const box = $("problems-live");
    const names = Object.keys(found);
    box.hidden = !names.length;
    if (!names.length) return;
    box.querySelector("h2").textContent = names.length === 1 ? t("One answer is missing") : t("{n} answers are missing", { n: names.length });
    box.querySelector("ul").replaceChildren(...names.map((name) => el("li", {}, el("a", { href: `#${FIRST[name] || name}` }, found[name]))));
    box.focus();
    box.scrollIntoView({ block: "start" });
  }

  function missing() {
    const found = {};
    if (!value("kind")) found.kind = t("Choose what you saw.");
    if (!value("lat") && !value("ward")) found.place = t("Say where it is: put the pin on the map or choose the ward or commune.");
    if (value("kind") === "other" && !value("words").trim()) found.words = t("Describe in a few words what you saw.");
    if ((value("phone").trim() || value("email").trim()) && !form.elements.consent.checked) {
      found.consent = t("Tick that we may keep how to reach you, or leave phone and e-mail empty.");
    }
    return found;
  }

  /* --- what becomes public --- */

  const facts = (...parts) => parts.filter(Boolean).join(", ");

  function preview() {
    const kind = wordOf("kind");
    const say = (name, text, given) => {
      const line = form.querySelector(`[data-preview=${name}]`);
      line.dataset.plain ||= line.textContent;
      line.textContent = given ? text : line.dataset.plain;
      line.classList.toggle("is-given", Boolean(given));
    };
    const smell = wordOf("smell");
    const colour = wordOf("colour");
    say("kind", facts(kind, smell && t("smell {n} of 5", { n: smell }), colour, value("seen_on") && new Date(`${value("seen_on")}T00:00`).toLocaleDateString(lang)), kind);
    const ward = value("ward") ? form.elements.ward.selectedOptions[0].textContent : near.ward?.name;
    say("place", facts(t("the place of the pin"), ward), value("lat"));
    if (!value("lat") && value("ward")) say("place", ward, true);
    say("photos", photos.length === 1 ? t("1 photo, as you blurred it") : t("{n} photos, as you blurred them", { n: photos.length }), photos.length);
    say("words", t("your own words"), value("words").trim());
    say("contact", t("phone and e-mail"), value("phone").trim() || value("email").trim());
    const chosen = form.querySelector("input[name=kind]:checked");
    $("colours").hidden = chosen?.dataset.colour !== "yes";
  }

  form.addEventListener("input", preview);
  form.addEventListener("change", preview);

  /* --- what lies near --- */

  async function look() {
    if (!value("lat")) return;
    const asked = new URLSearchParams({ lon: value("lon"), lat: value("lat"), kind: value("kind"), lang });
    let answer;
    try {
      answer = await fetch(`/report/near?${asked}`, { headers: { Accept: "application/json" } });
      near = await answer.json();
    } catch {
      return; // no signal: nothing to compare with
    }
    if (!answer.ok) return;
    if (near.outside) cx.pinSays?.(t("The pin does not lie in the city or its waters. Move it."));
    showNear();
    preview();
  }

  function showNear() {
    const box = $("near");
    const parts = [];
    if (near.ward) parts.push(el("p", { class: "near-ward small quiet" }, t("By the pin: {ward}. Outlines are rough; choose the ward above if this is wrong.", { ward: near.ward.name })));
    if (near.similar?.length) {
      const said = form.elements.same_as.value;
      const list = near.similar.map((one) => {
        const yes = el("button", { type: "button", class: "button button-quiet", "aria-pressed": String(said === one.ref) },
          said === one.ref ? t("✓ Me too") : t("Yes, me too"));
        yes.addEventListener("click", () => {
          form.elements.same_as.value = said === one.ref ? "" : one.ref;
          showNear();
          box.querySelector("button[aria-pressed=true], button")?.focus();
        });
        return el("li", {}, el("p", {}, el("b", {}, one.kind), el("span", {}, one.sentence)), yes);
      });
      parts.push(el("section", { class: "near-card" }, el("h3", {}, t("Already reported nearby. The same?")), el("ul", {}, ...list),
        el("p", { class: "small quiet" }, t("With “me too” your photos are added and nothing is counted twice. Otherwise simply go on."))));
    } else form.elements.same_as.value = "";
    if (near.hotspots?.length) {
      parts.push(el("section", { class: "near-card near-known" }, el("h3", {}, t("Known to the register")), el("ul", {}, ...near.hotspots.map((one) =>
        el("li", {}, el("p", {}, el("a", { href: one.url, target: "_blank", rel: "noopener" }, one.name), el("span", {}, `${one.stage}, ${one.metres} m`)))))));
    }
    box.replaceChildren(...parts);
  }

  document.addEventListener("cangxanh:pin", look);
  form.addEventListener("change", (event) => { if (event.target.name === "kind") look(); });

  /* --- keeping and sending --- */

  const FIELDS = ["kind", "smell", "colour", "words", "lon", "lat", "accuracy_m", "ward", "place", "seen_on", "same_as", "website", "phone", "email"];

  async function collected() {
    const fields = Object.fromEntries(FIELDS.map((name) => [name, value(name).trim()]));
    fields.consent = form.elements.consent.checked;
    if ($("colours").hidden) fields.colour = "";
    const made = [];
    for (const { canvas, takenOn, name } of photos) {
      const blob = await cx.photoBlob(canvas);
      made.push({ sha: await cx.sha256(blob), blob, takenOn, name });
    }
    return { key: value("key"), at: new Date().toISOString(), lang, fields, photos: made, safe: [], state: "waiting" };
  }

  const state = (text) => { $("send-state").textContent = text; };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if ($("send").disabled) return;
    const found = missing();
    showProblems(found);
    if (Object.keys(found).length) return;
    $("send").disabled = true;
    state(t("Being kept on this phone…"));
    let draft;
    try {
      draft = await collected();
      await cx.kept.put("drafts", draft);
    } catch (error) {
      state(t("This phone could not keep the report ({why}). Remove a photo and try again.", { why: error.message || error.name }));
      $("send").disabled = false;
      return;
    }
    empty();
    await deliver(draft.key);
    $("send").disabled = false;
  });

  /** The form as at first, with a fresh key: what was typed is kept in the draft. */
  function empty() {
    form.reset();
    begin();
    photos = [];
    near = { similar: [], hotspots: [], ward: null };
    form.elements.same_as.value = "";
    cx.pin?.();
    $("near").replaceChildren();
    cx.pinSays?.(t("Tap the map to put the pin, or press “I am here”. The pin can be moved."));
    showPhotos();
  }

  async function deliver(key = "") {
    const done = await cx.sendKept(() => list());
    await list();
    const mine = done.find((one) => one.key === key);
    if (mine && !mine.refused.length) {
      location.assign(`${mine.track}?sent=1`);
      return;
    }
    if (!key) return;
    state(mine ? t("Your report has arrived under the code {code}. {why}", { code: mine.code, why: mine.refused.join(" ") }) : "");
    if (mine) return;
    const left = await cx.kept.get("drafts", key);
    if (left?.problems) return; // the list says what is wrong
    if (left) {
      navigator.storage?.persist?.();
      navigator.serviceWorker?.ready.then((worker) => worker.sync?.register("cangxanh-send")).catch(() => {});
      $("outbox-title").focus();
      $("outbox").scrollIntoView({ block: "start" });
    }
  }

  const moment = (text) => new Date(text).toLocaleString(lang, { dateStyle: "short", timeStyle: "short", timeZone: "Asia/Ho_Chi_Minh" });
  const kindWord = (code) => document.querySelector(`#kind-${CSS.escape(code)} + .kind-card b`)?.textContent || code;

  function status(draft) {
    if (draft.stopped) return draft.message;
    const all = draft.photos.length;
    const safe = all ? ` ${t("{n} of {all} photos are safe.", { n: draft.safe.length, all })}` : "";
    if (draft.state === "sending") return (draft.code ? t("The report is safe, photos follow.") : t("Being sent…")) + safe;
    return (draft.message || (draft.code ? t("The report is safe; the rest waits for a signal.") : t("Waits for a signal."))) + safe;
  }

  let listing = Promise.resolve();
  const list = () => (listing = listing.then(showLists, showLists));

  async function showLists() {
    const drafts = (await cx.kept.all("drafts")).sort((a, b) => a.at.localeCompare(b.at));
    const sent = (await cx.kept.all("sent")).sort((a, b) => b.at.localeCompare(a.at));
    $("outbox").hidden = !drafts.length;
    $("outbox-list").replaceChildren(...drafts.map((draft) => {
      const again = el("button", { type: "button", class: "button button-quiet" }, t("Send now"));
      again.addEventListener("click", () => deliver(draft.key));
      const back = el("button", { type: "button", class: "button button-quiet" }, t("Back into the form"));
      back.addEventListener("click", () => refill(draft));
      const away = el("button", { type: "button", class: "button button-quiet" }, t("Delete"));
      away.addEventListener("click", async () => {
        if (!window.confirm(t("Delete this report from the phone? It was not sent."))) return;
        await cx.kept.drop("drafts", draft.key);
        await list();
      });
      const lines = [el("p", {}, el("b", {}, kindWord(draft.fields.kind)), el("span", { class: "quiet" }, moment(draft.at))),
        el("p", { class: "outbox-state", role: "status" }, status(draft))];
      return el("li", { "data-key": draft.key, "data-state": draft.stopped ? "stopped" : draft.state }, ...lines,
        el("p", { class: "outbox-tools" }, draft.stopped ? back : again, ...(draft.code ? [] : [away])));
    }));
    $("sent").hidden = !sent.length;
    $("sent-list").replaceChildren(...sent.slice(0, 20).map((one) => {
      const away = el("button", { type: "button", class: "button-plain" }, t("Forget"));
      away.setAttribute("aria-label", t("Forget {code} on this phone", { code: one.code }));
      away.addEventListener("click", async () => {
        await cx.kept.drop("sent", one.code);
        await list();
      });
      const told = one.refused.length ? [el("small", { class: "refused" }, one.refused.join(" "))] : [];
      return el("li", {}, el("a", { href: one.track }, one.code), el("small", {}, `${kindWord(one.kind)}, ${moment(one.at)}`), ...told, away);
    }));
  }

  /** Puts what the server refused back into the form, with the reasons. */
  async function refill(draft) {
    for (const [name, text] of Object.entries(draft.fields)) {
      const held = form.elements[name];
      if (held instanceof RadioNodeList) held.value = text;
      else if (held?.type === "checkbox") held.checked = Boolean(text);
      else if (held) held.value = text;
    }
    photos = [];
    for (const photo of draft.photos) photos.push({ name: photo.name, ...(await cx.openPhoto(new File([photo.blob], photo.name || "photo.jpg"))), takenOn: photo.takenOn });
    form.elements.key.value = draft.key;
    await cx.kept.drop("drafts", draft.key);
    cx.pin?.(draft.fields.lat, draft.fields.lon);
    showPhotos();
    await list();
    showProblems(draft.problems || {});
  }

  /* --- signal, worker, first view --- */

  const signal = () => { $("offline").hidden = navigator.onLine !== false; };
  window.addEventListener("online", () => { signal(); deliver(); });
  window.addEventListener("offline", signal);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) deliver(); });
  setInterval(() => { if (!document.hidden && !$("outbox").hidden) deliver(); }, 60000);

  if (navigator.serviceWorker) {
    navigator.serviceWorker.addEventListener("message", (event) => {
      if (event.data?.ready) document.documentElement.dataset.offlineReady = "1";
      if (event.data?.sent) list();
    });
    window.addEventListener("load", async () => {
      try {
        await navigator.serviceWorker.register("/report/worker.js", { scope: "/report", updateViaCache: "none" });
        const worker = await navigator.serviceWorker.ready;
        const used = performance.getEntriesByType("resource").map((entry) => entry.name).filter((url) => /\/static\/|\/api\/ground/.test(url));
        worker.active.postMessage({ keep: used, lang });
      } catch { /* not over https, or switched off: the page works without it */ }
    });
  }

  signal();
  preview();
  showPhotos();
  list().then(() => deliver());
})();
