/** Work on an expression is linear in its distinct parts, however large the tree would be that they stand for. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { emitKernelSource } from "../../../engine/devices/gpujs/source/emitKernelSource.ts";
import { ModuleBuilder } from "../../../engine/devices/wasm/assembler/moduleBuilder.ts";
import { methodOf } from "../../../engine/devices/wasm/algorithms/method.ts";
import { addKernel } from "../../../engine/devices/wasm/program/module.ts";
import { add, compile, createDevice, multiply, subtract, type Tensor, tensor } from "../../../engine/index.ts";
import type { BinaryOp } from "../../../engine/graph/node.ts";
import { completeAffines } from "../../../engine/kernel/completeAffines.ts";
import type { Kernel, Scalar } from "../../../engine/kernel/kernel.ts";
import { kernelKey } from "../../../engine/kernel/kernelKey.ts";
import { normalizeKernel } from "../../../engine/kernel/normalize.ts";
import { printKernel } from "../../../engine/kernel/print.ts";
import { substitute } from "../../../engine/kernel/scalar.ts";

/** Chains whose every link uses the one before twice. */
const chains = fc.array(fc.constantFrom<BinaryOp>("add", "subtract", "multiply", "maximum"), {
  minLength: 5,
  maxLength: 200,
});

/** A chain over one load, and how often anybody has asked for the kind of one of its expressions. */
function countedChain(links: readonly BinaryOp[]): { readonly body: Scalar; readonly visits: () => number } {
  let visits = 0;
  const counted = (scalar: Scalar): Scalar =>
    Object.defineProperty({ ...scalar }, "kind", {
      enumerable: true,
      get: () => {
        // As a tree the longest chain has 2^200 parts: nobody should wait for them.
        if (++visits > 1e6) throw new Error("visited more than a million times");
        return scalar.kind;
      },
    });
  const load: Scalar = { kind: "load", dtype: "f32", operand: 0, at: { offset: 0, coefficients: [1] } };
  const body = links.reduce<Scalar>((x, op) => counted({ kind: "binary", dtype: "f32", op, x, y: x }), counted(load));
  return { body, visits: () => visits };
}

const kernelOf = (body: Scalar): Kernel => ({
  name: "chain",
  axes: [{ role: "parallel", size: 16 }],
  operands: [{ dtype: "f32", length: 16 }],
  reduction: null,
  stores: [{ value: body, dtype: "f32", length: 16, at: { offset: 0, coefficients: [1] } }],
  flops: 0,
  bytes: 0,
});

/** What is done with kernels, and how often it looks at each expression at most. */
const works: readonly {
  readonly name: string;
  readonly perScalar: number;
  readonly work: (kernel: Kernel) => unknown;
}[] = [
  { name: "kernelKey", perScalar: 5, work: (kernel) => kernelKey(kernel) },
  {
    name: "normalizeKernel",
    perScalar: 10,
    work: (kernel) => normalizeKernel({ ...kernel, axes: [...kernel.axes, { role: "parallel", size: 1 }] }),
  },
  { name: "completeAffines", perScalar: 10, work: ({ stores: [{ value }] }) => completeAffines(1)(value) },
  { name: "substitute", perScalar: 10, work: ({ stores: [{ value }] }) => substitute(value, () => undefined) },
  { name: "printKernel", perScalar: 20, work: (kernel) => printKernel(kernel) },
  {
    name: "the code of wasm",
    perScalar: 150,
    work: (kernel) => {
      const module = new ModuleBuilder();
      module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: false });
      addKernel(module, { key: "", kernel, method: methodOf(kernel) }, 0, { relaxed: false });
      return module.encode();
    },
  },
  { name: "the source of webgpu", perScalar: 60, work: (kernel) => emitKernelSource(kernel, "webgpu") },
  { name: "the source of cpu", perScalar: 60, work: (kernel) => emitKernelSource(kernel, "cpu") },
];

describe("expressions with shared parts", () => {
  for (const { name, perScalar, work } of works) {
    it(`${name} looks at each part a few times`, () => {
      fc.assert(
        fc.property(chains, (links) => {
          const { body, visits } = countedChain(links);
          work(kernelOf(body));
          const each = visits() / (links.length + 1);
          assert.ok(each > 0 && each <= perScalar, `${each} times`);
        }),
        { numRuns: 15 },
      );
    });
  }

  it("equal kernels have one key, whether parts are shared or not; others have another", () => {
    const load = (offset: number): Scalar => ({
      kind: "load",
      dtype: "f32",
      operand: 0,
      at: { offset, coefficients: [1] },
    });
    const sum = (x: Scalar, y: Scalar): Kernel => kernelOf({ kind: "binary", dtype: "f32", op: "add", x, y });
    const shared = load(0);
    assert.equal(kernelKey(sum(shared, shared)), kernelKey(sum(load(0), load(0))));
    assert.notEqual(kernelKey(sum(load(0), load(1))), kernelKey(sum(load(0), load(0))));
    assert.notEqual(kernelKey(sum(load(0), load(1))), kernelKey(sum(load(1), load(0))));
    const literal = (value: number): Scalar => ({ kind: "literal", dtype: "f32", value });
    const keys = [0, -0, Number.NaN, Infinity, -Infinity].map((value) => kernelKey(kernelOf(literal(value))));
    assert.equal(new Set(keys).size, keys.length);
  });

  for (const name of ["wasm", "cpu"] as const) {
    it(`programs of long chains compile on ${name}, to code that grows as they do`, async () => {
      const device = await createDevice(name);
      const codeOf = async (links: number): Promise<number> => {
        const chain = compile(
          (x: Tensor) => {
            let y = x;
            for (let i = 0; i < links; i++)
              y =
                i % 2 === 0 ? multiply(multiply(y, 0.9), subtract(1, y)) : add(multiply(add(multiply(y, y), x), y), y);
            return y;
          },
          { device },
        );
        const { sources } = await chain.inspect([tensor([0.1, 0.2])], {});
        chain.dispose();
        return sources.reduce((sum, { text }) => sum + text.length, 0);
      };
      // Beyond the length at which kernels are cut, so that the code is many of about the same size.
      assert.ok((await codeOf(200)) < 3 * (await codeOf(100)));
      device.dispose();
    });
  }
});
