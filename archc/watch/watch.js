"use strict";
(() => {
  const element = (name) => document.getElementById(name);
  let shown = "";

  const status = (words, state) => {
    element("status").textContent = words;
    element("status").dataset.state = state;
  };

  const draw = (text) => {
    if (text === shown) {
      return;
    }
    shown = text;
    const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    element("frame").replaceChildren(...(text ? [document.importNode(parsed, true)] : []));
  };

  const complain = (faults) => {
    const section = element("faults");
    section.replaceChildren(...faults.map((fault) => {
      const block = document.createElement("pre");
      block.tabIndex = 0;
      block.textContent = fault;
      return block;
    }));
    section.hidden = faults.length === 0;
  };

  const events = new EventSource("/events");
  events.onmessage = (event) => {
    const state = JSON.parse(event.data);
    const broken = state.faults.length > 0;
    document.title = `${broken ? "\u26a0 " : ""}${state.title} - archc watch`;
    element("title").textContent = state.title;
    element("totals").textContent = state.totals;
    draw(state.figure);
    complain(state.faults);
    element("frame").classList.toggle("stale", broken);
    const count = state.faults.length;
    status(broken ? `${count} mistake${count === 1 ? "" : "s"}` : "up to date", broken ? "bad" : "good");
    document.body.dataset.version = state.version;
  };
  events.onerror = () => status("archc watch has stopped; trying again", "bad");
})();
