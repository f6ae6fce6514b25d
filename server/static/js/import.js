/* A file dropped or chosen is sent in pieces, with a bar; a line that breaks goes on where it stopped.
   Without this script the form sends the file as a whole. */
"use strict";
(() => {
  const cx = window.cangxanh;
  const t = cx.t;
  const form = document.querySelector("[data-import-door]");
  if (!form) return;
  const part = (name) => form.querySelector(`[data-${name}]`);
  const field = form.querySelector("input[type=file]");
  const drop = part("drop");
  const sending = part("sending");
  const words = part("sending-words");
  const bar = part("sending-bar");
  const csrf = () => document.querySelector("meta[name=csrf]").content;
  const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
  let stopped = null;

  for (const hidden of form.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  form.classList.add("is-live");

  const show = (text, wrong = false) => {
    sending.hidden = false;
    sending.classList.toggle("is-wrong", wrong);
    words.textContent = text;
  };

  /** The first reason why a file cannot be taken, before a byte of it is sent. */
  function wrong(files) {
    const file = files[0];
    if (!file) return t("Choose a file first.");
    if (files.length > 1 || /\.(shp|shx|dbf|prj|cpg)$/i.test(file.name)) {
      return /\.(shp|shx|dbf|prj|cpg)$/i.test(file.name)
        ? t("A Shapefile is several files: put .shp, .shx, .dbf and .prj into one zip and send that.")
        : t("One file at a time, please.");
    }
    const suffix = `.${file.name.split(".").pop().toLowerCase()}`;
    if (!form.dataset.suffixes.split(" ").includes(suffix)) {
      return t("Files ending in “{suffix}” are not read.", { suffix });
    }
    if (file.size === 0) return t("The file is empty. Choose it again.");
    if (file.size > Number(form.dataset.most)) {
      return t("The file has {size} MB; up to {limit} MB are taken.", {
        size: number.format(file.size / 1e6), limit: number.format(Number(form.dataset.most) / 1e6) });
    }
    return "";
  }

  async function ask(method, url, body, type) {
    const answer = await fetch(url, { method, body, signal: stopped.signal,
      headers: { "X-CSRF": csrf(), Accept: "application/json", "Content-Type": type } });
    let said = {};
    try {
      said = await answer.json();
    } catch {
      /* a page of the server before ours: the status says enough */
    }
    if (answer.ok) return said;
    const error = new Error(said.message || t("The server answered {status}. Open the page again.", { status: answer.status }));
    error.have = said.have;
    error.ours = answer.status < 500;
    throw error;
  }

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  async function send(file) {
    stopped = new AbortController();
    const layer = form.querySelector("[name=layer]").value;
    const { pieces, piece_bytes: size } = await ask("POST", "/admin/import/begin",
      JSON.stringify({ name: file.name, size: file.size, layer }), "application/json");
    let at = 0;
    let tries = 0;
    while (at < file.size) {
      bar.value = at / file.size;
      show(t("Sending {name}: {share} of {size} MB", {
        name: file.name, share: percent.format(at / file.size), size: number.format(file.size / 1e6) }));
      try {
        const said = await ask("PUT", `${pieces}?at=${at}`, file.slice(at, at + size), "application/octet-stream");
        at = said.have;
        tries = 0;
        if (said.page) return location.assign(said.page);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        if (Number.isInteger(error.have) && error.have !== at) {
          at = error.have; // a piece that broke off: on from where the server is
        } else if (error.ours || ++tries > 6) {
          throw error;
        } else {
          show(t("The line is broken; trying again …"));
          await pause(1000 * 2 ** tries);
        }
      }
    }
    return location.assign("/admin/import");
  }

  const chosen = part("chosen");
  const none = chosen.textContent;
  field.addEventListener("change", () => {
    chosen.textContent = field.files[0] ? `${field.files[0].name} (${number.format(field.files[0].size / 1e6)} MB)` : none;
  });

  async function start(files) {
    const reason = wrong(files);
    if (reason) {
      bar.hidden = true;
      part("sending-stop").hidden = true;
      show(reason, true);
      field.setAttribute("aria-invalid", "true");
      return field.focus();
    }
    field.removeAttribute("aria-invalid");
    bar.hidden = part("sending-stop").hidden = false;
    bar.value = 0;
    form.classList.add("is-sending");
    try {
      await send(files[0]);
    } catch (error) {
      form.classList.remove("is-sending");
      bar.hidden = part("sending-stop").hidden = true;
      show(error.name === "AbortError" ? t("Stopped. Nothing was written.") : error.message, error.name !== "AbortError");
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start(field.files);
  });
  part("sending-stop").addEventListener("click", () => stopped?.abort());

  let depth = 0;
  const over = (on) => drop.classList.toggle("is-over", on);
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) over(++depth > 0);
  });
  document.addEventListener("dragleave", () => over((depth = Math.max(0, depth - 1)) > 0));
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    depth = 0;
    over(false);
    if (form.classList.contains("is-sending")) return;
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change"));
    start(event.dataTransfer.files);
  });
})();
