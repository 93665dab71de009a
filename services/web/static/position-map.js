// <position-map data-url data-shape="strip|part" data-texts>: every defect at its place, up to 200 000, on a canvas.
//
// Wheel, + and - zoom about the pointer or the middle, arrow keys and dragging move, 0 shows all again. A click opens the
// nearest defect's unit.

const MARGIN = { left: 64, right: 12, top: 10, bottom: 34 };
// The colours of the style sheet, light or dark as the page is.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const INK = { faint: colour("--faint"), line: colour("--chart-line"), ground: colour("--paper") };

class PositionMap extends HTMLElement {
  async connectedCallback() {
    this.texts = JSON.parse(this.dataset.texts);
    const answer = await fetch(this.dataset.url, { headers: { Accept: "application/json" } });
    const data = await answer.json();
    if (!this.isConnected || !data.extent) return;
    // Along a strip is drawn from left to right; a part is drawn as its camera sees it.
    const isStrip = this.dataset.shape === "strip";
    this.data = data;
    this.at = new Float32Array(isStrip ? data.y_mm : data.x_mm);
    this.up = new Float32Array(isStrip ? data.x_mm : data.y_mm);
    const [x1, y1, x2, y2] = data.extent;
    this.all = isStrip ? { left: y1, right: y2, top: x1, bottom: x2 } : { left: x1, right: x2, top: y1, bottom: y2 };
    this.view = { ...this.all };
    // By kind, so that the pen's colour changes once a kind.
    this.byKind = data.kinds.map(() => []);
    data.kind.forEach((kind, index) => this.byKind[kind].push(index));
    this.canvas = document.createElement("canvas");
    this.spoken = document.createElement("p");
    this.spoken.className = "unseen";
    this.spoken.setAttribute("aria-live", "polite");
    this.replaceChildren(this.canvas, this.spoken);
    this.listen();
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this);
  }

  disconnectedCallback() {
    this.resizing?.disconnect();
  }

  listen() {
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 0.8 : 1.25, event.offsetX, event.offsetY);
    });
    let from = null;
    let moved = false;
    this.canvas.addEventListener("pointerdown", ({ offsetX, offsetY }) => {
      from = [offsetX, offsetY];
      moved = false;
    });
    this.canvas.addEventListener("pointermove", ({ offsetX, offsetY, buttons }) => {
      if (!from || !buttons) return;
      moved ||= Math.abs(offsetX - from[0]) + Math.abs(offsetY - from[1]) > 4;
      this.move((from[0] - offsetX) / this.wide(), (from[1] - offsetY) / this.high());
      from = [offsetX, offsetY];
    });
    this.canvas.addEventListener("pointerup", ({ offsetX, offsetY }) => {
      if (from && !moved) this.open(offsetX, offsetY);
      from = null;
    });
    this.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2] }[event.key];
      if (move) this.move(...move);
      else if (event.key === "+" || event.key === "=") this.zoom(0.7);
      else if (event.key === "-") this.zoom(1 / 0.7);
      else if (event.key === "0") this.show({ ...this.all });
      else return;
      event.preventDefault();
    });
  }

  wide() {
    return this.clientWidth - MARGIN.left - MARGIN.right;
  }

  high() {
    return this.clientHeight - MARGIN.top - MARGIN.bottom;
  }

  zoom(factor, x = MARGIN.left + this.wide() / 2, y = MARGIN.top + this.high() / 2) {
    const { left, right, top, bottom } = this.view;
    const at = left + ((right - left) * (x - MARGIN.left)) / this.wide();
    const up = top + ((bottom - top) * (y - MARGIN.top)) / this.high();
    this.show({ left: at + (left - at) * factor, right: at + (right - at) * factor, top: up + (top - up) * factor, bottom: up + (bottom - up) * factor });
  }

  move(across, down) {
    const { left, right, top, bottom } = this.view;
    const dx = across * (right - left);
    const dy = down * (bottom - top);
    this.show({ left: left + dx, right: right + dx, top: top + dy, bottom: bottom + dy });
  }

  // No view shows more than there is.
  show(view) {
    const width = Math.min(view.right - view.left, this.all.right - this.all.left);
    const height = Math.min(view.bottom - view.top, this.all.bottom - this.all.top);
    view.left = Math.max(this.all.left, Math.min(view.left, this.all.right - width));
    view.top = Math.max(this.all.top, Math.min(view.top, this.all.bottom - height));
    this.view = { left: view.left, right: view.left + width, top: view.top, bottom: view.top + height };
    // However many events come, one drawing a frame.
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.draw();
    });
  }

  draw() {
    const [width, height, ratio] = [this.clientWidth, this.clientHeight, window.devicePixelRatio || 1];
    if (!width || !height) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const { left, right, top, bottom } = this.view;
    const [sx, sy] = [this.wide() / (right - left), this.high() / (bottom - top)];
    pen.fillStyle = INK.ground;
    pen.fillRect(MARGIN.left, MARGIN.top, this.wide(), this.high());
    pen.strokeStyle = INK.line;
    pen.strokeRect(MARGIN.left, MARGIN.top, this.wide(), this.high());
    const size = this.at.length > 20000 ? 2 : this.at.length > 2000 ? 4 : 6;
    if (size === 2) this.drawMany(pen, ratio);
    let shown = 0;
    this.byKind.forEach((indices, kind) => {
      pen.fillStyle = this.data.kinds[kind].colour;
      for (const index of indices) {
        const [at, up] = [this.at[index], this.up[index]];
        if (at < left || at > right || up < top || up > bottom) continue;
        shown += 1;
        if (size === 2) continue;
        pen.fillRect(MARGIN.left + (at - left) * sx - size / 2, MARGIN.top + (up - top) * sy - size / 2, size, size);
        if (size > 4) pen.strokeRect(MARGIN.left + (at - left) * sx - size / 2, MARGIN.top + (up - top) * sy - size / 2, size, size);
      }
    });
    this.axes(pen, width, height);
    this.spoken.textContent = `${shown} ${this.texts.defects}`;
    this.classList.add("is-drawn");
  }

  // Tens of thousands of dots are written as pixels: as rectangles 200 000 take a pen 80 ms, so 14 ms.
  drawMany(pen, ratio) {
    const [width, height] = [Math.round(this.wide() * ratio), Math.round(this.high() * ratio)];
    const dot = Math.max(1, Math.round(2 * ratio));
    this.layer ??= document.createElement("canvas");
    Object.assign(this.layer, { width, height });
    const on = this.layer.getContext("2d");
    const image = on.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const { left, right, top, bottom } = this.view;
    const [sx, sy] = [width / (right - left), height / (bottom - top)];
    this.byKind.forEach((indices, kind) => {
      const [red, green, blue] = rgbOf(this.data.kinds[kind].colour);
      const ink = (255 << 24) | (blue << 16) | (green << 8) | red;
      for (const index of indices) {
        const x = Math.round((this.at[index] - left) * sx - dot / 2);
        const y = Math.round((this.up[index] - top) * sy - dot / 2);
        if (x < 0 || y < 0 || x + dot > width || y + dot > height) continue;
        for (let row = y; row < y + dot; row += 1) pixels.fill(ink, row * width + x, row * width + x + dot);
      }
    });
    on.putImageData(image, 0, 0);
    pen.drawImage(this.layer, MARGIN.left, MARGIN.top, this.wide(), this.high());
  }

  axes(pen, width, height) {
    const figure = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 2 });
    const { left, right, top, bottom } = this.view;
    pen.fillStyle = INK.faint;
    pen.font = `12px ${getComputedStyle(this).fontFamily}`;
    pen.textAlign = "center";
    for (const at of roundTicks(left, right, this.wide() / 110)) {
      const x = MARGIN.left + ((at - left) / (right - left)) * this.wide();
      pen.fillRect(x, height - MARGIN.bottom, 1, 5);
      pen.fillText(figure.format(at), Math.min(x, width - 24), height - 18);
    }
    pen.fillText(this.dataset.shape === "strip" ? this.texts.along : this.texts.across, MARGIN.left + this.wide() / 2, height - 4);
    pen.textAlign = "right";
    for (const up of roundTicks(top, bottom, this.high() / 50)) {
      const y = MARGIN.top + ((up - top) / (bottom - top)) * this.high();
      pen.fillRect(MARGIN.left - 5, y, 5, 1);
      pen.fillText(figure.format(up), MARGIN.left - 8, Math.max(y + 4, MARGIN.top + 8));
    }
  }

  open(x, y) {
    const { left, right, top, bottom } = this.view;
    const at = left + ((right - left) * (x - MARGIN.left)) / this.wide();
    const up = top + ((bottom - top) * (y - MARGIN.top)) / this.high();
    const [px, py] = [(right - left) / this.wide(), (bottom - top) / this.high()];
    let nearest = -1;
    let least = 14; // px: a finger's width
    for (let index = 0; index < this.at.length; index += 1) {
      const off = Math.hypot((this.at[index] - at) / px, (this.up[index] - up) / py);
      if (off < least) [nearest, least] = [index, off];
    }
    if (nearest >= 0) location.assign(`/inspection/${this.data.inspection[nearest]}`);
  }
}

// Of "#rrggbb", as kinds of defects have it.
function rgbOf(hex) {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}

// Multiples of 1, 2 or 5 times a power of ten within the view, about so many.
function roundTicks(low, high, about) {
  const rough = (high - low) / Math.max(1, about);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) ticks.push(at);
  return ticks;
}

customElements.define("position-map", PositionMap);
