import { useEffect, useRef, useState } from "preact/hooks";
import { colorScheme, themeColor } from "../charts/theme.ts";
import { colorAt, colorName, drawingSize, type Place } from "./painting.ts";

/** Pixels of the canvas for one of the drawing. */
const cell = 20;
const side = cell * drawingSize;

export type PixelCanvasProps = {
  readonly pixels: Uint8Array;
  /** Told of the places that a pen touches; `isFirst` where it is put down. */
  readonly touch: (places: Place, isFirst: boolean) => void;
  readonly undo: () => void;
};

/** A drawing to paint on: by pointer, or by arrow keys and space. */
export function PixelCanvas({ pixels, touch, undo }: PixelCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cursor, setCursor] = useState<Place>([drawingSize / 2, drawingSize / 2]);
  const [isFocused, focus] = useState(false);
  const scheme = colorScheme.value;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context === null || context === undefined) return;
    draw(context, pixels, isFocused ? cursor : null);
  }, [pixels, cursor, isFocused, scheme]);
  const placeOf = (event: PointerEvent): Place => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const at = (distance: number, length: number): number => Math.floor((distance / length) * drawingSize);
    return [at(event.clientX - box.left, box.width), at(event.clientY - box.top, box.height)];
  };
  const onKey = (event: KeyboardEvent): void => {
    const [x, y] = cursor;
    const move = moves.get(event.key);
    if (move !== undefined) {
      const held = (value: number): number => Math.min(drawingSize - 1, Math.max(0, value));
      const place: Place = [held(x + move[0]), held(y + move[1])];
      setCursor(place);
      // With shift the pen stays down.
      if (event.shiftKey) touch(place, false);
    } else if (event.key === " " || event.key === "Enter") touch(cursor, true);
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else return;
    event.preventDefault();
  };
  const [x, y] = cursor;
  return (
    <>
      <canvas
        ref={canvas}
        class="pixelCanvas"
        width={side}
        height={side}
        tabIndex={0}
        role="application"
        aria-roledescription="pixel canvas"
        aria-label={`Drawing, ${drawingSize} by ${drawingSize} pixels`}
        aria-describedby="pixel-help"
        onFocus={() => focus(true)}
        onBlur={() => focus(false)}
        onKeyDown={onKey}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const place = placeOf(event);
          setCursor(place);
          touch(place, true);
        }}
        onPointerMove={(event) => {
          if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
          touch(placeOf(event), false);
        }}
      />
      <p id="pixel-help" class="about">
        Paint with the pointer; or move with the arrow keys, paint with space, keep painting with shift held, undo with
        Ctrl+Z.
      </p>
      <p class="hidden" role="status">
        {isFocused ? `Row ${y + 1}, column ${x + 1}: ${colorName(colorAt(pixels, cursor))}` : ""}
      </p>
    </>
  );
}

const moves: ReadonlyMap<string, Place> = new Map([
  ["ArrowLeft", [-1, 0]],
  ["ArrowRight", [1, 0]],
  ["ArrowUp", [0, -1]],
  ["ArrowDown", [0, 1]],
]);

function draw(context: CanvasRenderingContext2D, pixels: Uint8Array, cursor: Place | null): void {
  for (let y = 0; y < drawingSize; y++) {
    for (let x = 0; x < drawingSize; x++) {
      context.fillStyle = `rgb(${colorAt(pixels, [x, y]).join(" ")})`;
      context.fillRect(x * cell, y * cell, cell, cell);
    }
  }
  context.strokeStyle = "rgb(128 140 150 / 35%)";
  context.lineWidth = 1;
  context.beginPath();
  for (let i = 1; i < drawingSize; i++) {
    context.moveTo(i * cell + 0.5, 0);
    context.lineTo(i * cell + 0.5, side);
    context.moveTo(0, i * cell + 0.5);
    context.lineTo(side, i * cell + 0.5);
  }
  context.stroke();
  if (cursor === null) return;
  const [left, top] = [cursor[0] * cell, cursor[1] * cell];
  // Two frames: one of them is seen on any colour.
  context.lineWidth = 4;
  context.strokeStyle = "#ffffff";
  context.strokeRect(left, top, cell, cell);
  context.lineWidth = 2;
  context.strokeStyle = themeColor("--focus");
  context.strokeRect(left, top, cell, cell);
}

/** A drawing, small. */
export function Thumbnail({ pixels, title }: { readonly pixels: Uint8Array; readonly title: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context === null || context === undefined) return;
    const image = context.createImageData(drawingSize, drawingSize);
    for (let i = 0; i < drawingSize ** 2; i++) image.data.set([...pixels.subarray(3 * i, 3 * i + 3), 255], 4 * i);
    context.putImageData(image, 0, 0);
  }, [pixels]);
  return (
    <canvas ref={canvas} class="thumbnail" width={drawingSize} height={drawingSize} role="img" aria-label={title} />
  );
}
