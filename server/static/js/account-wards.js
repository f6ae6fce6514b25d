/* Choosing wards: a filter as you type, whole groups at once, a count. Without it every ward is there to tick. */
"use strict";
(() => {
  const box = document.querySelector("[data-wards]");
  if (!box) return;
  const t = window.cangxanh.t;
  const find = box.querySelector("#ward-find");
  const groups = [...box.querySelectorAll(".ward-group")];
  const labels = [...box.querySelectorAll(".ward-list label")];
  const count = box.querySelector("[data-count]");
  const none = box.querySelector(".ward-none");
  const bare = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replace(/đ/gi, "d").toLowerCase();
  const keys = new Map(labels.map((label) => [label, bare(label.textContent + " " + label.firstElementChild.value)]));

  function tell() {
    const chosen = labels.filter((label) => label.firstElementChild.checked);
    const names = chosen.slice(0, 12).map((label) => label.textContent.trim());
    if (chosen.length > names.length) names.push("…");
    count.textContent =
      t("{n} of {all} wards ticked", { n: chosen.length, all: labels.length }) +
      (names.length ? ": " + names.join(", ") : "");
  }

  function sift() {
    const words = bare(find.value).split(/\s+/).filter(Boolean);
    for (const label of labels) label.hidden = !words.every((word) => keys.get(label).includes(word));
    for (const group of groups) group.hidden = !group.querySelector("label:not([hidden])");
    none.hidden = groups.some((group) => !group.hidden);
  }

  function chooseWards() {
    box.querySelector('[name="where"][value="wards"]').checked = true;
    tell();
  }

  box.querySelector(".ward-tools").hidden = false;
  find.addEventListener("input", sift);
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      const shown = labels.filter((label) => !label.hidden);
      if (shown.length !== 1 || !find.value.trim()) return;
      shown[0].firstElementChild.checked = !shown[0].firstElementChild.checked;
      chooseWards();
      find.select();
    } else if (event.key === "Escape" && find.value) {
      event.preventDefault();
      find.value = "";
      sift();
    }
  });
  box.addEventListener("change", (event) => {
    if (event.target.name === "wards") chooseWards();
  });
  for (const group of groups) {
    const all = group.querySelector("[data-all]");
    all.hidden = false;
    all.addEventListener("click", () => {
      const boxes = [...group.querySelectorAll("label:not([hidden]) input")];
      const on = boxes.some((item) => !item.checked);
      for (const item of boxes) item.checked = on;
      chooseWards();
    });
  }
  tell();
})();
