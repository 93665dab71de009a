// The custom elements that move. Everything else on the pages is HTML from the server.
import "./live-feed.js";
import "./image-overlay.js";
import "./spc-chart.js";
import "./position-map.js";
import "./review-desk.js";
import "./camera-view.js";
import "./label-editor.js";

// A table, or a frame around one, that scrolls is reached by keyboard.
const reachTables = () => {
  for (const table of document.querySelectorAll("table.table, .scroll")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute("tabindex");
  }
};
reachTables();
addEventListener("resize", reachTables);
document.addEventListener("htmx:after:swap", reachTables);

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A picture may have been given up to make room; its place says so instead of staying empty.
const markMissing = (image) => image.classList.add("is-missing");
document.addEventListener("error", ({ target }) => target instanceof HTMLImageElement && markMissing(target), true);
const markAllMissing = () => [...document.images].filter(({ complete, naturalWidth }) => complete && naturalWidth === 0).forEach(markMissing);
markAllMissing();
// A panel that is drawn anew keeps its picture, which fails no second time, and loses the mark.
document.addEventListener("htmx:after:swap", markAllMissing);

// The unit that was asked for is in view, however many stand left of it.
for (const frame of document.querySelectorAll(".family-scroll")) {
  const [seen, unit] = [frame, frame.querySelector(".family-root")].map((one) => one.getBoundingClientRect());
  frame.scrollLeft += unit.left + unit.width / 2 - (seen.left + seen.width / 2);
}
