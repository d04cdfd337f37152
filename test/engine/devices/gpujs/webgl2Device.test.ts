/** The parts of `webgl2` that need no page; programs run on it in `test/browser`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HelperFunction } from "../../../../engine/devices/gpujs/kernelSource.ts";
import { emitKernelSource } from "../../../../engine/devices/gpujs/source/emitKernelSource.ts";
import { glslFunctions, glslPrototypes } from "../../../../engine/devices/gpujs/webgl2Functions.ts";
import { createWebgl2Device } from "../../../../engine/devices/gpujs/webgl2Device.ts";
import { EvenkeelError } from "../../../../engine/errors.ts";
import type { Kernel } from "../../../../engine/kernel/kernel.ts";
import { elementwise, load } from "./samplePlans.ts";

describe("webgl2 device", () => {
  test("says in Node what it lacks", async () => {
    await assert.rejects(createWebgl2Device(), (error) => {
      assert.ok(error instanceof EvenkeelError);
      assert.equal(error.code, "device");
      assert.match(error.message, /webgl2.*WebGL2.*wasm/);
      return true;
    });
  });

  test("declares a kernel's helpers in GLSL, and writes bitwise operators in it", () => {
    const [key, counter] = [load(0, "u32"), load(1, "u32")];
    const body = {
      kind: "threefry",
      dtype: "u32",
      word: 0,
      key0: key,
      key1: key,
      counter0: counter,
      counter1: counter,
    } as const;
    const { functions } = emitKernelSource(elementwise("bits", 4, 2, body), "webgl2");
    const prototypes = glslPrototypes(functions).split("\n");
    assert.ok(prototypes.includes("float xorHalves(float, float);"), prototypes.join("\n"));
    assert.ok(
      prototypes.some((line) => /^vec4 threefry\((float, ){7}float\);$/.test(line)),
      prototypes.join("\n"),
    );
    assert.deepEqual(glslFunctions(functions), [
      { name: "xorHalves", source: "float xorHalves(float x, float y) { return float(int(x) ^ int(y)); }" },
    ]);
  });

  test("has no GLSL for types that gpu.js may not return", () => {
    const helper: HelperFunction = { name: "f", source: "", argumentTypes: ["Number"], returnType: "Matrix(2)" };
    assert.throws(() => glslPrototypes([helper]), /Matrix\(2\)/);
  });

  test("makes all outputs three-dimensional, none as wide as an axis pair", () => {
    for (const [sizes, output] of [
      [[7], [7, 1, 1]],
      [
        [100_003, 5],
        [5, 1, 100_003],
      ],
      [
        [3, 4, 5],
        [5, 4, 3],
      ],
    ] as const) {
      const strides = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, size) => product * (size + 1), 1));
      const sample = elementwise("sample", 1, 0, {
        kind: "index",
        dtype: "f32",
        at: { offset: 0, coefficients: strides },
      });
      const coefficients = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, size) => product * size, 1));
      const length = sizes.reduce((product, size) => product * size, 1);
      const kernel: Kernel = {
        ...sample,
        axes: sizes.map((size) => ({ role: "parallel", size })),
        stores: [{ ...sample.stores[0], length, at: { offset: 0, coefficients } }],
      };
      assert.deepEqual([...emitKernelSource(kernel, "webgl2").output], [...output]);
    }
  });
});
