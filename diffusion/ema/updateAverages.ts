/** The update of averaged weights inside of a training step, for any number of averages at once. */
import {
  add,
  EvenkeelError,
  fillTree,
  greaterEqual,
  multiply,
  reshape,
  slice,
  subtract,
  type Tensor,
  tensor,
  treeLeaves,
  where,
} from "../../engine/index.ts";
import { powerFunctionUpdateRate } from "./powerFunction.ts";

/**
 * The rates 1 - beta of power-function averages for the update at time `tNext`, `tDelta` after the last one: an f32 tensor
 * [averages] for {@link updateAverages}, to be passed to the training step as an argument.
 * @throws EvenkeelError `range` as `powerFunctionBeta`.
 * @example console.log(await powerFunctionUpdateRates([0.05, 0.1], 1000, 100).array()); // [ 0.84947, 0.56668 ]
 */
export function powerFunctionUpdateRates(sigmaRels: readonly number[], tNext: number, tDelta: number): Tensor {
  return tensor(Float32Array.from(sigmaRels, (sigmaRel) => powerFunctionUpdateRate(sigmaRel, tNext, tDelta)));
}

/**
 * The averages after an update: beta * average + (1 - beta) * weights, tensor by tensor. `averages` holds one tree like
 * `weights` for each average; `updateRates`, f32 [averages], holds 1 - beta of each. It takes 1 - beta rather than beta
 * because float32 can't tell betas near 1 apart, and shares that don't add up to exactly 1 would let an average drift.
 *
 * A pure function of tensors, for use in `compileStep`. A rate of 1 gives the weights themselves, bit by bit.
 * @throws EvenkeelError `shape` if rates and averages differ in number, or an average has other tensors than the weights.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const averages = [{ w: tensor([0, 0]) }, { w: tensor([1, 1]) }];
 * const [short, long] = updateAverages(averages, { w: tensor([10, 20]) }, tensor([0.5, 0.1]));
 * console.log(await short?.w.array(), await long?.w.array()); // [ 5, 10 ] [ 1.9, 2.9 ]
 * ```
 */
export function updateAverages<T>(averages: readonly T[], weights: T, updateRates: Tensor): T[] {
  if (updateRates.shape.length !== 1 || updateRates.shape[0] !== averages.length) {
    throw new EvenkeelError(
      "shape",
      `updateAverages: ${averages.length} averages with rates of shape [${updateRates.shape.join(", ")}]; ` +
        `wanted [${averages.length}], one rate 1 - beta for each average.`,
    );
  }
  const newest = treeLeaves(weights);
  return averages.map((average, profile) => {
    const rate = reshape(slice(updateRates, [[profile, profile + 1]]), []);
    const old = treeLeaves(average);
    if (old.length !== newest.length) throw differentTrees(profile, `has ${old.length} tensors`, `${newest.length}`);
    const updated = newest.map(({ tensor: theta, path }, i) => {
      const before = old[i];
      if (before?.path !== path) throw differentTrees(profile, `has ${before?.path ?? "nothing"}`, path);
      if (before.tensor.shape.join() !== theta.shape.join()) {
        throw differentTrees(
          profile,
          `has [${before.tensor.shape.join(", ")}] at ${path}`,
          `[${theta.shape.join(", ")}]`,
        );
      }
      return interpolate(before.tensor, theta, rate);
    });
    return fillTree(average, updated);
  });
}

/** From the nearer end, so that the rates 0 and 1 are exact and the shares always add up to 1. */
function interpolate(average: Tensor, weights: Tensor, rate: Tensor): Tensor {
  const step = subtract(weights, average);
  const fromAverage = add(average, multiply(rate, step));
  const fromWeights = subtract(weights, multiply(subtract(1, rate), step));
  return where(greaterEqual(rate, 0.5), fromWeights, fromAverage);
}

function differentTrees(profile: number, found: string, wanted: string): EvenkeelError {
  return new EvenkeelError("shape", `updateAverages: average ${profile} ${found}, the weights have ${wanted}.`);
}
