// <camera-view>: the live picture with what is too bright and too dark marked in it, and beside it what the station
// measures of it. The marking is for the eye; every figure comes from the station, by the rule that recipes judge by.

const AGAIN_AFTER_MS = 2000;
const MEASURED_EVERY_MS = 700;
const OVER = 250, UNDER = 5;
const KEPT = 60;
const OLD_AFTER_MS = 15000;
const ANSWERS_WITHIN_MS = 4000;

class CameraView extends HTMLElement {
  connectedCallback() {
    this.canvas = this.querySelector("canvas");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.seen = [];
    this.best = 0;
    this.newAt = performance.now(); // when a picture or a figure last came that was new
    for (const button of this.querySelectorAll("[data-shows]")) {
      button.addEventListener("click", () => {
        button.ariaPressed = String(button.ariaPressed !== "true");
        this.show();
      });
    }
    this.querySelector("[data-again]").addEventListener("click", () => {
      this.seen = [];
      this.best = 0;
    });
    this.open();
    this.timer = setInterval(() => this.measure(), MEASURED_EVERY_MS);
  }

  disconnectedCallback() {
    this.isClosed = true;
    this.socket.close();
    clearInterval(this.timer);
  }

  shows(what) {
    return this.querySelector(`[data-shows="${what}"]`).ariaPressed === "true";
  }

  open() {
    const url = new URL(this.dataset.preview, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = () => this.isClosed || setTimeout(() => this.isClosed || this.open(), AGAIN_AFTER_MS);
  }

  async take(message) {
    this.newest = message;
    if (this.isDrawing) return;
    this.isDrawing = true;
    try {
      while (this.newest) {
        const taken = this.newest;
        this.newest = null;
        const length = new DataView(taken).getUint32(0);
        const { captured_at: capturedAt } = JSON.parse(new TextDecoder().decode(new Uint8Array(taken, 4, length)));
        this.image?.close();
        this.image = await createImageBitmap(new Blob([new Uint8Array(taken, 4 + length)], { type: "image/jpeg" }));
        // A connection that comes back begins with the picture that was there before.
        if (capturedAt !== this.capturedAt) this.newAt = performance.now();
        this.capturedAt = capturedAt;
        this.show();
      }
    } finally {
      this.isDrawing = false;
    }
  }

  show() {
    this.classList.toggle("is-actual", this.shows("actual"));
    if (!this.image) return;
    this.querySelector("[data-waiting]").hidden = true;
    const { width, height } = this.image;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.pen.drawImage(this.image, 0, 0);
    if (this.shows("exposure")) this.mark(width, height);
  }

  // Stripes, so that what is marked is told from what is shown without its colour.
  mark(width, height) {
    const pixels = this.pen.getImageData(0, 0, width, height);
    const { data } = pixels;
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at += 4) {
        const grey = Math.max(data[at], data[at + 1], data[at + 2]);
        if (grey >= OVER && (x + y) & 4) data.set([214, 64, 40], at);
        else if (grey <= UNDER && (x - y) & 4) data.set([40, 110, 230], at);
      }
    }
    this.pen.putImageData(pixels, 0, 0);
  }

  async measure() {
    if (document.hidden || this.isMeasuring) return;
    this.isMeasuring = true;
    try {
      const signal = AbortSignal.timeout(ANSWERS_WITHIN_MS);
      const answer = await fetch(this.dataset.aids, { headers: { Accept: "application/json" }, signal });
      if (answer.ok) this.tell(await answer.json());
    } catch {
      // The station is away: the last figures stand, and turn grey with the picture.
    } finally {
      this.isMeasuring = false;
      this.showAge();
    }
  }

  // Nobody is to turn a ring by figures of a picture that stands still.
  showAge() {
    const ageMs = performance.now() - this.newAt;
    const isOld = ageMs > OLD_AFTER_MS;
    const words = this.querySelector("[data-picture-age]");
    this.classList.toggle("is-old", isOld);
    words.hidden = !isOld;
    if (isOld) words.textContent = this.dataset.oldPicture.replace("{seconds}", Math.round(ageMs / 1000));
  }

  tell(aids) {
    const put = (name, value) => (this.querySelector(`[data-value="${name}"]`).textContent = value);
    const digits = (value, count) => (value === null ? "–" : value.toFixed(count));
    if (aids.captured_at !== this.measuredAt) {
      this.measuredAt = aids.captured_at;
      this.newAt = performance.now();
      this.seen = [...this.seen, 1000 * aids.sharpness].slice(-KEPT);
    }
    this.best = Math.max(this.best, ...this.seen);
    put("sharpness", digits(this.seen.at(-1) ?? null, 1));
    put("best", digits(this.best, 1));
    put("blur_across_px", digits(aids.blur_across_px, 2));
    put("blur_along_px", digits(aids.blur_along_px, 2));
    put("mean_grey", `${digits(aids.mean_grey, 0)} DN`);
    put("evenness", digits(aids.evenness, 2));
    put("saturated", `${digits(100 * aids.saturated, 2)}%`);
    put("dark", `${digits(100 * aids.dark, 2)}%`);
    const top = this.best || 1;
    this.querySelector("polyline").setAttribute(
      "points",
      this.seen.map((one, number) => `${(240 * number) / (KEPT - 1)},${58 - (54 * one) / top}`).join(" "),
    );
    const histogram = this.querySelector(".aids-histogram");
    const most = Math.max(...aids.histogram, 1);
    histogram.replaceChildren(
      ...aids.histogram.map((count, bin) => {
        const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        const height = 40 * Math.sqrt(count / most);
        for (const [name, value] of Object.entries({ x: bin, y: 40 - height, width: 0.9, height })) bar.setAttribute(name, value);
        if (bin === 63) bar.setAttribute("class", "is-over");
        if (bin === 0) bar.setAttribute("class", "is-under");
        return bar;
      }),
    );
  }
}

customElements.define("camera-view", CameraView);
