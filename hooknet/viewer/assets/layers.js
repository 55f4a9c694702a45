// The list of layers: which are on, and how far the reader sees through them.
"use strict";

// Calls `changed()` after each change; `opacities` (kind -> 0..1) keeps the value of a layer that is off, too.
Viewer.LayerList = class {
  constructor(list, changed) {
    this.changed = changed;
    this.on = { he: true, map: true };
    this.opacities = { he: 1, tissue: 0.5, labels: 0.7, truth: 0.6, map: 0.55, diff: 0.8 };
    this.rows = {};
    Viewer.KINDS.forEach((kind, place) => list.append(this.row(kind, place + 1)));
  }

  row(kind, number) {
    const row = document.createElement("li");
    const box = document.createElement("input"), slider = document.createElement("input");
    const label = document.createElement("label");
    const key = document.createElement("kbd"), percent = document.createElement("output");
    box.type = "checkbox";
    box.id = "layer-" + kind;
    label.htmlFor = box.id;
    key.textContent = number;
    key.title = "Key " + number;
    label.textContent = Viewer.TITLES[kind];
    slider.setAttribute("aria-label", "Opacity of " + label.textContent);
    Object.assign(slider, { type: "range", min: 0, max: 100, step: 5, id: "opacity-" + kind });
    percent.htmlFor = slider.id;
    box.addEventListener("change", () => this.set(kind, box.checked));
    slider.addEventListener("input", () => {
      this.opacities[kind] = slider.valueAsNumber / 100;
      this.set(kind, true);
    });
    row.append(box, label, slider, percent, key);
    this.rows[kind] = { row: row, box: box, slider: slider, percent: percent };
    return row;
  }

  set(kind, on) {
    this.on[kind] = on;
    this.draw();
    this.changed();
  }

  toggle(number) {
    const kind = Viewer.KINDS[number - 1];
    if (kind && !this.rows[kind].box.disabled) this.set(kind, !this.on[kind]);
  }

  // What is on, kind -> opacity.
  wanted() {
    return Object.fromEntries(Viewer.KINDS.filter((one) => this.on[one]).map((one) => [one, this.opacities[one]]));
  }

  // As a link says: these are on, all others off.
  restore(layers) {
    Viewer.KINDS.forEach((kind) => { this.on[kind] = kind in layers; });
    Object.assign(this.opacities, layers);
    this.draw();
  }

  // `titles`: kind -> title of the layers that the slide has.
  offer(titles) {
    Viewer.KINDS.forEach((kind) => {
      const one = this.rows[kind], there = kind in titles;
      one.box.disabled = one.slider.disabled = !there;
      one.row.classList.toggle("missing", !there);
      one.row.title = there ? titles[kind] : "There is none of this slide";
    });
    this.draw();
  }

  draw() {
    Viewer.KINDS.forEach((kind) => {
      const one = this.rows[kind], percent = Math.round(100 * this.opacities[kind]);
      one.box.checked = Boolean(this.on[kind]) && !one.box.disabled;
      one.slider.value = percent;
      one.percent.textContent = percent + " %";
    });
  }
};
