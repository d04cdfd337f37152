import {
  EvenkeelError,
  fillTree,
  multiply,
  subtract,
  type Tensor,
  type TensorLike,
  treeLeaves,
  zerosLike,
} from "../../engine/index.ts";
import { adam, type AdamCorrections, adamMoments, type AdamOptions } from "./adam.ts";
import { decouple, type Decoupled, decoupledGradient, recouple } from "./decoupled.ts";
import { type HyperballGranularity, hyperballRadius, onHyperball } from "./hyperball.ts";
import { leavesAs } from "./leavesAs.ts";
import { muonMove } from "./muon.ts";
import { sgdVelocity, sgdWithMomentum } from "./sgd.ts";

/** The optimizers that `optimizerStep` knows. */
export const optimizerNames = ["adam", "sgd", "muon"] as const;

/** An optimizer of `optimizerStep`. */
export type OptimizerName = (typeof optimizerNames)[number];

/** An optimizer as plain data: its rule, and what is done to matrices around it. */
export type OptimizerOptions = {
  /** Default "adam". "muon" moves matrices alone, arrays [rows, ...] of more than one row and column; the others are moved by Adam. */
  readonly name?: OptimizerName;
  /** Options of Adam, wherever it moves something. */
  readonly adam?: AdamOptions;
  /** Share of the velocity that sgd and muon keep. Default 0.9 and 0.95. */
  readonly momentum?: number;
  /** Whether sgd and muon look ahead by one step. Default: muon does. */
  readonly isNesterov?: boolean;
  /** Fixes the norm of matrices, or of their rows, and of their steps (arXiv 2606.16899). Default: not. */
  readonly hyperball?: HyperballGranularity;
  /**
   * Moves magnitudes of rows apart from their directions (arXiv 2606.25971): ln(g) by Adam, at this share of the learning rate; 0 keeps
   * magnitudes. Default: they are moved together.
   */
  readonly magnitudeRate?: number;
};

/** What an optimizer remembers: arrays by what they are, then by the parameter's path. */
export type OptimizerState = Readonly<Record<string, Readonly<Record<string, Tensor>>>>;

type Named = Readonly<Record<string, Tensor>>;

/** An array with one output, or one number for each, is a vector. */
const isMatrix = (tensor: Tensor): boolean =>
  tensor.rank >= 2 && tensor.shape[0] !== 1 && tensor.shape[0] !== tensor.size;
const only = (tensors: Named, wanted: (tensor: Tensor, path: string) => boolean): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).filter(([path, tensor]) => wanted(tensor, path)));
const mapped = (tensors: Named, map: (tensor: Tensor, path: string) => Tensor): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([path, tensor]) => [path, map(tensor, path)]));
const get = (tensors: Named | undefined, path: string): Tensor => {
  const found = tensors?.[path];
  if (found !== undefined) return found;
  throw new EvenkeelError(
    "value",
    `optimizerStep: the state has nothing of ${path}. A state is what optimizerState gave for the same options and parameters, or the step before.`,
  );
};

/**
 * @throws EvenkeelError `value` for options that contradict each other or are out of range.
 */
export function checkOptimizer({ name = "adam", momentum, hyperball, magnitudeRate }: OptimizerOptions): void {
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `optimizer: ${problem}.`);
  };
  if (momentum !== undefined && !(momentum >= 0 && momentum < 1)) {
    fail(`momentum is ${momentum}, expected a number from 0 to below 1`);
  }
  if (momentum !== undefined && name === "adam")
    fail("adam has no momentum but beta1; give that, or choose sgd or muon");
  if (magnitudeRate !== undefined && !(magnitudeRate >= 0 && magnitudeRate < Infinity)) {
    fail(`magnitudeRate is ${magnitudeRate}, expected a number of at least 0`);
  }
  if (magnitudeRate !== undefined && hyperball !== undefined) {
    fail("magnitudeRate moves the norms that hyperball fixes; leave one of them out");
  }
}

/**
 * What an optimizer remembers before the first step.
 * @param parameters any tree of tensors.
 * @throws EvenkeelError `value` for options that contradict each other or are out of range.
 * @example
 * ```ts
 * import { zeros } from "evenkeel/engine";
 *
 * const state = optimizerState({ name: "muon" }, { weight: zeros([2, 3]), bias: zeros([2]) });
 * console.log(Object.keys(state), Object.keys(state["velocity"] ?? {})); // [ 'velocity', 'first', 'second' ] [ 'weight' ]
 * ```
 */
export function optimizerState(options: OptimizerOptions, parameters: unknown): OptimizerState {
  checkOptimizer(options);
  const all = byPath(parameters);
  const matrices = only(all, isMatrix);
  const { hyperball, magnitudeRate } = options;
  return {
    ...ruleState(options, all),
    ...(hyperball === undefined ? {} : { radius: mapped(matrices, (w) => hyperballRadius(w, hyperball)) }),
    ...(magnitudeRate === undefined ? {} : magnitudeMoments(mapped(matrices, (w) => zerosLike(decouple(w).magnitude)))),
  };
}

/**
 * One step of an optimizer that is given as plain data. Adam alone is `adam`, sgd `sgdWithMomentum`, bit for bit.
 * @param parameters any tree of tensors; the gradient is a tree like it.
 * @param state `optimizerState`'s at first, then what the step before gave.
 * @param rate learning rate, a scalar tensor.
 * @param corrections what `adamCorrections` gives for this step and `options.adam`, as scalar tensors.
 * @throws EvenkeelError `value` or `shape` unless gradient and state belong to the parameters
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const options = { name: "muon", momentum: 0 } as const;
 * const parameters = { weight: tensor([[1, 0], [0, 1]]), bias: tensor([0]) };
 * const gradient = { weight: tensor([[5, 0], [0, -5]]), bias: tensor([2]) };
 * const next = optimizerStep(options, parameters, gradient, optimizerState(options, parameters), 0.1, adamCorrections(1));
 * console.log(await next.parameters.weight.array(), await next.parameters.bias.array()); // [ [ 0.97, 0 ], [ 0, 1.03 ] ] [ -0.1 ]
 * ```
 */
export function optimizerStep<Tree>(
  options: OptimizerOptions,
  parameters: Tree,
  gradient: NoInfer<Tree>,
  state: OptimizerState,
  rate: TensorLike,
  corrections: AdamCorrections,
): { readonly parameters: Tree; readonly state: OptimizerState } {
  checkOptimizer(options);
  const leaves = treeLeaves(parameters);
  const before = Object.fromEntries(leaves.map(({ path, tensor }) => [path, tensor]));
  const gradients = leavesAs("optimizerStep", "gradients", leaves, gradient);
  const slopes = Object.fromEntries(leaves.map(({ path }, i) => [path, gradients[i] as Tensor]));
  const step = { options, rate, corrections };
  const moved =
    options.magnitudeRate === undefined
      ? coupled(step, before, slopes, state)
      : decoupledStep(step, before, slopes, state);
  return {
    parameters: fillTree(
      parameters,
      leaves.map(({ path }) => get(moved.parameters, path)),
    ),
    state: moved.state,
  };
}

/** What is the same for all parameters of a step. */
type Step = {
  readonly options: OptimizerOptions;
  readonly rate: TensorLike;
  readonly corrections: AdamCorrections;
};
type Moved = { readonly parameters: Named; readonly state: OptimizerState };

/** The rule, and matrices back on their spheres if they have some. */
function coupled(step: Step, before: Named, gradient: Named, state: OptimizerState): Moved {
  const proposed = rule(step, before, gradient, state);
  const { radius } = state;
  if (step.options.hyperball === undefined) return proposed;
  const kept = mapped(proposed.parameters, (tensor, path) =>
    isMatrix(tensor) ? onHyperball(get(before, path), tensor, get(radius, path), step.rate) : tensor,
  );
  return { parameters: kept, state: { ...proposed.state, ...(radius === undefined ? {} : { radius }) } };
}

const magnitudeMoments = (zeros: Named): OptimizerState => ({ magnitudeFirst: zeros, magnitudeSecond: zeros });

/** The rule on directions, Adam on the logarithms of magnitudes. */
function decoupledStep(step: Step, before: Named, gradient: Named, state: OptimizerState): Moved {
  const { magnitudeFirst: first = {}, magnitudeSecond: second = {}, ...ruleOnly } = state;
  const parts: Record<string, Decoupled> = {};
  const slopes: Record<string, ReturnType<typeof decoupledGradient>> = {};
  for (const [path, matrix] of Object.entries(only(before, isMatrix))) {
    const part = decouple(matrix);
    parts[path] = part;
    slopes[path] = decoupledGradient(part, get(gradient, path));
  }
  const moved = rule(
    step,
    mapped(before, (tensor, path) => parts[path]?.direction ?? tensor),
    mapped(gradient, (tensor, path) => slopes[path]?.direction ?? tensor),
    ruleOnly,
  );
  const origin = mapped(first, zerosLike);
  const logSlopes = mapped(first, (_, path) => slopes[path]?.logMagnitude ?? get({}, path));
  const magnitudeRate = multiply(step.rate, step.options.magnitudeRate ?? 0);
  const logs = adam(origin, logSlopes, { first, second }, magnitudeRate, step.corrections, step.options.adam);
  return {
    parameters: mapped(moved.parameters, (tensor, path) => {
      const part = parts[path];
      return part === undefined ? tensor : recouple(tensor, part.magnitude, get(logs.parameters, path));
    }),
    state: { ...moved.state, magnitudeFirst: logs.moments.first, magnitudeSecond: logs.moments.second },
  };
}

function ruleState({ name = "adam" }: OptimizerOptions, parameters: Named): OptimizerState {
  switch (name) {
    case "adam":
      return adamMoments(parameters);
    case "sgd":
      return { velocity: sgdVelocity(parameters) };
    case "muon":
      return {
        velocity: sgdVelocity(only(parameters, isMatrix)),
        ...adamMoments(only(parameters, (tensor) => !isMatrix(tensor))),
      };
  }
}

function rule({ options, rate, corrections }: Step, before: Named, gradient: Named, state: OptimizerState): Moved {
  const { name = "adam", adam: adamOptions, momentum, isNesterov } = options;
  const { first = {}, second = {}, velocity = {} } = state;
  const moving = {
    ...(momentum === undefined ? {} : { momentum }),
    ...(isNesterov === undefined ? {} : { isNesterov }),
  };
  switch (name) {
    case "adam": {
      const { parameters, moments } = adam(before, gradient, { first, second }, rate, corrections, adamOptions);
      return { parameters, state: moments };
    }
    case "sgd": {
      const moved = sgdWithMomentum(before, gradient, velocity, rate, moving);
      return { parameters: moved.parameters, state: { velocity: moved.velocity } };
    }
    case "muon": {
      const rest = only(before, (tensor) => !isMatrix(tensor));
      const others = adam(
        rest,
        only(gradient, (_, path) => path in rest),
        { first, second },
        rate,
        corrections,
        adamOptions,
      );
      const moves = Object.fromEntries(
        Object.keys(only(before, isMatrix)).map((path) => [
          path,
          muonMove(get(gradient, path), get(velocity, path), moving),
        ]),
      );
      return {
        parameters: mapped(before, (tensor, path) => {
          const move = moves[path];
          return move === undefined ? get(others.parameters, path) : subtract(tensor, multiply(move.update, rate));
        }),
        state: {
          velocity: Object.fromEntries(Object.entries(moves).map(([path, move]) => [path, move.velocity])),
          ...others.moments,
        },
      };
    }
  }
}

function byPath(tree: unknown): Record<string, Tensor> {
  return Object.fromEntries(treeLeaves(tree).map(({ path, tensor }) => [path, tensor]));
}
