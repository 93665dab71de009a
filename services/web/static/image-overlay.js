// <image-overlay>: a picture with its boxes as vectors above it; its button shows the raw picture.
// The server draws both, so that a page without scripts, and a print, have the boxes too.

class ImageOverlay extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("button[data-boxes]");
    if (!this.button) return;
    this.onclick = ({ target }) => target.closest("button[data-boxes]") && this.toggle();
    this.button.hidden = false;
  }

  toggle() {
    const isShown = this.button.getAttribute("aria-pressed") !== "true";
    this.button.setAttribute("aria-pressed", String(isShown));
    this.classList.toggle("is-raw", !isShown);
  }
}

customElements.define("image-overlay", ImageOverlay);
