import { cast, isFinite, mapTree, norm, type Tensor, where, not, scalar, stack, sumOfAll } from "../../engine/index.ts";
import type { NamedParameters } from "../parameters.ts";
import { namedTensors } from "./namedTensor.ts";

/** Gradients with NaN and infinities replaced by 0, as the reference does before Adam. */
export function cleanGradients<T extends NamedParameters>(gradient: T): T {
  return mapTree(gradient, (g) => where(isFinite(g), g, 0));
}

/** How many elements of gradients aren't finite: a scalar f32. */
export function countNonFinite(gradient: NamedParameters): Tensor {
  return sumOfAll(namedTensors("countNonFinite", "gradients", gradient).map((g) => cast(not(isFinite(g)), "f32")));
}

/** The Euclidean norm of all gradients together, right for elements of any magnitude: a scalar. Its derivative at 0 is 0. */
export function globalNorm(gradient: NamedParameters): Tensor {
  const norms = namedTensors("globalNorm", "gradients", gradient).map((g) => norm(g));
  return norms.length === 0 ? scalar(0) : norm(stack(norms));
}
