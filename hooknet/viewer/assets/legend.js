// The classes' colours, and how much of the slide each of them takes.
"use strict";

// Draws the table for columns [{title, layer, from}], unless it is that already; areas come when they have been counted.
// `differences`: what the colour of differences means, if there are any.
Viewer.drawLegend = function (table, slide, columns, differences) {
  const drawn = JSON.stringify([slide, columns, differences]);
  if (table.dataset.drawn === drawn) return;
  table.dataset.drawn = drawn;
  table.replaceChildren();
  const caption = table.createCaption();
  caption.className = "hidden";
  caption.textContent = "Area of each class in mm²";
  const head = table.createTHead().insertRow();
  [{ title: "Class" }, ...columns].forEach((column) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = column.title;
    cell.title = column.from || "";
    head.append(cell);
  });
  const body = table.createTBody();
  const rows = HOOKNET.classes.map((one) => Viewer.legendRow(body, one.colour, one.name));
  columns.forEach((column) => Viewer.fillColumn(rows, slide, column.layer));
  if (differences) {
    Viewer.legendRow(body, HOOKNET.difference, differences).cells[0].colSpan = columns.length + 1;
  }
};

Viewer.legendRow = function (body, colour, name) {
  const row = body.insertRow();
  const cell = document.createElement("th"), swatch = document.createElement("i");
  cell.scope = "row";
  swatch.style.background = colour;
  cell.append(swatch, name);
  cell.title = name;
  row.append(cell);
  return row;
};

Viewer.fillColumn = async function (rows, slide, layer) {
  const cells = rows.map((row) => row.insertCell());
  cells.forEach((cell) => { cell.textContent = "…"; });
  try {
    const areas = await Viewer.areasOf(slide, layer.key);
    HOOKNET.classes.forEach((one, place) => { cells[place].textContent = Viewer.areaText(areas[one.name]); });
  } catch {
    cells.forEach((cell) => { cell.textContent = "?"; });
  }
};

// Three digits that say something, none that do not.
Viewer.areaText = function (area) {
  if (area === 0) return "0";
  return area < 0.001 ? "<0.001" : area < 100 ? area.toFixed(area < 10 ? 3 : 1) : area.toFixed(0);
};
