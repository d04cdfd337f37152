/** Models run by onnxruntime, as others do: its build for WebAssembly, which Node runs anywhere. */
import * as ort from "onnxruntime-web";
import type { DType, TensorData } from "../../engine/graph/dtype.ts";
import type { Shape } from "../../engine/index.ts";
import type { Accuracy } from "../../testing/bounds/bounds.ts";

ort.env.wasm.numThreads = 1;

/**
 * What its results are held to. Sums and products are IEEE's; its sigmoid, tanh and erf are ratios of polynomials with an absolute error, and
 * its exponential may flush what is subnormal.
 */
export const runtimeAccuracy: Accuracy = {
  elementary: 2,
  elementaryAbsolute: 2 ** -23,
  division: 1,
  specialValues: true,
  flushesSubnormals: true,
};

/** An array for a model, or of it. */
export type RuntimeArray = { readonly dtype: DType; readonly shape: Shape; readonly data: TensorData };

const typeNames = { f32: "float32", i32: "int32", u32: "uint32", bool: "bool" } as const;
const dtypes: { readonly [type: string]: DType } = { float32: "f32", int32: "i32", uint32: "u32", bool: "bool" };

export type Optimization = "disabled" | "basic" | "all";

export type RuntimeOptions = {
  /** How the runtime rewrites the graph before it runs it: `basic` keeps the order of arithmetic, `all` (default) doesn't. */
  readonly optimization?: Optimization;
};

/** Loads a model once, and runs it as often as is wanted. */
export async function withOnnxModel<T>(
  file: Uint8Array,
  use: (
    run: (inputs: Readonly<Record<string, RuntimeArray>>) => Promise<Readonly<Record<string, RuntimeArray>>>,
  ) => Promise<T>,
  { optimization = "all" }: RuntimeOptions = {},
): Promise<T> {
  const session = await ort.InferenceSession.create(file, {
    graphOptimizationLevel: optimization,
    logSeverityLevel: 4,
  });
  try {
    return await use(async (inputs) => {
      const feeds = Object.entries(inputs).map(([name, { dtype, shape, data }]) => {
        return [name, new ort.Tensor(typeNames[dtype], data, shape)] as const;
      });
      const results = await session.run(Object.fromEntries(feeds));
      return Object.fromEntries(
        Object.entries(results).map(([name, { type, dims, data }]) => {
          const dtype = dtypes[type];
          if (dtype === undefined) throw new TypeError(`${name} is of type ${type}`);
          return [name, { dtype, shape: dims, data: data as TensorData }];
        }),
      );
    });
  } finally {
    await session.release();
  }
}

/** The results of one run. */
export const runOnnx = (
  file: Uint8Array,
  inputs: Readonly<Record<string, RuntimeArray>>,
  options?: RuntimeOptions,
): Promise<Readonly<Record<string, RuntimeArray>>> => withOnnxModel(file, (run) => run(inputs), options);
