/** The bench's works in TensorFlow.js, on whatever backend: in Node or in a page. */
import type { PreparedWork } from "../contender.ts";
import { inputsOf, normEpsilon, type Work } from "../work.ts";

/** The part of TensorFlow.js that is used here. Images are NHWC, filters HWIO: its own best layout. */
export type TfTensor = { data(): Promise<Float32Array>; dispose(): void };
export type Tf = {
  setBackend(name: string): Promise<boolean>;
  tensor(data: Float32Array, shape: readonly number[]): TfTensor;
  ready(): Promise<void>;
  tidy<T>(fn: () => T): T;
  keep<T>(tensor: T): T;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  slice(x: TfTensor, begin: readonly number[], size: readonly number[]): TfTensor;
  transpose(x: TfTensor, order: readonly number[]): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, stride: number, padding: string): TfTensor;
  add(x: TfTensor, y: TfTensor | number): TfTensor;
  sub(x: TfTensor, y: TfTensor | number): TfTensor;
  mul(x: TfTensor, y: TfTensor | number): TfTensor;
  div(x: TfTensor, y: TfTensor | number): TfTensor;
  maximum(x: TfTensor, y: TfTensor): TfTensor;
  minimum(x: TfTensor, y: TfTensor | number): TfTensor;
  cast(x: TfTensor, dtype: string): TfTensor;
  gather(x: TfTensor, index: TfTensor): TfTensor;
  tanh(x: TfTensor): TfTensor;
  exp(x: TfTensor): TfTensor;
  sigmoid(x: TfTensor): TfTensor;
  square(x: TfTensor): TfTensor;
  sqrt(x: TfTensor): TfTensor;
  sum(x: TfTensor, axis: number): TfTensor;
  mean(x: TfTensor): TfTensor;
  softmax(x: TfTensor): TfTensor;
  valueAndGrads(
    fn: (...args: TfTensor[]) => TfTensor,
  ): (args: readonly TfTensor[], dy?: TfTensor) => { value: TfTensor; grads: TfTensor[] };
};

const toNhwc = [0, 2, 3, 1];
const toHwio = [2, 3, 1, 0];
const fromNhwc = [0, 3, 1, 2];
const fromHwio = [3, 2, 0, 1];

function withGradients(tf: Tf, fn: (...args: TfTensor[]) => TfTensor, inputs: readonly TfTensor[]): TfTensor[] {
  const { value, grads } = tf.valueAndGrads(fn)(inputs.slice(0, -1), inputs.at(-1));
  return [value, ...grads];
}

function apply(tf: Tf, work: Work, inputs: readonly TfTensor[]): TfTensor[] {
  const [x, y] = inputs as [TfTensor, TfTensor];
  const conv = (image: TfTensor, filter: TfTensor): TfTensor => tf.conv2d(image, filter, 1, "same");
  switch (work.kind) {
    case "matmul":
      return [tf.matMul(x, y)];
    case "conv":
      return work.gradients ? withGradients(tf, conv, inputs) : [conv(x, y)];
    case "attention": {
      const attend = (q: TfTensor, k: TfTensor, v: TfTensor): TfTensor =>
        tf.matMul(tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / 8)), v);
      if (!work.gradients) return [attend(x, y, inputs[2] as TfTensor)];
      return withGradients(tf, attend, inputs);
    }
    case "convNet": {
      const [image, ...filters] = inputs as [TfTensor, ...TfTensor[]];
      const silu = (h: TfTensor): TfTensor => tf.mul(h, tf.sigmoid(h));
      const { value, grads } = tf.valueAndGrads((...weights) =>
        tf.mean(tf.square(weights.reduce((h, weight) => silu(conv(h, weight)), image))),
      )(filters);
      return [value, ...grads];
    }
    case "chain": {
      const a = tf.add(tf.mul(x, y), 0.5);
      if (work.functions === "arithmetic") {
        const b = tf.sub(tf.mul(a, a), x);
        const c = tf.add(tf.mul(tf.maximum(b, y), 0.75), x);
        return [tf.sub(tf.minimum(tf.mul(c, a), y), b)];
      }
      const b = tf.sub(tf.mul(a, a), tf.mul(x, 0.25));
      const c = tf.div(b, tf.add(tf.mul(y, y), 1));
      return [tf.add(tf.tanh(c), tf.exp(tf.mul(c, -1)))];
    }
    case "reduce":
      return [tf.sum(x, work.axis)];
    case "embedding": {
      const place = tf.mul(tf.add(tf.mul(y, 0.5), 0.5), work.rows);
      const index = tf.cast(tf.minimum(place, work.rows - 1), "int32");
      return withGradients(tf, (table) => tf.gather(table, index), [x, inputs[2] as TfTensor]);
    }
    case "softmax":
      return work.gradients ? withGradients(tf, (rows) => tf.softmax(rows), inputs) : [tf.softmax(x)];
    case "norm": {
      const meanOf = (values: TfTensor): TfTensor =>
        tf.reshape(tf.mul(tf.sum(values, 1), 1 / work.columns), [work.rows, 1]);
      const normalize = (rows: TfTensor): TfTensor => {
        const centred = tf.sub(rows, meanOf(rows));
        return tf.div(centred, tf.sqrt(tf.add(meanOf(tf.square(centred)), normEpsilon)));
      };
      return work.gradients ? withGradients(tf, normalize, inputs) : [normalize(x)];
    }
  }
}

const isConvolution = (work: Work): boolean => work.kind === "conv" || work.kind === "convNet";

/** How input `index` lies here, if not as everywhere else. */
function layoutOf(work: Work, index: number): readonly number[] | null {
  if (!isConvolution(work)) return null;
  const isFilter = work.kind === "convNet" ? index > 0 : index === 1;
  return isFilter ? toHwio : toNhwc;
}

/** What brings result `index` back to everybody's layout. */
function orderOf(work: Work, index: number): readonly number[] | null {
  if (!isConvolution(work)) return null;
  if (work.kind === "convNet") return index === 0 ? null : fromHwio;
  return index === 2 ? fromHwio : fromNhwc;
}

/** Resolves when all that was asked for before is computed; `result` is of the last. */
export type WaitForTfjs = (result: TfTensor) => Promise<void>;

/** Makes a work ready on the backend that is set. */
export async function prepareOnTfjs(
  tf: Tf,
  work: Work,
  data: readonly Float32Array[],
  wait: WaitForTfjs,
): Promise<PreparedWork | { readonly cannot: string }> {
  const given = data.map((values, i) => tf.tensor(values, inputsOf(work)[i]?.shape ?? []));
  const inputs = given.map((tensor, i) => {
    const layout = layoutOf(work, i);
    return layout === null ? tensor : tf.transpose(tensor, layout);
  });
  const dispose = (): void => {
    for (const tensor of new Set([...given, ...inputs])) tensor.dispose();
  };
  const run = async (isLast: boolean): Promise<void> => {
    const results = tf.tidy(() => apply(tf, work, inputs));
    const [first] = results;
    if (isLast && first !== undefined) await wait(first);
    for (const result of results) result.dispose();
  };
  try {
    await run(true);
  } catch (reason) {
    dispose();
    return { cannot: (reason instanceof Error ? reason.message : String(reason)).split("\n")[0] ?? "" };
  }
  return {
    measure: async (times) => {
      const start = performance.now();
      for (let i = 1; i <= times; i++) await run(i === times);
      return (performance.now() - start) / 1e3;
    },
    results: async () => {
      const results = tf.tidy(() =>
        apply(tf, work, inputs).map((result, i) => {
          const order = orderOf(work, i);
          return order === null ? result : tf.transpose(result, order);
        }),
      );
      const values = await Promise.all(results.map((result) => result.data()));
      for (const result of results) result.dispose();
      return values;
    },
    dispose,
  };
}
