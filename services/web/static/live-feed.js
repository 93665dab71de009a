// <live-feed data-events>: keeps the station page true, or says that it is not.
//
// The server draws every panel; an event only says which lane to ask for again. Three clocks are kept apart:
// the age of a verdict, the age of a lane's last sign of life, and the silence of the connection.

const LOST_AFTER_MS = 6000; // three of the server's `alive` events
const TICK_MS = 500;
const COUNTS_AFTER_MS = 1500;
const AGAIN_AFTER_MS = 1000;
const MAP_AFTER_MS = 1000;

class LiveFeed extends HTMLElement {
  connectedCallback() {
    this.ages = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always", style: "short" });
    this.stationAheadMs = 0; // the station's clock against this screen's
    this.heardAt = performance.now();
    this.waiting = new Set(); // panels being asked for; true again when asked meanwhile
    this.askedMeanwhile = new Set();
    this.onceMore = new Map(); // the timer of a panel's second drawing
    this.refused = new Set(); // panels and maps that the station last answered with an error, or not at all
    this.previews = [...this.querySelectorAll("canvas[data-preview]")].map((canvas) => new Preview(canvas));
    for (const button of this.querySelectorAll("[data-boxes]")) button.addEventListener("click", () => this.switchBoxes(button));
    this.addEventListener("htmx:after:swap", () => this.tick());
    for (const refusal of ["htmx:response:error", "htmx:error"]) {
      this.addEventListener(refusal, ({ target }) => this.refused.add(target));
    }
    this.pressed = (event) => this.press(event);
    document.addEventListener("keydown", this.pressed);
    this.listen();
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.tick();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    document.removeEventListener("keydown", this.pressed);
    this.onceMore.forEach(clearTimeout);
    this.source.close();
    this.previews.forEach((preview) => preview.close());
  }

  // A key presses a button that is on the page.
  press(event) {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    const button = this.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  }

  // The picture as the camera saw it, without what was found drawn over it; of that lane, until the page is left.
  switchBoxes(button) {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const preview of this.previews) {
      if (button.parentElement.contains(preview.canvas)) preview.switchBoxes(shown);
    }
  }

  listen() {
    this.source = new EventSource(this.dataset.events);
    this.source.addEventListener("station", (event) => this.onStation(JSON.parse(event.data)));
    this.source.addEventListener("lane", (event) => this.onLane(JSON.parse(event.data)));
    this.source.addEventListener("progress", (event) => this.onProgress(JSON.parse(event.data)));
    this.source.addEventListener("alive", (event) => this.onAlive(JSON.parse(event.data)));
    this.source.onerror = () => {
      // The browser tries again by itself, except after an answer that was no stream.
      if (this.source.readyState === EventSource.CLOSED) {
        setTimeout(() => this.isConnected && this.listen(), AGAIN_AFTER_MS);
      }
    };
  }

  onAlive({ at }) {
    this.stationAheadMs = Date.parse(at) - Date.now();
    this.heardAt = performance.now();
    this.tick();
  }

  onStation({ at, lanes }) {
    this.onAlive({ at });
    lanes.forEach((lane) => this.onLane(lane));
  }

  onLane({ lane }) {
    this.heardAt = performance.now();
    if (!this.section(lane)) {
      location.reload(); // a lane this page was drawn without
      return;
    }
    this.redraw(lane);
    this.redrawMap(lane);
  }

  onProgress({ lane, frames, defects, last_sign_at: lastSignAt }) {
    this.heardAt = performance.now();
    const section = this.section(lane);
    if (!section) return;
    const show = (slot, value) => {
      const place = section.querySelector(slot);
      if (place) place.textContent = value.toLocaleString(document.documentElement.lang);
    };
    show("[data-frames]", frames);
    show("[data-defects]", defects);
    section.querySelector("[data-tile]").dataset.lastSign = lastSignAt;
    this.redrawMap(lane);
  }

  // The coil in view grows with every frame; once a second is as often as anyone looks.
  async redrawMap(lane) {
    const map = this.section(lane).querySelector("[data-map]");
    if (!map) return; // its units are parts
    map.isBehind = true;
    if (map.isWaiting) return;
    map.isWaiting = true;
    map.isBehind = false;
    if (!(await this.isDrawn(map, map.dataset.map, "innerHTML"))) map.isBehind = true;
    setTimeout(() => {
      map.isWaiting = false;
      if (map.isBehind && this.isConnected) this.redrawMap(lane);
    }, MAP_AFTER_MS);
  }

  section(lane) {
    return this.querySelector(`[data-lane="${CSS.escape(lane)}"]`);
  }

  async redraw(lane, { isSecond = false } = {}) {
    if (this.waiting.has(lane)) {
      this.askedMeanwhile.add(lane);
      return;
    }
    this.waiting.add(lane);
    const panel = this.section(lane).querySelector("[data-panel]");
    const isDrawn = await this.isDrawn(panel, panel.dataset.panel, "innerMorph");
    this.waiting.delete(lane);
    const tile = panel.querySelector("[data-tile]");
    tile.toggleAttribute("data-behind", !isDrawn);
    this.tick();
    clearTimeout(this.onceMore.get(lane));
    if (this.askedMeanwhile.delete(lane) && isDrawn) this.redraw(lane);
    else if (!isDrawn) this.onceMore.set(lane, setTimeout(() => this.isConnected && this.redraw(lane), AGAIN_AFTER_MS));
    // The counts are read at most once a second: a panel drawn right after a verdict may lack it.
    else if (!isSecond) this.onceMore.set(lane, setTimeout(() => this.redraw(lane, { isSecond: true }), COUNTS_AFTER_MS));
  }

  // Whether the station drew it. What it answers instead of a panel is not put in its place.
  async isDrawn(place, url, swap) {
    this.refused.delete(place);
    await window.htmx.ajax("GET", url, { source: place, target: place, swap });
    return !this.refused.has(place);
  }

  tick() {
    const isLost = performance.now() - this.heardAt > LOST_AFTER_MS;
    const stationNow = Date.now() + this.stationAheadMs;
    this.querySelector("[data-lost]").hidden = !isLost;
    this.classList.toggle("is-lost", isLost);
    this.showMode(isLost);
    for (const time of this.querySelectorAll("time[data-age]")) {
      time.textContent = this.age(stationNow - Date.parse(time.dateTime));
    }
    for (const time of this.querySelectorAll("time[data-due]")) {
      const left = Date.parse(time.dateTime) - stationNow;
      if (left > 0) time.textContent = this.left(left);
    }
    for (const preview of this.previews) if (preview.capturedAt) this.showPictureAge(preview, stationNow);
    for (const tile of this.querySelectorAll("[data-tile]")) {
      const isSilent = !(stationNow - Date.parse(tile.dataset.lastSign) < this.staleAfterMs(tile));
      const isBehind = "behind" in tile.dataset; // it could not be drawn anew, and may be of a unit before
      tile.classList.toggle("is-stale", isSilent || isBehind || isLost);
      const [silent, behind] = ["[data-stale]", "[data-behind-words]"].map((words) => tile.querySelector(words));
      if (!silent) continue;
      silent.hidden = !isSilent || isBehind || isLost;
      behind.hidden = !isBehind || isLost;
    }
  }

  // The header's word on how the station works is as old as the connection. Each panel that is drawn brings the next.
  showMode(isLost) {
    const mode = document.getElementById("mode");
    if (!mode) return;
    if (isLost && !this.modeBefore) {
      this.modeBefore = { className: mode.className, words: mode.lastChild.data };
      mode.className = "mode mode-lost";
      mode.lastChild.data = mode.dataset.noAnswer;
    } else if (!isLost && this.modeBefore) {
      mode.className = this.modeBefore.className;
      mode.lastChild.data = this.modeBefore.words;
      this.modeBefore = null;
    }
  }

  // A picture that stands still looks well: past the time in which a lane is believed it turns grey and says its age.
  showPictureAge({ picture, capturedAt }, stationNow) {
    const ageMs = stationNow - capturedAt;
    const isOld = ageMs > this.staleAfterMs(picture.closest("[data-lane]").querySelector("[data-tile]"));
    const words = picture.querySelector("[data-picture-age]");
    picture.classList.toggle("is-old", isOld);
    words.hidden = !isOld;
    if (isOld) words.textContent = this.dataset.oldPicture.replace("{seconds}", Math.round(ageMs / 1000));
  }

  staleAfterMs(tile) {
    return 1000 * Number(tile.dataset.staleAfterS);
  }

  left(ms) {
    const minutes = Math.ceil(ms / 60000);
    return minutes < 100 ? this.ages.format(minutes, "minute") : this.ages.format(Math.floor(minutes / 60), "hour");
  }

  age(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 100) return this.ages.format(-seconds, "second");
    if (seconds < 100 * 60) return this.ages.format(-Math.round(seconds / 60), "minute");
    if (seconds < 48 * 3600) return this.ages.format(-Math.round(seconds / 3600), "hour");
    return this.ages.format(-Math.round(seconds / 86400), "day");
  }
}

// One lane's live picture with its boxes. Draws the newest frame; one that came while another was being
// decoded is drawn next, all others are gone.
class Preview {
  constructor(canvas) {
    this.canvas = canvas;
    this.picture = canvas.closest(".picture");
    this.isClosed = false;
    this.showsBoxes = true;
    this.open();
  }

  switchBoxes(shown) {
    this.showsBoxes = shown;
    if (this.drawn) this.take(this.drawn);
  }

  open() {
    const url = new URL(this.canvas.dataset.preview, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = () => {
      if (!this.isClosed) setTimeout(() => this.isClosed || this.open(), AGAIN_AFTER_MS);
    };
  }

  close() {
    this.isClosed = true;
    this.socket.close();
  }

  async take(message) {
    this.newest = message;
    if (this.isDrawing) return;
    this.isDrawing = true;
    try {
      while (this.newest) {
        this.drawn = this.newest;
        this.newest = null;
        await this.draw(this.drawn);
      }
    } finally {
      this.isDrawing = false;
    }
  }

  async draw(message) {
    const length = new DataView(message).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
    const jpeg = new Uint8Array(message, 4 + length);
    const { canvas } = this;
    const { width_px: width, height_px: height } = header;
    const perScreenPx = Math.max(width / canvas.clientWidth, height / canvas.clientHeight);
    // No more pixels than the screen shows: a panel without a GPU moves each of them several times.
    const scale = Math.min(1, devicePixelRatio / perScreenPx);
    const [resizeWidth, resizeHeight] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
    const image = await decoded(jpeg, { resizeWidth, resizeHeight });
    if (canvas.width !== resizeWidth || canvas.height !== resizeHeight) {
      canvas.width = resizeWidth;
      canvas.height = resizeHeight;
    }
    const pen = canvas.getContext("2d", { alpha: false });
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(image, 0, 0, resizeWidth, resizeHeight);
    image.close();
    pen.setTransform(resizeWidth / width, 0, 0, resizeHeight / height, 0, 0);
    if (this.showsBoxes) for (const defect of header.defects) drawBox(pen, defect, perScreenPx, { width, height });
    this.capturedAt = Date.parse(header.captured_at);
    this.picture.classList.add("has-picture");
    this.picture.querySelector("[data-failure]").hidden = header.failure === null;
    this.picture.querySelector("[data-failure-code]").textContent = header.failure ?? "";
  }
}

// A blob goes through the browser's own process and back. Where the page is encrypted, or of this computer, there is a way
// without one.
async function decoded(jpeg, { resizeWidth, resizeHeight }) {
  if (window.ImageDecoder) {
    const decoder = new ImageDecoder({ data: jpeg, type: "image/jpeg" });
    try {
      return (await decoder.decode()).image;
    } finally {
      decoder.close();
    }
  }
  const blob = new Blob([jpeg], { type: "image/jpeg" });
  return createImageBitmap(blob, { resizeWidth, resizeHeight, resizeQuality: "medium" });
}

function drawBox(pen, { box_px: [x1, y1, x2, y2], name, colour }, perScreenPx, frame) {
  const line = 2 * perScreenPx;
  pen.lineWidth = 2 * line;
  pen.strokeStyle = "#14181c"; // a dark edge keeps a light box visible on light steel
  pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  pen.lineWidth = line;
  pen.strokeStyle = colour;
  pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  pen.font = `600 ${13 * perScreenPx}px system-ui, sans-serif`;
  pen.textBaseline = "top";
  const width = pen.measureText(name).width + 8 * perScreenPx;
  const height = 18 * perScreenPx;
  const x = Math.max(0, Math.min(x1 - line, frame.width - width));
  const y = y1 - height >= 0 ? y1 - height : Math.min(y2, frame.height - height);
  pen.fillStyle = "#14181c";
  pen.fillRect(x, y, width, height);
  pen.fillStyle = "#fff";
  pen.fillText(name, x + 4 * perScreenPx, y + 2.5 * perScreenPx);
}

customElements.define("live-feed", LiveFeed);
