import type { Contender, PreparedWork } from "./contender.ts";
import { interleave, type InterleaveOptions, type Lane, type Measurement } from "./interleave.ts";
import { dataFor, nameOf, quantityOf, type Quantity, type Work } from "./work.ts";

/** One line of comparison. The first measurement is ours. */
export type Row = {
  readonly group: string;
  readonly name: string;
  /** What the measurements are of; lower is better in all of them. */
  readonly measure: "seconds" | "bytes";
  /** What one run stands for, to give rates. */
  readonly quantity?: Quantity;
  readonly measurements: readonly Measurement[];
  /** Those who should be here, and why they aren't. */
  readonly absent: readonly { readonly contender: string; readonly reason: string }[];
  /** Our rate as a share of another rate that was measured in the same turns. */
  readonly share?: { readonly of: string; readonly value: number };
  readonly note?: string;
};

/** Theirs / ours by medians: above 1 we are faster, or smaller. */
export function ratioTo(row: Row, contender: string): number | undefined {
  const ours = row.measurements[0];
  const theirs = row.measurements.find((measurement: Measurement) => measurement.contender === contender);
  return ours === undefined || theirs === undefined ? undefined : theirs.median / ours.median;
}

/**
 * Results agree if each number does to this part of the largest: sums of K products in float32 carry an error of about sqrt(K) 2^-24
 * of their own size, 8e-6 for the longest here (K = 16,384), a few times that where products are transformed (Winograd). What computes
 * something else is off by the whole size.
 */
const tolerance = 1e-4;

/** @throws Error that names the contender whose result differs. */
export function requireSameResults(
  row: string,
  contender: string,
  ours: readonly Float32Array[],
  theirs: readonly Float32Array[],
): void {
  if (ours.length !== theirs.length) throw new Error(`${contender} gives ${theirs.length} results of ${row}`);
  ours.forEach((mine, i) => {
    const other = theirs[i] as Float32Array;
    let [largest, difference] = [0, mine.length === other.length ? 0 : Infinity];
    for (let k = 0; k < mine.length; k++) {
      const [a, b] = [mine[k] ?? NaN, other[k] ?? NaN];
      largest = Math.max(largest, Math.abs(a));
      const away = Math.abs(a - b);
      difference = away <= difference ? difference : away;
    }
    if (!(difference <= tolerance * largest)) {
      throw new Error(`${contender} disagrees on ${row}: result ${i} differs by ${difference} of ${largest}`);
    }
  });
}

/** Measures a work with all who can do it, the first of whom is the reference, after a look at their results. */
export async function measureWork(
  group: string,
  work: Work,
  contenders: readonly Contender[],
  options: InterleaveOptions & { readonly copy?: Lane & { readonly bytes: number } } = {},
): Promise<Row> {
  const data = dataFor(work);
  const absent: { contender: string; reason: string }[] = [];
  const lanes: Lane[] = [];
  const prepared: PreparedWork[] = [];
  let reference: readonly Float32Array[] | undefined;
  for (const contender of contenders.filter(({ suits }) => suits?.(work) !== false)) {
    const one = await contender.prepare(work, data);
    if ("cannot" in one) {
      absent.push({ contender: contender.name, reason: one.cannot });
      continue;
    }
    const results = await one.results();
    reference ??= results;
    requireSameResults(nameOf(work), contender.name, reference, results);
    prepared.push(one);
    lanes.push({ name: contender.name, measure: (times) => one.measure(times) });
  }
  const { copy } = options;
  const measurements = await interleave(copy === undefined ? lanes : [...lanes, copy], options);
  for (const one of prepared) await one.dispose();
  const quantity = quantityOf(work);
  const [ours, copying] = [measurements[0], measurements.at(-1)];
  const row = { group, name: nameOf(work), measure: "seconds", quantity, absent } as const;
  if (copy === undefined || ours === undefined || copying === undefined) return { ...row, measurements };
  const value = quantity.amount / ours.median / (copy.bytes / 1e9 / copying.median);
  return { ...row, measurements, share: { of: copy.name, value } };
}
