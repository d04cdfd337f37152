import { useEffect, useRef, useState } from "preact/hooks";
import type { MappedBuffer, MemoryMap } from "../../engine/index.ts";
import { colorScheme, themeColor } from "../charts/theme.ts";
import { bytesText, whole } from "../numbers.ts";
import type { ProgramFacts } from "../worker/explaining.ts";
import { heading } from "./texts.ts";

/** What a program's memory is made of, and where its temporaries lie over time. */
export function Memory({ program }: { readonly program: ProgramFacts }) {
  const { map, memory, buffers } = program;
  return (
    <section class="panel" aria-label="Memory">
      <div class="panelHead">
        <h2>Memory</h2>
        <span class="quiet">
          {bytesText(map.bytes)} of temporaries in {map.slots === 1 ? "one arena" : `${whole(map.slots)} slots`}: each
          rectangle is a buffer, steps to the right, addresses downwards.
        </span>
      </div>
      {map.bytes === 0 ? <p class="quiet">There are no temporaries.</p> : <Map map={map} program={program} />}
      {memory.length > 0 && (
        <pre class="wrapped" tabIndex={0} aria-label="What memory is made of">
          {heading(memory)}
        </pre>
      )}
      <details>
        <summary>{whole(buffers.length)} buffers</summary>
        <Buffers program={program} />
      </details>
    </section>
  );
}

/** The buffer at a place of the map, the smallest if rectangles were drawn over each other. */
function bufferAt(map: MemoryMap, step: number, address: number): MappedBuffer | null {
  const there = map.buffers.filter(
    ({ first, last, start, bytes }) => first <= step && step <= last && start <= address && address < start + bytes,
  );
  return there.toSorted((one, other) => one.bytes - other.bytes)[0] ?? null;
}

const height = 360;

function Map({ map, program }: { readonly map: MemoryMap; readonly program: ProgramFacts }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointed, point] = useState<MappedBuffer | null>(null);
  const scheme = colorScheme.value;
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const paint = (): void => draw(element, map, pointed);
    paint();
    const watch = new ResizeObserver(paint);
    watch.observe(element);
    return () => watch.disconnect();
  }, [map, pointed, scheme]);
  const find = (event: PointerEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const step = Math.floor(((event.clientX - box.left) / box.width) * map.steps);
    point(bufferAt(map, step, ((event.clientY - box.top) / box.height) * map.bytes));
  };
  return (
    <figure class="memoryMap">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Temporaries over time: ${map.buffers.length} buffers over ${map.steps} steps`}
        style={{ height: `${height}px` }}
        onPointerMove={find}
        onPointerDown={find}
        onPointerLeave={() => point(null)}
      />
      <figcaption class="quiet">
        {pointed === null ? "Point at a buffer to see what it is." : describe(pointed, program)}
      </figcaption>
    </figure>
  );
}

function describe({ buffer, dtype, length, bytes, first, last }: MappedBuffer, { kernels }: ProgramFacts): string {
  const nameOf = (step: number): string => `${step} (${kernels[step]?.name ?? ""})`;
  return `b${buffer}: ${whole(length)} × ${dtype}, ${bytesText(bytes)}, from step ${nameOf(first)} to ${nameOf(last)}`;
}

function draw(element: HTMLCanvasElement, map: MemoryMap, pointed: MappedBuffer | null): void {
  const context = element.getContext("2d");
  if (context === null) return;
  const scale = devicePixelRatio;
  const [width, tall] = [Math.round(element.clientWidth * scale), Math.round(height * scale)];
  if (element.width !== width) element.width = width;
  if (element.height !== tall) element.height = tall;
  context.fillStyle = themeColor("--ground");
  context.fillRect(0, 0, width, tall);
  const rectangle = ({ first, last, start, bytes }: MappedBuffer) =>
    [
      (first / map.steps) * width,
      (start / map.bytes) * tall,
      ((last - first + 1) / map.steps) * width,
      Math.max(1, (bytes / map.bytes) * tall),
    ] as const;
  const lightness = colorScheme.value === "dark" ? 45 : 68;
  for (const each of map.buffers) {
    // Neighbouring numbers get hues far from each other: the golden angle.
    context.fillStyle = `hsl(${(each.buffer * 137) % 360} 55% ${lightness}%)`;
    context.fillRect(...rectangle(each));
  }
  if (pointed === null) return;
  context.strokeStyle = themeColor("--text");
  context.lineWidth = 2 * scale;
  context.strokeRect(...rectangle(pointed));
}

function Buffers({ program: { buffers } }: { readonly program: ProgramFacts }) {
  return (
    <div class="tableBox" tabIndex={0} role="region" aria-label="Table of buffers">
      <table>
        <thead>
          <tr>
            {["Buffer", "Type", "Elements", "Bytes", "Role", "Slot", "Offset", "Order"].map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {buffers.map(({ dtype, length, bytes, role, slot, offset, layout }, number) => (
            <tr key={number}>
              <th scope="row">b{number}</th>
              <td>{dtype}</td>
              <td>{whole(length)}</td>
              <td>{bytesText(bytes)}</td>
              <td>{role}</td>
              <td>{slot ?? ""}</td>
              <td>{offset ?? ""}</td>
              <td>{layout === undefined ? "" : "channels last"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
