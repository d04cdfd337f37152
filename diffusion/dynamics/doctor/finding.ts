/** How bad: an `error` spoils training, a `warning` may, a `note` is good to know. */
export type Severity = "error" | "warning" | "note";

/** Something about a run that a person would want to be told. */
export type Finding = {
  readonly check:
    | "activations"
    | "weights"
    | "gains"
    | "updates"
    | "attention"
    | "loss"
    | "gradients"
    | "rate"
    | "averages"
    | "run";
  readonly severity: Severity;
  /** What looks wrong, with numbers. */
  readonly what: string;
  /** Layers, noise levels or settings, the worst first. */
  readonly where: readonly string[];
  /** What it usually means. */
  readonly meaning: string;
  /** What to try. */
  readonly advice: string;
};

/** A layer and a number that belongs to it. */
export type LayerValue = { readonly layer: string; readonly value: number };

/** A number as people read it. */
export function show(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3)
    ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The last third of what there is, at least one. */
export function lastThird<T>(values: readonly T[]): readonly T[] {
  return values.slice(-Math.max(1, Math.ceil(values.length / 3)));
}

/** Layers with their numbers, the largest first. */
export function worst(values: readonly LayerValue[]): string[] {
  return values.toSorted((a, b) => b.value - a.value).map(({ layer, value }) => `${layer} (${show(value)})`);
}
