// The scale bar: a round length for whatever zoom there is.
"use strict";
window.Viewer = {};

// The longest of 1, 2, 5 times a power of ten µm that takes at most `longest` CSS px; µm in, {um, px, text} out.
Viewer.scaleBar = function (umPerPx, longest) {
  const limit = umPerPx * longest;
  const power = Math.pow(10, Math.floor(Math.log10(limit)));
  let um = power;
  [2, 5, 10].forEach((step) => {
    if (step * power <= limit * (1 + 1e-9)) um = step * power;
  });
  const unit = um >= 1000 ? [1000, "mm"] : um >= 1 ? [1, "µm"] : [0.001, "nm"];
  return { um: um, px: um / umPerPx, text: Number((um / unit[0]).toPrecision(6)) + " " + unit[1] };
};

Viewer.drawScaleBar = function (umPerPx) {
  const bar = Viewer.scaleBar(umPerPx, 160);
  document.getElementById("scale-bar").style.width = bar.px + "px";
  document.getElementById("scale-text").textContent = bar.text;
  document.getElementById("scale").setAttribute("aria-label", "Scale bar: " + bar.text);
};
