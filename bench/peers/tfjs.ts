import path from "node:path";
import type { Availability } from "../contender.ts";
import { shapesOf, type Work } from "../work.ts";

/** The part of TensorFlow.js that is used here. Images are NHWC, filters HWIO: its own best layout. */
type TfTensor = { data(): Promise<Float32Array>; dispose(): void };
type Tf = {
  setBackend(name: string): Promise<boolean>;
  tensor(data: Float32Array, shape: readonly number[]): TfTensor;
  tidy(fn: () => TfTensor): TfTensor;
  transpose(x: TfTensor, order: readonly number[]): TfTensor;
  matMul(a: TfTensor, b: TfTensor): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, stride: number, padding: string): TfTensor;
  add(x: TfTensor, y: TfTensor | number): TfTensor;
  sub(x: TfTensor, y: TfTensor | number): TfTensor;
  mul(x: TfTensor, y: TfTensor | number): TfTensor;
  div(x: TfTensor, y: TfTensor | number): TfTensor;
  tanh(x: TfTensor): TfTensor;
  exp(x: TfTensor): TfTensor;
  sum(x: TfTensor, axis: number): TfTensor;
  softmax(x: TfTensor): TfTensor;
};
type TfWasm = { setWasmPaths(folder: string): void; getThreadsCount(): number };

function apply(tf: Tf, work: Work, [x, y]: readonly TfTensor[]): TfTensor {
  const [first, second] = [x as TfTensor, y as TfTensor];
  switch (work.kind) {
    case "matmul":
      return tf.matMul(first, second);
    case "conv":
      return tf.conv2d(first, second, 1, "same");
    case "chain": {
      const a = tf.add(tf.mul(first, second), 0.5);
      const b = tf.sub(tf.mul(a, a), tf.mul(first, 0.25));
      const c = tf.div(b, tf.add(tf.mul(second, second), 1));
      return tf.add(tf.tanh(c), tf.exp(tf.mul(c, -1)));
    }
    case "reduce":
      return tf.sum(first, 1);
    case "softmax":
      return tf.softmax(first);
  }
}

export async function tfjsContender(load: (name: string) => Promise<unknown>, folder: string): Promise<Availability> {
  const name = "tfjs wasm";
  try {
    const tf = (await load("@tensorflow/tfjs")) as Tf;
    const backend = (await load("@tensorflow/tfjs-backend-wasm")) as TfWasm;
    backend.setWasmPaths(`${path.join(folder, "node_modules/@tensorflow/tfjs-backend-wasm/dist")}/`);
    if (!(await tf.setBackend("wasm"))) throw new Error("its wasm backend did not start");
    return {
      contender: {
        name,
        description: `@tensorflow/tfjs 4.22.0, wasm, ${backend.getThreadsCount()} threads`,
        prepare: (work, data) => {
          const shapes = shapesOf(work);
          const given = data.map((values, i) => tf.tensor(values, shapes[i] ?? []));
          const inputs =
            work.kind === "conv"
              ? given.map((tensor, i) => tf.transpose(tensor, i === 0 ? [0, 2, 3, 1] : [2, 3, 1, 0]))
              : given;
          return Promise.resolve({
            run: async () => {
              const result = tf.tidy(() => apply(tf, work, inputs));
              const values = await result.data();
              result.dispose();
              return values;
            },
            dispose: () => {
              for (const tensor of new Set([...given, ...inputs])) tensor.dispose();
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
