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

  const follow = () => {
    const events = new EventSource("/events");
    events.onmessage = (event) => {
      const state = JSON.parse(event.data);
      const count = state.faults.length;
      document.title = `${count ? "\u26a0 " : ""}${state.title} - archc watch`;
      element("title").textContent = state.title;
      element("totals").textContent = state.totals;
      draw(state.figure);
      complain(state.faults);
      element("frame").classList.toggle("stale", count > 0);
      status(count ? `${count} mistake${count === 1 ? "" : "s"}` : "up to date", count ? "bad" : "good");
    };
    events.onerror = () => status("archc watch has stopped; trying again", "bad");
    return events;
  };

  // A browser keeps six streams open at once: pages that nobody looks at give theirs back.
  let events = document.hidden ? null : follow();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && events) {
      events.close();
      events = null;
    } else if (!document.hidden && !events) {
      events = follow();
    }
  });
})();
