(() => {
  const element = (id) => document.getElementById(id);
  const [frame, details, fold] = ["figure-frame", "details", "fold"].map(element);
  const heads = (row) => [...row.closest("table").tHead.rows[0].cells].map((cell) => cell.textContent);
  const titleOf = (row) => row.closest("section").dataset.title;
  const rows = [...document.querySelectorAll("tr[data-box], tr[data-folded]")];
  const firsts = new Map();
  let folded = fold.getAttribute("aria-pressed") === "true";
  let marked = [];
  let selected = null;

  // Which part of the figure shows a row's op, and the first row that a part shows.
  const shownBy = (row) => (folded ? row.dataset.folded : row.dataset.box);
  const rowOf = (part) => {
    if (!firsts.has(folded)) {
      const found = new Map();
      for (const row of rows) {
        if (!found.has(shownBy(row))) {
          found.set(shownBy(row), row);
        }
      }
      firsts.set(folded, found);
    }
    return firsts.get(folded).get(part.id);
  };
  const nameOf = (row) => row.cells[0].textContent;

  const paragraph = (kind, text) => {
    const made = document.createElement("p");
    made.className = kind;
    return archcUnbroken(made, text);
  };

  const ofRow = (row) => {
    const list = document.createElement("dl");
    heads(row).slice(1).forEach((head, index) => {
      const text = row.cells[index + 1].textContent;
      if (text) {
        const pair = document.createElement("div");
        const [term, value] = ["dt", "dd"].map((name) => document.createElement(name));
        pair.append(archcUnbroken(term, head), archcUnbroken(value, text));
        list.append(pair);
      }
    });
    return [paragraph("of", titleOf(row)), paragraph("name", nameOf(row)), list];
  };

  // A box is told as its row is; what has no row of its own by its tooltip.
  const show = (part, row) => {
    if (!part && !row) {
      details.replaceChildren(paragraph("none", "Nothing selected."));
      return;
    }
    const [name, ...facts] = part ? figure.tooltip(part) : [];
    if (row && (!part || row !== rowOf(part) || name === nameOf(row))) {
      details.replaceChildren(...ofRow(row));
      return;
    }
    const network = row ? [paragraph("of", titleOf(row))] : [];
    const told = facts.map((fact) => paragraph("fact", fact));
    details.replaceChildren(...network, paragraph("name", name), ...told);
  };

  const mark = (part, row) => {
    for (const one of marked) {
      one.classList.remove("marked");
    }
    selected = row ?? null;
    marked = [part, row].filter(Boolean);
    for (const one of marked) {
      one.classList.add("marked");
    }
    show(part, row);
    if (row) {
      const table = row.closest(".tall");
      table.scrollTop = row.offsetTop - table.clientHeight / 2;
    }
  };

  const figure = archcFigure(frame, element("fit"), {
    // Of the rows that a part shows, the one that was selected stays so.
    chosen: (part) => mark(part, selected && shownBy(selected) === part.id ? selected : rowOf(part)),
    entered: (part) => {
      const row = selected && shownBy(selected) === part.id ? selected : rowOf(part);
      row?.scrollIntoView({ block: "center" });
      row?.focus();
      return Boolean(row);
    },
    label: (part, [name]) => {
      const row = rowOf(part);
      const words = part.querySelector(":scope > text")?.textContent;
      if (!row) {
        return name;
      }
      const what = name === nameOf(row) ? words ?? name : name;
      return `${what}: ${nameOf(row)} of ${titleOf(row)}`;
    },
  });
  figure.read();

  for (const row of rows) {
    row.addEventListener("click", () => {
      const part = figure.part(shownBy(row));
      mark(part, row);
      part?.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    row.addEventListener("keydown", (event) => {
      const part = figure.part(shownBy(row));
      if (part && (event.key === "Escape" || event.key === "Enter")) {
        event.preventDefault();
        selected = row;
        figure.go(part);
      }
    });
  }

  // Files, which are compressed in the page; the figure's other form is the SVG among them.
  const files = [...document.querySelectorAll("script.file")];
  const file = (format) => files.find((one) =>
    one.dataset.format === format && (one.dataset.folded === "true") === folded);
  const unpacked = (one) => {
    const bytes = Uint8Array.from(atob(one.textContent), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Response(stream).arrayBuffer();
  };
  const drawn = new Map([[folded, frame.querySelector("svg")]]);

  const buttons = [...document.querySelectorAll("#tools [data-format]")];
  const offer = () => {
    for (const button of buttons) {
      const { fault } = file(button.dataset.format).dataset;
      button.disabled = Boolean(fault);
      button.title = fault ?? "";
    }
  };
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      const one = file(button.dataset.format);
      archcSave(await unpacked(one), one.dataset.type, one.dataset.name);
    });
  }
  offer();

  // What was selected stays so: a row keeps its place, and the figure shows what stands for it now.
  fold.addEventListener("click", async () => {
    const row = selected;
    const to = !folded;
    folded = to;
    if (!drawn.has(to)) {
      drawn.set(to, archcParse(new TextDecoder().decode(await unpacked(file("svg")))));
    }
    if (folded !== to) {
      return;  // clicked again meanwhile
    }
    fold.setAttribute("aria-pressed", String(to));
    element("folded-hint").hidden = !to;
    figure.show(drawn.get(to));
    offer();
    const part = row && figure.part(shownBy(row));
    mark(part, row);
    if (part) {
      figure.stop(part);
      const [box, around] = [part.getBoundingClientRect(), frame.getBoundingClientRect()];
      frame.scrollTop += box.top + box.height / 2 - around.top - around.height / 2;
      frame.scrollLeft += box.left + box.width / 2 - around.left - around.width / 2;
    }
  });
  element("tools").hidden = false;

  const theme = element("theme");
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
