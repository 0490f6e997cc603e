"use strict";

const CLOSEST = 8; // screen px a slide px

/** Which part of the slide all panes show. */
class View {
  constructor(slide, home) {
    this.slide = slide;
    this.home = home; // left, top, right, bottom, slide px
    this.width = 1;
    this.height = 1;
    this.goHome();
  }

  resize(width, height) {
    const atHome = this.atHome;
    [this.width, this.height] = [width, height];
    if (atHome) this.goHome();
  }

  goHome() {
    const [left, top, right, bottom] = this.home;
    const scale = Math.min(this.width / (right - left), this.height / (bottom - top));
    this.moveTo((left + right) / 2, (top + bottom) / 2, scale);
    this.atHome = true;
  }

  moveTo(x, y, scale) {
    const { width, height } = this.slide;
    const whole = Math.min(this.width / width, this.height / height);
    this.scale = Math.min(CLOSEST, Math.max(scale, 0.5 * whole));
    this.x = Math.min(width, Math.max(0, x));
    this.y = Math.min(height, Math.max(0, y));
    this.atHome = false;
  }

  pan(dx, dy) {
    this.moveTo(this.x - dx / this.scale, this.y - dy / this.scale, this.scale);
  }

  /** Zoom so that the place under a point of the screen stays there. */
  zoom(factor, screenX = this.width / 2, screenY = this.height / 2) {
    const [x, y] = this.toSlide(screenX, screenY);
    const old = this.scale;
    this.moveTo(this.x, this.y, this.scale * factor);
    const grown = this.scale / old;
    this.moveTo(x + (this.x - x) / grown, y + (this.y - y) / grown, this.scale);
  }

  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2];
  }

  toSlide(screenX, screenY) {
    return [
      (screenX - this.width / 2) / this.scale + this.x,
      (screenY - this.height / 2) / this.scale + this.y,
    ];
  }

  /** Left, top, right and bottom of what is visible, slide px. */
  bounds() {
    return [...this.toSlide(0, 0), ...this.toSlide(this.width, this.height)];
  }
}

/** A round length of a scale bar, and its width on screen. */
function scaleBar(view, umPerPx, most = 140) {
  const longest = (most / view.scale) * (umPerPx ?? 1);
  const power = 10 ** Math.floor(Math.log10(longest));
  const length = [5, 2, 1].map((step) => step * power).find((step) => step <= longest);
  const unit = umPerPx === null ? "px" : length >= 1000 ? "mm" : "µm";
  const text = `${shown(unit === "mm" ? length / 1000 : length)} ${unit}`;
  return { text, width: (length / (umPerPx ?? 1)) * view.scale };
}
