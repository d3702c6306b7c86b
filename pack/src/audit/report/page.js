"use strict";
const box = document.getElementById("search");
const said = document.getElementById("said");
const items = Array.from(document.querySelectorAll("[data-text]"));
const lists = Array.from(document.querySelectorAll("#tree details"));
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (text) => words.every((word) => text.includes(word));
  let shown = 0;
  for (const item of items) {
    item.hidden = words.length > 0 && !fits(item.dataset.text);
    if (!item.hidden && item.matches("tr")) shown += 1;
  }
  // A branch stays where anything below it fits, and opens to show it.
  for (const item of Array.from(document.querySelectorAll("#tree li")).reverse()) {
    if (item.querySelector("li:not([hidden])")) item.hidden = false;
  }
  for (const list of lists) {
    if (words.length > 0) list.open = list.querySelector("li:not([hidden])") !== null;
  }
  said.textContent = words.length > 0 ? shown + " components fit" : "";
});
