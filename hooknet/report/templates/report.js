"use strict";
// The strength of the colour over all pictures.
const fader = document.getElementById("fader");
if (fader) fader.oninput = () => document.documentElement.style.setProperty("--fill", fader.value / 100);

// An enlarged picture; the arrow keys step through the layers of the same place.
const closer = document.getElementById("closer");
let stacks = [], at = 0;

function showStack() {
  const big = stacks[at].cloneNode(true);
  big.removeAttribute("tabindex");
  big.classList.add(stacks[at].closest(".slide").dataset.view);
  document.getElementById("closer-title").textContent = stacks[at].dataset.title + " (" + (at + 1) + " of " + stacks.length + ")";
  document.getElementById("closer-place").replaceChildren(big);
}

function enlarge(stack) {
  stacks = [...stack.closest(".panels").querySelectorAll(".stack")];
  at = stacks.indexOf(stack);
  showStack();
  closer.showModal();
}

for (const one of document.querySelectorAll(".panels .stack")) {
  one.onclick = () => enlarge(one);
  one.onkeydown = (event) => { if (event.key === "Enter") enlarge(one); };
}
closer.onclick = () => closer.close();
closer.onkeydown = (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  at = (at + step + stacks.length) % stacks.length;
  showStack();
};

// Tables sort by the column whose head is pressed, first the other way round where it is sorted already.
function orderOf(cell) {
  if (cell.dataset.order !== undefined) return Number(cell.dataset.order);
  const text = cell.textContent.trim();
  const value = Number(text.replace(/[, %]/g, "").replace("−", "-").replace("<", ""));
  return text === "" || Number.isNaN(value) ? text : value;
}

function compare(one, other) {
  // What is not defined comes last, whichever way.
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return one.localeCompare(other, undefined, { numeric: true });
}

function sortBy(table, column, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  const rows = [...table.tBodies[0].rows];
  const missing = (row) => row.cells[column].textContent.trim() === "–";
  const there = rows.filter((row) => !missing(row)), rest = rows.filter(missing);
  there.sort((a, b) => compare(orderOf(a.cells[column]), orderOf(b.cells[column])) * (down ? -1 : 1));
  table.tBodies[0].append(...there, ...rest);
  for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => sortBy(table, column, head);
  });
}

window.onbeforeprint = () => { for (const one of document.querySelectorAll("details")) one.open = true; };
