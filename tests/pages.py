"""Pages in a browser, watched."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

BROKEN_NUMBERS = r"""() => {
  const found = [];
  const number = /(?<![\w.])\d[\d.,x]*(?: (?:[kMGTP%]|[kMG]i?B|bytes|images?)(?!\w))?/g;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest("script, style, pre")) {
      continue;
    }
    for (const one of node.data.matchAll(number)) {
      const range = document.createRange();
      range.setStart(node, one.index);
      range.setEnd(node, one.index + one[0].length);
      const tops = [...range.getClientRects()].map((rect) => Math.round(rect.top));
      if (new Set(tops).size > 1) {
        found.push(node.data);
      }
    }
  }
  return found;
}"""
"""The texts of a page that have a number, or a number and its unit, on two lines."""


class Watched:
    """A page, with what it said on its console and what it asked for."""

    def __init__(self, page: Page):
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))

    def open(self, path: Path) -> Page:
        """Open a file."""
        self.page.goto(path.as_uri())
        return self.page

    def broken_numbers(self) -> list[str]:
        """The texts that have a number on two lines."""
        found: list[str] = self.page.evaluate(BROKEN_NUMBERS)
        return found

    @property
    def overflows(self) -> bool:
        """Whether the page as a whole scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))
