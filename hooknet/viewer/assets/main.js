// The page: which slide, which systems, and what every button does.
"use strict";

(function () {
  const find = (id) => document.getElementById(id);
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const state = { slide: 0, systems: [0, Math.min(1, HOOKNET.systems.length - 1)], split: false };
  const firstWithMap = HOOKNET.slides.findIndex((one) => one.layers.some((layer) => layer.key.startsWith("map-")));
  let layers = null, panels = null, lead = null, latest = 0, silenced = null;

  function notice(text) {
    find("notice").textContent = text;
    find("notice").hidden = !text;
  }

  function say(text) {
    find("status").textContent = text;
    window.clearTimeout(silenced);
    silenced = window.setTimeout(() => { find("status").textContent = ""; }, 2500);
  }

  function failed() {
    notice("Parts of this slide or its layers cannot be read; the terminal says why.");
  }

  function makePanels() {
    return [0, 1].map((place) => {
      const box = document.createElement("section"), bar = document.createElement("div");
      const canvas = document.createElement("div"), label = document.createElement("label");
      const select = document.createElement("select");
      box.className = "panel";
      box.setAttribute("aria-label", place ? "Right view" : "View");
      bar.className = "bar";
      canvas.className = "canvas";
      select.id = "system-" + place;
      label.htmlFor = select.id;
      label.textContent = "System";
      HOOKNET.systems.forEach((name, number) => select.add(new Option(name, number)));
      select.addEventListener("change", () => { state.systems[place] = Number(select.value); update(); });
      bar.append(label, select);
      bar.hidden = HOOKNET.systems.length === 0;
      box.append(bar, canvas);
      box.hidden = place === 1;
      find("panels").append(box);
      const panel = new Viewer.Panel(canvas, { navigator: place === 0, still: still, failed: failed });
      return Object.assign(panel, { box: box, select: select, place: place });
    });
  }

  // Systems without a map of the slide stay in the list, but cannot be taken.
  function offerSystems() {
    panels.forEach((panel) => {
      [...panel.select.options].forEach((option, number) => {
        option.disabled = !Viewer.layerOf(state.slide, "map", number);
        option.textContent = HOOKNET.systems[number] + (option.disabled ? " (no map)" : "");
      });
      panel.select.value = state.systems[panel.place];
    });
  }

  function shown() {
    return panels.filter((panel) => !panel.box.hidden);
  }

  // Everything that follows from the state, but for the slide itself.
  function update() {
    const titles = {};
    Viewer.KINDS.forEach((kind) => shown().forEach((panel) => {
      const layer = Viewer.layerOf(state.slide, kind, state.systems[panel.place]);
      if (layer) titles[kind] = layer.title;
    }));
    layers.offer(titles);
    offerSystems();
    shown().forEach((panel) => {
      if (panel.isOpen()) panel.show(layers.wanted(), state.systems[panel.place]);
    });
    find("split").setAttribute("aria-pressed", state.split);
    drawLegend(titles.diff);
    remember();
  }

  function drawLegend(differences) {
    const columns = [];
    const add = (title, layer, from) => { if (layer) columns.push({ title: title, layer: layer, from: from }); };
    const reference = Viewer.layerOf(state.slide, "truth") ? "truth" : "labels";
    add(reference === "truth" ? "Truth" : "Annotated", Viewer.layerOf(state.slide, reference));
    shown().forEach((panel) => {
      const system = state.systems[panel.place];
      const title = !state.split ? "Predicted" : panel.place ? "Right" : "Left";
      add(title, Viewer.layerOf(state.slide, "map", system), HOOKNET.systems[system]);
    });
    Viewer.drawLegend(find("legend"), state.slide, columns, differences);
  }

  function remember() {
    const open = panels[0].isOpen();
    const link = Viewer.writeLink({
      slide: HOOKNET.slides[state.slide].id,
      systems: state.systems.map((one) => HOOKNET.systems[one]),
      split: state.split,
      layers: layers.wanted(),
      view: open ? panels[0].getView() : null,
    });
    if (open) window.history.replaceState(null, "", link);
  }

  async function openSlide(slide, view) {
    const mine = ++latest;
    state.slide = slide;
    notice("");
    panels.forEach((panel) => panel.clear());
    const one = HOOKNET.slides[slide];
    find("slide-name").textContent = one.id;
    document.title = one.id + " · HookNet viewer";
    [...find("slides").querySelectorAll("button")].forEach((button, place) => {
      button.setAttribute("aria-current", place === slide);
      if (place === slide) button.scrollIntoView({ block: "nearest" });
    });
    update();
    try {
      const facts = await Viewer.factsOf(slide);
      if (mine !== latest) return;
      await Promise.all(shown().map((panel) => panel.open(slide, facts)));
      if (mine !== latest) return;
      if (view) panels[0].setView(view);
      update();
    } catch (error) {
      if (mine === latest) notice(error.message);
    }
  }

  async function setSplit(split) {
    state.split = split;
    panels[1].box.hidden = !split;
    find("panels").classList.toggle("two", split);
    if (!split) panels[1].clear();
    lead(panels[0]);
    if (split && panels[0].isOpen()) await panels[1].open(state.slide, panels[0].facts);
    update();
  }

  function step(by) {
    const number = HOOKNET.slides.length;
    openSlide((state.slide + by + number) % number);
  }

  async function copy() {
    remember();
    const link = window.location.href;
    try {
      await navigator.clipboard.writeText(link);
      say("Link copied");
    } catch {
      window.prompt("The link to this view:", link);
    }
  }

  function listSlides() {
    HOOKNET.slides.forEach((one, place) => {
      const row = document.createElement("li"), button = document.createElement("button");
      const note = document.createElement("small");
      button.type = "button";
      note.textContent = one.note;
      button.append(one.id, note);
      button.addEventListener("click", () => openSlide(place));
      row.append(button);
      find("slides").append(row);
    });
    find("filter").hidden = HOOKNET.slides.length <= 12;
    find("filter").addEventListener("input", () => {
      const text = find("filter").value.toLowerCase();
      [...find("slides").children].forEach((row, place) => {
        row.hidden = !HOOKNET.slides[place].id.toLowerCase().includes(text);
      });
    });
  }

  // Moves the left panel, which the other one follows.
  function move(action) {
    return () => {
      lead(panels[0]);
      if (panels[0].isOpen()) action(panels[0]);
    };
  }

  // What a link asks for, as far as it is there.
  function restore() {
    const wanted = Viewer.readLink(window.location.hash);
    wanted.systems.forEach((name, place) => {
      if (HOOKNET.systems.includes(name)) state.systems[place] = HOOKNET.systems.indexOf(name);
    });
    if (wanted.layers) layers.restore(wanted.layers);
    setSplit(wanted.split && HOOKNET.systems.length > 0);
    const slide = HOOKNET.slides.findIndex((one) => one.id === wanted.slide);
    openSlide(slide >= 0 ? slide : Math.max(0, firstWithMap), slide >= 0 ? wanted.view : undefined);
  }

  function listenToKeys() {
    const actions = {
      "ArrowLeft": move((one) => one.moveBy(-0.15, 0)), "ArrowRight": move((one) => one.moveBy(0.15, 0)),
      "ArrowUp": move((one) => one.moveBy(0, -0.15)), "ArrowDown": move((one) => one.moveBy(0, 0.15)),
      "+": move((one) => one.zoomBy(1.5)), "=": move((one) => one.zoomBy(1.5)),
      "-": move((one) => one.zoomBy(1 / 1.5)), "0": move((one) => one.osd.viewport.goHome()),
      "n": () => step(1), "p": () => step(-1), "s": () => find("split").click(), "c": copy,
      "?": () => find("keys").showModal(),
    };
    for (let number = 1; number <= 9; number += 1) actions[number] = () => layers.toggle(number);
    Viewer.listen(actions);
    find("zoom-in").addEventListener("click", actions["+"]);
    find("zoom-out").addEventListener("click", actions["-"]);
    find("zoom-home").addEventListener("click", actions["0"]);
    find("next").addEventListener("click", actions.n);
    find("previous").addEventListener("click", actions.p);
    find("copy").addEventListener("click", copy);
    find("help").addEventListener("click", actions["?"]);
  }

  find("dataset").textContent = HOOKNET.dataset;
  layers = new Viewer.LayerList(find("layers"), () => update());
  layers.on.labels = firstWithMap < 0; // before there are maps, what was annotated is what there is to see
  panels = makePanels();
  lead = Viewer.link(panels);
  panels[0].osd.addHandler("update-viewport", () => {
    if (panels[0].isOpen()) Viewer.drawScaleBar(panels[0].getView().scale * panels[0].facts.spacing[0]);
  });
  panels.forEach((panel) => panel.osd.addHandler("animation-finish", remember));
  find("split").disabled = HOOKNET.systems.length === 0;
  find("split").addEventListener("click", () => setSplit(!state.split));
  listSlides();
  listenToKeys();
  window.addEventListener("hashchange", restore);
  Viewer.panels = panels; // for whoever wants to look into it from the console
  restore();
})();
