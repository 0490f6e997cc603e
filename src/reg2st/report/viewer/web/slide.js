"use strict";

const CHUNKS_KEPT = 4;
const CLICK_PX = 4; // a pointer that moved less has clicked
const STEP_PX = 80;
const MODES = ["move", "rectangle", "lasso"];

/** The page of one slide: state, controls, and what they change. */
class SlidePage {
  constructor(page, spots, { labels, distance, barcodes }) {
    Object.assign(this, { page, spots, labels, distance, barcodes });
    this.chunks = new Map();
    this.notices = new Map();
    this.fields = new Map(); // of the gene shown, by layer
    [this.gene, this.turn, this.mode] = [0, 0, "move"];
    [this.hovered, this.kept, this.polygon, this.selected] = [-1, -1, [], []];
    this.palettes = {
      expression: page.colours.expression.match(/.{6}/g).map(abgr),
      spread: page.colours.spread.match(/.{6}/g).map(abgr),
      regions: page.colours.regions.map((colour) => abgr(colour.slice(1))),
    };
    const margin = Math.max(page.pitchPx, page.spotPx);
    const [left, top, right, bottom] = spots.box;
    const around = [left - margin, top - margin, right + margin, bottom + margin];
    const { width, height } = page.slide;
    this.view = new View(page.slide, spots.count ? around : [0, 0, width, height]);
    const missing = (count) =>
      this.say("slide", `${count} of the picture's tiles are missing; copy the whole folder again.`);
    this.tiles = new Tiles(page.slide, () => this.redraw("slide"), missing);
    this.stale = new Set();
    this.buildPanes();
    this.list = new GeneList(page.genes, page.leastTrusted, (gene) => this.showGene(gene));
    this.describe();
    this.listen();
    this.readAddress();
  }

  static async open() {
    const [page, stored] = await Promise.all([loadData("page"), loadData("spots")]);
    const spots = new Spots(new Float32Array(await unpack(stored.xy)), page);
    const levels = async (packed) => new Uint8Array(await unpack(packed));
    const { labels, distance } = stored;
    return new SlidePage(page, spots, {
      labels: labels && { names: labels.names, codes: await levels(labels.codes) },
      distance: distance && { ...distance, levels: await levels(distance.levels) },
      barcodes: async () => JSON.parse(new TextDecoder().decode(await unpack(stored.barcodes))),
    });
  }

  // What is on the page

  buildPanes() {
    const options = [{ name: "slide", label: "Slide" }, ...this.page.layers];
    if (this.labels) options.push({ name: "labels", label: "Regions" });
    if (this.distance) options.push({ name: "distance", label: "Distance from training" });
    this.panes = ["Left", "Right"].map((side) => new Pane(side, find("panes")));
    for (const pane of this.panes) {
      pane.offer(options);
      pane.choice.addEventListener("change", () => this.colour());
      this.followPointer(pane);
      new ResizeObserver(() => this.resize()).observe(pane.stage);
    }
    this.layer = new Map(this.page.layers.map((layer) => [layer.name, layer]));
    const first = this.layer.has("observed") ? "observed" : "slide";
    this.defaults = [first, this.page.reference || (first === "observed" ? "slide" : first)];
    if (!this.page.reference) this.defaults.reverse();
  }

  describe() {
    const { name, facts, provenance, warnings, spots } = this.page;
    document.title = name;
    find("title").textContent = name;
    const told = Object.entries(facts).map(([what, value]) => `${what}: ${value}`);
    find("facts").textContent = [...told, `${spots.toLocaleString("en")} spots`].join(" · ");
    for (const [what, value] of provenance) find("provenance").append(element("dt", what), element("dd", value));
    for (const warning of warnings) find("provenance").append(element("dt", "Beware"), element("dd", warning));
    const start = this.page.start;
    find("start").href = `${start}/index.html`;
    loadData("start", `${start}/start/data`).then(
      () => (find("start").hidden = false),
      () => {}, // the page was taken out of its study
    );
  }

  /** Show a sentence, which replaces the last one about the same thing. */
  say(about, sentence) {
    this.notices.set(about, sentence);
    const told = [...this.notices.values()].filter(Boolean).join(" ");
    find("notice").hidden = !told;
    find("notice").textContent = told;
  }

  // Genes and colours

  async showGene(gene) {
    const turn = ++this.turn;
    this.gene = gene;
    this.list.choose(gene);
    let fields = new Map();
    try {
      if (this.page.genes.length) fields = await this.fieldsOf(gene);
      if (turn === this.turn) this.say("gene", "");
    } catch (error) {
      if (turn === this.turn) this.say("gene", error.message);
    }
    if (turn !== this.turn) return;
    this.fields = fields;
    this.colour();
  }

  async fieldsOf(gene) {
    const { genesAChunk } = this.page;
    const [number, place] = [Math.floor(gene / genesAChunk), gene % genesAChunk];
    const chunk = await this.chunk(number);
    const field = ({ low, high, from, to, levels }) => ({
      low: low[place],
      high: high[place],
      from: from[place],
      to: to[place],
      levels: levels.subarray(place * this.spots.count, (place + 1) * this.spots.count),
    });
    return new Map([...chunk].map(([name, values]) => [name, field(values)]));
  }

  chunk(number) {
    const known = this.chunks.get(number) ?? this.loadChunk(number);
    this.chunks.delete(number);
    this.chunks.set(number, known);
    if (this.chunks.size > CHUNKS_KEPT) this.chunks.delete(this.chunks.keys().next().value);
    known.catch(() => this.chunks.delete(number));
    return known;
  }

  async loadChunk(number) {
    const chunk = await loadData(`genes/${number}`);
    const unpacked = Object.entries(chunk).map(async ([name, values]) => {
      return [name, { ...values, levels: new Uint8Array(await unpack(values.levels)) }];
    });
    return new Map(await Promise.all(unpacked));
  }

  /** The kind of values that a pane shows, and their limits; null for none. */
  shows(pane) {
    const name = pane.choice.value;
    if (name === "distance") return { kind: "distance", unit: "above 1: unlike the training", field: this.distance };
    const layer = this.layer.get(name);
    return layer && this.fields.has(name) ? { ...layer, field: this.fields.get(name) } : null;
  }

  colour() {
    const shows = this.panes.map((pane) => this.shows(pane));
    const limits = shows.map((each) => each && [each.field.from ?? 0, each.field.to ?? 0]);
    const alike = shows[0] && shows[1] && shows[0].kind === shows[1].kind;
    if (find("same").checked && alike) {
      const both = [Math.min(limits[0][0], limits[1][0]), Math.max(limits[0][1], limits[1][1])];
      limits.fill(both);
    }
    this.panes.forEach((pane, k) => {
      if (pane.choice.value === "labels") pane.colourNames(this.labels, this.palettes.regions);
      else if (!shows[k]) pane.colourNothing();
      else pane.colourValues(shows[k].field, limits[k], this.palettes[shows[k].kind] ?? this.palettes.spread, shows[k].unit);
    });
    const scored = this.scoredLayer();
    const label = scored && `${this.page.scoreLabel} of ${this.layer.get(scored).label}`;
    find("scored").textContent = label ? `${label}; grey: below ${this.page.leastTrusted}, or none` : "";
    this.list.setScores(scored ? this.page.scores[scored] : null);
    find("gene").textContent = this.page.genes[this.gene] ?? "";
    this.redraw("slide", "spots");
    this.tellSpot();
    this.tellSelection();
  }

  /** The prediction whose scores the list shows: that of the right pane, the left, or the reference. */
  scoredLayer() {
    const names = [...this.panes].reverse().map((pane) => this.layer.get(pane.choice.value)?.of || pane.choice.value);
    return [...names, this.page.reference].find((name) => Object.hasOwn(this.page.scores, name));
  }

  // Drawing

  resize() {
    this.ratio = window.devicePixelRatio;
    for (const pane of this.panes) this.view.resize(...pane.resize(this.ratio));
    this.redraw("slide", "spots");
  }

  redraw(...what) {
    if (!this.stale.size) requestAnimationFrame(() => this.draw());
    for (const each of [...what, "marks"]) this.stale.add(each);
  }

  draw() {
    const stale = new Set(this.stale);
    this.stale.clear();
    const { view, ratio, spots } = this;
    const rings = [...new Set([this.kept, this.hovered])].filter((spot) => spot >= 0);
    const bar = scaleBar(view, this.page.umPerPx);
    for (const pane of this.panes) {
      if (stale.has("slide")) pane.drawSlide(this.tiles, view, ratio);
      if (stale.has("spots")) pane.drawSpots(spots, view, ratio, find("opacity").value / 100);
      pane.drawMarks(spots, view, ratio, { rings, polygon: this.polygon });
      pane.drawBar(bar);
    }
    if (stale.has("slide")) this.tiles.request();
    if (stale.has("spots") && this.fields.size) {
      document.body.dataset.shown = this.page.genes[this.gene]; // for tests and measurements
      this.writeAddress();
    }
  }

  moved() {
    this.redraw("slide", "spots");
  }

  // Pointer and keys

  followPointer(pane) {
    const { stage } = pane;
    let [last, travelled] = [null, 0];
    const place = (event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button || last) return;
      stage.setPointerCapture(event.pointerId);
      [last, travelled] = [place(event), 0];
      if (this.mode !== "move") this.polygon = [this.view.toSlide(...place(event))];
    });
    stage.addEventListener("pointermove", (event) => {
      const now = place(event);
      if (!last) return this.hover(this.spots.nearest(...this.view.toSlide(...now)));
      const step = [now[0] - last[0], now[1] - last[1]];
      travelled += Math.hypot(...step);
      last = now;
      if (this.mode !== "move") {
        this.extendPolygon(this.view.toSlide(...now));
        this.redraw();
      } else {
        this.view.pan(...step);
        this.moved();
      }
    });
    const released = (event) => {
      if (!last) return;
      last = null;
      if (travelled < CLICK_PX) {
        this.keep(this.spots.nearest(...this.view.toSlide(...place(event))));
        if (this.mode !== "move") this.select([]);
      } else if (this.mode !== "move") {
        this.select(this.polygon);
      }
    };
    stage.addEventListener("pointerup", released);
    stage.addEventListener("pointercancel", released);
    stage.addEventListener("pointerleave", () => this.hover(-1));
    const turned = (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.view.zoom(Math.exp(-0.0015 * lines * event.deltaY), ...place(event));
      this.moved();
    };
    stage.addEventListener("wheel", turned, { passive: false });
  }

  extendPolygon([x, y]) {
    if (this.mode === "lasso") this.polygon.push([x, y]);
    else {
      const [x0, y0] = this.polygon[0];
      this.polygon = [[x0, y0], [x, y0], [x, y], [x0, y]];
    }
  }

  listen() {
    const on = (id, type, act) => find(id).addEventListener(type, act);
    const zoom = (factor) => () => (this.view.zoom(factor), this.moved());
    on("home", "click", () => (this.view.goHome(), this.moved()));
    on("closer", "click", zoom(1.5));
    on("further", "click", zoom(1 / 1.5));
    for (const mode of MODES) on(mode, "click", () => this.setMode(mode));
    on("opacity", "input", () => this.redraw("spots"));
    on("same", "change", () => this.colour());
    on("save", "click", () => this.save());
    on("forget", "click", () => this.select([]));
    window.addEventListener("hashchange", () => this.readAddress());
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.target.closest("input, select, [role=listbox]") && event.key !== "Escape") return;
      if (this.press(event)) event.preventDefault();
    });
  }

  press({ key, target }) {
    const pan = (dx, dy) => () => (this.view.pan(dx * STEP_PX, dy * STEP_PX), this.moved());
    const click = (id) => () => find(id).click();
    const keys = {
      ArrowLeft: pan(1, 0),
      ArrowRight: pan(-1, 0),
      ArrowUp: pan(0, 1),
      ArrowDown: pan(0, -1),
      "+": click("closer"),
      "=": click("closer"),
      "-": click("further"),
      0: click("home"),
      m: click("move"),
      r: click("rectangle"),
      l: click("lasso"),
      n: () => this.list.step(1),
      p: () => this.list.step(-1),
      "/": () => find("search").focus(),
      Escape: () => (this.keep(-1), this.select([])),
    };
    if (target.classList.contains("stage")) keys.Enter = () => this.keep(this.spots.nearest(this.view.x, this.view.y));
    const act = keys[key.length === 1 ? key.toLowerCase() : key];
    act?.();
    return Boolean(act);
  }

  setMode(mode) {
    this.mode = mode;
    for (const each of MODES) find(each).setAttribute("aria-pressed", each === mode);
    find("panes").dataset.mode = mode;
  }

  // Values

  hover(spot) {
    if (spot === this.hovered) return;
    this.hovered = spot;
    this.redraw();
    this.tellSpot();
  }

  keep(spot) {
    this.kept = spot === this.kept ? -1 : spot;
    this.redraw();
    this.tellSpot();
  }

  /** Place of a spot and its unit; µm where the size of a pixel is known. */
  placeOf(spot) {
    const scale = this.page.umPerPx ?? 1;
    const rounded = (value) => Math.round(value * scale * 10) / 10;
    return [rounded(this.spots.xy[2 * spot]), rounded(this.spots.xy[2 * spot + 1]), this.page.umPerPx ? "µm" : "px"];
  }

  regionOf(spot) {
    return this.labels?.names[this.labels.codes[spot]] ?? "";
  }

  async tellSpot() {
    const spot = this.hovered >= 0 ? this.hovered : this.kept;
    if (spot < 0) {
      find("spot").replaceChildren(element("p", "Point at a spot to read its values; click to keep it.", { class: "small" }));
      return;
    }
    const barcode = (await this.names())[spot];
    if (spot !== (this.hovered >= 0 ? this.hovered : this.kept)) return;
    const [x, y, unit] = this.placeOf(spot);
    const list = element("dl");
    const add = (what, value) => list.append(element("dt", what), element("dd", value));
    add("Spot", barcode);
    add("Place", `${x}, ${y} ${unit}`);
    if (this.labels) add("Region", this.regionOf(spot) || "none");
    if (this.distance) {
      const distance = valueOf(this.distance, this.distance.levels[spot]);
      add("Distance from training", `${shown(distance)}${distance > 1 ? ", unlike the training" : ""}`);
    }
    for (const { name, label, kind } of this.page.layers) {
      if (kind === "spread" || !this.fields.has(name)) continue;
      const [value, spread] = [name, `${name}.sd`].map((each) => this.valueAt(each, spot));
      add(label, spread === null ? shown(value) : `${shown(value)} ± ${shown(spread, 2)} (SD)`);
    }
    find("spot").replaceChildren(list);
  }

  valueAt(name, spot) {
    const field = this.fields.get(name);
    return field ? valueOf(field, field.levels[spot]) : null;
  }

  async names() {
    this.unpackedNames ??= await this.barcodes();
    return this.unpackedNames;
  }

  // Selection

  select(polygon) {
    this.polygon = polygon;
    this.selected = polygon.length > 2 ? this.spots.inside(polygon) : [];
    this.redraw();
    this.tellSelection();
  }

  tellSelection() {
    find("selection").hidden = this.polygon.length < 3;
    find("selected").textContent = `${this.selected.length.toLocaleString("en")} spots selected`;
    find("means").replaceChildren(
      ...this.panes.map((pane) => {
        const row = element("tr");
        row.append(element("th", pane.choice.selectedOptions[0].textContent, { scope: "row" }));
        row.append(element("td", this.summaryOf(pane)));
        return row;
      }),
    );
  }

  summaryOf(pane) {
    if (pane.choice.value === "labels") {
      const counts = new Map();
      for (const spot of this.selected) {
        const region = this.regionOf(spot) || "no region";
        counts.set(region, (counts.get(region) ?? 0) + 1);
      }
      return [...counts].map(([region, count]) => `${region}: ${count}`).join(", ");
    }
    const { field } = this.shows(pane) ?? {};
    if (!field) return "–";
    const values = this.selected.map((spot) => valueOf(field, field.levels[spot])).filter((value) => value !== null);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return `mean ${shown(mean)}, n = ${values.length}`;
  }

  /** Save the selected spots and all values of the gene as CSV. */
  async save() {
    const names = await this.names();
    const gene = this.page.genes[this.gene];
    const layers = this.page.layers.filter(({ name }) => this.fields.has(name));
    const [, , unit] = this.placeOf(0);
    const heads = ["spot", `x (${unit})`, `y (${unit})`];
    if (this.labels) heads.push("region");
    if (this.distance) heads.push("distance from training");
    const rows = this.selected.map((spot) => [
      names[spot],
      ...this.placeOf(spot).slice(0, 2),
      ...(this.labels ? [this.regionOf(spot)] : []),
      ...(this.distance ? [valueOf(this.distance, this.distance.levels[spot])] : []),
      ...layers.map(({ name }) => this.valueAt(name, spot)),
    ]);
    heads.push(...layers.map((layer) => `${gene}, ${layer.label}, ${layer.unit}`));
    const lines = [heads, ...rows].map((row) => row.map(csvCell).join(","));
    const link = element("a", "", { download: `${this.page.name} ${gene}.csv` });
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // The address keeps what is shown

  writeAddress() {
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      const { x, y, scale } = this.view;
      const state = new URLSearchParams({
        gene: this.page.genes[this.gene],
        left: this.panes[0].choice.value,
        right: this.panes[1].choice.value,
        opacity: find("opacity").value,
        ...(find("same").checked && { same: 1 }),
        ...(!this.view.atHome && { x: x.toFixed(1), y: y.toFixed(1), scale: scale.toPrecision(5) }),
      });
      this.address = `#${state}`;
      history.replaceState(null, "", this.address);
    }, 150);
  }

  readAddress() {
    if (this.address === location.hash && location.hash) return;
    const state = new URLSearchParams(location.hash.slice(1));
    this.panes.forEach((pane, k) => {
      const wanted = state.get(["left", "right"][k]);
      const known = [...pane.choice.options].some(({ value }) => value === wanted);
      pane.choice.value = known ? wanted : this.defaults[k];
    });
    find("same").checked = state.has("same");
    if (state.has("opacity")) find("opacity").value = state.get("opacity");
    const [x, y, scale] = ["x", "y", "scale"].map((name) => Number.parseFloat(state.get(name)));
    if ([x, y, scale].every(Number.isFinite)) this.view.moveTo(x, y, scale);
    this.colour();
    const gene = this.page.genes.indexOf(state.get("gene"));
    this.showGene(gene >= 0 ? gene : (this.list.rows[0] ?? 0)).then(() => {
      if (state.has("gene") && gene < 0) this.say("gene", `This page has no gene ${state.get("gene")}.`);
    });
  }
}

/** A cell of CSV; text that a spreadsheet would run as a formula is quoted from it. */
function csvCell(value) {
  if (value === null) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  return `"${value.replace(/^[=+@-]/, "'$&").replaceAll('"', '""')}"`;
}

SlidePage.open().then(
  (page) => (window.slidePage = page),
  (error) => {
    find("notice").hidden = false;
    find("notice").textContent = error.message;
  },
);
