/* The page of a code: copying and printing. */
"use strict";
(() => {
  const t = window.cangxanh.t;
  for (const hidden of document.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (button?.matches("[data-print]")) window.print();
    if (!button?.matches("[data-copy]")) return;
    const status = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      status.textContent = t("Copied");
    } catch {
      status.textContent = button.dataset.copy; // not allowed here: to be copied by hand
    }
  });
})();
