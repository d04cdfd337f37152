/** jax-js as a device of the laws: its operations for our nodes. Its arrays are consumed by use; `.ref` keeps them. */
import { byKind, interpreterDevice } from "../../testing/index.ts";
import { nameTable } from "./nameTable.ts";

type JaxArray = { readonly ref: JaxArray; dataSync(): ArrayLike<number> };
type Functions = Readonly<Record<string, (...args: unknown[]) => JaxArray>>;
export type Jax = { readonly numpy: Functions; readonly nn: Functions };

const dtypes = { f32: "float32", i32: "int32", u32: "uint32", bool: "bool" } as const;
const numbers = "negate:negative absolute sign maximum minimum add subtract multiply";
const functions = "floor exp expm1 log log1p sqrt sin cos tanh sigmoid isFinite:isfinite isNaN:isnan";
const floats = nameTable(`${numbers} ${functions} divide:trueDivide power`);
const integers = nameTable(`${numbers} not:invert and:bitwiseAnd or:bitwiseOr xor:bitwiseXor`);
const bools = nameTable("not:logicalNot and:logicalAnd or:logicalOr xor:logicalXor");

/** The name of an operation, and its arguments behind the inputs. */
type Call = readonly [name: string, ...rest: unknown[]];
const byName = (dtype: string, op: string): Call | undefined => {
  const name = (dtype === "f32" ? floats : dtype === "bool" ? bools : integers).get(op);
  return name === undefined ? undefined : [name];
};
const callOf = byKind<Call>({
  unary: ({ inputs: [x], attributes }) => byName(x.dtype, attributes.op),
  binary: ({ inputs: [x], attributes }) => byName(x.dtype, attributes.op),
  compare: ({ attributes }) => [attributes.op],
  select: () => ["where"],
  cast: ({ dtype }) => ["astype", dtypes[dtype]],
  reduce: ({ attributes }) => [attributes.op, attributes.axes, { keepdims: true }],
  reshape: ({ shape }) => ["reshape", shape],
  permute: ({ attributes }) => ["transpose", attributes.order],
  expand: ({ shape }) => ["broadcastTo", shape],
  pad: ({ attributes: { low, high, value } }) =>
    value === 0 ? ["pad", low.map((before, axis) => [before, high[axis]])] : undefined,
  concat: ({ attributes }) => ["concatenate", attributes.axis],
  gather: ({ attributes }) => ["take", attributes.axis],
  matmul: () => ["matmul"],
});

/** @param jax the module, which is initialized */
export function jaxJsDevice({ numpy, nn }: Jax, device: string): ReturnType<typeof interpreterDevice> {
  const functions: Functions = { ...nn, ...numpy };
  const call = (name: string, ...args: unknown[]): JaxArray => functions[name]?.(...args) as JaxArray;
  return interpreterDevice<JaxArray>({
    description: `jax-js, ${device}`,
    upload: (data, shape, dtype) =>
      call("array", dtype === "bool" ? Array.from(data, Boolean) : data, { shape, dtype: dtypes[dtype] }),
    operation: (node) => {
      const [name, ...rest] = callOf(node) ?? [];
      if (name === undefined) return undefined;
      return (...inputs) => {
        const kept = inputs.map((x) => x.ref);
        return call(name, ...(node.kind === "concat" ? [kept] : kept), ...rest);
      };
    },
    download: (x) => x.ref.dataSync(),
  });
}
