/* The page of one case: a sampling's table grows, the choices of limits follow what was sampled, errors
   get the focus. Every form works without it. */
"use strict";
(() => {
  const t = window.cangxanh.t;

  document.querySelector("[data-focus]")?.focus();

  /* --- a new empty line when the last one is used --- */

  for (const table of document.querySelectorAll("table[data-grow]")) {
    table.addEventListener("input", (event) => {
      const body = table.tBodies[0];
      const last = body.rows[body.rows.length - 1];
      if (!last.contains(event.target) || body.rows.length >= 60) return;
      const copy = last.cloneNode(true);
      const n = String(body.rows.length + 1);
      for (const input of copy.querySelectorAll("input")) {
        input.value = "";
        input.removeAttribute("aria-invalid");
        input.removeAttribute("aria-describedby");
        input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+$/, n));
        if (input.id) input.id = input.id.replace(/\d+$/, String(body.rows.length));
      }
      copy.querySelector(".field-error")?.remove();
      body.append(copy);
    });
  }

  /* --- only the kinds of limits that exist for what was sampled --- */

  for (const medium of document.querySelectorAll("select[data-medium]")) {
    const form = medium.closest("form");
    const update = () => {
      for (const select of form.querySelectorAll("select[data-choice]")) {
        let some = false;
        for (const option of select.options) {
          const fits = !option.value || (option.dataset.media || "").split(" ").includes(medium.value);
          option.hidden = option.disabled = !fits;
          if (!fits && option.selected) select.value = "";
          some = some || (fits && Boolean(option.value));
        }
        select.closest(".form-field").hidden = !some;
      }
    };
    medium.addEventListener("change", update);
    update();
  }

  /* --- a form that is not the answer to its button: a second click sends nothing twice --- */

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    if (form.method === "post") form.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  /* --- leaving with something typed asks first --- */

  const watched = document.querySelector("form[data-unsaved]");
  if (watched) {
    let changed = false;
    watched.addEventListener("input", () => {
      changed = true;
    });
    watched.addEventListener("submit", () => {
      changed = false;
    });
    window.addEventListener("beforeunload", (event) => {
      if (changed) event.preventDefault();
    });
    watched.dataset.unsaved = t("Not saved yet");
  }
})();
