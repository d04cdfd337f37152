import { createDevice, evaluate, type Device, type Tensor } from "../../engine/index.ts";

let oracle: Promise<Device> | undefined;

/** A tensor's elements, computed in float64 and rounded to float32. */
export async function onOracle(tensor: Tensor): Promise<readonly number[]> {
  oracle ??= createDevice("oracle");
  return [...(await evaluate(tensor, await oracle))];
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean of squares: the square of a magnitude. */
export const meanSquare = (values: readonly number[]): number => mean(values.map((value) => value * value));
