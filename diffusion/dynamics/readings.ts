import {
  add,
  divide,
  log,
  maximum,
  mean,
  multiply,
  negate,
  norm,
  reduceMax,
  reduceMin,
  reduceSum,
  rootMeanSquare,
  sqrt,
  square,
  stack,
  subtract,
  type Tensor,
  reshape,
} from "../../engine/index.ts";
import { angleBetween, cosine, spectralNorm, tiny } from "./geometry.ts";
import { type NamedParameters, normalize, type ParameterSpec } from "../../nn/index.ts";

/** What is read of a network in a step, and of what: each is one number. */
export const readingKinds = [
  /** Root mean square of a tap's value: the immediate output of a layer with weights. Karras et al. 2024, Eq. 3. */
  "activation",
  /** Largest root mean square of a single feature of it. */
  "activationMax",
  /** Root mean square of a stored weight as the optimizer sees it (after forced normalization, where there is one). */
  "weight",
  /** Largest root mean square of a single output's weights. */
  "weightMax",
  /** Root mean square of a weight's gradient, of the loss summed over pixels, mean over images. */
  "gradient",
  /** How far the step moves a weight, relative to its magnitude: the effective learning rate. */
  "update",
  /** Angle by which the step turns a weight, seen as one vector: radians. */
  "angle",
  /** Cosine of the angle between a weight and the step against it: what of the step changes the weight's length. */
  "alignment",
  /** Largest singular value of a weight's gradient, a matrix with a row an output: a lower bound, by a few power steps. */
  "spectralNorm",
  /** ||G||^2 over the square of that: of how many directions a gradient is made, at most. */
  "stableRank",
  /** A gain's value. */
  "gain",
  /** Entropy of attention, mean over queries, divided by the logarithm of the number of keys: 1 is even attention. */
  "entropy",
  /** The same of the head that has the least. */
  "entropyMin",
  /** Largest absolute logit of attention. */
  "logit",
] as const;

/** What is read of each layer or array. */
export type ReadingKind = (typeof readingKinds)[number];

/** Where readings of each kind come from: names of taps, or of arrays without their prefix and `.weight`. */
export type ReadingNames = {
  readonly activations: readonly string[];
  readonly weights: readonly string[];
  /** The shape of each weight, outputs first. */
  readonly weightShapes: readonly (readonly number[])[];
  readonly gains: readonly string[];
  readonly attention: readonly string[];
};

/** The names that readings of a kind belong to. */
export function namesOf(names: ReadingNames, kind: ReadingKind): readonly string[] {
  switch (kind) {
    case "activation":
    case "activationMax":
      return names.activations;
    case "weight":
    case "weightMax":
    case "gradient":
    case "update":
    case "angle":
    case "alignment":
    case "spectralNorm":
    case "stableRank":
      return names.weights;
    case "gain":
      return names.gains;
    case "entropy":
    case "entropyMin":
    case "logit":
      return names.attention;
  }
}

/** What a tap saw. */
export type Tapped = { readonly name: string; readonly value: Tensor };

/** A step as it is looked at. */
export type StepView = {
  readonly taps: readonly Tapped[];
  /** What the optimizer moves, by full name, before and after the step. */
  readonly weights: NamedParameters;
  readonly next: NamedParameters;
  readonly gradient: NamedParameters;
  /** Are weights used by their direction alone (normalized in use)? Then only a change of direction counts as an update. */
  readonly byDirection: boolean;
};

/** A layer's name from an array's: `unet.enc.8x8_block0.conv_res0.weight` to `enc.8x8_block0.conv_res0`. */
export function layerOf(array: string): string {
  return array.replace(/^unet\./, "").replace(/\.weight$/, "");
}

const attentionTap = /\.attn\.(logits|weights)$/;

/** All readings of a step in one vector, and what they are of, in its order: reductions only. */
export function readStep(
  specs: NamedParameters<ParameterSpec>,
  view: StepView,
): { readonly names: ReadingNames; readonly values: Tensor } {
  const byKind = new Map<ReadingKind, Tensor[]>(readingKinds.map((kind) => [kind, []]));
  const read = (kind: ReadingKind, value: Tensor): void => void byKind.get(kind)?.push(value);
  const names = { activations: [], weights: [], gains: [], attention: [] } as Record<
    Exclude<keyof ReadingNames, "weightShapes">,
    string[]
  >;
  const weightShapes: number[][] = [];

  for (const { name, value } of view.taps) {
    if (attentionTap.test(name)) continue;
    names.activations.push(name);
    const squares = mean(square(value), { axes: axesBut(value, 1) });
    read("activation", sqrt(mean(squares)));
    read("activationMax", sqrt(reduceMax(squares)));
  }
  for (const { name, value } of view.taps) {
    const what = attentionTap.exec(name)?.[1];
    if (what === "logits") {
      names.attention.push(name.replace(attentionTap, ""));
      read("logit", reduceMax(maximum(value, negate(value))));
    } else if (what === "weights") {
      const entropies = headEntropies(value);
      read("entropy", mean(entropies));
      read("entropyMin", reduceMin(entropies));
    }
  }
  for (const [array, spec] of Object.entries(specs)) {
    const [weight, next, gradient] = [view.weights[array], view.next[array], view.gradient[array]];
    if (weight === undefined || next === undefined || gradient === undefined) continue;
    if (spec.role === "gain") {
      names.gains.push(layerOf(array));
      read("gain", reshape(weight, []));
    } else if (spec.role === "weight") {
      names.weights.push(layerOf(array));
      weightShapes.push([...weight.shape]);
      const squares = mean(square(weight), { axes: axesBut(weight, 0) });
      read("weight", sqrt(mean(squares)));
      read("weightMax", sqrt(reduceMax(squares)));
      read("gradient", rootMeanSquare(gradient));
      read("update", relativeUpdate(weight, next, view.byDirection));
      read("angle", angleBetween(weight, next));
      read("alignment", cosine(subtract(weight, next), weight));
      const largest = spectralNorm(gradient);
      read("spectralNorm", largest);
      read("stableRank", square(divide(norm(gradient), maximum(largest, tiny))));
    }
  }
  return { names: { ...names, weightShapes }, values: stack(readingKinds.flatMap((kind) => byKind.get(kind) ?? [])) };
}

/** The vector's numbers by kind. @throws RangeError unless there are as many as the names say. */
export function splitReadings(names: ReadingNames, values: ArrayLike<number>): Record<ReadingKind, number[]> {
  const result = {} as Record<ReadingKind, number[]>;
  let at = 0;
  for (const kind of readingKinds) {
    const count = namesOf(names, kind).length;
    result[kind] = Array.from({ length: count }, (_, i) => values[at + i] ?? NaN);
    at += count;
  }
  if (at !== values.length) throw new RangeError(`${values.length} readings for ${at} names`);
  return result;
}

function axesBut(x: Tensor, kept: number): number[] {
  return x.shape.map((_, axis) => axis).filter((axis) => axis !== kept);
}

/**
 * RMS of the change of direction, where a direction is a weight normalized for each output (its RMS is 1), or else RMS of the change
 * over RMS of the weight.
 */
function relativeUpdate(weight: Tensor, next: Tensor, byDirection: boolean): Tensor {
  if (byDirection) return rootMeanSquare(subtract(normalize(next), normalize(weight)));
  return divide(rootMeanSquare(subtract(next, weight)), maximum(rootMeanSquare(weight), tiny));
}

/** Entropy of each head [heads] of attention's weights [N, heads, queries, keys], as a share of the largest possible. */
function headEntropies(weights: Tensor): Tensor {
  const keys = weights.shape[3] ?? 1;
  // A weight that underflows to 0 adds nothing.
  const each = negate(reduceSum(multiply(weights, log(add(weights, 1e-30))), { axes: 3 }));
  return divide(mean(each, { axes: [0, 2] }), Math.max(Math.log(keys), 1e-12));
}
