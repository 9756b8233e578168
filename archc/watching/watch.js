(() => {
  const element = (name) => document.getElementById(name);
  const frame = element("frame");
  let state = null;
  let asked = null;  // whether the reader wants it folded, once that was chosen
  let shown = "";
  let chosen = "";

  const status = (words, kind) => {
    element("status").textContent = words;
    element("status").dataset.state = kind;
  };

  const figure = archcFigure(frame, element("fit"), {
    chosen: (part) => {
      chosen = part.id;
      for (const one of frame.querySelectorAll(".marked")) {
        one.classList.remove("marked");
      }
      part.classList.add("marked");
      element("details").hidden = false;
      element("details").replaceChildren(...figure.tooltip(part).map((line) =>
        archcUnbroken(document.createElement("p"), line)));
    },
    entered: () => false,
    label: (part, [name]) => {
      const words = part.querySelector(":scope > text")?.textContent;
      return words ? `${words}: ${name}` : name;
    },
  });

  const fault = () => (state?.mark ? document.getElementById(state.fault_id) : null);

  // What is wrong stands beside its box, or below the figure where there is no room.
  const place = () => {
    const [mark, box] = [element("mark"), fault()?.querySelector("rect")];
    mark.hidden = !state?.mark;
    if (!box) {
      return;
    }
    const [there, around] = [box.getBoundingClientRect(), frame.parentNode.getBoundingClientRect()];
    // Curves at the height of the message reach past the box.
    const near = [...frame.querySelectorAll("path, text")]
      .map((part) => part.getBoundingClientRect())
      .filter((part) => part.bottom > there.top - 48 && part.top < there.bottom + 48);
    const edge = Math.max(there.right, ...near.map((part) => part.right));
    const room = Math.min(around.right, innerWidth) - edge - 32;
    const beside = room > 220;
    mark.classList.toggle("beside", beside);
    mark.style.left = beside ? `${edge - around.left + 16}px` : "";
    mark.style.top = beside ? `${(there.top + there.bottom) / 2 - around.top}px` : "";
    mark.style.maxWidth = beside ? `${Math.min(room, 480)}px` : "";
  };
  new ResizeObserver(place).observe(frame);
  frame.addEventListener("scroll", place);

  const draw = (text) => {
    if (text !== shown) {
      shown = text;
      figure.show(text ? archcParse(text) : null);
      const part = figure.part(chosen);
      if (part) {
        figure.stop(part);
        part.classList.add("marked");
      } else {
        element("details").hidden = true;
      }
    }
    const box = fault();
    if (box) {
      box.classList.add("fault");
      box.querySelector("title").textContent = state.mark;
      box.setAttribute("aria-label", state.mark);
    }
    element("mark").textContent = state.mark;
    place();
  };

  const show = async () => {
    const current = state;
    const folded = asked !== null && state.folds ? asked : state.folded;
    let text = state.figure;
    if (folded !== state.folded) {
      const answer = await fetch(`/figure/${folded ? "folded" : "unfolded"}.svg`);
      text = await answer.text();
      if (!answer.ok || state !== current) {
        return;
      }
    }
    element("fold").setAttribute("aria-pressed", String(folded));
    const had = shown && document.querySelector(".fault");
    draw(text);
    if (!had && fault()) {
      fault().scrollIntoView({ block: "nearest" });
      element("mark").scrollIntoView({ block: "nearest" });
    }
  };

  element("fold").addEventListener("click", () => {
    asked = element("fold").getAttribute("aria-pressed") !== "true";
    show();
  });

  const save = async (format) => {
    const folded = element("fold").getAttribute("aria-pressed") === "true" && state.folds;
    const answer = await fetch(`/figure/${folded ? "folded" : "unfolded"}.${format}`);
    if (!answer.ok) {
      status(`not saved: ${await answer.text()}`, "bad");
      return;
    }
    const name = `${state.name}${folded ? "-folded" : ""}.${format}`;
    archcSave(await answer.blob(), answer.headers.get("Content-Type"), name);
  };

  const offer = () => {
    element("tools").hidden = !state.figure;
    element("fold").hidden = !state.folds;
    element("save").hidden = state.faults.length > 0;
    if (!element("save").querySelector("button")) {
      element("save").append(...state.saves.map(([format, label]) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.format = format;
        button.textContent = label;
        button.setAttribute("aria-label", `Save as ${label}`);
        button.addEventListener("click", () => save(format));
        return button;
      }));
    }
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
      state = JSON.parse(event.data);
      const count = state.faults.length;
      document.title = `${count ? "\u26a0 " : ""}${state.title} - archc watch`;
      element("title").textContent = state.title;
      archcUnbroken(element("totals"), state.totals);
      complain(state.faults);
      frame.classList.toggle("stale", state.stale);
      element("old").hidden = !state.stale;
      offer();
      show();
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
