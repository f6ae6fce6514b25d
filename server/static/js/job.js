/* Looks how far a long piece of work is, and goes on when it is done. Without it the page is looked at again by hand. */
"use strict";
(() => {
  const { t } = window.cangxanh;
  for (const box of document.querySelectorAll("[data-job]")) watch(box);

  function watch(box) {
    const part = (name) => box.querySelector(`[data-job-${name}]`);
    const bar = box.querySelector("progress");
    let pause = 400;

    function show(job) {
      box.dataset.state = job.state;
      if (part("words").textContent !== job.words) part("words").textContent = job.words;
      bar.value = job.share;
      part("share").textContent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(job.share);
      part("stop").hidden = job.over;
      part("log").replaceChildren(
        ...job.log.map((line) => {
          const item = document.createElement("li");
          item.textContent = `${line.when} ${line.text}`;
          return item;
        }),
      );
      if (!job.over) return;
      if (job.state === "done" && box.dataset.then) {
        location.replace(box.dataset.then);
      } else {
        const back = part("back");
        back.hidden = job.state === "done" || !back.getAttribute("href");
      }
    }

    async function look() {
      try {
        const answer = await fetch(`/jobs/${box.dataset.job}.json`, { headers: { Accept: "application/json" } });
        if (answer.redirected || answer.status === 404) return location.reload();
        const job = await answer.json();
        show(job);
        if (job.over) return;
        pause = Math.min(pause * 1.2, 2000);
      } catch {
        part("words").textContent = t("The server does not answer; trying again …");
        pause = 4000;
      }
      setTimeout(look, pause);
    }

    part("stop").addEventListener("submit", async (event) => {
      event.preventDefault();
      const form = event.target;
      const answer = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        headers: { Accept: "application/json" },
      });
      if (answer.ok) show(await answer.json());
    });
    look();
  }
})();
