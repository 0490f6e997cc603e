"use strict";

const MOST_REQUESTS = 8;
const MOST_TILES = 150; // of 1 MB each, once decoded

/** The slide as Deep Zoom tiles: a cache that all panes share. */
class Tiles {
  constructor(slide, onLoad, onMissing) {
    this.slide = slide;
    this.onLoad = onLoad;
    this.onMissing = onMissing;
    this.kept = new Map(); // key to image, the least recently used first
    this.missing = new Set();
    this.loading = new Set();
    this.wanted = new Map();
  }

  /** Draw what is visible: each tile, or the part of a coarser one until it is loaded. */
  draw(context, view, ratio) {
    const { finest, coarsest, tile, width, height } = this.slide;
    const fitting = finest + Math.ceil(Math.log2(view.scale * ratio) - 0.25);
    const level = Math.max(coarsest, Math.min(finest, fitting));
    const side = tile * 2 ** (finest - level);
    const [left, top, right, bottom] = view.bounds();
    const last = (length) => Math.ceil(length / side) - 1;
    const columns = [Math.max(0, Math.floor(left / side)), Math.min(last(width), Math.floor(right / side))];
    const rows = [Math.max(0, Math.floor(top / side)), Math.min(last(height), Math.floor(bottom / side))];
    context.imageSmoothingEnabled = view.scale * ratio < 2;
    for (let row = rows[0]; row <= rows[1]; row++) {
      for (let column = columns[0]; column <= columns[1]; column++) {
        this.drawTile(context, view, ratio, level, column, row);
      }
    }
  }

  drawTile(context, view, ratio, level, column, row) {
    const { finest, coarsest, tile, width, height } = this.slide;
    const side = tile * 2 ** (finest - level);
    const x = column * side;
    const y = row * side;
    const end = [Math.min(x + side, width), Math.min(y + side, height)];
    const [x0, y0] = view.toScreen(x, y).map((place) => Math.round(place * ratio));
    const [x1, y1] = view.toScreen(end[0], end[1]).map((place) => Math.round(place * ratio));
    for (let up = 0; level - up >= coarsest; up++) {
      const image = this.get(level - up, column >> up, row >> up);
      if (!image) continue;
      const step = 2 ** (finest - level + up); // px of level 0 a px of the image
      const [originX, originY] = [(column >> up) * tile, (row >> up) * tile];
      const from = [x / step - originX, y / step - originY];
      const size = [
        Math.min((end[0] - x) / step, image.naturalWidth - from[0]),
        Math.min((end[1] - y) / step, image.naturalHeight - from[1]),
      ];
      if (size[0] > 0 && size[1] > 0) context.drawImage(image, ...from, ...size, x0, y0, x1 - x0, y1 - y0);
      return;
    }
  }

  get(level, column, row) {
    const key = `${level}/${column}_${row}`;
    const image = this.kept.get(key);
    if (image) {
      this.kept.delete(key);
      this.kept.set(key, image);
    } else if (!this.missing.has(key)) {
      this.wanted.set(key, level);
    }
    return image;
  }

  /** Ask for what the last drawing lacked, the coarsest first. */
  request() {
    const wanted = [...this.wanted].sort((one, other) => one[1] - other[1]);
    this.wanted.clear();
    for (const [key] of wanted) {
      if (this.loading.size >= MOST_REQUESTS) return;
      if (!this.loading.has(key)) this.load(key);
    }
  }

  load(key) {
    const image = new Image();
    this.loading.add(key);
    image.onload = () => {
      this.loading.delete(key);
      this.kept.set(key, image);
      if (this.kept.size > MOST_TILES) this.kept.delete(this.kept.keys().next().value);
      this.onLoad();
    };
    image.onerror = () => {
      this.loading.delete(key);
      this.missing.add(key);
      this.onMissing(this.missing.size);
      this.onLoad();
    };
    image.src = `tiles/${key}.jpg`;
  }
}
