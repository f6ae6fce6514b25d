/* Works on every page: words, tables that sort, forms that send themselves. Nothing needs it. */
"use strict";
(() => {
  const cx = (window.cangxanh = window.cangxanh || {});
  const words = JSON.parse(document.getElementById("i18n")?.textContent || "{}");

  /** The translation of an English text, with {name} filled in. */
  cx.t = (text, values = {}) =>
    (words[text] || text).replace(/\{(\w+)\}/g, (all, key) => (key in values ? String(values[key]) : all));

  const lang = document.documentElement.lang || "vi";
  const collator = new Intl.Collator(lang, { numeric: true, sensitivity: "variant" });
  const t = cx.t;

  /* --- sortable tables: <table data-sortable>, <th data-sort="text|number"><button>, <td data-v> --- */

  const keyOf = (row, index) => {
    const cell = row.cells[index];
    return cell?.dataset.v ?? cell?.textContent.trim() ?? "";
  };

  function compare(a, b, kind, sign) {
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1; // missing stays last both ways
    return sign * (kind === "number" ? Number(a) - Number(b) : collator.compare(a, b));
  }

  function sortTable(table, header, direction) {
    const index = header.cellIndex;
    const body = table.tBodies[0];
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row, place) => ({ row, place, key: keyOf(row, index) }));
    rows.sort((a, b) => compare(a.key, b.key, header.dataset.sort, sign) || a.place - b.place);
    body.append(...rows.map((item) => item.row));
    for (const other of table.tHead.rows[table.tHead.rows.length - 1].cells) {
      if (other.dataset.sort) other.setAttribute("aria-sort", other === header ? direction : "none");
    }
    const status = document.getElementById(table.dataset.status);
    if (status) {
      const column = header.textContent.trim();
      status.textContent =
        direction === "ascending"
          ? t("Sorted by {column}, smallest first", { column })
          : t("Sorted by {column}, largest first", { column });
    }
  }

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    table.tHead.addEventListener("click", (event) => {
      const header = event.target.closest("button") && event.target.closest("th[data-sort]");
      if (!header) return;
      const now = header.getAttribute("aria-sort");
      const first = header.dataset.sort === "number" ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      sortTable(table, header, now === first ? second : first);
    });
  }

  /* --- forms that send themselves when a choice changes --- */

  const FOCUS = "cangxanh-focus";

  function send(form, from) {
    // the page comes anew: the reader stays at the control that was used
    sessionStorage.setItem(FOCUS, JSON.stringify([location.pathname, from.name, from.type === "radio" ? from.value : ""]));
    form.requestSubmit();
  }

  const [page, name, value] = JSON.parse(sessionStorage.getItem(FOCUS) || "[]");
  sessionStorage.removeItem(FOCUS);
  if (page === location.pathname && name) {
    const again = [...document.getElementsByName(name)].find((item) => !value || item.value === value);
    if (again?.type !== "date") again?.focus({ preventScroll: true });
  }

  for (const form of document.querySelectorAll("form[data-auto]")) {
    form.classList.add("is-auto");
    form.addEventListener("change", (event) => {
      if (event.target.matches("select, input[type=radio], input[type=checkbox]")) send(form, event.target);
    });
    for (const day of form.querySelectorAll("input[type=date]")) {
      // each part of a date typed by keyboard is a change: only a whole date, left behind, is sent
      const before = day.value;
      day.addEventListener("blur", () => {
        if (day.value !== before && day.validity.valid) send(form, day);
      });
    }
  }

  /* --- the bar of work places shows the one where the reader is, also where it does not fit --- */

  const here = document.querySelector(".staff-bar [aria-current]");
  const bar = here?.closest("ul");
  if (bar && bar.scrollWidth > bar.clientWidth) bar.scrollLeft = here.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2;

  /* --- the menu on small screens closes with Escape and by a click beside it --- */

  const menu = document.querySelector("details.menu");
  if (menu) {
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.open) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    });
    document.addEventListener("click", (event) => {
      if (menu.open && !menu.contains(event.target)) menu.open = false;
    });
  }

  /* --- print opens every folded explanation, so that paper shows what the screen can --- */

  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const item of opened) item.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const item of opened) item.open = false;
  });
})();
