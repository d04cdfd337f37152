import {
  add,
  divide,
  EvenkeelError,
  mean,
  multiply,
  reshape,
  sqrt,
  square,
  subtract,
  type Tensor,
} from "../../engine/index.ts";
import { normalize } from "../mp/index.ts";
import type { ParameterSpec } from "../parameters.ts";
import { perChannel } from "./bias.ts";

/** Scale and shift of each channel; without biases in a network, the scale alone. */
export type GroupNormParameters<T = Tensor> = { readonly weight: T; readonly bias?: T };

/** Added to the variance, inside of the root, as in the published code of EDM. */
const learnedEpsilon = 1e-5;

/**
 * Groups of a normalization: 32, or fewer so that each has 4 channels at least. (The second paper's text has groups of 32 channels;
 * the published code of the first has this, and only with it are its parameters and numbers those that were published.)
 * @throws EvenkeelError `shape` if the channels don't divide into them.
 * @example console.log(normGroups(64), normGroups(256)); // 16 32
 */
export function normGroups(channels: number): number {
  const groups = Math.min(32, Math.floor(channels / 4));
  if (groups < 1 || channels % groups !== 0) {
    throw new EvenkeelError(
      "shape",
      `group norm: ${channels} channels don't divide into ${Math.max(groups, 1)} groups of 4 channels or more.`,
    );
  }
  return groups;
}

/** The arrays of a group normalization: a gain of each channel, 1 at first, and with `hasBias` an offset, 0. */
export function describeGroupNorm(channels: number, hasBias: boolean): GroupNormParameters<ParameterSpec> {
  normGroups(channels);
  return {
    weight: { shape: [channels], role: "scale", init: { kind: "constant", value: 1 } },
    ...(hasBias ? { bias: { shape: [channels], role: "bias", init: { kind: "constant", value: 0 } } } : {}),
  };
}

/** x [N, C, ...] as [N, groups, everything else]. */
function inGroups(x: Tensor, groups: number): Tensor {
  const [count = 0, channels = 0] = x.shape;
  if (channels % groups !== 0) {
    throw new EvenkeelError("shape", `group norm: ${channels} channels don't divide into ${groups} groups.`);
  }
  return reshape(x, [count, groups, x.size / (count * groups)]);
}

/**
 * Group normalization of x [N, C, ...] (Wu and He 2018): mean 0 and variance 1 over each group's channels and pixels, then the
 * channels' learned scales and biases. Configurations A and B.
 * @param groups as `normGroups` has it if not given.
 * @example
 * ```ts
 * import { ones, tensor } from "evenkeel/engine";
 *
 * // A pixel of four channels, in two groups.
 * const x = tensor([1, 3, 10, 30]).reshape([1, 4, 1, 1]);
 * console.log(await groupNorm(x, { weight: ones([4]) }, 2).reshape([4]).array()); // [ -1.0000, 1.0000, -1, 1 ]
 * ```
 */
export function groupNorm(
  x: Tensor,
  parameters: GroupNormParameters,
  groups = normGroups(x.shape[1] ?? 0),
  epsilon = learnedEpsilon,
): Tensor {
  const grouped = inGroups(x, groups);
  const centred = subtract(grouped, mean(grouped, { axes: 2, keepAxes: true }));
  const variance = mean(square(centred), { axes: 2, keepAxes: true });
  const normalized = reshape(divide(centred, sqrt(add(variance, epsilon))), x.shape);
  const scaled = multiply(normalized, perChannel(parameters.weight, x.rank));
  return parameters.bias === undefined ? scaled : add(scaled, perChannel(parameters.bias, x.rank));
}

/**
 * Group normalization without mean, scale and bias: unit magnitude over each group's channels and pixels. Configurations C to E;
 * Karras et al. 2024, Eq. 29 and 30, with epsilon outside of the root as in the rest of the published code.
 */
export function simpleGroupNorm(x: Tensor, groups = normGroups(x.shape[1] ?? 0)): Tensor {
  return reshape(normalize(inGroups(x, groups), 2), x.shape);
}
