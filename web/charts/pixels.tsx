/** Images pixel by pixel on a canvas. */
import { useLayoutEffect, useRef } from "preact/hooks";

export type PixelsProps = {
  /** 8-bit images one behind the other, each [C, H, W] with C 1 or 3. */
  readonly pixels: Uint8Array;
  readonly size: readonly [channels: number, height: number, width: number];
  /** Which images are drawn, in rows from the top left. */
  readonly places: readonly number[];
  readonly columns: number;
  /** Pixels between two images. */
  readonly gap?: number;
  /** What is shown, for who doesn't see it. */
  readonly label: string;
  readonly class?: string;
  /** Told which of `places` was pressed. A shortcut: there is another way to choose. */
  readonly pick?: (index: number) => void;
};

export function Pixels(props: PixelsProps) {
  const { pixels, size, places, columns, gap = 0, label, pick } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [, height, width] = size;
  const rows = Math.ceil(places.length / columns);
  const [wide, high] = [columns * (width + gap) - gap, rows * (height + gap) - gap];
  const key = places.join();
  // With the label, or it would be that of other pixels for a moment.
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (canvas.current === null || context === null || context === undefined || wide < 1 || high < 1) return;
    canvas.current.width = wide;
    canvas.current.height = high;
    for (const [i, place] of places.entries()) {
      const [column, row] = [i % columns, Math.floor(i / columns)];
      context.putImageData(imageOf(pixels, size, place), column * (width + gap), row * (height + gap));
    }
  }, [pixels, key, size.join(), columns, gap]);
  const find = (event: MouseEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const index = Math.min(rows - 1, Math.max(0, row)) * columns + Math.min(columns - 1, Math.max(0, column));
    if (index < places.length) pick?.(index);
  };
  return (
    <canvas
      ref={canvas}
      role="img"
      aria-label={label}
      class={`pixels ${props.class ?? ""}`}
      style={{ aspectRatio: `${wide} / ${high}` }}
      onClick={pick === undefined ? undefined : find}
    />
  );
}

function imageOf(pixels: Uint8Array, [channels, height, width]: PixelsProps["size"], place: number): ImageData {
  const image = new ImageData(width, height);
  const area = height * width;
  const from = place * channels * area;
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = pixels[from + (channels === 1 ? 0 : channel) * area + i] ?? 0;
    }
    image.data[4 * i + 3] = 255;
  }
  return image;
}
