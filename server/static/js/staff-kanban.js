/* The board of cases: arrow keys walk over the cards, and a card may be dragged to a stage that it can
   reach. Dropping opens the form of that step; the case changes only when the form is sent. */
"use strict";
(() => {
  const t = window.cangxanh.t;
  const board = document.querySelector("[data-board]");
  if (!board) return;
  for (const hidden of document.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  const columns = [...board.querySelectorAll(".board-column")];
  const status = document.createElement("p");
  status.className = "visually-hidden";
  status.setAttribute("role", "status");
  board.before(status);

  /** The steps a card may take: stage -> address of the form. */
  const stepsOf = (card) => JSON.parse(card.dataset.steps || "{}");

  let held = null;

  function show(card) {
    const steps = card ? stepsOf(card) : {};
    board.classList.toggle("is-moving", Boolean(card));
    for (const column of columns) {
      column.classList.toggle("may-take", column.dataset.stage in steps);
      column.classList.remove("takes");
    }
  }

  for (const card of board.querySelectorAll(".board-card")) {
    if (!Object.keys(stepsOf(card)).length) continue;
    card.draggable = true;
    card.addEventListener("dragstart", (event) => {
      held = card;
      event.dataTransfer.setData("text/plain", card.dataset.code);
      event.dataTransfer.effectAllowed = "move";
      card.classList.add("is-held");
      show(card);
    });
    card.addEventListener("dragend", () => {
      card.classList.remove("is-held");
      held = null;
      show(null);
    });
  }

  for (const column of columns) {
    column.addEventListener("dragover", (event) => {
      if (!held || !column.classList.contains("may-take")) return;
      event.preventDefault();
      column.classList.add("takes");
    });
    column.addEventListener("dragleave", (event) => {
      if (!column.contains(event.relatedTarget)) column.classList.remove("takes");
    });
    column.addEventListener("drop", (event) => {
      const address = held && stepsOf(held)[column.dataset.stage];
      if (!address) return;
      event.preventDefault();
      status.textContent = t("Opening the form of this step");
      location.assign(address);
    });
  }

  /* --- arrow keys: up and down in a column, left and right between columns --- */

  const cardsOf = (column) => [...column.querySelectorAll(".board-card > a")];

  board.addEventListener("keydown", (event) => {
    const here = document.activeElement.closest?.(".board-card > a");
    const move = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    const filled = columns.filter((column) => cardsOf(column).length);
    if (!here) {
      if (document.activeElement !== board) return;
      cardsOf(filled[0])[0]?.focus();
      event.preventDefault();
      return;
    }
    const column = here.closest(".board-column");
    const x = filled.indexOf(column) + move[0];
    const y = cardsOf(column).indexOf(here) + move[1];
    const target = filled[x] && cardsOf(filled[x]);
    const next = target?.[Math.max(0, Math.min(y, target.length - 1))];
    if (!next || (move[1] && y !== cardsOf(column).indexOf(next))) return;
    event.preventDefault();
    next.focus();
  });
})();
