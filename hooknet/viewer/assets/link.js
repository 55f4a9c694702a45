// The current view as the part of the address behind "#", and back.
"use strict";

// State: {slide: id, systems: [name, name], split: bool, layers: {kind: opacity 0..1}, view: {x, y, scale}}: the
// layers that are on, the centre in level-0 px, and level-0 px per CSS px, so that windows of any size agree.
Viewer.writeLink = function (state) {
  const parts = [["slide", state.slide]];
  if (state.systems[0]) parts.push(["system", state.systems[0]]);
  if (state.split && state.systems[1]) parts.push(["beside", state.systems[1]]);
  const layers = Object.keys(state.layers).map((kind) => kind + ":" + Math.round(100 * state.layers[kind]));
  parts.push(["layers", layers.join(",")]);
  if (state.view) {
    parts.push(["at", state.view.x.toFixed(1) + "," + state.view.y.toFixed(1)]);
    parts.push(["scale", String(Number(state.view.scale.toPrecision(5)))]);
  }
  // Commas and colons may stand there as they are.
  const text = (one) => encodeURIComponent(one).replace(/%2C/g, ",").replace(/%3A/g, ":");
  return "#" + parts.map((one) => one[0] + "=" + text(one[1])).join("&");
};

// What a link says; what it does not say, or says wrongly, is left out.
Viewer.readLink = function (hash) {
  const said = {};
  hash.replace(/^#/, "").split("&").forEach((part) => {
    const [name, value] = part.split("=");
    try {
      if (value !== undefined) said[name] = decodeURIComponent(value);
    } catch { /* not a link of ours */ }
  });
  const state = { systems: [said.system, said.beside], split: said.beside !== undefined };
  if (said.slide !== undefined) state.slide = said.slide;
  if (said.layers !== undefined) state.layers = Viewer.readOpacities(said.layers);
  const [x, y] = (said.at || "").split(",").map(parseFloat);
  const scale = parseFloat(said.scale);
  if (isFinite(x) && isFinite(y) && scale > 0 && isFinite(scale)) state.view = { x: x, y: y, scale: scale };
  return state;
};

Viewer.readOpacities = function (text) {
  const layers = {};
  text.split(",").forEach((part) => {
    const [kind, percent] = part.split(":");
    if (Viewer.KINDS.includes(kind) && /^\d{1,3}$/.test(percent)) {
      layers[kind] = Math.min(100, Number(percent)) / 100;
    }
  });
  return layers;
};
