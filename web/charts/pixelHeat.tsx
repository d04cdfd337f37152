/** Numbers of a small picture as colours, from 0 to the largest. */
import { useEffect, useRef } from "preact/hooks";
import { colorAt } from "./ramp.ts";

export type PixelHeatProps = {
  /** Row by row. */
  readonly values: Float32Array;
  readonly size: readonly [height: number, width: number];
  /** A place that is marked, of those in `values`. */
  readonly mark?: number;
  readonly label: string;
};

export function PixelHeat({ values, size: [height, width], mark, label }: PixelHeatProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (canvas.current === null || context === null || context === undefined) return;
    canvas.current.width = width;
    canvas.current.height = height;
    const most = values.reduce((largest, value) => Math.max(largest, value), 0);
    const image = context.createImageData(width, height);
    for (const [i, value] of values.entries()) image.data.set([...colorAt(most > 0 ? value / most : 0), 255], 4 * i);
    context.putImageData(image, 0, 0);
  }, [values, height, width]);
  return (
    <div class="pixelHeat">
      <canvas
        ref={canvas}
        role="img"
        aria-label={label}
        class="pixels"
        style={{ aspectRatio: `${width} / ${height}` }}
      />
      {mark !== undefined && (
        <span
          class="mark"
          style={{
            left: `${(100 * (mark % width)) / width}%`,
            top: `${(100 * Math.floor(mark / width)) / height}%`,
            width: `${100 / width}%`,
            height: `${100 / height}%`,
          }}
        />
      )}
    </div>
  );
}
