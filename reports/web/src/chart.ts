// A chart in a card: drawn on canvas, saved as PNG or SVG, its numbers one click away as a table and as CSV.
import { BarChart, CustomChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
  DataZoomInsideComponent,
  DataZoomSliderComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  ParallelComponent,
  TooltipComponent,
} from "echarts/components";
import * as echarts from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";
import { card } from "./card";
import { announce, copy, fileName, h, save } from "./dom";
import { csv, quantityOf, show } from "./format";
import type { Scalar } from "./schema";
import { type Colours, colours, onThemeChange } from "./theme";

echarts.use([
  BarChart,
  CustomChart,
  LineChart,
  ParallelChart,
  ScatterChart,
  DataZoomInsideComponent,
  DataZoomSliderComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  ParallelComponent,
  TooltipComponent,
  LabelLayout,
  CanvasRenderer,
  SVGRenderer,
]);

// Options are assembled from plain data in the views; the library checks them when it draws.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Option = Record<string, any>;

export interface Numbers {
  columns: string[];
  rows: Scalar[][];
}

export interface ChartSpec {
  title: string;
  note?: string;
  /// What a person who cannot see it should know.
  label: string;
  height?: number;
  wide?: boolean;
  option: (c: Colours, narrow: boolean) => Option;
  numbers: () => Numbers;
  below?: HTMLElement;
}

export interface ChartCard {
  element: HTMLElement;
  redraw: () => void;
}

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

/// What all charts share: type, axes, tooltips as elements.
function dressed(option: Option, c: Colours): Option {
  const axis = (a: Option): Option => ({
    ...a,
    axisLine: { lineStyle: { color: c.line }, ...a.axisLine },
    axisTick: { show: false, ...a.axisTick },
    axisLabel: { color: c.muted, fontSize: 12, hideOverlap: true, ...a.axisLabel },
    nameTextStyle: { color: c.muted, fontSize: 12, ...a.nameTextStyle },
    splitLine: { lineStyle: { color: c.line }, ...a.splitLine },
  });
  const axes = (a: Option | Option[] | undefined) => (Array.isArray(a) ? a.map(axis) : a && axis(a));
  return {
    animation: false,
    textStyle: { fontFamily: FONT, color: c.text },
    color: c.series,
    ...option,
    ...(option.legend && {
      legend: { type: "scroll", top: 0, left: 0, itemWidth: 11, itemHeight: 11, itemGap: 8, icon: "roundRect", ...option.legend,
        textStyle: { color: c.text, fontSize: 11.5 }, pageTextStyle: { color: c.muted }, pageIconColor: c.muted },
    }),
    // Labels and names of axes stay inside the card.
    ...(option.grid && { grid: { outerBoundsMode: "same", outerBoundsContain: "all", ...option.grid, containLabel: undefined } }),
    xAxis: axes(option.xAxis),
    yAxis: axes(option.yAxis),
    tooltip: {
      confine: true,
      backgroundColor: c.card,
      borderColor: c.line,
      textStyle: { color: c.text, fontSize: 13 },
      ...option.tooltip,
    },
  };
}

/// A tooltip's content as elements, so that a name stays text.
export function tip(title: string, lines: [string, string, string?][]): HTMLElement {
  return h("div", { class: "tip" },
    h("div", { class: "tip-title" }, title),
    lines.map(([name, value, colour]) =>
      h("div", { class: "tip-line" },
        colour ? h("span", { class: "swatch", style: `background:${colour}` }) : null,
        h("span", {}, name),
        h("b", {}, value),
      ),
    ),
  );
}

function numbersTable(numbers: Numbers): HTMLElement {
  const most = 500;
  const quantities = numbers.columns.map(quantityOf);
  return h("div", { class: "plain-table", tabindex: "0", role: "region", "aria-label": "Numbers of the chart" },
    h("table", {},
      h("thead", {}, h("tr", {}, numbers.columns.map((c) => h("th", { scope: "col" }, c)))),
      h("tbody", {}, numbers.rows.slice(0, most).map((row) =>
        h("tr", {}, row.map((cell, i) =>
          h("td", { class: typeof cell === "number" ? "num" : "" },
            typeof cell === "number" ? h("data", { value: String(cell) }, show(cell, quantities[i])) : show(cell)))))),
    ),
    numbers.rows.length > most
      ? h("p", { class: "note" }, `${(numbers.rows.length - most).toLocaleString("en-US")} more rows are in the CSV.`)
      : null,
  );
}

function svgText(spec: ChartSpec, width: number, height: number): string {
  const c = colours();
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption({ backgroundColor: c.card, ...dressed(spec.option(c, width < 560), c) });
  const text = chart.renderToSVGString();
  chart.dispose();
  return text;
}

export function chartCard(spec: ChartSpec): ChartCard {
  const height = spec.height ?? 320;
  const box = h("div", {
    class: "chart", role: "img", tabindex: "0", "aria-label": `${spec.title} ${spec.label}`, style: `height:${height}px`,
  });
  let chart: echarts.ECharts | null = null;
  const narrow = () => box.clientWidth < 560;

  const draw = () => {
    const c = colours();
    chart?.setOption(dressed(spec.option(c, narrow()), c), true);
  };
  const watch = new ResizeObserver(() => {
    if (!box.isConnected || box.clientWidth === 0) return;
    if (!chart) {
      chart = echarts.init(box, null, { renderer: "canvas" });
    } else {
      chart.resize();
    }
    draw();
  });
  watch.observe(box);
  const stop = onThemeChange(() => (box.isConnected ? draw() : stop()));

  const saveImage = (kind: "png" | "svg") => () => {
    if (!chart) return;
    if (kind === "svg") return save(fileName(spec.title, "svg"), svgText(spec, box.clientWidth, height), "image/svg+xml");
    const url = chart.getDataURL({ pixelRatio: 2, backgroundColor: colours().card });
    const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (x) => x.charCodeAt(0));
    save(fileName(spec.title, "png"), new Blob([bytes], { type: "image/png" }));
  };
  const asCsv = () => {
    const { columns, rows } = spec.numbers();
    return csv(columns, rows);
  };
  const numbers = h("details", { class: "numbers" }, h("summary", {}, "Numbers"));
  numbers.addEventListener("toggle", () => {
    if (numbers.open && !numbers.querySelector("table")) numbers.append(numbersTable(spec.numbers()));
  });

  const element = card({
    title: spec.title,
    note: spec.note,
    wide: spec.wide,
    actions: [
      { name: "Copy CSV", what: `Copy the numbers of ${spec.title} as CSV`, run: () => copy(asCsv(), announce) },
      { name: "CSV", what: `Save the numbers of ${spec.title} as CSV`, run: () => save(fileName(spec.title, "csv"), asCsv(), "text/csv") },
      { name: "PNG", what: `Save ${spec.title} as PNG`, run: saveImage("png") },
      { name: "SVG", what: `Save ${spec.title} as SVG`, run: saveImage("svg") },
    ],
    body: [box, spec.below, numbers],
  });
  return {
    element,
    redraw: () => {
      numbers.querySelector(".plain-table")?.remove();
      numbers.open = false;
      draw();
    },
  };
}
