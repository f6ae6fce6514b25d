/* The rows of a layer by keyboard: / searches, arrows go from row to row and turn the pages. Nothing needs it. */
"use strict";
(() => {
  const links = [...document.querySelectorAll("table[data-list] tbody th a")];
  const search = document.querySelector("[data-list-search]");
  const typing = (node) => node.matches("input, select, textarea, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
      return;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const at = links.indexOf(document.activeElement);
      const next = links[event.key === "ArrowDown" ? at + 1 : Math.max(0, at - 1)];
      if (!next) return;
      event.preventDefault();
      next.focus();
      return;
    }
    const turn = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    const page = turn && document.querySelector(`.pager a[rel=${turn}]`);
    if (page && !event.target.closest(".table-region:not(:focus-within) *")) page.click();
  });
})();
