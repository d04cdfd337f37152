import { EvenkeelError, type Tensor } from "../../engine/index.ts";
import { type StoredTensor, toFloat64 } from "../../engine/io/index.ts";

/** What a tensor is, for its tolerance: a result, a derivative, or a single number in which sums may cancel. */
export type CheckClass = "output" | "gradient" | "scalar";

/** Allowed deviations, for `max|a - t| <= rtol * max|t|`; of single numbers `|a - t| <= 1e-3 |t| + scalar`. */
export type Tolerances = { readonly output: number; readonly gradient: number; readonly scalar: number };

/** How far one tensor is off. */
export type Deviation = {
  readonly tensor: string;
  readonly class: CheckClass;
  /** Relative to the truth's largest magnitude; of single numbers and 16-bit floats as `unit` says. */
  readonly deviation: number;
  readonly tolerance: number;
  readonly unit: "relative" | "absolute" | "ulp";
};

/** The relative part of what single numbers may be off. */
const scalarRelative = 1e-3;

type Values = ArrayLike<number>;

/** Collects the comparisons of one file. */
export class Checks {
  readonly #tolerances: Tolerances;
  readonly #scale: number;
  readonly #deviations: Deviation[] = [];
  readonly #failures: string[] = [];

  /** @param scale factor on every tolerance. */
  constructor(tolerances: Tolerances, scale: number) {
    this.#tolerances = tolerances;
    this.#scale = scale;
  }

  get deviations(): readonly Deviation[] {
    return this.#deviations;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  fail(problem: string): void {
    this.#failures.push(problem);
  }

  /** Runs a part of the checks; what it throws is a failure of that part, and the others go on. */
  async part(name: string, check: () => Promise<void> | void): Promise<void> {
    try {
      await check();
    } catch (reason) {
      this.fail(name === "" ? describeFailure(reason) : `${name}: ${describeFailure(reason)}`);
    }
  }

  /**
   * Compares a computed tensor with the truth of the same shape.
   * @param rtol in place of the file's tolerance of this class.
   */
  async tensor(name: string, actual: Tensor, truth: StoredTensor, as: CheckClass, rtol?: number): Promise<void> {
    if (actual.shape.join() !== truth.shape.join()) {
      this.fail(`${name} is [${actual.shape.join(", ")}], expected [${truth.shape.join(", ")}]`);
      return;
    }
    this.values(name, await actual.data(), truth, as, rtol);
  }

  /** Compares values in the truth's order. One-element tensors have their own tolerance unless `rtol` is given. */
  values(name: string, actual: Values, truth: StoredTensor | Values, as: CheckClass, rtol?: number): void {
    const expected = "dtype" in truth ? toFloat64(truth) : truth;
    if (!this.#canCompare(name, actual, expected)) return;
    const largest = largestOf(expected);
    const rounding = "dtype" in truth ? roundingBeside(rtol ?? this.#tolerances[as], truth.dtype) : 0;
    if (expected.length === 1 && rtol === undefined) {
      const tolerance = (scalarRelative + rounding) * largest + this.#tolerances.scalar;
      this.#add(name, "scalar", distance(actual, expected), tolerance, "absolute");
      return;
    }
    this.scaled(name, actual, expected, largest, as, (rtol ?? this.#tolerances[as]) + rounding);
  }

  /** Compares values whose errors are to be measured against `magnitude`: what they were summed from. */
  scaled(name: string, actual: Values, truth: Values, magnitude: number, as: CheckClass, rtol?: number): void {
    if (!this.#canCompare(name, actual, truth)) return;
    const off = distance(actual, truth);
    // Where the truth is zero throughout, only zeros will do.
    const relative = off === 0 ? 0 : off / magnitude;
    this.#add(name, as, relative, rtol ?? this.#tolerances[as], "relative");
  }

  /** What outputs may be off, relative, that are stored as numbers of this size. */
  outputTolerance(dtype: StoredTensor["dtype"]): number {
    return this.#tolerances.output + roundingBeside(this.#tolerances.output, dtype);
  }

  /** Compares arrays along the first axis of the truth, each relative to its own largest element: they differ in size. */
  rows(name: string, actual: Values, truth: StoredTensor): void {
    const expected = toFloat64(truth);
    if (!this.#canCompare(name, actual, expected)) return;
    const [count = 1] = truth.shape;
    const size = expected.length / count;
    const flat = Array.from(actual);
    let worst = 0;
    for (let start = 0; start < expected.length; start += size) {
      const row = expected.subarray(start, start + size);
      const off = distance(flat.slice(start, start + size), row);
      if (off !== 0) worst = Math.max(worst, off / largestOf(row));
    }
    this.#add(name, "output", worst, this.outputTolerance(truth.dtype), "relative");
  }

  /** Compares a list of numbers of different sizes, each relative to itself. */
  each(name: string, actual: Values, truth: Values, rtol: number): void {
    if (!this.#canCompare(name, actual, truth)) return;
    let worst = 0;
    for (let i = 0; i < truth.length; i++) {
      const off = Math.abs((actual[i] ?? NaN) - (truth[i] ?? NaN));
      if (off !== 0) worst = Math.max(worst, off / Math.abs(truth[i] ?? NaN));
    }
    this.#add(name, "output", worst, rtol, "relative");
  }

  /** Compares stored floats by their values: 16-bit floats may be neighbours, `ulps` apart; others as outputs, or exactly for 0. */
  sameFloats(name: string, actual: StoredTensor, truth: StoredTensor, ulps: number): void {
    if (actual.shape.join() !== truth.shape.join()) {
      this.fail(`${name} is [${actual.shape.join(", ")}], expected [${truth.shape.join(", ")}]`);
      return;
    }
    if (actual.dtype !== "F16" || truth.dtype !== "F16") {
      this.values(name, toFloat64(actual), ulps === 0 ? toFloat64(truth) : truth, "output", ulps === 0 ? 0 : undefined);
      return;
    }
    if (!this.#canCompare(name, toFloat64(actual), toFloat64(truth))) return;
    const [a, b] = [Int32Array.from(actual.data, rankOfHalf), Int32Array.from(truth.data, rankOfHalf)];
    this.#add(name, "output", distance(a, b), ulps, "ulp");
  }

  #canCompare(name: string, actual: Values, truth: Values): boolean {
    const problem =
      truth.length === 0
        ? "is empty, so that nothing can be checked"
        : actual.length !== truth.length
          ? `has ${actual.length} elements, expected ${truth.length}`
          : !allFinite(truth)
            ? "has a truth that is not finite"
            : !allFinite(actual)
              ? "was computed as NaN or infinity"
              : undefined;
    if (problem !== undefined) this.fail(`${name} ${problem}`);
    return problem === undefined;
  }

  #add(tensor: string, as: CheckClass, deviation: number, tolerance: number, unit: Deviation["unit"]): void {
    const allowed = tolerance * this.#scale;
    this.#deviations.push({ tensor, class: as, deviation, tolerance: allowed, unit });
    if (!(deviation <= allowed)) {
      const kind =
        unit === "relative" ? "relative to its largest element" : unit === "ulp" ? "units in the last place" : "";
      this.fail(
        `${tensor} is off by ${format(deviation)} (${kind === "" ? "" : `${kind}, `}allowed ${format(allowed)})`,
      );
    }
  }
}

/** What numbers of other sizes than float64's are rounded by when they are stored, relative to themselves. */
export function roundingOf(dtype: StoredTensor["dtype"]): number {
  return dtype === "BF16" ? 2 ** -8 : dtype === "F16" ? 2 ** -11 : dtype === "F32" ? 2 ** -24 : 0;
}

/** The same, where it counts beside a tolerance: those of float32 programs have the rounding of float32 in them. */
function roundingBeside(tolerance: number, dtype: StoredTensor["dtype"]): number {
  const rounding = roundingOf(dtype);
  return rounding > tolerance / 10 ? rounding : 0;
}

/** Deviations in three digits at most. */
export function format(value: number): string {
  return value === 0 ? "0" : value.toExponential(1);
}

/** A failure in words, for errors of any kind. */
export function describeFailure(reason: unknown): string {
  if (reason instanceof EvenkeelError) return reason.message;
  return reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason);
}

/** The place of a 16-bit float in the order of all: neighbours differ by 1, and both zeros are equal. */
function rankOfHalf(bits: number): number {
  return bits & 0x8000 ? -(bits & 0x7fff) : bits;
}

function allFinite(values: Values): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

function largestOf(values: Values): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] ?? NaN));
  return largest;
}

/** max|a - t| */
function distance(a: Values, t: Values): number {
  let off = 0;
  for (let i = 0; i < t.length; i++) off = Math.max(off, Math.abs((a[i] ?? NaN) - (t[i] ?? NaN)));
  return off;
}
