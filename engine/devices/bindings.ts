/** What a caller may bind to a program: the same on every device. */
import { EvenkeelError } from "../errors.ts";
import type { DType } from "../graph/dtype.ts";
import type { Graph } from "../graph/graph.ts";
import { sizeOf } from "../graph/shape.ts";
import type { Plan } from "../kernel/plan.ts";
import type { DeviceBuffer, DeviceName } from "./device.ts";

type Kind = { readonly dtype: DType; readonly length: number };

/** A program's inputs and outputs. */
export type Signature = {
  readonly input: readonly Kind[];
  readonly output: readonly Kind[];
  /** Per output: the input whose buffer it must be bound to, or null for a buffer of its own. */
  readonly aliases: readonly (number | null)[];
};

export function signatureOfPlan({ buffers, aliases }: Plan): Signature {
  const kinds: { readonly input: Kind[]; readonly output: Kind[] } = { input: [], output: [] };
  for (const { role, dtype, length } of buffers) {
    if (role.kind === "input" || role.kind === "output") kinds[role.kind][role.index] = { dtype, length };
  }
  return { ...kinds, aliases };
}

/** For a device that interprets the graph: nothing is in place. */
export function signatureOfGraph({ inputs, outputs }: Graph): Signature {
  const kindOf = ({ dtype, shape }: Graph["outputs"][number]): Kind => ({ dtype, length: sizeOf(shape) });
  return { input: inputs.map(kindOf), output: outputs.map(kindOf), aliases: outputs.map(() => null) };
}

/**
 * @throws EvenkeelError `value` for a wrong number of buffers, an output that shares its buffer with something else or not with the
 * input it must replace; `dtype`, `shape` for a buffer of another dtype or length
 */
export function checkBindings(
  device: DeviceName,
  signature: Signature,
  inputs: readonly DeviceBuffer[],
  outputs: readonly DeviceBuffer[],
): void {
  const { input, output } = signature;
  if (inputs.length !== input.length || outputs.length !== output.length) {
    throw new EvenkeelError(
      "value",
      `${device}: run got ${inputs.length} inputs and ${outputs.length} outputs, the program has ${input.length} and ${output.length}. ` +
        "Bind one buffer to each.",
    );
  }
  input.forEach((wanted, i) => checkKind(device, `input ${i}`, wanted, inputs[i]));
  output.forEach((wanted, i) => checkKind(device, `output ${i}`, wanted, outputs[i]));
  checkSharing(device, signature.aliases, inputs, outputs);
}

function checkKind(device: DeviceName, what: string, wanted: Kind, got: DeviceBuffer | undefined): void {
  if (got !== undefined && got.dtype === wanted.dtype && got.length === wanted.length) return;
  const found = got === undefined ? "nothing" : `a buffer of ${got.length} ${got.dtype}`;
  throw new EvenkeelError(
    got === undefined ? "value" : got.dtype === wanted.dtype ? "shape" : "dtype",
    `${device}: run got ${found} for ${what}, the program has ${wanted.length} ${wanted.dtype} there. Allocate it so.`,
  );
}

/** Inputs may share a buffer that nothing writes. */
function checkSharing(
  device: DeviceName,
  aliases: Signature["aliases"],
  inputs: readonly DeviceBuffer[],
  outputs: readonly DeviceBuffer[],
): void {
  // Which input a buffer is bound to, and one more if there are several.
  const [first, further] = [new Map<DeviceBuffer, number>(), new Map<DeviceBuffer, number>()];
  inputs.forEach((buffer, i) => (first.has(buffer) ? further : first).set(buffer, i));
  const written = new Map<DeviceBuffer, number>();
  outputs.forEach((buffer, i) => {
    const alias = aliases[i] ?? undefined;
    if (alias !== undefined && inputs[alias] !== buffer) {
      throw new EvenkeelError(
        "value",
        `${device}: run got another buffer for output ${i} than for input ${alias}, which it replaces. Bind the input's buffer to both.`,
      );
    }
    const input = first.get(buffer) === alias ? further.get(buffer) : first.get(buffer);
    const output = written.get(buffer);
    if (input !== undefined || output !== undefined) {
      const other = input === undefined ? `output ${output}` : `input ${input}`;
      throw new EvenkeelError(
        "value",
        `${device}: run got the buffer of ${other} for output ${i} too. Give the output a buffer of its own.`,
      );
    }
    written.set(buffer, i);
  });
}
