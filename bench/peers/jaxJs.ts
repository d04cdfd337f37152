import type { Availability } from "../contender.ts";
import { shapesOf, type Work } from "../work.ts";

/** The part of jax-js that is used here. Its arrays are consumed by use; `.ref` keeps them. */
type JaxArray = {
  readonly ref: JaxArray;
  mul(y: JaxArray | number): JaxArray;
  add(y: JaxArray | number): JaxArray;
  sub(y: JaxArray | number): JaxArray;
  div(y: JaxArray | number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
};
type JaxModule = {
  init(device: string): Promise<string[]>;
  defaultDevice(device: string): string;
  jit(fn: (x: JaxArray, y: JaxArray) => JaxArray): (...args: JaxArray[]) => JaxArray;
  readonly numpy: {
    array(data: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    sum(x: JaxArray, axis: number): JaxArray;
    tanh(x: JaxArray): JaxArray;
    exp(x: JaxArray): JaxArray;
  };
  readonly nn: { softmax(x: JaxArray, axis: number): JaxArray };
  readonly lax: { conv(x: JaxArray, w: JaxArray, strides: readonly number[], padding: string): JaxArray };
};

function functionFor(jax: JaxModule, work: Work): (x: JaxArray, y: JaxArray) => JaxArray {
  const { numpy: np, nn, lax } = jax;
  switch (work.kind) {
    case "matmul":
      return (x, y) => np.matmul(x, y);
    case "conv":
      return (x, w) => lax.conv(x, w, [1, 1], "SAME");
    case "chain":
      return (x, y) => {
        const a = x.ref.mul(y.ref).add(0.5);
        const b = a.ref.mul(a).sub(x.mul(0.25));
        const c = b.div(y.ref.mul(y).add(1));
        return np.tanh(c.ref).add(np.exp(c.mul(-1)));
      };
    case "reduce":
      return (x) => np.sum(x, 1);
    case "softmax":
      return (x) => nn.softmax(x, -1);
  }
}

export async function jaxJsContender(load: (name: string) => Promise<unknown>): Promise<Availability> {
  const name = "jax-js wasm";
  try {
    const jax = (await load("@jax-js/jax")) as JaxModule;
    await jax.init("wasm");
    jax.defaultDevice("wasm");
    return {
      contender: {
        name,
        description: "@jax-js/jax 0.1.25, wasm, its own choice of threads",
        prepare: (work, data) => {
          const shapes = shapesOf(work);
          const arrays = data.map((values, i) => jax.numpy.array(values).reshape(shapes[i] ?? []));
          const fn = jax.jit(functionFor(jax, work));
          return Promise.resolve({
            run: () => fn(...arrays.map((array) => array.ref)).data(),
            dispose: () => {
              for (const array of arrays) array.dispose();
            },
          });
        },
        dispose: () => undefined,
      },
    };
  } catch (reason) {
    return { name, missing: reason instanceof Error ? reason.message : String(reason) };
  }
}
