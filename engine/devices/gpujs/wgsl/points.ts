/** From a number to the point of a kernel's axes that it stands for. */
import { at } from "../../../graph/shape.ts";
import type { Axis } from "../../../kernel/kernel.ts";
import { coordinatesOf } from "./addresses.ts";
import type { Place } from "./expression.ts";
import type { WgslWriter } from "./writer.ts";

export const pointsOf = (axes: readonly Pick<Axis, "size">[]): number =>
  axes.reduce((product, { size }) => product * size, 1);

/** Where point number `index` (u32 text) lies; with a lane, four points from number `4 * index` on. */
export function placeOf(
  writer: WgslWriter,
  axes: readonly Pick<Axis, "size">[],
  lane: number | null,
  index: string,
): Pick<Place, "axes" | "lane"> {
  const sizes = axes.map(({ size }, axis) => (axis === lane ? size / 4 : size));
  const coordinates = coordinatesOf(index, sizes, (text) => writer.local(text));
  const quarter = lane === null ? "" : at(coordinates, lane).text;
  return {
    axes: coordinates.map(({ text }, axis) => ({
      text: axis === lane && text !== "0u" ? writer.local(`${text} * 4u`) : text,
      size: at(axes, axis).size,
    })),
    lane: lane === null ? null : { axis: lane, quarter },
  };
}
