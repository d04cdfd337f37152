import benny from "benny";
import type { Contender, PreparedWork } from "./contender.ts";
import type { Measurement } from "./interleave.ts";
import { requireSameResults, type Row } from "./row.ts";
import { dataFor, nameOf, quantityOf, type Work } from "./work.ts";

/** Small: software GPUs and plain JavaScript are hundreds of times slower than native speed. */
export const deviceWorks: readonly Work[] = [
  { kind: "matmul", size: 128 },
  { kind: "conv", batch: 2, channels: 16, resolution: 16, kernel: 3, gradients: false },
  { kind: "convNet", batch: 2, channels: 8, resolution: 8 },
  { kind: "chain", length: 2 ** 17, functions: "smooth" },
  { kind: "reduce", rows: 256, columns: 512, axis: 1 },
  { kind: "softmax", rows: 256, columns: 256, gradients: false },
];

/** A row of JavaScript engines alone, as benny measures: one after the other. */
export async function measureWithBenny(group: string, work: Work, contenders: readonly Contender[]): Promise<Row> {
  const data = dataFor(work);
  const prepared: { readonly name: string; readonly work: PreparedWork }[] = [];
  const absent: { contender: string; reason: string }[] = [];
  let reference: readonly Float32Array[] | undefined;
  for (const contender of contenders) {
    const { name } = contender;
    const one = await contender.prepare(work, data);
    if ("cannot" in one) {
      absent.push({ contender: name, reason: one.cannot });
      continue;
    }
    const results = await one.results();
    reference ??= results;
    requireSameResults(nameOf(work), name, reference, results);
    prepared.push({ name, work: one });
  }
  const summary = await benny.suite(
    nameOf(work),
    ...prepared.map(({ name, work: one }) =>
      // benny takes a function that prepares and gives the one to measure.
      benny.add(
        name,
        () => async () => {
          await one.measure(1);
        },
        { minSamples: 7, maxTime: 1 },
      ),
    ),
  );
  for (const { work: one } of prepared) await one.dispose();
  const measurements = summary.results.map(
    ({ name, details, samples }): Measurement => ({
      contender: name,
      median: details.median,
      min: details.min,
      max: details.max,
      samples,
    }),
  );
  return { group, name: nameOf(work), measure: "seconds", quantity: quantityOf(work), measurements, absent };
}
