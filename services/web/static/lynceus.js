// The custom elements that move. Everything else on the pages is HTML from the server.
import "./live-feed.js";
import "./image-overlay.js";
import "./spc-chart.js";
