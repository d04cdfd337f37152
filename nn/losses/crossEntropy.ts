import {
  add,
  and,
  equal,
  EvenkeelError,
  expandDims,
  gather,
  iota,
  logSoftmax,
  multiply,
  negate,
  onesLike,
  reduceSum,
  reshape,
  type Tensor,
  tensor,
  where,
} from "../../engine/index.ts";
import { alongFirstAxes, reduceLosses, type Reduction, weighted } from "./weightedMean.ts";

/** Options of `crossEntropy`. */
export type CrossEntropyOptions = {
  /** The axis of the logits along which classes lie. Default: the last, -1. (PyTorch's is 1.) */
  readonly axis?: number;
  /** The share of the target that is spread over all classes evenly, from 0 to 1 (Szegedy et al. 2016). Default 0. */
  readonly labelSmoothing?: number;
  /** Examples with this label don't count. Default: there is none; PyTorch's is -100. Not for probabilities. */
  readonly ignoreIndex?: number;
  /** How much examples of each class count, or each class's share of a loss by probabilities [C]. Default: 1. */
  readonly classWeights?: Tensor;
  /** How much each example counts: the first axes of the losses. Default: 1. 0 for what only fills a batch up. */
  readonly weights?: Tensor;
  /** Default: the mean, that is the sum of weighted losses over the sum of the weights; NaN if nothing counts. */
  readonly reduction?: Reduction;
};

/**
 * Cross entropy of classes in nats: -ln softmax(logits)[label]. Logits [.., C], or with classes along another axis; labels i32, of the
 * logits' shape without that axis. With label smoothing s the loss is (1 - s) times that plus s / C times the sum of -ln
 * softmax over all classes, each with its class's weight, as in PyTorch. A label outside of 0 to C - 1 (but for `ignoreIndex`) is
 * an error when the program runs.
 *
 * Targets of f32 are probabilities t of the classes, of the logits' shape: the loss is then the sum of -t ln softmax(logits), each with its
 * class's weight, smoothed (1 - s) t + s / C. Whether they add up to 1 isn't asked. Their mean is over examples, whatever the class
 * weights, as in PyTorch. Derivatives go to targets, too.
 * @throws EvenkeelError `dtype` for targets that are neither, `shape` if sizes don't fit, `range` for a smoothing outside of 0 to 1, `axis`;
 * `value` for `ignoreIndex` beside probabilities.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const logits = tensor([[0, 0], [1000, 0]]);
 * console.log(await crossEntropy(logits, tensor([0, 0], { dtype: "i32" })).item()); // 0.34657
 * console.log(await crossEntropy(logits, tensor([[0.5, 0.5], [1, 0]])).item()); // 0.34657
 * ```
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { labelSmoothing = 0, classWeights } = options;
  const along = classAxis(logits, options.axis ?? -1);
  const classes = logits.shape[along] ?? 0;
  requireTargets(logits, targets, along);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new EvenkeelError("range", `crossEntropy: labelSmoothing ${labelSmoothing} is not a number from 0 to 1.`);
  }
  if (classWeights !== undefined && (classWeights.rank !== 1 || classWeights.size !== classes)) {
    throw new EvenkeelError(
      "shape",
      `crossEntropy: classWeights are [${classWeights.shape.join(", ")}], expected one for each class, [${classes}].`,
    );
  }
  return targets.dtype === "f32"
    ? ofProbabilities(logits, targets, along, options)
    : ofLabels(logits, targets, along, options);
}

function ofProbabilities(logits: Tensor, targets: Tensor, along: number, options: CrossEntropyOptions): Tensor {
  const { labelSmoothing = 0, ignoreIndex, classWeights, weights, reduction = "mean" } = options;
  if (ignoreIndex !== undefined) {
    throw new EvenkeelError(
      "value",
      "crossEntropy: ignoreIndex is for labels, and the targets are probabilities (f32). Give weights of 0 to examples that don't count.",
    );
  }
  const even = labelSmoothing / (logits.shape[along] ?? 1);
  const wanted = labelSmoothing === 0 ? targets : add(multiply(targets, 1 - labelSmoothing), even);
  const logarithms = logSoftmax(logits, along);
  // A class that neither is wanted nor can be adds nothing.
  const isNothing = and(equal(wanted, 0), equal(logarithms, -Infinity));
  const each = multiply(where(isNothing, 0, logarithms), wanted);
  const counted = classWeights === undefined ? each : multiply(each, alongAxis(classWeights, along, logits));
  const losses = negate(reduceSum(counted, { axes: along }));
  if (weights === undefined) return reduceLosses(losses, onesLike(losses), reduction);
  const counts = multiply(onesLike(losses), alongFirstAxes("crossEntropy", weights, losses.shape));
  return reduceLosses(weighted(losses, counts), counts, reduction);
}

function ofLabels(logits: Tensor, labels: Tensor, along: number, options: CrossEntropyOptions): Tensor {
  const { labelSmoothing = 0, ignoreIndex, classWeights, weights, reduction = "mean" } = options;
  const classes = logits.shape[along] ?? 0;
  const isIgnored = ignoreIndex === undefined ? null : equal(labels, ignoreIndex);
  const known = isIgnored === null ? labels : where(isIgnored, 0, labels);
  const logarithms = logSoftmax(logits, along);

  // Taken from a list, also where it is of ones: so labels are checked.
  const ofClass = gather(classWeights ?? tensor(new Float32Array(classes).fill(1)), known);
  const share = weights === undefined ? null : alongFirstAxes("crossEntropy", weights, labels.shape);
  const ofExample = share === null ? ofClass : multiply(ofClass, share);
  const counts = isIgnored === null ? ofExample : where(isIgnored, 0, ofExample);

  // Chosen, not multiplied: the logarithms of other classes may be infinite.
  const isLabel = equal(expandDims(known, along), iota(logits.shape, along));
  const surprise = negate(reduceSum(where(isLabel, logarithms, 0), { axes: along }));
  if (labelSmoothing === 0) return reduceLosses(weighted(surprise, counts), counts, reduction);

  const ofEach = classWeights === undefined ? logarithms : multiply(logarithms, alongAxis(classWeights, along, logits));
  const spread = negate(reduceSum(ofEach, { axes: along }));
  const spreadOfExample = share === null ? spread : weighted(spread, share);
  const spreadCounted = isIgnored === null ? spreadOfExample : where(isIgnored, 0, spreadOfExample);
  const losses = add(
    multiply(weighted(surprise, counts), 1 - labelSmoothing),
    multiply(spreadCounted, labelSmoothing / classes),
  );
  return reduceLosses(losses, counts, reduction);
}

/** A vector [C] along one axis of something. */
function alongAxis(vector: Tensor, axis: number, { rank }: Tensor): Tensor {
  return reshape(
    vector,
    Array.from({ length: rank }, (_, i) => (i === axis ? vector.size : 1)),
  );
}

function classAxis({ rank, shape }: Tensor, axis: number): number {
  const along = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(along) || along < 0 || along >= rank) {
    throw new EvenkeelError("axis", `crossEntropy: logits [${shape.join(", ")}] have no axis ${axis}.`);
  }
  return along;
}

function requireTargets(logits: Tensor, targets: Tensor, along: number): void {
  const shown = ({ shape }: Pick<Tensor, "shape">): string => `[${shape.join(", ")}]`;
  if (targets.dtype === "f32") {
    if (targets.shape.join() === logits.shape.join()) return;
    throw new EvenkeelError(
      "shape",
      `crossEntropy: targets are f32 ${shown(targets)}, expected probabilities of the logits' shape ${shown(logits)}. ` +
        'Are they labels? Use cast(labels, "i32").',
    );
  }
  if (targets.dtype !== "i32") {
    throw new EvenkeelError(
      "dtype",
      `crossEntropy: targets are ${targets.dtype}, expected i32, the number of each example's class, or f32, the classes' probabilities. ` +
        'Use cast(labels, "i32").',
    );
  }
  const expected = { shape: logits.shape.filter((_, axis) => axis !== along) };
  if (targets.shape.join() !== expected.shape.join()) {
    throw new EvenkeelError(
      "shape",
      `crossEntropy: labels are ${shown(targets)}, expected ${shown(expected)}: the logits ${shown(logits)} without axis ${along}, of classes.`,
    );
  }
}
