"use strict";
// What pages with a figure share: text whose numbers are not broken, files, and the figure itself,
// whose parts are reached by pointer and keyboard and which is as wide as its frame or as drawn.

// A number with the words of its unit, not the digits inside of a name; and words with a hyphen.
const archcNumber = /(?<![\w.])\d[\d.,x]*(?: ?[%\p{L}][\p{L}-]*){0,2}|\p{L}+-\p{L}+/gu;

const archcUnbroken = (element, text) => {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(archcNumber)) {
    const number = document.createElement("span");
    number.className = "unbroken";
    number.textContent = found[0];
    parts.push(text.slice(end, found.index), number);
    end = found.index + found[0].length;
  }
  element.replaceChildren(...parts, text.slice(end));
  return element;
};

const archcParse = (svg) => {
  const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  parsed.setAttribute("role", "group");  // of parts, not an image
  return document.importNode(parsed, true);
};

const archcSave = (data, type, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};

// `chosen` is told of a part that is pointed at or reached, `entered` of Enter on it, `label` says
// what it is called. All parts together are one stop of the Tab key.
const archcFigure = (frame, fit, { chosen, entered, label }) => {
  let columns = [];
  let parts = [];
  let asked = null;  // whether the reader wants it to fit, once there was a choice

  const tooltip = (part) => part.querySelector(":scope > title").textContent.split("\n");

  // What has a tooltip is a part, whatever groups it lies in; not a group around others.
  const found = () => [...frame.querySelectorAll("svg g > title")]
    .map((title) => title.parentNode)
    .filter((group) => !group.querySelector(":scope g > title"));

  const read = () => {
    const places = new Map(found().map((part) => [part, part.getBoundingClientRect()]));
    const before = (one, other) => {
      const [a, b] = [places.get(one), places.get(other)];
      return Math.abs(a.top - b.top) > 0.5 ? a.top - b.top : a.left - b.left;
    };
    parts = [...places.keys()].sort(before);
    const named = new Map();
    for (const part of parts) {
      const name = part.id.split("-", 1)[0];
      named.set(name, [...(named.get(name) ?? []), part]);
    }
    const left = (column) => Math.min(...column.map((part) => places.get(part).left));
    columns = [...named.values()].sort((one, other) => left(one) - left(other));
    for (const part of parts) {
      part.setAttribute("role", "button");
      part.setAttribute("aria-label", label(part, tooltip(part)));
      part.setAttribute("tabindex", "-1");
    }
    stop(parts[0]);
  };

  const stop = (part) => {
    frame.querySelector("[role=button][tabindex='0']")?.setAttribute("tabindex", "-1");
    part?.setAttribute("tabindex", "0");
  };

  const go = (part) => {
    stop(part);
    part.focus();
  };

  // Beside a part in its own column, or the part of the next column that is nearest in height.
  const beside = (part, way) => {
    const here = part.getBoundingClientRect();
    const column = columns.findIndex((one) => one.includes(part));
    const gap = (there) => (way > 0 ? there.left - here.right : here.left - there.right);
    const near = columns[column]
      .map((one) => [one, one.getBoundingClientRect()])
      .filter(([, there]) => gap(there) > -1 && there.top < here.bottom && there.bottom > here.top)
      .sort(([, one], [, other]) => gap(one) - gap(other));
    if (near.length) {
      return near[0][0];
    }
    const far = (one) => Math.abs(one.getBoundingClientRect().top - here.top);
    return columns[column + way]?.reduce((best, one) => (far(one) < far(best) ? one : best));
  };

  const next = (part, key) => {
    const column = columns.find((one) => one.includes(part));
    switch (key) {
      case "ArrowDown": return column[column.indexOf(part) + 1];
      case "ArrowUp": return column[column.indexOf(part) - 1];
      case "Home": return column[0];
      case "End": return column[column.length - 1];
      case "ArrowLeft": return beside(part, -1);
      case "ArrowRight": return beside(part, 1);
      default: return undefined;
    }
  };

  const partOf = (event) => event.target.closest?.("[role=button]");

  // Where the page scrolls under a pointer that rests, nothing is pointed at.
  let pointer = "";
  const placeOf = (event) => `${event.screenX} ${event.screenY}`;
  frame.addEventListener("pointerover", (event) => {
    const part = partOf(event);
    if (part && placeOf(event) !== pointer) {
      chosen(part);
    }
  });
  for (const kind of ["pointerover", "pointermove", "pointerdown"]) {
    window.addEventListener(kind, (event) => { pointer = placeOf(event); });
  }
  frame.addEventListener("focusin", (event) => {
    const part = partOf(event);
    if (part) {
      chosen(part);
      part.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  });
  frame.addEventListener("click", (event) => {
    const part = partOf(event);
    if (part) {
      go(part);
    }
  });
  frame.addEventListener("keydown", (event) => {
    const part = partOf(event);
    if (!part || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    if (event.key === "Enter" || event.key === " ") {
      if (entered(part)) {
        event.preventDefault();
      }
      return;
    }
    const other = next(part, event.key);
    if (other) {
      event.preventDefault();
      go(other);
    }
  });

  // Without being asked it fits where that takes a fifth of its size at most: text stays legible.
  const size = () => {
    const svg = frame.querySelector("svg");
    const room = frame.clientWidth;
    if (!svg || !room) {
      return;
    }
    const width = svg.width.baseVal.value;
    const fits = asked ?? room >= 0.8 * width;
    frame.classList.toggle("fit", fits);
    fit.hidden = room >= width;
    fit.setAttribute("aria-pressed", String(fits));
  };
  fit.addEventListener("click", () => {
    asked = !frame.classList.contains("fit");
    size();
  });
  new ResizeObserver(size).observe(frame);

  return {
    read: () => { size(); read(); },
    // The part that has the focus keeps it where it is in the new figure, too.
    show: (svg) => {
      const focus = frame.contains(document.activeElement) ? document.activeElement.id : "";
      frame.replaceChildren(...(svg ? [svg] : []));
      size();
      read();
      const part = parts.find((one) => one.id === focus);
      if (part) {
        stop(part);
        part.focus({ preventScroll: true });
      }
    },
    stop,
    go,
    tooltip,
    part: (id) => parts.find((part) => part.id === id),
  };
};
