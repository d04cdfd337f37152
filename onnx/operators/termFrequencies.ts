import {
  add,
  and,
  cast,
  equal,
  expandDims,
  greater,
  multiply,
  reduceSum,
  slice,
  squeeze,
  stack,
  type Tensor,
  tensor,
  zeros,
} from "../../engine/index.ts";
import { floats, integer, integers, oneOf, texts } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { entry, upTo } from "./axes.ts";

type Attributes = {
  readonly ngram_counts: readonly number[];
  readonly ngram_indexes: readonly number[];
  readonly pool_int64s: readonly number[] | undefined;
  readonly pool_strings: readonly string[] | undefined;
  readonly weights: readonly number[] | undefined;
  readonly min_gram_length: number;
  readonly max_gram_length: number;
  readonly max_skip_count: number;
  readonly mode: "TF" | "IDF" | "TFIDF";
};

/** How often words of a table occur in rows of numbers: [N, length] to [N, words]. A word's numbers may be a fixed step apart. */
function termFrequencies(call: NodeCall, attributes: Attributes): Tensor {
  const { pool_int64s: pool, ngram_counts: starts, ngram_indexes: places } = attributes;
  if (pool === undefined) throw call.error("dtype", "counts words of texts, which can't be computed with.");
  const given = call.tensor(0);
  const x = given.rank === 1 ? expandDims(given, 0) : given;
  const [rows, length] = [entry(call, x.shape, 0), entry(call, x.shape, 1)];
  const counts = new Array<Tensor>(Math.max(...places) + 1).fill(zeros([rows]));
  let word = 0;
  starts.forEach((start, i) => {
    const size = i + 1;
    const end = starts[i + 1] ?? pool.length;
    for (let first = start; first + size <= end; first += size) {
      const place = entry(call, places, word++);
      if (size < attributes.min_gram_length || size > attributes.max_gram_length) continue;
      for (let skip = 0; skip <= (size === 1 ? 0 : attributes.max_skip_count); skip++) {
        const room = length - (size - 1) * (skip + 1);
        if (room < 1) continue;
        const isThere = upTo(size)
          .map((k) => equal(slice(x, [null, [k * (skip + 1), k * (skip + 1) + room]]), entry(call, pool, first + k)))
          .reduce(and);
        counts[place] = add(counts[place] ?? zeros([rows]), cast(reduceSum(isThere, { axes: 1 }), "f32"));
      }
    }
  });
  const frequencies = stack(counts, 1);
  const weights = tensor(Float32Array.from(attributes.weights ?? counts.map(() => 1)));
  const isPresent = cast(greater(frequencies, 0), "f32");
  const y = { TF: frequencies, IDF: multiply(isPresent, weights), TFIDF: multiply(frequencies, weights) }[
    attributes.mode
  ];
  return given.rank === 1 ? squeeze(y, 0) : y;
}

export const termFrequencyOperators: OperatorTable = {
  TfIdfVectorizer: operator({
    since: 9,
    roundabout: "counts of words, each of which is compared with all places here",
    attributes: {
      ngram_counts: integers.required,
      ngram_indexes: integers.required,
      pool_int64s: integers,
      pool_strings: texts,
      weights: floats,
      min_gram_length: integer.required,
      max_gram_length: integer.required,
      max_skip_count: integer.required,
      mode: oneOf(["TF", "IDF", "TFIDF"]).required,
    },
    build: (call, attributes) => call.typed("f32", termFrequencies(call, attributes)),
  }),
};
