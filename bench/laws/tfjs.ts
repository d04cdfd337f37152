/** TensorFlow.js as a device of the laws: its operations for our nodes. */
import { byKind, interpreterDevice, type NodeTable } from "../../testing/index.ts";
import { nameTable } from "./nameTable.ts";

type Tf = { setBackend(name: string): Promise<boolean>; readonly [name: string]: unknown };
type TfTensor = { dataSync(): ArrayLike<number>; dispose(): void };

const dtypes = { f32: "float32", i32: "int32", u32: "", bool: "bool" } as const;
const floats = nameTable(
  "sign floor exp expm1 log log1p sqrt sin cos tanh sigmoid isFinite isNaN negate:neg absolute:abs " +
    "add maximum minimum subtract:sub multiply:mul divide:div power:pow",
);
const bools = nameTable("not:logicalNot and:logicalAnd or:logicalOr xor:logicalXor");

/** The name of an operation, and its arguments behind the inputs. */
type Call = readonly [name: string, ...rest: unknown[]];
const byName = (dtype: string, op: string): Call | undefined => {
  const name = dtype === "f32" ? floats.get(op) : dtype === "bool" ? bools.get(op) : undefined;
  return name === undefined ? undefined : [name];
};
const table: NodeTable<Call> = {
  unary: ({ inputs: [x], attributes }) => byName(x.dtype, attributes.op),
  binary: ({ inputs: [x], attributes }) => byName(x.dtype, attributes.op),
  compare: ({ attributes }) => [attributes.op],
  select: () => ["where"],
  cast: ({ dtype }) => ["cast", dtypes[dtype]],
  reduce: ({ dtype, attributes }) => (dtype === "f32" ? [attributes.op, attributes.axes, true] : undefined),
  reshape: ({ shape }) => ["reshape", shape],
  permute: ({ attributes }) => ["transpose", attributes.order],
  expand: ({ shape }) => ["broadcastTo", shape],
  slice: ({ attributes: { start, size, step } }) => (step.every((by) => by === 1) ? ["slice", start, size] : undefined),
  pad: ({ attributes: { low, high, value } }) => ["pad", low.map((before, axis) => [before, high[axis]]), value],
  concat: ({ attributes }) => ["concat", attributes.axis],
  gather: ({ attributes }) => ["gather", attributes.axis],
  matmul: () => ["matMul"],
};
const callOf = byKind(table);

/** @param backend wasm or cpu. @param tf the module, with that backend registered */
export async function tfjsDevice(tf: Tf, backend: string): Promise<ReturnType<typeof interpreterDevice>> {
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js has no backend ${backend} here`);
  const call = (name: string, ...args: unknown[]): TfTensor => (tf[name] as (...all: unknown[]) => TfTensor)(...args);
  return interpreterDevice<TfTensor>({
    description: `TensorFlow.js, ${backend}`,
    dtypes: ["f32", "i32", "bool"],
    upload: (data, shape, dtype) => call("tensor", data, shape, dtypes[dtype]),
    operation: (node) => {
      const [name, ...rest] = callOf(node) ?? [];
      if (name === undefined) return undefined;
      return (...inputs) => call(name, ...(node.kind === "concat" ? [inputs] : inputs), ...rest);
    },
    download: (x) => x.dataSync(),
    free: (x) => x.dispose(),
  });
}
