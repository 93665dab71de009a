// <spc-chart data-kind="p|pareto|measured|corrected" data-texts, and data-url or data-chart>: draws what the server computed, and
// computes nothing.
//
// Each point is an address: click or tap its column, or go along with the arrow keys and press Enter.

// The colours of the style sheet, light or dark as the page is; a chart drawn before that changes keeps its own.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const INK = {
  text: colour("--ink"),
  paper: colour("--paper"),
  faint: colour("--faint"),
  grid: colour("--chart-grid"),
  line: colour("--chart-line"),
  centre: colour("--accept-ink"),
  limit: colour("--reject-ink"),
  bar: colour("--chart-bar"),
};
const HATCH = { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: -Math.PI / 4, color: "rgba(110, 85, 0, 0.2)" };

class SpcChart extends HTMLElement {
  async connectedCallback() {
    this.texts = JSON.parse(this.dataset.texts);
    const [echarts, data] = await Promise.all([
      import("./vendor/echarts.esm.min.js"),
      this.dataset.chart ? JSON.parse(this.dataset.chart) : this.fetched(),
    ]);
    if (!this.isConnected) return;
    this.data = data;
    if (this.data.bars?.length === 0) {
      this.textContent = this.texts.pareto_none;
      return;
    }
    const place = document.createElement("div");
    place.className = "chart-place";
    this.spoken = document.createElement("p");
    this.spoken.className = "unseen";
    this.spoken.setAttribute("aria-live", "polite");
    this.replaceChildren(place, this.spoken);
    this.chart = echarts.init(place, null, { renderer: "svg", locale: this.isChinese() ? "ZH" : "EN" });
    this.percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent", maximumFractionDigits: 2 });
    this.figure = new Intl.NumberFormat(document.documentElement.lang, { maximumSignificantDigits: 5 });
    const { kind } = this.dataset;
    this.chart.setOption(kind === "pareto" ? this.pareto() : this.controlChart());
    if (kind !== "pareto") this.makePointsAddresses();
    this.resizing = new ResizeObserver(() => this.chart.resize());
    this.resizing.observe(place);
    this.classList.add("is-drawn");
  }

  disconnectedCallback() {
    this.resizing?.disconnect();
    this.chart?.dispose();
  }

  async fetched() {
    const answer = await fetch(this.dataset.url, { headers: { Accept: "application/json" } });
    return answer.json();
  }

  isChinese() {
    return document.documentElement.lang.startsWith("zh");
  }

  common() {
    return {
      animation: false,
      textStyle: { fontFamily: getComputedStyle(this).fontFamily, color: INK.text },
      tooltip: {
        trigger: "axis",
        confine: true,
        transitionDuration: 0,
        className: "chart-tip",
        backgroundColor: INK.paper,
        borderColor: INK.line,
        textStyle: { color: INK.text },
      },
    };
  }

  // Any control chart: one shape for shares and for values.
  controlChart() {
    const { points, signals } = this.data;
    const isShare = this.data.unit === "";
    const isCounted = this.isCounted();
    const rules = new Map(); // index -> rule numbers that are complete there
    const members = new Set();
    for (const { index, number, members: all } of signals) {
      rules.set(index, [...(rules.get(index) ?? []), number]);
      all.forEach((member) => members.add(member));
    }
    const isMany = points.length > 200;
    // Where many points in a row signal by the same rules, the first says so: their numbers would lie on one another.
    const isCrowded = points.length > 60;
    const goesOn = (index) => isCrowded && index > 0 && String(rules.get(index)) === String(rules.get(index - 1));
    const value = points.map((point, index) => {
      const style = this.pointStyle(point, rules.get(index), members.has(index), goesOn(index));
      return isMany && !rules.has(index) && !members.has(index) && !point.excluded ? { ...style, symbolSize: 3 } : style;
    });
    const stepped = (name, data, lineStyle) => ({ name, type: "line", step: "middle", data, symbol: "none", silent: true, lineStyle });
    const limit = (name, key, color, type) => ({
      ...stepped(name, points.map((point) => point[key]), { color, width: 1.6, type }),
      endLabel: {
        // A sum or a distance begins at 0, as the axis says.
        show: key !== "centre" || points.some(({ centre, lower }) => centre !== 0 || lower !== null),
        color,
        fontWeight: 600,
        fontSize: 12,
        formatter: ({ value: last }) => `${name} ${this.told(last)}`,
      },
      // Limits that lie close would be written over one another.
      labelLayout: { moveOverlap: "shiftY" },
    });
    const zones = [0, 1, 2, 3].map((line) =>
      stepped("", points.map(({ zones }) => zones?.[line] ?? null), { color: INK.grid, width: 1, type: "solid" }),
    );
    const highest = Math.max(...points.flatMap(({ value, upper }) => [value ?? 0, upper ?? 0]), 0.001) * 1.12;
    const top = isShare ? Math.min(1, highest) : highest;
    const starts = this.stageStarts();
    return {
      ...this.common(),
      grid: { left: 64, right: 118, top: 30, bottom: 44 },
      xAxis: {
        type: "category",
        data: points.map(({ label }) => (isShare ? label.slice(5) : label.slice(5, 16))),
        axisLabel: { color: INK.faint, hideOverlap: true, fontSize: 12 },
        axisLine: { lineStyle: { color: INK.line }, onZero: false },
        axisTick: { show: !isMany, alignWithLabel: true },
      },
      yAxis: {
        type: "value",
        ...(isCounted ? { min: 0, max: top } : { scale: true }),
        splitNumber: this.clientHeight < 260 ? 3 : 5,
        axisLabel: { color: INK.faint, formatter: (at) => this.told(at), showMaxLabel: !isCounted, hideOverlap: true },
        splitLine: { show: false },
      },
      tooltip: { ...this.common().tooltip, formatter: ([{ dataIndex }]) => this.tip(dataIndex) },
      series: [
        {
          name: this.texts.value,
          type: "line",
          showAllSymbol: true, // else a crowded chart hides points, signals among them
          data: value,
          lineStyle: { color: INK.line, width: isMany ? 1 : 1.6 },
          label: { show: true, position: "top", color: INK.limit, fontWeight: 700, fontSize: 13 },
          markLine: {
            silent: true,
            symbol: "none",
            label: { show: true, position: "insideEndTop", formatter: ({ name }) => name, color: INK.faint, fontSize: 11, rotate: 0, align: "left", distance: 6 },
            lineStyle: { color: INK.faint, type: "dotted", width: 1.5 },
            data: starts,
          },
          z: 5,
        },
        ...(isCounted
          ? [
              {
                name: this.texts.simulated,
                type: "bar",
                silent: true,
                barWidth: "100%",
                barCategoryGap: 0,
                data: points.map(({ simulated }) => (simulated > 0 ? top : null)),
                itemStyle: { color: "rgba(201, 146, 0, 0.07)", decal: HATCH },
              },
            ]
          : []),
        ...zones,
        limit(this.texts.upper, "upper", INK.limit, "dashed"),
        limit(this.texts.lower, "lower", INK.limit, "dashed"),
        limit(this.texts.centre, "centre", INK.centre, "solid"),
      ],
    };
  }

  // Where stages begin, by name. A name that would lie on the one before, or leave the paper, is cut short or left out:
  // the whole of it stands with each point.
  stageStarts() {
    const { points, stages } = this.data;
    if (!stages.length) return [];
    const step = Math.max(this.clientWidth - 182, 1) / points.length;
    const starts = points.flatMap(({ stage }, index) => (index && stage !== points[index - 1].stage ? [{ xAxis: index, name: stage }] : []));
    return starts.map((start, place) => {
      const room = (starts[place + 1] ? starts[place + 1].xAxis - start.xAxis : points.length - start.xAxis) * step;
      const width = Math.floor(starts[place + 1] ? room - 8 : room + 104);
      return { ...start, label: width < 40 ? { show: false } : { width, overflow: "truncate", ellipsis: "…" } };
    });
  }

  // What begins at 0: shares and numbers of units or defects, and what lies between rare ones.
  isCounted() {
    return this.data.unit === "" || ["np", "u", "c", "g", "t", "bernoulli_cusum", "poisson_cusum"].includes(this.data.chart);
  }

  told(value) {
    if (value === null || value === undefined) return "–";
    return this.data.unit === "" ? this.percent.format(value) : this.figure.format(value);
  }

  // Red and filled with the rule's number where a rule is complete, ringed where a point belongs to its pattern,
  // hollow and grey where it was left out of the limits.
  pointStyle({ value, excluded }, rules, isMember, goesOn) {
    if (excluded) {
      return {
        value,
        symbol: "circle",
        symbolSize: 11,
        itemStyle: { color: INK.paper, borderColor: INK.bar, borderWidth: 2 },
        label: { formatter: "×", color: INK.bar },
      };
    }
    if (rules) {
      return {
        value,
        symbol: "diamond",
        symbolSize: 15,
        itemStyle: { color: INK.limit, borderColor: INK.paper, borderWidth: 1 },
        label: { show: !goesOn, formatter: rules.join(",") },
      };
    }
    return {
      value,
      symbol: "circle",
      symbolSize: isMember ? 11 : 8,
      itemStyle: { color: isMember ? INK.paper : INK.line, borderColor: isMember ? INK.limit : INK.line, borderWidth: 2 },
      label: { show: false },
    };
  }

  // Bars lie on their side: names of kinds are long, and the panel is narrow.
  pareto() {
    const { bars } = this.data;
    // On the scale of the sum above them: the first bar ends where the line begins.
    const whole = bars.reduce((sum, { weight }) => sum + weight, 0);
    const kinds = {
      type: "category",
      inverse: true,
      data: bars.map(({ name }) => name),
      axisLabel: { color: INK.text, width: 96, overflow: "break", fontSize: 13, interval: 0 },
      axisLine: { lineStyle: { color: INK.line } },
      axisTick: { show: false },
    };
    return {
      ...this.common(),
      grid: { left: 106, right: 22, top: 30, bottom: 8 },
      yAxis: kinds,
      xAxis: [
        { type: "value", min: 0, max: whole, axisLabel: { show: false }, splitLine: { show: false } },
        {
          type: "value",
          position: "top",
          min: 0,
          max: 1,
          interval: 0.2,
          axisLabel: { color: INK.faint, formatter: (share) => this.percent.format(share), showMinLabel: false },
          splitLine: { lineStyle: { color: INK.grid } },
        },
      ],
      tooltip: { ...this.common().tooltip, formatter: ([{ dataIndex }]) => this.kindTip(dataIndex) },
      series: [
        {
          type: "bar",
          barMaxWidth: 34,
          data: bars.map(({ weight, colour }) => ({
            value: Math.round(weight * 100) / 100,
            itemStyle: { color: colour, borderColor: INK.line, borderWidth: 1 },
          })),
          label: { show: true, position: "insideLeft", color: "#fff", textBorderColor: "#1d242b", textBorderWidth: 3, fontWeight: 700 },
        },
        {
          type: "line",
          xAxisIndex: 1,
          data: bars.map(({ cumulative_share: share }) => share),
          symbol: "circle",
          symbolSize: 7,
          lineStyle: { color: INK.line, width: 1.4 },
          itemStyle: { color: INK.paper, borderColor: INK.line, borderWidth: 1.6 },
          markLine: {
            silent: true,
            symbol: "none",
            label: { show: false },
            lineStyle: { color: INK.faint, type: "dashed" },
            data: [{ xAxis: 0.8 }],
          },
        },
      ],
    };
  }

  makePointsAddresses() {
    const paper = this.chart.getZr();
    paper.on("click", ({ offsetX, offsetY }) => {
      if (!this.chart.containPixel("grid", [offsetX, offsetY])) return;
      const [column] = this.chart.convertFromPixel("grid", [offsetX, offsetY]);
      this.open(column);
    });
    paper.on("mousemove", ({ offsetX, offsetY }) => {
      paper.setCursorStyle(this.chart.containPixel("grid", [offsetX, offsetY]) ? "pointer" : "default");
    });
    this.addEventListener("keydown", (event) => this.onKey(event));
    this.addEventListener("blur", () => this.chart.dispatchAction({ type: "hideTip" }));
  }

  onKey(event) {
    const last = this.data.points.length - 1;
    const at = this.at ?? last + 1;
    const to = { ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(last, at + 1), Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.at = to;
      this.chart.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: to });
      this.spoken.textContent = [this.data.points[to].label, ...this.facts(to).map((fact) => fact.join(" "))].join(", ");
    } else if (event.key === "Enter" && this.at !== undefined) {
      this.open(this.at);
    }
  }

  open(index) {
    const point = this.data.points[index];
    if (point) location.assign(point.url);
  }

  tip(index) {
    return card(this.data.points[index].label, this.facts(index), this.data.points[index].opportunity === null ? this.texts.open_unit : this.texts.open);
  }

  facts(index) {
    const point = this.data.points[index];
    const { texts } = this;
    const counted = point.opportunity === null ? "" : ` (${point.count} / ${point.opportunity})`;
    const rows = [
      [texts.value, this.told(point.value) + counted],
      [texts.limits, `${this.told(point.lower)} … ${this.told(point.upper)}`],
    ];
    for (const [title, share] of Object.entries(point.shares ?? {})) rows.push([title, this.figure.format(share)]);
    if (point.review) rows.push([texts.review, point.review]);
    if (point.not_inspected) rows.push([texts.not_inspected, point.not_inspected]);
    if (point.stage) rows.push([texts.stage, point.stage]);
    if (point.simulated) rows.push([texts.simulated, point.simulated]);
    if (point.excluded) rows.push([texts.excluded, `${point.excluded.person}: ${point.excluded.reason}`]);
    for (const { index: at, number, text } of this.data.signals) {
      if (at === index) rows.push([`${texts.signal} ${number}`, text]);
    }
    return rows;
  }

  kindTip(index) {
    const bar = this.data.bars[index];
    const { texts } = this;
    return card(bar.name, [
      [texts.defects, bar.defects],
      [texts[this.data.weigh], `${this.figure.format(bar.weight)} (${this.percent.format(bar.share)})`],
      [texts.units, bar.units],
      [texts.cumulative, this.percent.format(bar.cumulative_share)],
    ]);
  }
}

// Built as elements: markup with styles in it is refused by the Content-Security-Policy.
function card(title, rows, foot = "") {
  const place = document.createElement("div");
  const add = (parent, tag, text) => {
    const element = document.createElement(tag);
    element.textContent = text;
    parent.append(element);
    return element;
  };
  add(place, "b", title);
  const list = add(place, "dl", "");
  for (const [name, value] of rows) {
    add(list, "dt", name);
    add(list, "dd", value);
  }
  if (foot) add(place, "small", foot);
  return place;
}

customElements.define("spc-chart", SpcChart);
