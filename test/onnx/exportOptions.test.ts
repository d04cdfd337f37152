/** What a model is called, what it is given besides, and what can't be written. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  add,
  divide,
  EvenkeelError,
  gather,
  grad,
  isFinite,
  matmul,
  multiply,
  ones,
  reduceSum,
  scan,
  tanh,
  type Tensor,
  tensor,
  where,
  zeros,
} from "../../engine/index.ts";
import { readModel } from "../../onnx/format/readModel.ts";
import { exportOnnx, importOnnx } from "../../onnx/index.ts";
import { runOnnx, type RuntimeArray } from "../support/onnxRuntime.ts";

const floats = (shape: readonly number[], values: readonly number[]): RuntimeArray => ({
  dtype: "f32",
  shape,
  data: Float32Array.from(values),
});
const graphOf = (file: Uint8Array) => readModel(file, "model", new Map()).graph;

describe("a model", () => {
  const w = tensor([
    [1, 2],
    [3, 4],
  ]);
  const layer = (x: Tensor): Tensor => tanh(add(matmul(x, w), 0.5));

  it("has the names that it is given; its weights, and no other constants, can be trained when it is read", () => {
    const unused = tensor([1]);
    const file = exportOnnx(layer, [zeros([1, 2])], {
      inputs: ["image"],
      outputs: ["logits"],
      weights: { "layer.weight": w, unused },
      free: { name: "images", inputs: ["image"] },
    });
    const { inputs, outputs, parameters, notices } = importOnnx(file);
    assert.deepEqual(
      inputs.map(({ name, type, shape }) => [name, type, shape]),
      [["image", "f32", ["images", 2]]],
    );
    assert.deepEqual([outputs[0]?.name, Object.keys(parameters), notices], ["logits", ["layer.weight"], []]);
    assert.deepEqual(graphOf(file).outputs[0]?.shape, ["images", 2]);
  });

  it("is named after its arguments otherwise", () => {
    const fn = ({ x }: { x: Tensor }, [y]: readonly Tensor[]): Tensor => add(x, y ?? 0);
    const { inputs, outputs } = graphOf(exportOnnx(fn, [{ x: ones([2]) }, [ones([2])]]));
    assert.deepEqual(
      inputs.map(({ name }) => name),
      ["argument0.x", "argument1[0]"],
    );
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ["output0"],
    );
  });

  it("computes what is asked for twice once, and nothing that isn't asked for", () => {
    const fn = (x: Tensor): Tensor => {
      tanh(tanh(x));
      return multiply(tanh(x), tanh(x));
    };
    assert.deepEqual(
      graphOf(exportOnnx(fn, [ones([2])])).nodes.map(({ operator }) => operator),
      ["Tanh", "Mul", "Identity"],
    );
  });

  it("repeats no array that an operator repeats itself", () => {
    const fn = (x: Tensor, y: Tensor): Tensor => where(isFinite(x), multiply(add(x, y), 2), 0);
    const operators = graphOf(exportOnnx(fn, [ones([4, 3]), ones([3])])).nodes.map(({ operator }) => operator);
    assert.ok(!operators.includes("Expand"), operators.join());
  });

  it("has what the engine would end a run for as outputs, unless it is told not to", async () => {
    const index = { dtype: "i32", shape: [2], data: Int32Array.of(1, 5) } as const;
    const fn = (x: Tensor, at: Tensor): Tensor => {
      return scan((sum: Tensor, place: Tensor) => ({ carry: add(sum, gather(x, place)), y: null }), zeros([]), at)
        .carry;
    };
    const args: [Tensor, Tensor] = [ones([3]), zeros([2], "i32")];
    const options = { inputs: ["x", "at"], outputs: ["sum"] };
    const results = await runOnnx(exportOnnx(fn, args, options), { x: floats([3], [1, 2, 4]), at: index });
    const [check = "", ...others] = Object.keys(results).filter((name) => name !== "sum");
    assert.match(check, /^check 0: .*out of range/);
    assert.deepEqual([others, [...(results[check]?.data ?? [])]], [[], [1]]);
    const right = { ...index, data: Int32Array.of(1, 2) };
    const again = await runOnnx(exportOnnx(fn, args, options), { x: floats([3], [1, 2, 4]), at: right });
    assert.deepEqual([[...(again[check]?.data ?? [])], [...(again["sum"]?.data ?? [])]], [[0], [6]]);
    const unchecked = graphOf(exportOnnx(fn, args, { ...options, checks: "none" }));
    assert.deepEqual(
      unchecked.outputs.map(({ name }) => name),
      ["sum"],
    );
  });

  const refused: readonly (readonly [what: string, code: string, message: RegExp, act: () => unknown])[] = [
    [
      "an old opset",
      "value",
      /opset is 17, expected .* 18 to 22/,
      () => exportOnnx(layer, [ones([1, 2])], { opset: 17 }),
    ],
    ["a new opset", "value", /opset is 23/, () => exportOnnx(layer, [ones([1, 2])], { opset: 23 })],
    [
      "too few names",
      "value",
      /1 names of inputs were given for 2/,
      () => exportOnnx(add, [ones([1]), ones([1])], { inputs: ["x"] }),
    ],
    ["no name", "value", /one of the outputs has no name/, () => exportOnnx(layer, [ones([1, 2])], { outputs: [""] })],
    ["a name twice", "value", /same name/, () => exportOnnx(layer, [ones([1, 2])], { inputs: ["x"], outputs: ["x"] })],
    [
      "a weight that is computed",
      "value",
      /"w" is computed/,
      () => exportOnnx(layer, [ones([1, 2])], { weights: { w: add(w, 1) } }),
    ],
    [
      "a free size of no input",
      "value",
      /"y", whose first size is to be free, is no input/,
      () => exportOnnx(layer, [ones([1, 2])], { inputs: ["x"], free: { name: "N", inputs: ["y"] } }),
    ],
    [
      "a free size of a scalar",
      "value",
      /"x" is a scalar/,
      () => exportOnnx((x: Tensor) => x, [ones([])], { inputs: ["x"], free: { name: "N", inputs: ["x"] } }),
    ],
    [
      "numbers that don't grow evenly",
      "trace",
      /node \d+ \(literal, f32 \[\]\) depends on the free size.*0\.3.* at 3/,
      () =>
        exportOnnx((x: Tensor) => multiply(x, 1 / (x.shape[0] ?? 1)), [ones([2])], {
          inputs: ["x"],
          free: { name: "N", inputs: ["x"] },
        }),
    ],
    [
      "another program at another size",
      "trace",
      /isn't the same at all sizes/,
      () =>
        exportOnnx((x: Tensor) => ((x.shape[0] ?? 0) > 4 ? tanh(x) : divide(x, 2)), [ones([2])], {
          inputs: ["x"],
          free: { name: "N", inputs: ["x"] },
        }),
    ],
    [
      "sums of more integers than are exact",
      "range",
      /adds up .* integers, more than can be exact/,
      () => exportOnnx((x: Tensor) => reduceSum(x), [zeros([2 ** 16, 2 ** 15], "i32")]),
    ],
    [
      "a file of 2 GiB",
      "value",
      /the model would have 2\.1 GiB/,
      () => {
        // Memory that nobody touches.
        const large = tensor(new Float32Array(2 ** 29 + 2 ** 24));
        return exportOnnx((x: Tensor) => add(x, large), [ones([2 ** 29 + 2 ** 24])], { weights: { large } });
      },
    ],
  ];
  for (const [what, code, message, act] of refused) {
    it(`isn't written for ${what}`, () => {
      assert.throws(act, (cause) => {
        assert.ok(cause instanceof EvenkeelError);
        assert.equal(cause.code, code);
        assert.match(cause.message, /^exportOnnx: /);
        assert.match(cause.message, message);
        return true;
      });
    });
  }

  it("has derivatives like anything else", async () => {
    const file = exportOnnx(
      grad((x: Tensor) => reduceSum(multiply(x, x))),
      [ones([2])],
      { inputs: ["x"] },
    );
    const { output0 } = await runOnnx(file, { x: floats([2], [3, -1]) });
    assert.deepEqual([...(output0?.data ?? [])], [6, -2]);
  });
});
