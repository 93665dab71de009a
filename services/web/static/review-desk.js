// <review-desk>: decisions by keys. Every key presses a button that is on the page, so all of it works without keys,
// and without scripts too.

// A second press of a key that was meant for the unit before decides nothing about the next one.
const SEEN_AFTER_MS = 700;

class ReviewDesk extends HTMLElement {
  connectedCallback() {
    this.shownAt = performance.now();
    this.press = (event) => this.pressed(event);
    document.addEventListener("keydown", this.press);
    const again = Number(this.dataset.againS);
    if (again) this.timer = setInterval(() => location.reload(), again * 1000);
    const undo = this.querySelector("form[data-left-s]");
    if (undo) this.countDown(undo, performance.now() + 1000 * Number(undo.dataset.leftS));
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.press);
    clearInterval(this.timer);
  }

  pressed(event) {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    const button = this.querySelector(`[data-key="${CSS.escape(event.key)}"]`) ?? this.reason(event.key);
    if (!button) return;
    event.preventDefault();
    if (button.form?.elements.inspection && !this.isSeen()) return;
    button.click();
    if (button.matches("summary")) button.closest("details").querySelector("[data-reason]")?.focus();
  }

  // Whether somebody can have looked at the unit: its pictures are there, and have been for a moment.
  isSeen() {
    const areThere = [...this.querySelectorAll(".review-pictures img")].every((picture) => picture.complete);
    return areThere && performance.now() - this.shownAt >= SEEN_AFTER_MS;
  }

  // Numbers choose a reason only once NG was chosen: a number that slips decides nothing.
  reason(key) {
    const open = this.querySelector("details[data-reasons][open]");
    return open?.querySelector(`[data-reason="${CSS.escape(key)}"]`);
  }

  countDown(undo, until) {
    const left = undo.querySelector("[data-left]");
    const tick = () => {
      const seconds = Math.ceil((until - performance.now()) / 1000);
      if (seconds <= 0) return undo.remove();
      left.textContent = `${seconds} s`;
      setTimeout(tick, 200);
    };
    tick();
  }
}

customElements.define("review-desk", ReviewDesk);
