/** A state of two arrays and functions that use it, for tests of lifetimes. */
import {
  add,
  compile,
  type CompiledStep,
  compileStep,
  type Device,
  gather,
  multiply,
  reduceMax,
  type State,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";

export type Leaves = { readonly a: Tensor; readonly b: Tensor };
export const table = [100, 200, 300] as const;
const length = 3;
export const leaf = (value: number): Tensor => tensor(new Float32Array(length).fill(value));
export const lazyLeaf = (value: number): Tensor => add(leaf(value - 1), leaf(1));
export const failing = (): Tensor => gather(leaf(1), tensor(Int32Array.of(0, 1, 7)));

export type Functions = {
  /** Ends the steps. */
  readonly abort: () => void;
  readonly step: CompiledStep<Leaves, [index: Tensor, more: number], Tensor>;
  readonly call: ((leaves: Leaves | State<Leaves>) => Promise<Tensor>) & { dispose(): void };
};

export function functionsOn(device: Device): Functions {
  // Static numbers are programs of their own, which drive each other out.
  const options = { device, cacheSize: 1 };
  const controller = new AbortController();
  const step = compileStep(
    (s: Leaves, index: Tensor, more: number) => {
      const a = add(s.a, add(gather(tensor([...table]), index), more));
      return { state: { a, b: add(s.b, s.a) }, result: reduceMax(a) };
    },
    { ...options, signal: controller.signal },
  );
  const call = compile((s: Leaves) => add(multiply(s.a, 2), s.b), options);
  return { step, call: call, abort: () => controller.abort() };
}

/** The one number that all elements of a tensor are, or NaN: part of an array from here, part from there. */
export async function only(x: Tensor): Promise<number> {
  const [first = NaN, ...rest] = await x.data();
  return rest.every((value) => value === first) ? first : NaN;
}
