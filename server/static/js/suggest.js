/* Names while somebody types in a search box: an ARIA combobox. Without it the form still works. */
"use strict";
(() => {
  const t = window.cangxanh.t;
  let made = 0;

  function combobox(input) {
    made += 1;
    const list = document.createElement("ul");
    list.id = `suggest-${made}`;
    list.className = "suggest";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", t("Places found"));
    list.hidden = true;
    const place = document.createElement("div");
    place.className = "suggest-place";
    input.before(place);
    place.append(input, list);
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", list.id]]) {
      input.setAttribute(name, value);
    }
    let chosen = -1;
    let timer;
    let waiting;

    const options = () => [...list.children];
    const close = () => {
      list.hidden = true;
      chosen = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const choose = (index) => {
      chosen = index;
      options().forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
      if (index < 0) input.removeAttribute("aria-activedescendant");
      else {
        input.setAttribute("aria-activedescendant", options()[index].id);
        options()[index].scrollIntoView({ block: "nearest" });
      }
    };
    const show = (hits) => {
      list.replaceChildren(
        ...hits.map((hit, i) => {
          const option = document.createElement("li");
          option.id = `${list.id}-${i}`;
          option.setAttribute("role", "option");
          option.setAttribute("aria-selected", "false");
          option.dataset.url = hit.url;
          const name = document.createElement("strong");
          name.textContent = hit.name;
          const kind = document.createElement("small");
          kind.textContent = hit.note ? `${hit.kind} · ${hit.note}` : hit.kind;
          option.append(name, kind);
          return option;
        }),
      );
      if (!hits.length) return close();
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      choose(-1);
    };
    const ask = async () => {
      waiting?.abort();
      const text = input.value.trim();
      if (text.length < 2) return close();
      waiting = new AbortController();
      try {
        const answer = await fetch(`/api/suggest?q=${encodeURIComponent(text)}`, { signal: waiting.signal });
        if (answer.ok && document.activeElement === input) show(await answer.json());
      } catch (error) {
        if (error.name !== "AbortError") close(); // the line is down: the form still sends
      }
    };
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 120);
    });
    input.addEventListener("keydown", (event) => {
      const count = list.hidden ? 0 : options().length;
      if (event.key === "ArrowDown" && count) choose((chosen + 1) % count);
      else if (event.key === "ArrowUp" && count) choose((chosen - 1 + count) % count);
      else if (event.key === "Escape" && count) close();
      else if (event.key === "Enter" && chosen >= 0) location.assign(options()[chosen].dataset.url);
      else return;
      event.preventDefault();
    });
    list.addEventListener("pointerdown", (event) => {
      const option = event.target.closest("[role=option]");
      if (!option) return;
      event.preventDefault();
      location.assign(option.dataset.url);
    });
    input.addEventListener("blur", close);
  }

  for (const input of document.querySelectorAll('form[action="/search"] input[name="q"]')) combobox(input);
})();
