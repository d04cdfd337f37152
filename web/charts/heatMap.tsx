/** A table of numbers as colours: rows by name, columns over a common axis. */
import { useEffect, useRef, useState } from "preact/hooks";
import { short } from "../numbers.ts";
import { colorAt, rampGradient } from "./ramp.ts";
import { colorScheme } from "./theme.ts";

export type HeatMapProps = {
  readonly rows: readonly string[];
  /** Of each column, e.g. images seen. */
  readonly columns: readonly number[];
  /** [rows][columns]; what isn't finite is left blank. */
  readonly values: readonly (readonly number[])[];
  readonly isLog?: boolean;
  readonly columnName: string;
  readonly valueName: string;
};

const rowHeight = 14;

export function HeatMap({ rows, columns, values, isLog = false, columnName, valueName }: HeatMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [place, setPlace] = useState<readonly [row: number, column: number] | null>(null);
  const scaled = values.map((row) => row.map((value) => (isLog ? Math.log(value) : value)));
  const finite = scaled.flat().filter(Number.isFinite);
  const low = finite.reduce((least, value) => Math.min(least, value), Infinity);
  const high = finite.reduce((most, value) => Math.max(most, value), -Infinity);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (canvas.current === null || context === null || context === undefined || columns.length === 0) return;
    canvas.current.width = columns.length;
    canvas.current.height = rows.length;
    const image = context.createImageData(columns.length, rows.length);
    for (const [y, row] of scaled.entries()) {
      for (const [x, value] of row.entries()) {
        if (!Number.isFinite(value)) continue;
        const [red, green, blue] = colorAt(high > low ? (value - low) / (high - low) : 0.5);
        image.data.set([red, green, blue, 255], 4 * (y * columns.length + x));
      }
    }
    context.putImageData(image, 0, 0);
  }, [values, isLog, colorScheme.value]);
  if (rows.length === 0 || columns.length === 0) return <p class="quiet">Nothing was measured yet.</p>;
  const original = (value: number): number => (isLog ? Math.exp(value) : value);
  const find = (event: PointerEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const clamp = (share: number, count: number): number => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    setPlace([
      clamp((event.clientY - box.top) / box.height, rows.length),
      clamp((event.clientX - box.left) / box.width, columns.length),
    ]);
  };
  const [row, column] = place ?? [-1, -1];
  const last = values.map((each) => each.at(-1) ?? NaN).filter(Number.isFinite);
  const summary = `${rows.length} rows; last column from ${short(Math.min(...last))} to ${short(Math.max(...last))}`;
  return (
    <figure class="heatMap">
      <div class="heatMapBody">
        <ul aria-hidden="true" style={{ lineHeight: `${rowHeight}px` }}>
          {rows.map((name) => (
            <li key={name} title={name}>
              {name}
            </li>
          ))}
        </ul>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${valueName} by ${columnName}: ${summary}`}
          style={{ height: `${rows.length * rowHeight}px` }}
          onPointerMove={find}
          onPointerLeave={() => setPlace(null)}
        />
      </div>
      <figcaption>
        <span class="ramp" style={{ background: rampGradient }} aria-hidden="true" />
        {place === null
          ? `${valueName}: ${short(original(low))} to ${short(original(high))}${isLog ? ", logarithmic" : ""}`
          : `${rows[row]}, ${columnName} ${columns[column]?.toLocaleString("en")}: ${short(values[row]?.[column])}`}
      </figcaption>
    </figure>
  );
}
