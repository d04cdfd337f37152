/** The transformed filter of a forward convolution: for each place panels of eight outputs, [36, o / 8, c, 8]. */
import { f32x4, type FunctionBuilder, i32, type Local, memory, op } from "../../assembler/index.ts";
import { addressOf } from "../../loops/index.ts";
import { advance, after, repeat, smaller, transpose } from "../tile.ts";
import type { WinogradForward } from "./plan.ts";
import { panelChannels, panelRow } from "./tiles.ts";
import { transformFilter } from "./transforms.ts";

type Size = WinogradForward["size"];

export const panelsOf = ({ o }: Pick<Size, "o">): number => Math.ceil(o / panelChannels);
/** Bytes of a panel of a place. */
export const filterRow = ({ c }: Pick<Size, "c">): number => c * panelRow;

/** Transforms the filters of the eight outputs from `output` on, a panel. Outputs behind the last one are copies of it. */
export function transformPanel(
  f: FunctionBuilder,
  { filter, axes, size }: Pick<WinogradForward, "filter" | "axes" | "size">,
  relaxed: boolean,
  { table, output }: Readonly<Record<"table" | "output", Local>>,
  to: Local,
  filterPlace: number,
): void {
  const { offset, coefficients } = filter.at;
  const stride = (axis: number): number => coefficients[axis] ?? 0;
  const taps = [0, 1, 2].flatMap((y) => [0, 1, 2].map((x) => y * stride(axes.ky) + x * stride(axes.kx)));
  const lowest = Math.min(...taps);
  const places = taps.map((tap) => tap - lowest);
  const base = addressOf(f, table, filter.operand, "filter");
  const first = f.let("i32", "first", op("i32.add", base, i32(4 * (offset + lowest))));
  const [half, o] = [after(f, "half", to, 0), after(f, "o", output, 0)];
  repeat(f, panelChannels / 4, () => {
    const lanes = [0, 1, 2, 3].map(() => {
      const known = smaller(f, "known", o, size.o - 1);
      advance(f, o, 1);
      return f.let("i32", "from", op("i32.add", first, op("i32.mul", known, i32(4 * stride(axes.o)))));
    });
    const pointer = after(f, "pointer", half, 0);
    repeat(f, size.c, () => {
      transformFilter(f, relaxed, loadTaps(f, lanes, places), { pointer, stride: filterPlace });
      for (const lane of lanes) advance(f, lane, 4 * stride(axes.c));
      advance(f, pointer, panelRow);
    });
    advance(f, half, 16);
  });
}

/** The taps of four filters, of each a vector; `places` says how many numbers behind the first of a filter each is. */
function loadTaps(f: FunctionBuilder, lanes: readonly Local[], places: readonly number[]): readonly Local[] {
  const single = (place: number): Local => {
    const taps = f.let("v128", "taps", f32x4(0));
    lanes.forEach((pointer, lane) => {
      f.memoryLane("v128.load32_lane", 4 * place, lane, pointer, taps);
      f.set(taps);
    });
    return taps;
  };
  if (Math.max(...places) > 8) return places.map(single);
  // Nine neighbours: two vectors and one.
  const four = (place: number): readonly Local[] => {
    const rows = lanes.map((pointer) => f.let("v128", "taps", memory("v128.load", 4 * place, pointer)));
    return transpose(f, rows as [Local, Local, Local, Local]);
  };
  const taps = [...four(0), ...four(4), single(8)];
  return places.map((place) => taps[place] as Local);
}
