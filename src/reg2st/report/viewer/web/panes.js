"use strict";

/** One view of the slide: what it shows, its canvases, its colour scale and its scale bar. */
class Pane {
  constructor(side, place) {
    this.side = side;
    this.root = document.getElementById("pane").content.firstElementChild.cloneNode(true);
    const find = (name) => this.root.querySelector(`.${name}`);
    [this.choice, this.stage, this.legend] = ["choice", "stage", "legend"].map(find);
    [this.scale, this.ramp, this.low, this.high] = ["scale", "ramp", "low", "high"].map(find);
    [this.unit, this.names, this.bar] = ["unit", "names", "bar"].map(find);
    this.layers = ["slide", "spots", "marks"].map(find);
    this.contexts = this.layers.map((canvas) => canvas.getContext("2d"));
    this.root.setAttribute("aria-label", `${side} pane`);
    this.choice.setAttribute("aria-label", `What the ${side.toLowerCase()} pane shows`);
    this.stage.setAttribute(
      "aria-label",
      `${side} pane: the slide. Arrow keys move, plus and minus zoom, Enter reads the spot in the middle.`,
    );
    place.append(this.root);
  }

  offer(options) {
    for (const { name, label } of options) this.choice.append(element("option", label, { value: name }));
  }

  resize(ratio) {
    const { clientWidth, clientHeight } = this.stage;
    for (const canvas of this.layers) {
      canvas.width = Math.round(clientWidth * ratio);
      canvas.height = Math.round(clientHeight * ratio);
    }
    return [clientWidth, clientHeight];
  }

  drawSlide(tiles, view, ratio) {
    this.clear(0);
    tiles.draw(this.contexts[0], view, ratio);
  }

  drawSpots(spots, view, ratio, opacity) {
    this.clear(1);
    this.layers[1].style.opacity = opacity;
    if (this.colouring) spots.draw(this.contexts[1], view, ratio, this.colouring);
  }

  /** Rings around spots, and the border of the selection. */
  drawMarks(spots, view, ratio, { rings, polygon }) {
    const context = this.clear(2);
    const line = (path) => {
      for (const [colour, width] of [["white", 4], ["black", 1.5]]) {
        context.strokeStyle = colour;
        context.lineWidth = width * ratio;
        context.stroke(path);
      }
    };
    for (const spot of rings) {
      const place = view.toScreen(spots.xy[2 * spot], spots.xy[2 * spot + 1]);
      const ring = new Path2D();
      const radius = Math.max(spots.radius * view.scale + 2, 5);
      ring.arc(place[0] * ratio, place[1] * ratio, radius * ratio, 0, 2 * Math.PI);
      line(ring);
    }
    if (polygon.length > 1) {
      const border = new Path2D();
      for (const [x, y] of polygon) border.lineTo(...view.toScreen(x, y).map((each) => each * ratio));
      border.closePath();
      line(border);
    }
  }

  clear(layer) {
    const { width, height } = this.layers[layer];
    this.contexts[layer].clearRect(0, 0, width, height);
    return this.contexts[layer];
  }

  drawBar({ text, width }) {
    this.bar.textContent = text;
    this.bar.style.width = `${width}px`;
  }

  /** Show values by colour between two limits; levels beyond them have the colours of the ends. */
  colourValues(field, [from, to], palette, unit) {
    const colours = new Uint32Array(256);
    for (let level = 0; level < MISSING; level++) {
      const share = to > from ? (valueOf(field, level) - from) / (to - from) : 0.5;
      colours[level] = palette[Math.round(255 * Math.min(1, Math.max(0, share)))];
    }
    this.colouring = { levels: field.levels, colours, named: false };
    this.showLegend("scale");
    const ramp = this.ramp.getContext("2d");
    palette.forEach((colour, place) => {
      ramp.fillStyle = css(colour);
      ramp.fillRect(place, 0, 1, 1);
    });
    this.low.textContent = `${field.low < from ? "≤ " : ""}${shown(from)}`;
    this.high.textContent = `${field.high > to ? "≥ " : ""}${shown(to)}`;
    this.unit.textContent = field.low === null ? "no value of this gene" : unit;
  }

  /** Show names, each by a colour. */
  colourNames({ names, codes }, palette) {
    const colours = new Uint32Array(256);
    this.names.replaceChildren();
    names.forEach((name, code) => {
      colours[code] = palette[code % palette.length];
      const entry = element("li", name);
      entry.prepend(element("span", "", { class: "swatch" }));
      entry.firstChild.style.background = css(colours[code]);
      this.names.append(entry);
    });
    this.colouring = { levels: codes, colours, named: true };
    this.showLegend("names");
  }

  colourNothing() {
    this.colouring = null;
    this.showLegend("nothing");
  }

  showLegend(kind) {
    this.scale.hidden = kind !== "scale";
    this.names.hidden = kind !== "names";
  }
}

/** The value that a level stands for; null where it is missing. */
function valueOf({ low, high }, level) {
  return level === MISSING || low === null ? null : low + (level / 254) * (high - low);
}
