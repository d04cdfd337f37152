/** How much of a workgroup's memory chains take, told by their text: a software adapter has more of it than WebGPU promises. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { draftsOf } from "../../../../engine/devices/gpujs/drafts.ts";
import { at } from "../../../../engine/graph/shape.ts";
import { expectedHomes } from "../../../../engine/devices/gpujs/homes.ts";
import { promisedLimits, webgpuLimits } from "../../../../engine/devices/gpujs/webgpuLimits.ts";
import { less, matmul, multiply, permute, softmax, type Tensor, vjp, where } from "../../../../engine/index.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { input, planOf } from "../../passes/plannedFor.ts";

/** What WebGPU promises of every adapter. */
const promisedBytes = 2 ** 14;
const limits = webgpuLimits(promisedLimits, "own");

/** Of each dispatch of a chain its stages, and the bytes that a workgroup shares. */
function sharedBy(plan: Plan): readonly { readonly stages: number; readonly bytes: number }[] {
  return draftsOf(plan, expectedHomes(plan)).flatMap(({ step, whole }) => {
    if (whole === null || step.stages === undefined) return [];
    const declared = [...whole.text.matchAll(/^var<workgroup> (.*)$/gm)].map(([, text = ""]) => text);
    const bytes = declared.map((text) => {
      const [, type = "", length = ""] = /: array<(vec4f|vec4<f32>|f32|u32|i32), (\d+)>;$/.exec(text) ?? [];
      assert.notEqual(type, "", `unknown array: ${text}`);
      return Number(length) * (type.startsWith("vec4") ? 16 : 4);
    });
    return [{ stages: step.stages.length, bytes: bytes.reduce((sum, each) => sum + each, 0) }];
  });
}

const transposed = (x: Tensor): Tensor => permute(x, [0, 1, 3, 2]);

describe("the memory that chains are bound to", () => {
  it("begins where what they touch begins: equal chains have one text, wherever their arrays lie", () => {
    const [weights, layers] = [input(32, 32), 3];
    let x = input(64, 32);
    for (let i = 0; i < layers; i++) x = matmul(softmax(x, 1), weights);
    const plan = planOf([x], [], limits);
    const offsets = plan.buffers.map(({ role }) => (role.kind === "temporary" ? role.offset : 0));
    assert.ok(offsets.some((offset) => offset > 0));
    const chains = draftsOf(plan, expectedHomes(plan)).filter(({ step }) => step.stages !== undefined);
    const inside = chains.slice(1).map(({ whole }) => whole?.text);
    assert.equal(inside.length, layers - 1);
    assert.equal(new Set(inside).size, 1);
    for (const { step, starts } of chains) {
      const own = step.results.map((buffer) => (starts.get(buffer) ?? NaN) - at(offsets, buffer));
      assert.ok(own.every((distance) => distance <= 0) && own.includes(0));
    }
  });
});

describe("the memory of workgroups in chains", () => {
  it("is within what every adapter has for attention and its gradient, of any sizes", () => {
    const sizes = fc.record({
      batch: fc.constantFrom(2, 16, 64),
      heads: fc.integer({ min: 1, max: 4 }),
      tokens: fc.constantFrom(16, 48, 64),
      width: fc.constantFrom(8, 24, 64),
      isChannelFirst: fc.boolean(),
      isMasked: fc.boolean(),
    });
    let most = 0;
    fc.assert(
      fc.property(sizes, ({ batch, heads, tokens, width, isChannelFirst, isMasked }) => {
        const given = [0, 1, 2, 3].map(() =>
          isChannelFirst ? input(batch, heads, width, tokens) : input(batch, heads, tokens, width),
        );
        const mask = input(tokens, tokens);
        const rows = (x: Tensor): Tensor => (isChannelFirst ? transposed(x) : x);
        const attended = (q: Tensor, k: Tensor, v: Tensor): Tensor => {
          const logits = matmul(rows(q), transposed(rows(k)));
          return matmul(softmax(isMasked ? where(less(mask, 0), -1e30, logits) : logits, 3), rows(v));
        };
        const [q = mask, k = mask, v = mask, cotangent = mask] = given;
        const { value, pullback } = vjp(([x, y, z]: readonly [Tensor, Tensor, Tensor]) => attended(x, y, z), [
          q,
          k,
          v,
        ] as const);
        const plan = planOf([value, ...pullback(rows(cotangent))], [], limits);
        for (const { stages, bytes } of sharedBy(plan)) {
          assert.ok(bytes <= promisedBytes, `${bytes} bytes for ${stages} stages`);
          most = Math.max(most, bytes);
        }
      }),
      { numRuns: 30, seed: 20240615 },
    );
    assert.ok(most > promisedBytes / 4, `at most ${most} bytes`);
  });

  it("doesn't grow with the number of stages", () => {
    const bytesOf = (depth: number): readonly number[] => {
      let x = input(8, 8);
      for (let i = 0; i < depth; i++) x = multiply(softmax(x, 1), 2);
      const [chain, ...others] = sharedBy(planOf([x], [], limits));
      assert.deepEqual(others, []);
      assert.ok(chain !== undefined && chain.stages >= 3 * depth);
      return [chain.bytes];
    };
    assert.deepEqual(bytesOf(40), bytesOf(1));
  });
});
