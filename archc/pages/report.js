"use strict";
(() => {
  const figure = document.getElementById("figure");
  const details = document.getElementById("details");
  const rows = new Map();
  for (const row of document.querySelectorAll("tr[data-box]")) {
    if (!rows.has(row.dataset.box)) {
      rows.set(row.dataset.box, row);  // of the ops on a shortcut the first
    }
  }
  const height = (box) => box.getBoundingClientRect().top;
  const boxes = [...figure.querySelectorAll(".conv, .pool, .fc, .other, .shortcut")]
    .filter((box) => rows.has(box.id))
    .sort((one, other) => height(one) - height(other));
  const heads = (row) => [...row.closest("table").tHead.rows[0].cells].map((cell) => cell.textContent);
  const columnOf = (box) => box.id.split("-", 1)[0];
  const names = [...new Set(boxes.map(columnOf))].sort((one, other) => one.slice(1) - other.slice(1));
  const columns = names.map((name) => boxes.filter((box) => columnOf(box) === name));
  const titleOf = (row) => row.closest("section").dataset.title;
  let marked = [];

  // Side by side many networks would be too small to read: from here on the frame scrolls.
  const svg = figure.closest("svg");
  svg.style.minWidth = `${0.8 * svg.width.baseVal.value}px`;

  const show = (row) => {
    const name = document.createElement("p");
    name.className = "name";
    name.textContent = row.cells[0].textContent;
    const network = document.createElement("p");
    network.className = "of";
    network.textContent = titleOf(row);
    const list = document.createElement("dl");
    heads(row).slice(1).forEach((head, index) => {
      const text = row.cells[index + 1].textContent;
      if (text) {
        const term = document.createElement("dt");
        const value = document.createElement("dd");
        term.textContent = head;
        value.textContent = text;
        list.append(term, value);
      }
    });
    details.replaceChildren(network, name, list);
  };

  const mark = (box, scroll) => {
    const row = rows.get(box.id);
    for (const one of marked) {
      one.classList.remove("marked");
    }
    marked = row ? [box, row] : [box];
    for (const one of marked) {
      one.classList.add("marked");
    }
    if (row) {
      show(row);
      const frame = row.closest(".tall");
      frame.scrollTop = row.offsetTop - frame.clientHeight / 2;
    }
    if (scroll) {
      box.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  };

  const stop = (box) => {
    for (const one of boxes) {
      one.setAttribute("tabindex", one === box ? "0" : "-1");
    }
  };

  const neighbour = (box, key) => {
    const here = columns.findIndex((column) => column.includes(box));
    const column = columns[here];
    const place = column.indexOf(box);
    switch (key) {
      case "ArrowDown": return column[place + 1];
      case "ArrowUp": return column[place - 1];
      case "Home": return column[0];
      case "End": return column[column.length - 1];
      case "ArrowLeft":
      case "ArrowRight": {
        const other = columns[here + (key === "ArrowRight" ? 1 : -1)];
        return other && other.reduce((best, one) =>
          Math.abs(height(one) - height(box)) < Math.abs(height(best) - height(box)) ? one : best);
      }
      default: return undefined;
    }
  };

  for (const box of boxes) {
    const row = rows.get(box.id);
    box.setAttribute("role", "button");
    const words = box.querySelector("text")?.textContent ?? "shortcut";
    box.setAttribute("aria-label", `${words}: ${row.cells[0].textContent} of ${titleOf(row)}`);
    box.addEventListener("pointerenter", () => mark(box, false));
    box.addEventListener("focus", () => mark(box, true));
    box.addEventListener("click", () => { stop(box); box.focus(); });
  }
  if (boxes.length) {
    stop(boxes[0]);
  }

  figure.addEventListener("keydown", (event) => {
    const box = event.target.closest("[role=button]");
    if (!box || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    if (event.key === "Enter" || event.key === " ") {
      const row = rows.get(box.id);
      if (row) {
        event.preventDefault();
        row.scrollIntoView({ block: "center" });
        row.focus();
      }
      return;
    }
    const next = neighbour(box, event.key);
    if (next) {
      event.preventDefault();
      stop(next);
      next.focus();
    }
  });

  for (const row of document.querySelectorAll("tr[data-box]")) {
    const box = document.getElementById(row.dataset.box);
    const back = () => { stop(box); box.focus(); };
    row.addEventListener("click", () => mark(box, true));
    row.addEventListener("keydown", (event) => {
      if (event.key === "Escape" || event.key === "Enter") {
        event.preventDefault();
        back();
      }
    });
  }

  const theme = document.getElementById("theme");
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const name = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
})();
