import * as z from "zod";
import type { Device } from "../../engine/index.ts";

/** What the bits of results depend on: the device, its adapter or instructions, but not its threads. Checkpoints keep it. */
const arithmetic = z.object({
  device: z.string(),
  adapter: z.string().nullable(),
  fusedMultiplyAdd: z.boolean().nullable(),
});
type Arithmetic = z.infer<typeof arithmetic>;

export function arithmeticOf({ name, traits: { adapter, fusedMultiplyAdd } }: Device): Arithmetic {
  return { device: name, adapter: adapter?.name ?? null, fusedMultiplyAdd };
}

/** What changes for a run that goes on on `device`, or may, in words; null for nothing. @param kept what a checkpoint kept of the device before. */
export function changeOfArithmetic(kept: unknown, device: Device): string | null {
  const before = arithmetic.safeParse(kept);
  const is = arithmeticOf(device);
  if (!before.success) {
    return (
      `What this run was on before isn't told by its checkpoint, which an earlier version may have written. It goes on on ${describe(is)}: ` +
      "if that is something else, its numbers differ by rounding from those it would have had there."
    );
  }
  const was = before.data;
  const isSame = was.device === is.device && was.adapter === is.adapter && was.fusedMultiplyAdd === is.fusedMultiplyAdd;
  if (isSame) return null;
  return (
    `This run was on ${describe(was)} before and goes on on ${describe(is)}: its numbers differ by rounding from those it would ` +
    "have had there."
  );
}

function describe({ device, adapter, fusedMultiplyAdd }: Arithmetic): string {
  return `${device}${adapter === null ? "" : ` (${adapter})`}${fusedMultiplyAdd === true ? " with fused multiply-add" : ""}`;
}
