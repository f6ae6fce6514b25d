/* The register's past without leaving the page: the page of another day is fetched, and what changes with the
   day is put in its place. And photos before and after, one over the other. Without scripts links and dates do it. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;

  /* --- the slider --- */

  const slider = document.getElementById("slider");
  if (slider) past(slider);

  function past(slider) {
    const stops = JSON.parse(document.getElementById("slider-stops").textContent);
    const today = stops.length - 1;
    const said = document.getElementById("slider-said");
    const shown = document.getElementById("slider-day");
    const pages = new Map(); // address -> parsed page
    let wanted = 0;
    let timer;
    for (const hidden of document.querySelectorAll(".time [data-needs-script]")) hidden.hidden = false;

    const address = (index) => {
      const url = new URL(location.href);
      url.hash = "";
      for (const name of ["as_of", "since", "lang"]) url.searchParams.delete(name);
      if (index !== today) url.searchParams.set("as_of", stops[index].day);
      return url;
    };

    const name = (index) => {
      shown.textContent = stops[index].written;
      slider.setAttribute("aria-valuetext", stops[index].written);
    };

    async function load(url) {
      if (pages.has(url.href)) return pages.get(url.href);
      const answer = await fetch(url, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html"); // runs nothing
      if (pages.size > 60) pages.clear();
      pages.set(url.href, page);
      return page;
    }

    async function show(index) {
      wanted += 1;
      const mine = wanted;
      const url = address(index);
      document.querySelector(".time").classList.add("is-busy");
      try {
        const page = await load(url);
        if (mine !== wanted) return; // a later wish is on its way
        if (cx.layers?.hotspots && cx.layers.hotspots.spec.kind !== "signs") return void location.assign(url);
        place(page);
        history.replaceState(null, "", url);
        said.textContent = document.querySelector(".time-head").textContent.replace(/\s+/g, " ").trim();
      } catch {
        if (mine === wanted) said.textContent = t("This day could not be loaded. Try again.");
      } finally {
        if (mine === wanted) document.querySelector(".time").classList.remove("is-busy");
      }
    }

    slider.addEventListener("input", () => {
      name(Number(slider.value));
      clearTimeout(timer);
      timer = setTimeout(() => show(Number(slider.value)), 180);
    });
    document.querySelector(".time").addEventListener("click", (event) => {
      const link = event.target.closest("a[data-step]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      const day = new URL(link.href).searchParams.get("as_of");
      slider.value = String(day ? stops.findIndex((stop) => stop.day === day) : today);
      name(Number(slider.value));
      show(Number(slider.value)).then(() => {
        const again = document.querySelector(`.time a[data-step="${link.dataset.step}"]`);
        (again || slider).focus();
      });
    });
  }

  /** Puts what another page says of its day in the place of what this page says. */
  function place(page) {
    const table = document.getElementById("hotspots");
    const sorted = table?.querySelector("th[aria-sort=ascending], th[aria-sort=descending]");
    for (const old of document.querySelectorAll("[data-past]")) {
      const fresh = page.querySelector(`[data-past="${CSS.escape(old.dataset.past)}"]`);
      if (fresh) old.replaceChildren(...document.importNode(fresh, true).childNodes);
    }
    const rows = page.getElementById("hotspots");
    table.tBodies[0].replaceChildren(...document.importNode(rows.tBodies[0], true).rows);
    table.caption.replaceChildren(...document.importNode(rows.caption, true).childNodes);
    resort(table, sorted);
    const away = page.querySelector("[data-past-rows]").classList.contains("is-away");
    const box = document.querySelector("[data-past-rows]");
    const back = box.classList.contains("is-away") && !away;
    box.classList.toggle("is-away", away);
    for (const selector of ["#as_of"]) document.querySelector(selector).value = page.querySelector(selector).value;
    keepDay(page);
    document.querySelector(".languages").replaceChildren(...document.importNode(page.querySelector(".languages"), true).childNodes);
    const entry = cx.layers?.hotspots;
    if (!entry) return;
    const { features } = JSON.parse(page.getElementById("map-data").textContent).layers.hotspots;
    if (!features) return;
    cx.map.closePopup();
    const count = cx.signs(cx.map, entry, { features });
    cx.map.getContainer().setAttribute("data-drawn-hotspots", String(count));
    if (back) document.querySelector("[data-map-do=home]").click();
    cx.placeNames?.();
  }

  /** The form of choices keeps the day that is shown. */
  function keepDay(page) {
    const form = document.getElementById("choices");
    form.querySelector("input[name=as_of]")?.remove();
    const held = page.querySelector("#choices input[name=as_of]");
    if (held) form.prepend(document.importNode(held, true));
    const clear = form.querySelector(".clear");
    const fresh = page.querySelector("#choices .clear");
    if (clear && fresh) clear.href = fresh.getAttribute("href");
  }

  /** The rows in the order that the reader had chosen. */
  function resort(table, header) {
    if (!header || (header.cellIndex === 1 && header.getAttribute("aria-sort") === "ascending")) return;
    const direction = header.getAttribute("aria-sort");
    const first = header.dataset.sort === "number" ? "descending" : "ascending";
    header.setAttribute("aria-sort", direction === first ? "none" : first);
    header.querySelector("button").click();
  }

  /* --- before and after: one picture over the other, divided by a range --- */

  for (const figure of document.querySelectorAll("[data-compare]")) {
    const range = figure.querySelector("input[type=range]");
    const set = () => {
      figure.style.setProperty("--seen", `${range.value}%`);
      range.setAttribute("aria-valuetext", t("{share} per cent of the picture from before", { share: range.value }));
    };
    range.addEventListener("input", set);
    figure.classList.add("is-one");
    for (const hidden of figure.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
    set();
  }
})();
