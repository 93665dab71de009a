// The custom elements that move. Everything else on the pages is HTML from the server.
import "./unsaved-form.js"; // Before what draws from a form's fields.
import "./live-feed.js";
import "./image-overlay.js";
import "./spc-chart.js";
import "./position-map.js";
import "./review-desk.js";
import "./camera-view.js";
import "./label-editor.js";

// A table, or a frame around one, that scrolls is reached by keyboard, in what was folded up too.
const reachTable = (table) => {
  if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  else table.removeAttribute("tabindex");
};
const sizes = new ResizeObserver((changes) => changes.forEach(({ target }) => reachTable(target)));
const reachTables = () => {
  for (const table of document.querySelectorAll("table.table, .scroll")) {
    reachTable(table);
    sizes.observe(table);
  }
};
reachTables();
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

// On a phone the pages in the header lie in one line that scrolls: the one that is open is in view.
document.querySelector(".bar-nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

// The plant's time, counted on from when the page came.
for (const clock of document.querySelectorAll("[data-clock]")) {
  const cameAt = Date.now();
  const two = (number) => String(number).padStart(2, "0");
  setInterval(() => {
    const minutes = Math.floor((Number(clock.dataset.clock) + (Date.now() - cameAt) / 1000) / 60);
    clock.textContent = `${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
  }, 1000);
}

// How the station works, on pages that nothing else keeps true; where nobody answers, that it is not known.
const ASK_MODE_EVERY_MS = 5000;
const ANSWERS_WITHIN_MS = 4000;
const mode = document.querySelector("#mode[data-ask]");
const askMode = async () => {
  try {
    const answer = await fetch(mode.dataset.ask, { cache: "no-store", signal: AbortSignal.timeout(ANSWERS_WITHIN_MS) });
    if (!answer.ok) throw new Error(answer.statusText);
    const now = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("mode");
    if (now.className === mode.className) return;
    mode.className = now.className;
    mode.innerHTML = now.innerHTML;
  } catch {
    mode.className = "mode mode-lost";
    mode.lastChild.data = mode.dataset.noAnswer;
  }
};
if (mode) setInterval(askMode, ASK_MODE_EVERY_MS);
