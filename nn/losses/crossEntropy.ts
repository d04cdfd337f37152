import {
  add,
  equal,
  EvenkeelError,
  expandDims,
  gather,
  iota,
  logSoftmax,
  multiply,
  negate,
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
  /** Examples with this label don't count. Default: there is none; PyTorch's is -100. */
  readonly ignoreIndex?: number;
  /** How much examples of each class count [C]. Default: 1. */
  readonly classWeights?: Tensor;
  /** How much each example counts: the labels' first axes. Default: 1. 0 for what only fills a batch up. */
  readonly weights?: Tensor;
  /** Default: the mean, that is the sum of weighted losses over the sum of the weights; NaN if nothing counts. */
  readonly reduction?: Reduction;
};

/**
 * Cross entropy of classes in nats: -ln softmax(logits)[label]. Logits [.., C], or with classes along another axis; labels i32, of the
 * logits' shape without that axis. With label smoothing s the loss is (1 - s) times that plus s / C times the sum of -ln
 * softmax over all classes, each with its class's weight, as in PyTorch. A label outside of 0 to C - 1 (but for `ignoreIndex`) is
 * an error when the program runs.
 * @throws EvenkeelError `dtype` for labels that aren't i32, `shape` if sizes don't fit, `range` for a smoothing outside of 0 to 1, `axis`.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const logits = tensor([[0, 0], [1000, 0]]);
 * console.log(await crossEntropy(logits, tensor([0, 0], { dtype: "i32" })).item()); // 0.34657
 * ```
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { labelSmoothing = 0, ignoreIndex, classWeights, weights, reduction = "mean" } = options;
  const along = classAxis(logits, options.axis ?? -1);
  const classes = logits.shape[along] ?? 0;
  requireLabels(logits, labels, along);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new EvenkeelError("range", `crossEntropy: labelSmoothing ${labelSmoothing} is not a number from 0 to 1.`);
  }
  if (classWeights !== undefined && (classWeights.rank !== 1 || classWeights.size !== classes)) {
    throw new EvenkeelError(
      "shape",
      `crossEntropy: classWeights are [${classWeights.shape.join(", ")}], expected one for each class, [${classes}].`,
    );
  }
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

function requireLabels(logits: Tensor, labels: Tensor, along: number): void {
  if (labels.dtype !== "i32") {
    throw new EvenkeelError(
      "dtype",
      `crossEntropy: labels are ${labels.dtype}, expected i32, the number of each example's class. Use cast(labels, "i32").`,
    );
  }
  const expected = logits.shape.filter((_, axis) => axis !== along);
  if (labels.shape.join() !== expected.join()) {
    throw new EvenkeelError(
      "shape",
      `crossEntropy: labels are [${labels.shape.join(", ")}], expected [${expected.join(", ")}]: the logits [${logits.shape.join(", ")}] without axis ${along}, of classes.`,
    );
  }
}
