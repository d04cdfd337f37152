/** Curves over a common axis, drawn by uPlot. */
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { short } from "../numbers.ts";
import { colorScheme, themeColor } from "./theme.ts";

export type Curve = {
  readonly label: string;
  /** A CSS colour. */
  readonly color: string;
  readonly x: readonly number[];
  /** Null where there is nothing. */
  readonly y: readonly (number | null)[];
  readonly isDashed?: boolean;
};

export type LineChartProps = {
  readonly curves: readonly Curve[];
  readonly xLabel: string;
  readonly yLabel: string;
  /** What the chart shows, for who doesn't see it; the last values are added. */
  readonly description: string;
  readonly height?: number;
  readonly isXLog?: boolean;
  readonly isYLog?: boolean;
  /** Places on the x axis that are marked. */
  readonly marks?: readonly number[];
};

export function LineChart(props: LineChartProps) {
  const { curves, xLabel, yLabel, description, height = 240, isXLog = false, isYLog = false, marks = [] } = props;
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  // What a chart is made of once; new numbers are given to the chart there is.
  const form = JSON.stringify([
    curves.map(({ label, color, isDashed }) => [label, color, isDashed]),
    [xLabel, yLabel, height, isXLog, isYLog],
    colorScheme.value,
  ]);
  const marked = useRef(marks);
  marked.current = marks;
  const data = joined(curves);
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const made = new uPlot(optionsOf(props, element.clientWidth, marked), data, element);
    chart.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [form]);
  useEffect(() => {
    chart.current?.setData(data);
  }, [curves, marks]);
  const last = curves.map(({ label, y }) => `${label}: ${short(y.findLast((value) => value !== null))}`).join("; ");
  return (
    <div
      ref={host}
      class="chart"
      role="img"
      aria-label={`${description}. ${last}`}
      style={{ minHeight: `${height}px` }}
    />
  );
}

/** All curves over the union of their places. */
function joined(curves: readonly Curve[]): uPlot.AlignedData {
  if (curves.length === 0) return [[]];
  return uPlot.join(curves.map(({ x, y }) => [[...x], [...y]]));
}

function optionsOf(
  { curves, xLabel, yLabel, height = 240, isXLog, isYLog }: LineChartProps,
  width: number,
  marks: { readonly current: readonly number[] },
): uPlot.Options {
  const [text, line] = [themeColor("--text-quiet"), themeColor("--line")];
  const axis = (label: string): uPlot.Axis => ({
    label,
    stroke: text,
    labelFont: "12px system-ui, sans-serif",
    font: "11px system-ui, sans-serif",
    labelSize: 18,
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1, size: 4 },
    values: (_, splits) => splits.map((value: number | null) => (value === null ? "" : axisNumber(value))),
  });
  return {
    width: Math.max(width, 50),
    height,
    legend: { show: false },
    cursor: { drag: { x: true, y: false } },
    scales: {
      // Without a range of its own a logarithmic axis goes to whole powers of ten.
      x: { time: false, distr: distributionOf(isXLog), ...(isXLog === true ? { range: asItIs } : {}) },
      y: { distr: distributionOf(isYLog) },
    },
    axes: [
      { ...axis(xLabel), size: 32 },
      { ...axis(yLabel), size: 46 },
    ],
    series: [
      {},
      ...curves.map(
        ({ label, color, isDashed }): uPlot.Series => ({
          label,
          stroke: color,
          width: 1.75,
          spanGaps: true,
          points: { show: (_, __, from, to) => to - from < 2 },
          ...(isDashed === true ? { dash: [6, 4] } : {}),
        }),
      ),
    ],
    hooks: {
      draw: [
        (chart) => {
          const { ctx, bbox } = chart;
          ctx.save();
          ctx.strokeStyle = themeColor("--text-quiet");
          ctx.setLineDash([3, 3]);
          for (const mark of marks.current) {
            const at = chart.valToPos(mark, "x", true);
            ctx.beginPath();
            ctx.moveTo(at, bbox.top);
            ctx.lineTo(at, bbox.top + bbox.height);
            ctx.stroke();
          }
          ctx.restore();
        },
      ],
    },
  };
}

const asItIs = (_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax => [low ?? 0.1, high ?? 1];

/** uPlot's number for a logarithmic or a linear scale. */
function distributionOf(isLog: boolean | undefined): uPlot.Scale.Distr {
  return isLog === true ? 3 : 1;
}

/** `20k` for images, few digits for the rest. */
function axisNumber(value: number): string {
  if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (Math.abs(value) >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}
