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
import { soapBases, type SoapMatrixState, soapMove, soapStart } from "./soap.ts";

/** The optimizers that `optimizerStep` knows. */
export const optimizerNames = ["adam", "sgd", "muon", "soap"] as const;

/** An optimizer of `optimizerStep`. */
export type OptimizerName = (typeof optimizerNames)[number];

/** An optimizer as plain data: its rule, and what is done to matrices around it. */
export type OptimizerOptions = {
  /** Default "adam". "muon" and "soap" move matrices alone, arrays [rows, ...] of more than one row and column; the others are moved by Adam. */
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
 * Checks that options of an optimizer are in range and fit each other.
 * @throws EvenkeelError `value` that names what doesn't.
 * @example
 * ```ts
 * checkOptimizer({ name: "muon", momentum: 0.9 }); // nothing is wrong: nothing happens
 * try {
 *   checkOptimizer({ momentum: 0.9 });
 * } catch (error) {
 *   console.log(String(error)); // EvenkeelError: optimizer: adam has its means (beta1) in place of momentum; leave it out, or choose sgd or muon.
 * }
 * ```
 */
export function checkOptimizer({ name = "adam", momentum, hyperball, magnitudeRate }: OptimizerOptions): void {
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `optimizer: ${problem}.`);
  };
  if (momentum !== undefined && !(momentum >= 0 && momentum < 1)) {
    fail(`momentum is ${momentum}, expected a number from 0 to below 1`);
  }
  if (momentum !== undefined && (name === "adam" || name === "soap")) {
    fail(`${name} has its means (beta1) in place of momentum; leave it out, or choose sgd or muon`);
  }
  if (magnitudeRate !== undefined && !(magnitudeRate >= 0 && magnitudeRate < Infinity)) {
    fail(`magnitudeRate is ${magnitudeRate}, expected a number of at least 0`);
  }
  if (magnitudeRate !== undefined && hyperball !== undefined) {
    fail("a rate of magnitudes moves the norms that hyperball fixes; leave one of them out");
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

/** Steps after which the bases of soap are made anew. */
export const soapInterval = 10;

/**
 * Whether `refreshOptimizer` is due after step number `step` (from 1): of soap after the first and after every tenth, of others never.
 * @example console.log(isRefreshDue({ name: "soap" }, 20), isRefreshDue({ name: "muon" }, 20)); // true false
 */
export function isRefreshDue({ name }: OptimizerOptions, step: number): boolean {
  return name === "soap" && (step === 1 || step % soapInterval === 0);
}

/**
 * What an optimizer's state is between some of its steps: the bases of soap, a power step nearer to eigenvectors. It is much work beside a
 * step, and so a program of its own that runs rarely. Of other optimizers the state as it is.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const weights = { w: tensor([[1, 0], [0, 1]]) };
 * const before = optimizerState({ name: "soap" }, weights);
 * const { state } = optimizerStep({ name: "soap" }, weights, { w: tensor([[3, 3], [-1, 1]]) }, before, 0.1, adamCorrections(1));
 * console.log(await refreshOptimizer({ name: "soap" }, state)["rightBasis"]?.["w"]?.array()); // [ [ 0.7809, 0.6247 ], [ -0.6247, 0.7809 ] ]
 * ```
 */
export function refreshOptimizer({ name }: OptimizerOptions, state: OptimizerState): OptimizerState {
  if (name !== "soap") return state;
  const sides = (["left", "right"] as const).flatMap((side) =>
    Object.entries(state[`${side}Covariance`] ?? {}).map(([path, covariance]) => ({
      side,
      path,
      covariance,
      basis: get(state[`${side}Basis`], path),
    })),
  );
  const bases = soapBases(sides);
  const of = (wanted: "left" | "right"): Record<string, Tensor> =>
    Object.fromEntries(sides.flatMap(({ side, path }, i) => (side === wanted ? [[path, bases[i] as Tensor]] : [])));
  return { ...state, leftBasis: of("left"), rightBasis: of("right") };
}

/** The state of matrices, by what it is of. */
function soapArrays(states: Readonly<Record<string, SoapMatrixState>>): OptimizerState {
  const all = (arrayOf: (state: SoapMatrixState) => Tensor | undefined): Record<string, Tensor> =>
    Object.fromEntries(
      Object.entries(states).flatMap(([path, state]) => {
        const array = arrayOf(state);
        return array === undefined ? [] : [[path, array]];
      }),
    );
  return {
    first: all(({ first }) => first),
    second: all(({ second }) => second),
    leftCovariance: all(({ left }) => left?.covariance),
    leftBasis: all(({ left }) => left?.basis),
    rightCovariance: all(({ right }) => right?.covariance),
    rightBasis: all(({ right }) => right?.basis),
  };
}

function soapStateOf(state: OptimizerState, path: string): SoapMatrixState {
  const side = (name: "left" | "right"): { covariance: Tensor; basis: Tensor } | undefined => {
    const covariance = state[`${name}Covariance`]?.[path];
    return covariance === undefined ? undefined : { covariance, basis: get(state[`${name}Basis`], path) };
  };
  const [left, right] = [side("left"), side("right")];
  return {
    first: get(state["first"], path),
    second: get(state["second"], path),
    ...(left === undefined ? {} : { left }),
    ...(right === undefined ? {} : { right }),
  };
}

function ruleState({ name = "adam" }: OptimizerOptions, parameters: Named): OptimizerState {
  const rest = only(parameters, (tensor) => !isMatrix(tensor));
  switch (name) {
    case "adam":
      return adamMoments(parameters);
    case "sgd":
      return { velocity: sgdVelocity(parameters) };
    case "muon":
      return { velocity: sgdVelocity(only(parameters, isMatrix)), ...adamMoments(rest) };
    case "soap": {
      const matrices = Object.entries(only(parameters, isMatrix));
      const own = soapArrays(Object.fromEntries(matrices.map(([path, matrix]) => [path, soapStart(matrix)])));
      const { first, second } = adamMoments(rest);
      return { ...own, first: { ...own["first"], ...first }, second: { ...own["second"], ...second } };
    }
  }
}

function rule(step: Step, before: Named, gradient: Named, state: OptimizerState): Moved {
  const { options, rate, corrections } = step;
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
      const others = moveOthers(step, before, gradient, state);
      const moves = matrixMoves(before, (path) => muonMove(get(gradient, path), get(velocity, path), moving));
      return {
        parameters: mapped(before, (tensor, path) => moved(tensor, moves[path], rate) ?? get(others.parameters, path)),
        state: {
          velocity: Object.fromEntries(Object.entries(moves).map(([path, move]) => [path, move.velocity])),
          ...others.state,
        },
      };
    }
    case "soap": {
      const others = moveOthers(step, before, gradient, state);
      const moves = matrixMoves(before, (path) =>
        soapMove(get(gradient, path), soapStateOf(state, path), corrections, adamOptions),
      );
      const own = soapArrays(Object.fromEntries(Object.entries(moves).map(([path, move]) => [path, move.state])));
      return {
        parameters: mapped(before, (tensor, path) => moved(tensor, moves[path], rate) ?? get(others.parameters, path)),
        state: {
          ...own,
          first: { ...own["first"], ...others.state["first"] },
          second: { ...own["second"], ...others.state["second"] },
        },
      };
    }
  }
}

const matrixMoves = <Move>(before: Named, move: (path: string) => Move): Readonly<Record<string, Move>> =>
  Object.fromEntries(Object.keys(only(before, isMatrix)).map((path) => [path, move(path)]));

const moved = (tensor: Tensor, move: { readonly update: Tensor } | undefined, rate: TensorLike): Tensor | undefined =>
  move === undefined ? undefined : subtract(tensor, multiply(move.update, rate));

/** What isn't a matrix, by Adam. */
function moveOthers(
  { options, rate, corrections }: Step,
  before: Named,
  gradient: Named,
  state: OptimizerState,
): Moved {
  const rest = only(before, (tensor) => !isMatrix(tensor));
  const of = (tensors: Named | undefined): Record<string, Tensor> => only(tensors ?? {}, (_, path) => path in rest);
  const remembered = { first: of(state["first"]), second: of(state["second"]) };
  const { parameters, moments } = adam(rest, of(gradient), remembered, rate, corrections, options.adam);
  return { parameters, state: moments };
}

function byPath(tree: unknown): Record<string, Tensor> {
  return Object.fromEntries(treeLeaves(tree).map(({ path, tensor }) => [path, tensor]));
}
