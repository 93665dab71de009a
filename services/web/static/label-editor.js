// <label-editor>: boxes and outlines on a picture, by mouse or by keys alone. What is drawn goes into a form's hidden
// field as JSON, in the picture's pixels; the station checks it again. What a model guessed is drawn dotted and goes into
// that field only once a person has accepted it, or moved it or named it otherwise.

const SVG = "http://www.w3.org/2000/svg";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class LabelEditor extends HTMLElement {
  connectedCallback() {
    this.width = Number(this.dataset.width);
    this.height = Number(this.dataset.height);
    this.canvas = this.querySelector(".labelling-picture");
    this.svg = this.querySelector("svg");
    this.form = this.querySelector("form");
    this.said = null;
    this.form.addEventListener("submit", (event) => this.saves(event));
    this.field = this.querySelector("input[name=labels]");
    this.labels = JSON.parse(this.field.value);
    this.chosen = this.labels.length ? 0 : -1;
    this.canvas.style.width = `min(100%, ${(76 * this.width) / this.height}vh)`;
    this.at = [this.width / 2, this.height / 2];
    this.press = (event) => this.pressed(event);
    document.addEventListener("keydown", this.press);
    this.canvas.addEventListener("pointerdown", (event) => this.pointed(event));
    this.canvas.addEventListener("pointermove", (event) => this.dragged(event));
    this.canvas.addEventListener("pointerup", () => this.dropped());
    this.canvas.addEventListener("dblclick", () => this.closed());
    for (const button of this.querySelectorAll("[data-does]"))
      button.addEventListener("click", () => {
        this.does(button.dataset.does);
        this.canvas.focus();
      });
    for (const radio of this.kinds()) radio.addEventListener("change", () => this.rename());
    this.draw();
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.press);
  }

  kinds() {
    return [...this.querySelectorAll("input[name=kind]")];
  }

  kind() {
    return this.kinds().find(({ checked }) => checked)?.value;
  }

  rename() {
    if (this.labels[this.chosen]) this.accepted(this.labels[this.chosen]).kind = this.kind();
    this.draw();
  }

  does(what) {
    this.said = null;
    if (what === "guess") return this.guess();
    if (what === "box") {
      const [w, h] = [this.width / 10, this.height / 10];
      const [x, y] = this.at;
      this.add({ kind: this.kind(), box: this.inside([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) });
    } else if (what === "outline") {
      this.outline = [];
    } else if (what === "remove" && this.labels[this.chosen]) {
      this.labels.splice(this.chosen, 1);
      this.chosen = Math.min(this.chosen, this.labels.length - 1);
      this.choose(this.nextGuess());
    } else if (what === "accept" && this.labels[this.chosen]) {
      this.accepted(this.labels[this.chosen]);
      this.choose(this.nextGuess());
    }
    this.draw();
  }

  async guess() {
    const button = this.querySelector("[data-does=guess]");
    if (!button || button.disabled) return;
    button.disabled = true;
    this.says("looking");
    try {
      const answer = await fetch(`${button.dataset.url}&model=${this.querySelector("[name=model]").value}`);
      if (!answer.ok) throw new Error((await answer.json()).title);
      const { model, version, labels } = await answer.json();
      // Asked once more, it takes the place of what nobody answered.
      const kept = this.labels.filter(({ guess }) => !guess);
      this.labels = [...kept, ...labels.map(({ kind, box }) => ({ kind, box, guess: `${model} ${version}` }))];
      this.choose(labels.length ? kept.length : kept.length - 1);
      this.says(labels.length ? null : "nothing");
    } catch (error) {
      this.says("failed", error.message);
    }
    button.disabled = false;
  }

  accepted(label) {
    if (label.guess) this.form.elements.guessed_by.value = label.guess;
    delete label.guess;
    this.said = null;
    return label;
  }

  nextGuess() {
    const numbers = [...this.labels.keys()];
    const onwards = [...numbers.slice(Math.max(this.chosen, 0)), ...numbers];
    return onwards.find((number) => this.labels[number].guess) ?? this.chosen;
  }

  saves(event) {
    if (!this.labels.some(({ guess }) => guess)) return;
    event.preventDefault();
    this.choose(this.nextGuess());
    this.says("unsaved");
  }

  says(what, more = "") {
    this.said = what && this.querySelector("[data-status]").dataset[what] + (more && ` ${more}`);
    this.draw();
  }

  add(label) {
    this.chosen = this.labels.push(label) - 1;
    this.outline = null;
  }

  inside([x1, y1, x2, y2]) {
    const cut = (value, most) => Math.round(10 * Math.min(Math.max(value, 0), most)) / 10;
    return [cut(Math.min(x1, x2), this.width), cut(Math.min(y1, y2), this.height), cut(Math.max(x1, x2), this.width), cut(Math.max(y1, y2), this.height)];
  }

  pressed(event) {
    const typing = event.target.matches("input:not([type=radio]), textarea, select");
    if (typing || event.ctrlKey || event.metaKey) return;
    const key = event.key;
    const arrow = ARROWS[key];
    const onCanvas = document.activeElement === this.canvas;
    if (arrow && onCanvas) this.moves(arrow, event);
    else if (this.outline && onCanvas && key === " ") this.outline.push([...this.at]);
    else if (this.outline && key === "Enter") this.closed();
    else if (this.outline && key === "Escape") this.outline = null;
    else if (key === "n" || key === "N") this.does("box");
    else if (key === "m" || key === "M") this.does("outline");
    else if (key === "Delete" || key === "Backspace") this.does("remove");
    else if (key === "g" || key === "G") this.does("guess");
    else if (key === "a" || key === "A") this.does("accept");
    else if (key === "[" || key === "]") this.step(key === "]" ? 1 : -1);
    else if (key === "s" || key === "S") return this.querySelector("[data-save]").click();
    else if (key === "," || key === ".") return this.querySelector(key === "," ? "[data-before]" : "[data-after]")?.click();
    else if (/^[1-9]$/.test(key) && this.kinds()[key - 1]) {
      this.kinds()[key - 1].checked = true;
      this.rename();
    } else return;
    event.preventDefault();
    this.draw();
  }

  step(by) {
    const count = this.labels.length;
    if (count) this.choose((this.chosen + by + count) % count);
  }

  choose(number) {
    this.chosen = number;
    const radio = this.kinds().find(({ value }) => value === this.labels[number]?.kind);
    if (radio) radio.checked = true;
  }

  // Arrows move what is chosen, or while an outline is drawn the cross; with Alt a box grows. Shift goes ten times as far.
  moves([dx, dy], event) {
    const far = event.shiftKey ? 10 : 1;
    const label = this.outline ? null : this.labels[this.chosen];
    if (!label) {
      this.at = [Math.min(Math.max(this.at[0] + dx * far, 0), this.width), Math.min(Math.max(this.at[1] + dy * far, 0), this.height)];
    } else if (this.accepted(label).box) {
      const [x1, y1, x2, y2] = label.box;
      if (event.altKey) label.box = this.inside([x1, y1, Math.max(x2 + dx * far, x1 + 1), Math.max(y2 + dy * far, y1 + 1)]);
      else {
        const sx = Math.min(Math.max(dx * far, -x1), this.width - x2);
        const sy = Math.min(Math.max(dy * far, -y1), this.height - y2);
        label.box = this.inside([x1 + sx, y1 + sy, x2 + sx, y2 + sy]);
      }
    } else {
      const xs = label.outline.map(([x]) => x), ys = label.outline.map(([, y]) => y);
      const sx = Math.min(Math.max(dx * far, -Math.min(...xs)), this.width - Math.max(...xs));
      const sy = Math.min(Math.max(dy * far, -Math.min(...ys)), this.height - Math.max(...ys));
      label.outline = label.outline.map(([x, y]) => [x + sx, y + sy]);
    }
  }

  place(event) {
    const frame = this.svg.getBoundingClientRect();
    const cut = (value, most) => Math.round(10 * Math.min(Math.max(value, 0), most)) / 10;
    return [cut(((event.clientX - frame.x) / frame.width) * this.width, this.width), cut(((event.clientY - frame.y) / frame.height) * this.height, this.height)];
  }

  pointed(event) {
    this.at = this.place(event);
    if (this.outline) this.outline.push([...this.at]);
    else {
      this.from = this.at;
      this.canvas.setPointerCapture(event.pointerId);
    }
    this.draw();
  }

  dragged(event) {
    if (!this.from) return;
    this.at = this.place(event);
    this.drag = this.inside([...this.from, ...this.at]);
    this.draw();
  }

  dropped() {
    if (this.drag && this.drag[2] - this.drag[0] > 2 && this.drag[3] - this.drag[1] > 2) this.add({ kind: this.kind(), box: this.drag });
    else if (this.from) {
      const [x, y] = this.from;
      const hit = this.labels.findIndex((one) => {
        const [x1, y1, x2, y2] = one.box ?? this.around(one.outline);
        return x1 <= x && x <= x2 && y1 <= y && y <= y2;
      });
      if (hit >= 0) this.choose(hit);
    }
    this.from = this.drag = null;
    this.draw();
  }

  closed() {
    if (this.outline?.length >= 3) this.add({ kind: this.kind(), outline: this.outline });
    this.outline = null;
    this.draw();
  }

  around(outline) {
    const xs = outline.map(([x]) => x), ys = outline.map(([, y]) => y);
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }

  draw() {
    const shape = (name, given) => {
      const made = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
      return made;
    };
    const told = new Map(this.kinds().map((radio) => [radio.value, radio.dataset]));
    const shapes = this.labels.map((one, number) => {
      const look = { stroke: told.get(one.kind)?.colour ?? "#fff", class: `${number === this.chosen ? "is-chosen" : ""} ${one.guess ? "is-guess" : ""}` };
      if (one.outline) return shape("polygon", { ...look, points: one.outline.join(" ") });
      const [x1, y1, x2, y2] = one.box;
      return shape("rect", { ...look, x: x1, y: y1, width: x2 - x1, height: y2 - y1 });
    });
    if (this.outline) shapes.push(shape("polyline", { points: [...this.outline, this.at].join(" "), stroke: "#fff", class: "is-chosen" }));
    if (this.drag) shapes.push(shape("rect", { x: this.drag[0], y: this.drag[1], width: this.drag[2] - this.drag[0], height: this.drag[3] - this.drag[1], stroke: "#fff" }));
    const [x, y] = this.at;
    shapes.push(shape("path", { d: `M${x - 8} ${y}h16M${x} ${y - 8}v16`, stroke: "#fff", class: "is-cross" }));
    this.svg.replaceChildren(...shapes);
    const status = this.querySelector("[data-status]");
    const list = this.querySelector(".labels-list");
    list.replaceChildren(
      ...this.labels.map((one, number) => {
        const item = document.createElement("li");
        const [x1, y1, x2, y2] = one.box ?? this.around(one.outline);
        const guess = one.guess ? `${status.dataset.guess} ` : "";
        item.textContent = `${guess}${told.get(one.kind)?.name ?? one.kind} ${Math.round(x1)}, ${Math.round(y1)} – ${Math.round(x2)}, ${Math.round(y2)}`;
        if (number === this.chosen) item.setAttribute("aria-current", "true");
        return item;
      }),
    );
    const guessed = this.labels.some(({ guess }) => guess) ? status.dataset.guessed : null;
    const text = this.outline ? status.dataset.drawing : this.said ?? guessed ?? (this.labels.length ? status.dataset.some : status.dataset.none);
    if (status.textContent !== text) status.textContent = text;
    this.field.value = JSON.stringify(this.labels.filter(({ guess }) => !guess));
  }
}

customElements.define("label-editor", LabelEditor);
