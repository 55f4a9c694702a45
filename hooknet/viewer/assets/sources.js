// Where facts, areas and pixels come from: a server, or files beside the page.
"use strict";

// The kinds of layers in their order from below; "map" and "diff" are those of a panel's system.
Viewer.KINDS = ["he", "tissue", "labels", "truth", "map", "diff"];
Viewer.TITLES = {
  he: "H&E", tissue: "Tissue", labels: "Annotation", truth: "Dense truth", map: "Prediction", diff: "Differences",
};

// The layer of a kind on a slide for a system (its number), undefined where there is none.
Viewer.layerOf = function (slide, kind, system) {
  const key = kind === "map" || kind === "diff" ? kind + "-" + system : kind;
  return HOOKNET.slides[slide].layers.find((one) => one.key === key);
};

Viewer.ask = async function (url) {
  const answer = await fetch(url);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
};

// Size, spacing and tiles of a slide; `world` is how many level-0 px the width of its picture spans.
Viewer.factsOf = async function (slide) {
  if (HOOKNET.facts) return HOOKNET.facts[slide];
  const facts = await Viewer.ask("slides/" + slide);
  facts.world = facts.size[0];
  return facts;
};

// Class name -> mm² of a layer; the server counts, which takes a while for a large map, but once.
Viewer.areasOf = async function (slide, key) {
  if (HOOKNET.facts) return HOOKNET.facts[slide].areas[key];
  return Viewer.ask("areas/" + slide + "/" + key);
};

Viewer.sourceOf = function (slide, layer, facts) {
  if (HOOKNET.facts) {
    return { type: "image", url: "slides/" + slide + "/" + layer.key + "." + layer.suffix, buildPyramid: false };
  }
  return {
    width: facts.size[0], height: facts.size[1], tileSize: facts.tile, tileOverlap: 0,
    minLevel: facts.first, maxLevel: facts.last,
    getTileUrl: (level, column, row) =>
      "tiles/" + slide + "/" + layer.key + "/" + level + "/" + column + "_" + row,
  };
};
