"use strict";

const MISSING = 255;
const AVERAGED_BELOW = 1.5; // radius on screen, px
const STAMPED_BELOW = 6;
const MOST_CELLS = 4e6;

/** Spots at their places: found by a uniform grid, drawn by the size that they have on screen. */
class Spots {
  constructor(xy, { spotPx, pitchPx, square }) {
    this.xy = xy;
    this.count = xy.length / 2;
    this.radius = spotPx / 2;
    this.pitch = pitchPx;
    this.square = square;
    this.box = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < this.count; i++) {
      this.box[0] = Math.min(this.box[0], xy[2 * i]);
      this.box[1] = Math.min(this.box[1], xy[2 * i + 1]);
      this.box[2] = Math.max(this.box[2], xy[2 * i]);
      this.box[3] = Math.max(this.box[3], xy[2 * i + 1]);
    }
    const area = (this.box[2] - this.box[0]) * (this.box[3] - this.box[1]);
    this.cell = Math.max(this.pitch, Math.sqrt(area / MOST_CELLS), 1e-6);
    this.columns = 1 + Math.floor((this.box[2] - this.box[0]) / this.cell + 0.5);
    this.rows = 1 + Math.floor((this.box[3] - this.box[1]) / this.cell + 0.5);
    this.sortIntoCells();
  }

  /** Cells are centred on the first spots, so that bins of a square array have one each. */
  cellOf(x, y) {
    return [
      Math.floor((x - this.box[0]) / this.cell + 0.5),
      Math.floor((y - this.box[1]) / this.cell + 0.5),
    ];
  }

  sortIntoCells() {
    const cells = new Int32Array(this.count);
    this.starts = new Int32Array(this.columns * this.rows + 1);
    for (let i = 0; i < this.count; i++) {
      const [column, row] = this.cellOf(this.xy[2 * i], this.xy[2 * i + 1]);
      cells[i] = row * this.columns + column;
      this.starts[cells[i] + 1]++;
    }
    for (let cell = 0; cell < this.columns * this.rows; cell++) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    this.order = new Int32Array(this.count);
    for (let i = 0; i < this.count; i++) this.order[next[cells[i]]++] = i;
  }

  /** Call with each spot whose centre may lie in a box of slide px. */
  within([left, top, right, bottom], visit) {
    const [column0, row0] = this.cellOf(left, top);
    const [column1, row1] = this.cellOf(right, bottom);
    const [first, last] = [Math.max(0, column0), Math.min(this.columns - 1, column1)];
    if (first > last) return;
    for (let row = Math.max(0, row0); row <= Math.min(this.rows - 1, row1); row++) {
      const end = this.starts[row * this.columns + last + 1];
      for (let k = this.starts[row * this.columns + first]; k < end; k++) visit(this.order[k]);
    }
  }

  /** The spot nearest to a place, no further than half a pitch or a radius; -1 for none. */
  nearest(x, y) {
    const reach = Math.max(this.radius, this.pitch / 2);
    let [best, least] = [-1, reach * reach];
    this.within([x - reach, y - reach, x + reach, y + reach], (i) => {
      const distance = (this.xy[2 * i] - x) ** 2 + (this.xy[2 * i + 1] - y) ** 2;
      if (distance <= least) [best, least] = [i, distance];
    });
    return best;
  }

  /** The spots whose centres lie in a polygon of slide px. */
  inside(polygon) {
    const xs = polygon.map((point) => point[0]);
    const ys = polygon.map((point) => point[1]);
    const found = [];
    this.within([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], (i) => {
      if (isInside(this.xy[2 * i], this.xy[2 * i + 1], polygon)) found.push(i);
    });
    return found.sort((one, other) => one - other);
  }

  /**
   * Draw every visible spot. `colouring` has a level of each spot (`levels`), a colour of each
   * level (`colours`, ABGR; 0 is not drawn), and whether levels are names (`named`).
   */
  draw(context, view, ratio, colouring) {
    const radius = this.radius * view.scale * ratio;
    if (Math.max(radius, 0.5 * this.pitch * view.scale * ratio) < AVERAGED_BELOW) {
      this.drawAverages(context, view, ratio, colouring);
    } else if (radius < STAMPED_BELOW) {
      this.drawStamps(context, view, ratio, colouring);
    } else {
      this.drawShapes(context, view, ratio, colouring);
    }
  }

  /** Call with the place on the canvas and the colour of each visible spot that has one. */
  visible(view, ratio, { levels, colours }, visit) {
    const [left, top, right, bottom] = view.bounds();
    const [margin, scale] = [this.radius, view.scale * ratio];
    this.within([left - margin, top - margin, right + margin, bottom + margin], (i) => {
      const colour = colours[levels[i]];
      if (colour) visit((this.xy[2 * i] - left) * scale, (this.xy[2 * i + 1] - top) * scale, colour);
    });
  }

  /** Far away: the mean of the spots in each cell as one pixel of a picture that is scaled. */
  drawAverages(context, view, ratio, colouring) {
    colouring.picture ??= this.average(colouring);
    const [x, y] = view.toScreen(this.box[0] - this.cell / 2, this.box[1] - this.cell / 2);
    const side = this.cell * view.scale * ratio;
    context.imageSmoothingEnabled = side < 1;
    context.drawImage(colouring.picture, x * ratio, y * ratio, side * this.columns, side * this.rows);
  }

  average({ levels, colours, named }) {
    const pixels = new ImageData(this.columns, this.rows);
    const colour = new Uint32Array(pixels.data.buffer);
    for (let cell = 0; cell < colour.length; cell++) {
      let [sum, known] = [0, 0];
      for (let k = this.starts[cell]; k < this.starts[cell + 1]; k++) {
        const level = levels[this.order[k]];
        if (level === MISSING) continue;
        sum = named ? level : sum + level;
        known = named ? 1 : known + 1;
      }
      if (known) colour[cell] = colours[Math.round(sum / known)];
    }
    const picture = new OffscreenCanvas(this.columns, this.rows);
    picture.getContext("2d").putImageData(pixels, 0, 0);
    return picture;
  }

  /** Small discs and squares, written into pixels row by row. */
  drawStamps(context, view, ratio, colouring) {
    const { width, height } = context.canvas;
    const pixels = context.createImageData(width, height);
    const target = new Uint32Array(pixels.data.buffer);
    const radius = this.radius * view.scale * ratio;
    this.visible(view, ratio, colouring, (x, y, colour) => {
      const bottom = Math.min(height, Math.round(y + radius));
      for (let row = Math.max(0, Math.round(y - radius)); row < bottom; row++) {
        const off = row + 0.5 - y;
        const half = this.square ? radius : Math.sqrt(Math.max(0, radius * radius - off * off));
        const end = Math.min(width, Math.round(x + half));
        for (let column = Math.max(0, Math.round(x - half)); column < end; column++) {
          target[row * width + column] = colour;
        }
      }
    });
    context.putImageData(pixels, 0, 0);
  }

  /** Large discs and squares: one path a colour. */
  drawShapes(context, view, ratio, colouring) {
    const paths = new Map();
    const radius = this.radius * view.scale * ratio;
    this.visible(view, ratio, colouring, (x, y, colour) => {
      if (!paths.has(colour)) paths.set(colour, new Path2D());
      const path = paths.get(colour);
      if (this.square) {
        const [x0, y0] = [Math.round(x - radius), Math.round(y - radius)];
        path.rect(x0, y0, Math.round(x + radius) - x0, Math.round(y + radius) - y0);
      } else {
        path.moveTo(x + radius, y);
        path.arc(x, y, radius, 0, 2 * Math.PI);
      }
    });
    for (const [colour, path] of paths) {
      context.fillStyle = css(colour);
      context.fill(path);
    }
  }
}

/** Whether a point lies in a polygon: a ray crosses its border an odd number of times. */
function isInside(x, y, polygon) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [x0, y0] = polygon[i];
    const [x1, y1] = polygon[j];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
  }
  return inside;
}

/** A colour in hexadecimal digits as the bytes of a pixel, A, B, G and R from the highest. */
function abgr(hex) {
  const rgb = Number.parseInt(hex, 16);
  return (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
}

function css(colour) {
  return `rgb(${colour & 0xff} ${(colour >> 8) & 0xff} ${(colour >> 16) & 0xff})`;
}
