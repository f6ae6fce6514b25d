/* The form of one row: what was changed is marked, leaving with something unsaved asks first, nothing is sent twice. */
"use strict";
(() => {
  const t = window.cangxanh.t;
  document.querySelector("[data-focus]")?.focus();
  const form = document.querySelector("form[data-unsaved]");
  if (!form) return;
  const note = form.querySelector("[data-unsaved-note]");
  const fields = [...form.querySelectorAll("[data-was]")];
  const same = (field) => field.value.replace(/\r\n/g, "\n") === field.dataset.was.replace(/\r\n/g, "\n");
  let drawn = false; // the place was changed
  let other = false; // any other control was
  let sending = false;

  function look() {
    for (const field of fields) field.closest(".form-field").classList.toggle("is-changed", !same(field));
    const changed = drawn || other || fields.some((field) => !same(field));
    if (note) note.hidden = !changed;
    return changed;
  }

  form.addEventListener("input", (event) => {
    if (!event.target.dataset.was && event.target.name !== "reason") other = other || event.target.matches("[type=radio], [name=corners]");
    look();
  });
  form.addEventListener("change", look);
  form.addEventListener("layer-drawn", () => {
    drawn = true;
    look();
  });
  const button = form.querySelector(".save-bar button") || form.querySelector(".form-end button:not([type])");
  const label = button?.textContent;
  form.addEventListener("submit", (event) => {
    if (sending) event.preventDefault();
    sending = true;
    if (button) {
      button.setAttribute("aria-busy", "true");
      button.textContent = t("Saving…");
    }
  });
  window.addEventListener("pageshow", () => {
    sending = false;
    if (button) {
      button.removeAttribute("aria-busy");
      button.textContent = label;
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (!sending && look()) event.preventDefault();
  });
  if (document.querySelector(".error-box")) other = true; // what was typed is not saved yet
  look();

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      form.requestSubmit();
    }
  });
})();
