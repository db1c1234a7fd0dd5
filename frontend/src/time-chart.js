import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

import { formatter, spanLabel, tickLabel } from "./formats.js";

echarts.use([BarChart, LineChart, GridComponent, TooltipComponent, CanvasRenderer]);

const HOUR = 3600;
const DAY = 24 * HOUR;
const TICKS = [HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 56 * DAY, 182 * DAY, 364 * DAY];
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** <time-chart kind="bar|line"> draws the JSON that its server-rendered <script> child holds; a click opens the bucket. */
class TimeChart extends HTMLElement {
  connectedCallback() {
    this.data ??= JSON.parse(this.querySelector("script").textContent);
    const canvas = this.appendChild(document.createElement("div"));
    canvas.className = "canvas";
    this.chart = echarts.init(canvas);
    this.observer = new ResizeObserver(() => {
      this.chart.resize();
      this.draw();
    });
    this.observer.observe(this);
    this.addEventListener("pointerdown", () => {
      this.dismissing = document.querySelector("details.menu[open]") !== null;
    });
    this.chart.getZr().on("click", (event) => this.dismissing || this.open(event.offsetX)); // first close the menu
    document.fonts.ready.then(() => this.isConnected && this.draw());
    this.draw();
  }

  disconnectedCallback() {
    this.observer.disconnect();
    this.chart.dispose();
    this.querySelector(".canvas")?.remove();
  }

  /** Resolve a custom property to a colour: a canvas knows neither var() nor light-dark(). */
  colour(name) {
    const probe = this.appendChild(document.createElement("i"));
    probe.className = `ink-${name}`;
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  open(x) {
    const { t, step, zoom, links } = this.data;
    const index = this.chart.convertFromPixel({ xAxisIndex: 0 }, x);
    if (links && index in links) location.assign(links[index]);
    if (!zoom || !(index in t)) return;
    const edge = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16);
    const url = new URL(zoom, document.baseURI);
    url.searchParams.set("from", edge(t[index]));
    url.searchParams.set("to", edge(t[index] + step));
    location.assign(url);
  }

  draw() {
    const bars = this.getAttribute("kind") === "bar";
    const { unit, series } = this.data;
    const whole = unit === "percent" && series.some(({ values }) => values.some((value) => value > 80));
    const [muted, line] = [this.colour("muted"), this.colour("line")];
    this.chart.setOption({
      animation: !reducedMotion.matches,
      animationDuration: 250,
      grid: { left: 2, right: 4, top: 10, bottom: 6, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      textStyle: { fontFamily: "Inter, system-ui, sans-serif" },
      tooltip: this.tooltip(bars, muted, line),
      xAxis: this.timeAxis(muted, line),
      yAxis: {
        type: "value",
        splitNumber: 4,
        min: series.some(({ values }) => values.some((value) => value < 0)) ? undefined : 0,
        max: whole ? 100 : undefined, // else the scale would be rounded up to more than there can be
        interval: whole ? 25 : undefined,
        minInterval: unit === "count" || unit === "bytes" ? 1 : undefined,
        axisLabel: { color: muted, formatter: formatter(this.data, "axis") },
        splitLine: { lineStyle: { color: line } },
      },
      series: series.flatMap((one) => (bars ? [this.bar(one)] : this.lines(one))),
    }, { notMerge: true });
  }

  timeAxis(muted, line) {
    const { t, step, labels } = this.data;
    if (labels) return this.namedAxis(labels, muted, line);
    const room = Math.max(2, this.clientWidth / 64);
    const span = t.length * step;
    const tick = TICKS.find((size) => size >= step && span / size <= room) ?? Math.ceil(span / room / DAY) * DAY;
    return {
      type: "category",
      data: t,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: line } },
      axisLabel: {
        color: muted,
        hideOverlap: true,
        interval: (index) => t[index] % tick < step,
        formatter: (value) => tickLabel(Number(value), tick),
      },
    };
  }

  /** An axis whose buckets have names, as months do, which are not all of one length. */
  namedAxis(labels, muted, line) {
    return {
      type: "category",
      data: labels,
      axisTick: { show: false },
      axisLine: { onZero: true, lineStyle: { color: line } },
      axisLabel: { color: muted, hideOverlap: true },
    };
  }

  bar({ name, colour, values }) {
    const fill = this.colour(colour);
    const partial = this.data.partial;
    return {
      name,
      type: "bar",
      stack: "all",
      barMaxWidth: 22,
      barCategoryGap: this.clientWidth / values.length < 6 ? 0 : "20%", // thinner bars would differ by a pixel
      barMinHeight: 1,
      itemStyle: { color: fill },
      emphasis: { disabled: true },
      data: values.map((value, index) => ({ value: value || null, itemStyle: { opacity: index === partial ? 0.45 : 1 } })),
    };
  }

  /** The line up to the last whole bucket, and a dashed piece into the one that is still being filled. */
  lines({ name, colour, values, thin }) {
    const ink = this.colour(colour);
    const { partial } = this.data;
    const style = (type) => ({ color: ink, width: thin ? 1 : 1.8, type });
    const alone = (index) => values[index - 1] == null && values[index + 1] == null;
    const points = values.map((value, index) =>
      value != null && alone(index) ? { value, symbol: "circle", symbolSize: 5 } : value);
    const common = { type: "line", symbol: "none", showAllSymbol: true, itemStyle: { color: ink }, emphasis: { disabled: true }, z: thin ? 1 : 2 };
    const solid = { ...common, name, lineStyle: style("solid"), data: points };
    if (partial == null || values[partial] == null || values[partial - 1] == null) return [solid];
    const dashed = values.map((value, index) => (index >= partial - 1 ? value : null));
    return [
      { ...solid, data: points.map((point, index) => (index === partial ? null : point)) },
      { ...common, name: `${name} so far`, lineStyle: style([3, 3]), data: dashed, silent: true },
    ];
  }

  tooltip(bars, muted, line) {
    return {
      trigger: "axis",
      transitionDuration: reducedMotion.matches ? 0 : 0.1,
      confine: true,
      className: "tooltip",
      padding: 0,
      borderWidth: 0,
      backgroundColor: "transparent",
      extraCssText: "box-shadow: none",
      axisPointer: {
        type: bars ? "shadow" : "line",
        lineStyle: { color: muted },
        shadowStyle: { color: line, opacity: 0.45 },
      },
      formatter: (points) => this.tooltipBody(points[0].dataIndex),
    };
  }

  /** DOM nodes instead of markup: the content security policy takes no style attributes. */
  tooltipBody(index) {
    const { t, step, labels, series, partial } = this.data;
    const format = formatter(this.data, "full");
    const box = document.createElement("div");
    box.append(Object.assign(document.createElement("b"), { textContent: labels?.[index] ?? spanLabel(t[index], step) }));
    for (const { name, colour, values } of series) {
      const row = document.createElement("p");
      const swatch = Object.assign(document.createElement("i"), { className: `swatch fill-${colour}` });
      const value = Object.assign(document.createElement("span"), { textContent: values[index] == null ? "–" : format(values[index]) });
      row.append(swatch, name, value);
      box.append(row);
    }
    if (index === partial) box.append(Object.assign(document.createElement("em"), { textContent: "still being counted" }));
    return box;
  }
}

customElements.define("time-chart", TimeChart);

/** Draw every chart again in the colours that are in force now. */
export function redrawCharts() {
  for (const chart of document.querySelectorAll("time-chart")) chart.draw();
}
