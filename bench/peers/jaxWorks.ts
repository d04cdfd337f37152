/** The bench's works in jax-js, on whatever device: in Node or in a page. */
import type { PreparedWork } from "../contender.ts";
import { inputsOf, normEpsilon, type Work } from "../work.ts";

/** The part of jax-js that is used here. Its arrays are consumed by use; `.ref` keeps them. */
type JaxArray = {
  readonly ref: JaxArray;
  mul(y: JaxArray | number): JaxArray;
  add(y: JaxArray | number): JaxArray;
  sub(y: JaxArray | number): JaxArray;
  div(y: JaxArray | number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  astype(dtype: unknown): JaxArray;
  data(): Promise<Float32Array>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
};
type JaxFunction = (...args: JaxArray[]) => JaxArray[];
export type JaxModule = {
  init(device: string): Promise<string[]>;
  defaultDevice(device: string): string;
  jit(fn: JaxFunction): JaxFunction;
  valueAndGrad(
    fn: (...args: JaxArray[]) => JaxArray,
    options: { readonly argnums: readonly number[] },
  ): (...args: JaxArray[]) => [JaxArray, JaxArray[]];
  vjp(
    fn: (...args: JaxArray[]) => JaxArray,
    primals: readonly JaxArray[],
  ): [JaxArray, ((cotangent: JaxArray) => JaxArray[]) & { dispose(): void }];
  readonly numpy: {
    array(data: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    matrixTranspose(a: JaxArray): JaxArray;
    sum(x: JaxArray, axis: number): JaxArray;
    mean(x: JaxArray): JaxArray;
    tanh(x: JaxArray): JaxArray;
    exp(x: JaxArray): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    maximum(x: JaxArray, y: JaxArray): JaxArray;
    minimum(x: JaxArray, y: JaxArray | number): JaxArray;
    take(x: JaxArray, index: JaxArray, axis: number): JaxArray;
    readonly int32: unknown;
  };
  readonly nn: { softmax(x: JaxArray, axis: number): JaxArray; silu(x: JaxArray): JaxArray };
  readonly lax: { conv(x: JaxArray, w: JaxArray, strides: readonly number[], padding: string): JaxArray };
};

/** How a backend of jax-js is measured. */
export type JaxOptions = {
  /** Why gradients of large convolutions aren't tried, if they aren't. */
  readonly noConvGradients?: string;
  /** Whether each run is waited for, or only the last of many: a GPU is given one after the other. */
  readonly waitsForEach: boolean;
};

function functionFor(
  jax: JaxModule,
  work: Work,
  { noConvGradients }: JaxOptions,
): JaxFunction | { readonly cannot: string } {
  const { numpy: np, nn, lax } = jax;
  const of = (fn: (x: JaxArray, y: JaxArray) => JaxArray): JaxFunction => {
    return (x, y) => [fn(x, y)];
  };
  const ofRows = (fn: (x: JaxArray) => JaxArray, gradients: boolean): JaxFunction => {
    if (!gradients) return of(fn);
    return (x, cotangent) => {
      const [value, pullback] = jax.vjp((rows) => fn(rows), [x]);
      const gradient = pullback(cotangent);
      pullback.dispose();
      return [value, ...gradient];
    };
  };
  switch (work.kind) {
    case "matmul":
      return of((x, y) => np.matmul(x, y));
    case "conv": {
      const convolve = (x: JaxArray, w: JaxArray): JaxArray => lax.conv(x, w, [1, 1], "SAME");
      if (!work.gradients) return of(convolve);
      if (noConvGradients !== undefined) return { cannot: noConvGradients };
      return (image, filter, cotangent) => {
        const [value, pullback] = jax.vjp((...given) => convolve(...(given as [JaxArray, JaxArray])), [image, filter]);
        const gradients = pullback(cotangent);
        pullback.dispose();
        return [value, ...gradients];
      };
    }
    case "attention": {
      const attend = (...[q, k, v]: JaxArray[]): JaxArray => {
        const logits = np.matmul(q as JaxArray, np.matrixTranspose(k as JaxArray)).mul(1 / 8);
        return np.matmul(nn.softmax(logits, -1), v as JaxArray);
      };
      if (!work.gradients) return (...inputs) => [attend(...inputs)];
      return (q, k, v, cotangent) => {
        const [value, pullback] = jax.vjp(attend, [q, k, v]);
        const gradients = pullback(cotangent);
        pullback.dispose();
        return [value, ...gradients];
      };
    }
    case "convNet": {
      const net = (image: JaxArray, ...filters: JaxArray[]): JaxArray => {
        const h = filters.reduce((x, filter) => nn.silu(lax.conv(x, filter, [1, 1], "SAME")), image);
        return np.mean(h.ref.mul(h));
      };
      return (...args) => {
        const [value, gradients] = jax.valueAndGrad(net, { argnums: args.slice(1).map((_, i) => i + 1) })(...args);
        return [value, ...gradients];
      };
    }
    case "chain":
      return work.functions === "smooth"
        ? of((x, y) => {
            const a = x.ref.mul(y.ref).add(0.5);
            const b = a.ref.mul(a).sub(x.mul(0.25));
            const c = b.div(y.ref.mul(y).add(1));
            return np.tanh(c.ref).add(np.exp(c.mul(-1)));
          })
        : of((x, y) => {
            const a = x.ref.mul(y.ref).add(0.5);
            const b = a.ref.mul(a.ref).sub(x.ref);
            const c = np.maximum(b.ref, y.ref).mul(0.75).add(x);
            return np.minimum(c.mul(a), y).sub(b);
          });
    case "reduce":
      return of((x) => np.sum(x, work.axis));
    case "embedding":
      return (table, y, cotangent) => {
        const place = y.mul(0.5).add(0.5).mul(work.rows);
        const index = np.minimum(place, work.rows - 1).astype(np.int32);
        const [value, pullback] = jax.vjp((x) => np.take(x, index, 0), [table]);
        const gradients = pullback(cotangent);
        pullback.dispose();
        return [value, ...gradients];
      };
    case "softmax":
      return ofRows((x) => nn.softmax(x, -1), work.gradients);
    case "norm": {
      const meanOf = (x: JaxArray): JaxArray =>
        np
          .sum(x, 1)
          .mul(1 / work.columns)
          .reshape([work.rows, 1]);
      const normalize = (x: JaxArray): JaxArray => {
        const centred = x.ref.sub(meanOf(x));
        const variance = meanOf(centred.ref.mul(centred.ref));
        return centred.div(np.sqrt(variance.add(normEpsilon)));
      };
      return ofRows(normalize, work.gradients);
    }
  }
}

/** Makes a work ready on the default device. */
export async function prepareOnJax(
  jax: JaxModule,
  work: Work,
  data: readonly Float32Array[],
  options: JaxOptions,
): Promise<PreparedWork | { readonly cannot: string }> {
  const fn = functionFor(jax, work, options);
  if ("cannot" in fn) return fn;
  const shapes = inputsOf(work).map(({ shape }) => shape);
  const arrays = data.map((values, i) => jax.numpy.array(values).reshape(shapes[i] ?? []));
  const compiled = jax.jit(fn);
  const start = (): JaxArray[] => compiled(...arrays.map((array) => array.ref));
  const run = async (waits: boolean): Promise<void> => {
    for (const result of start()) (waits ? await result.blockUntilReady() : result).dispose();
  };
  try {
    await run(true);
  } catch (reason) {
    return { cannot: (reason instanceof Error ? reason.message : String(reason)).split("\n")[0] ?? "" };
  }
  return {
    measure: async (times) => {
      const begin = performance.now();
      for (let i = 1; i <= times; i++) await run(options.waitsForEach || i === times);
      return (performance.now() - begin) / 1e3;
    },
    results: () => Promise.all(start().map((result) => result.data())),
    dispose: () => {
      for (const array of arrays) array.dispose();
    },
  };
}
