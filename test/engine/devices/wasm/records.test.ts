/** Where the steps of a plan find their memory. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { DeviceLimits } from "../../../../engine/devices/device.ts";
import { atOnce } from "../../../../engine/devices/eventLoop.ts";
import { findingDistinct, layOut, recordLayout } from "../../../../engine/devices/wasm/program/index.ts";
import { LinearMemory, OwnedMemory } from "../../../../engine/devices/wasm/runtime/index.ts";
import { at } from "../../../../engine/graph/shape.ts";
import { createDevice, einsum, softmax, type Tensor, vjp, zeros } from "../../../../engine/index.ts";
import { planFor } from "../../../../engine/program/planFor.ts";

const device = await createDevice("wasm", { wasm: { threads: 1 } });
after(() => device.dispose());

/** Attention with its gradients, of `heads` heads: products and softmax in bands. */
function attention(heads: number): Promise<Awaited<ReturnType<typeof planFor>>> {
  const attend = ([q, k, v]: readonly Tensor[]): Tensor =>
    einsum("nqk,nkc->nqc", softmax(einsum("nqc,nkc->nqk", q as Tensor, k as Tensor)), v as Tensor);
  const compute = (q: Tensor, k: Tensor, v: Tensor, cotangent: Tensor): readonly Tensor[] => {
    const { value, pullback } = vjp(attend, [q, k, v]);
    return [value, ...pullback(cotangent)];
  };
  const one = zeros([heads, 32, 16]);
  return planFor(compute, [one, one, one, one], (device as { readonly limits: DeviceLimits }).limits);
}

test("steps of a band have scratch memory of their own, as threads may be at several of them at once", async () => {
  for (const threads of [1, 3]) {
    const { plan } = await attention(24);
    const memory = new LinearMemory({ shared: false, initialBytes: 2 ** 20, maximumBytes: 2 ** 26 });
    const kernels = atOnce(findingDistinct(plan.steps.map(({ kernel }) => kernel)));
    const { runs } = layOut(new OwnedMemory(memory), plan, kernels, { memory, crew: { threads }, sharedCost: 0 });
    let several = 0;
    for (const { band, start } of runs) {
      if (band === null) continue;
      const word = (address: number): number => at([...memory.uint32(address, 1)], 0);
      const taken: (readonly [from: number, to: number])[] = [];
      let record = start + word(start + recordLayout.bytes);
      for (let member = 0; member < band.units.length; member++) {
        const { scratch } = at(kernels.distinct, at(kernels.numbers, band.first + member)).method;
        const end = record + word(record + recordLayout.bytes);
        // It is the last address of a step's table.
        const from = word(end - 4);
        if (scratch !== null) taken.push([from, from + scratch.shared + threads * scratch.perThread]);
        record = end;
      }
      taken.sort(([a], [b]) => a - b);
      taken
        .slice(1)
        .forEach(([from], index) => assert.ok(from >= at(at(taken, index), 1), "two steps share scratch memory"));
      if (taken.length > 1) several++;
    }
    assert.ok(several > 0, "no band has several steps with scratch memory");
  }
});
