// A panel: one OpenSeadragon viewer that shows the layers of a slide for one system.
"use strict";

Viewer.Panel = class {
  constructor(element, options) {
    this.layers = new Map(); // key -> {rank, item (null while it is being added), opacity}
    this.slide = null;
    this.osd = OpenSeadragon({
      element: element,
      drawer: "canvas", // draws pictures of file:// too, which WebGL may not
      showNavigationControl: false,
      showNavigator: options.navigator,
      navigatorPosition: "TOP_RIGHT",
      navigatorSizeRatio: 0.16,
      navigatorAutoFade: false,
      animationTime: options.still ? 0 : 0.5,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      preserveImageSizeOnResize: true,
      minZoomImageRatio: 0.5,
      maxZoomPixelRatio: 16,
      visibilityRatio: 0.2,
      imageLoaderLimit: 6,
      maxImageCacheCount: 400,
    });
    // The viewer and its viewport share one size: the first resize would find nothing changed, and change the scale.
    this.osd.viewport.containerSize = this.osd.viewport.containerSize.clone();
    this.osd.canvas.setAttribute("aria-label", "Picture of the slide; arrow keys move it, plus and minus zoom");
    this.osd.canvas.setAttribute("role", "application");
    this.osd.addHandler("canvas-key", (event) => { event.preventDefaultAction = true; }); // keys.js does those
    this.osd.addHandler("tile-drawing", (event) => this.sharpen(event));
    this.osd.addHandler("tile-load-failed", () => options.failed());
  }

  // Labels are not blended with their neighbours: between two classes there is no third.  But a picture in a file
  // (it has a `step`, in level-0 px) has no coarser levels, and is blended where it is shown smaller than it is.
  sharpen(event) {
    const photograph = this.layers.get("he");
    const smaller = this.facts.step !== undefined && this.getView().scale > this.facts.step;
    event.context.imageSmoothingEnabled = smaller || (photograph && event.tiledImage === photograph.item);
  }

  // Shows nothing.
  clear() {
    this.slide = null;
    this.layers.clear();
    this.osd.close();
  }

  // Opens the H&E of a slide; the promise is kept when it can be moved about.
  open(slide, facts) {
    this.clear();
    this.slide = slide;
    this.facts = facts;
    const layer = Viewer.layerOf(slide, "he");
    return new Promise((resolve, reject) => {
      this.osd.addOnceHandler("open", () => {
        this.layers.set("he", { rank: 0, item: this.osd.world.getItemAt(0), opacity: 1 });
        resolve();
      });
      this.osd.addOnceHandler("open-failed", () => reject(new Error("The slide's picture cannot be read.")));
      this.osd.open({ tileSource: Viewer.sourceOf(slide, layer, facts) });
    });
  }

  // Shows the layers of `wanted` (kind -> opacity) for a system, and no others.
  show(wanted, system) {
    const opacities = new Map();
    Object.keys(wanted).forEach((kind) => {
      const layer = Viewer.layerOf(this.slide, kind, system);
      if (layer) opacities.set(layer.key, { layer: layer, rank: Viewer.KINDS.indexOf(kind), opacity: wanted[kind] });
    });
    this.layers.forEach((one, key) => this.fade(one, opacities.has(key) ? opacities.get(key).opacity : 0));
    opacities.forEach((one, key) => {
      if (!this.layers.has(key)) this.add(key, one);
    });
  }

  fade(one, opacity) {
    one.opacity = opacity;
    if (one.item) one.item.setOpacity(opacity);
  }

  add(key, wanted) {
    const one = { rank: wanted.rank, item: null, opacity: wanted.opacity };
    const layers = this.layers, slide = this.slide;
    layers.set(key, one);
    this.osd.addTiledImage({
      tileSource: Viewer.sourceOf(slide, wanted.layer, this.facts),
      opacity: 0,
      success: (event) => {
        if (this.slide !== slide) return;
        one.item = event.item;
        one.item.setOpacity(one.opacity);
        this.sort();
      },
    });
  }

  // What was added later may belong further down.
  sort() {
    const items = [...this.layers.values()].filter((one) => one.item).sort((a, b) => a.rank - b.rank);
    items.forEach((one, place) => this.osd.world.setItemIndex(one.item, place));
  }

  isOpen() {
    return this.slide !== null && this.layers.has("he");
  }

  // The centre in level-0 px, and level-0 px per CSS px.
  getView() {
    const centre = this.osd.viewport.getCenter(true), world = this.facts.world;
    const scale = world / (this.osd.viewport.getContainerSize().x * this.osd.viewport.getZoom(true));
    return { x: centre.x * world, y: centre.y * world, scale: scale };
  }

  setView(view) {
    const world = this.facts.world;
    this.osd.viewport.zoomTo(world / (this.osd.viewport.getContainerSize().x * view.scale), null, true);
    this.osd.viewport.panTo(new OpenSeadragon.Point(view.x / world, view.y / world), true);
  }

  zoomBy(factor) {
    this.osd.viewport.zoomBy(factor);
    this.osd.viewport.applyConstraints();
  }

  // By parts of the panel's size.
  moveBy(right, down) {
    const bounds = this.osd.viewport.getBounds();
    this.osd.viewport.panBy(new OpenSeadragon.Point(right * bounds.width, down * bounds.height));
    this.osd.viewport.applyConstraints();
  }
};

// Two panels go together: whichever the reader moves leads, the other follows at once.  Gives the function that makes
// a panel lead.
Viewer.link = function (panels) {
  let leader = panels[0];
  const follow = () => {
    const other = panels[1 - panels.indexOf(leader)];
    if (!leader.isOpen() || !other.isOpen() || leader.slide !== other.slide) return;
    const wanted = leader.getView(), found = other.getView();
    const away = Math.abs(wanted.x - found.x) + Math.abs(wanted.y - found.y);
    if (away > 1e-3 * wanted.scale || Math.abs(wanted.scale / found.scale - 1) > 1e-6) other.setView(wanted);
  };
  panels.forEach((panel) => {
    ["canvas-press", "canvas-scroll", "canvas-pinch", "canvas-double-click"].forEach((name) => {
      panel.osd.addHandler(name, () => { leader = panel; });
    });
    panel.osd.addHandler("update-viewport", () => { if (leader === panel) follow(); });
    ["open", "resize"].forEach((name) => panel.osd.addHandler(name, follow));
  });
  return (panel) => { leader = panel; };
};
