/** What source is like, and what can't be exported. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  conv2d,
  EvenkeelError,
  gather,
  grad,
  matmul,
  mean,
  permute,
  reduceSum,
  reshape,
  softmax,
  tanh,
  type Tensor,
  tensor,
  zeros,
} from "../../engine/index.ts";
import { at } from "../../engine/graph/shape.ts";
import { trace } from "../../engine/program/trace.ts";
import { buildProgram, inputData, programSpecs } from "../../testing/index.ts";
import { exportTorch, exportTorchOfAnySize } from "../../torch/index.ts";
import { graphModule } from "../../torch/exportTorch.ts";
import { onOracle } from "../nn/onOracle.ts";
import { skip } from "./pytorch.ts";
import { type Given, TorchProcess } from "./torchProcess.ts";

type Inputs = { readonly images: Tensor; readonly weights: { readonly filter: Tensor } };

/** A convolution, attention among the pixels of an image, and the derivative by the filter. */
function network({ images, weights }: Inputs): { readonly gradient: Tensor; readonly each: Tensor } {
  const [count = 0] = images.shape;
  const values = (filter: Tensor): Tensor => {
    const y = tanh(conv2d(images, filter, { padding: 1 }));
    const pixels = reshape(y, [count, 4, 9]);
    return matmul(pixels, softmax(matmul(permute(pixels, [0, 2, 1]), pixels), -1));
  };
  const gradient = grad((filter: Tensor) => reduceSum(values(filter)).multiply(0.125))(weights.filter);
  return { gradient, each: mean(values(weights.filter), { axes: [1, 2] }) };
}

const images = (count: number): Tensor =>
  tensor(
    Float32Array.from({ length: 27 * count }, (_, i) => Math.sin(i * i)),
    { shape: [count, 3, 3, 3] },
  );
const filter = tensor(
  Float32Array.from({ length: 108 }, (_, i) => Math.cos(i * i)),
  { shape: [4, 3, 3, 3] },
);

const given = async (x: Tensor): Promise<Given> => {
  return { dtype: x.dtype, shape: x.shape, values: Float64Array.from(await x.data()) };
};

describe("exported source", () => {
  it("holds for batches of any size", { skip }, async () => {
    const inputsOf = (count: number): Inputs => ({
      images: zeros([count, 3, 3, 3]),
      weights: { filter: zeros([4, 3, 3, 3]) },
    });
    const source = exportTorchOfAnySize("network", network, inputsOf, "images");
    const process = new TorchProcess();
    try {
      for (const count of [1, 2, 3, 4, 9, 17]) {
        const inputs = { images: images(count), weights: { filter } };
        const results = await process.run(
          source,
          "network",
          new Map([
            ["images", await given(inputs.images)],
            ["weights.filter", await given(filter)],
          ]),
        );
        const { gradient, each } = network(inputs);
        for (const [i, wanted] of [await onOracle(gradient), await onOracle(each)].entries()) {
          const found = at(results, i);
          assert.equal(found.length, wanted.length);
          // Some hundred sums of terms below 10, rounded to 24 bits each.
          for (const [place, value] of found.entries()) {
            assert.ok(
              Math.abs(value - (wanted[place] ?? NaN)) < 1e-4,
              `${count} images, result ${i}, element ${place}`,
            );
          }
        }
      }
    } finally {
      process.dispose();
    }
  });

  it("is refused for any size where a number follows the size otherwise", () => {
    const average = ({ x }: { readonly x: Tensor }) => ({ mean: x.multiply(1 / (x.shape[0] ?? 0)) });
    assert.throws(
      () => exportTorchOfAnySize("average", average, (n) => ({ x: zeros([n]) }), "x"),
      (error: unknown) =>
        error instanceof EvenkeelError &&
        error.code === "trace" &&
        /^average: can't be written for any size.*x \* 0\.0009/s.test(error.message),
    );
    const square = ({ x }: { readonly x: Tensor }) => ({
      y: matmul(x.reshape([-1, 1]), x.reshape([1, -1])).reshape([-1]),
    });
    assert.throws(() => exportTorchOfAnySize("square", square, (n) => ({ x: zeros([n]) }), "x"), /any size/);
  });

  it("is refused under a name that Python can't have", () => {
    for (const name of ["", "1x", "a-b", "a b"]) {
      assert.throws(
        () => exportTorch(name, ({ x }) => ({ x }), { x: zeros([1]) }),
        /is no name that a function of Python/,
      );
    }
  });

  it("ends a run where ours would end: an index out of range", { skip }, async () => {
    const process = new TorchProcess();
    try {
      const source = exportTorch("pick", ({ x, i }) => ({ y: gather(x, i) }), {
        x: zeros([3]),
        i: zeros([2], "i32"),
      });
      const run = (indices: readonly number[]): Promise<Float64Array[]> =>
        process.run(
          source,
          "pick",
          new Map<string, Given>([
            ["x", { dtype: "f32", shape: [3], values: Float64Array.of(5, 6, 7) }],
            ["i", { dtype: "i32", shape: [2], values: Float64Array.from(indices) }],
          ]),
        );
      assert.deepEqual(await run([2, 0]), [Float64Array.of(7, 5)]);
      await assert.rejects(run([0, 3]), /PyTorch: RuntimeError: gather/);
    } finally {
      process.dispose();
    }
  });

  it("drops every variable right after its last reader", () => {
    fc.assert(
      fc.property(programSpecs, (spec) => {
        const inputs = spec.inputs.map((input) => tensor(inputData(input), { shape: input.shape, dtype: input.dtype }));
        const { graph } = trace((...all: typeof inputs) => buildProgram(spec, all), inputs);
        const source = graphModule(
          "program",
          graph,
          graph.outputs.map((_, i) => `result${i}`),
        );
        for (const body of source.split(/^ *def .*$/m).slice(1))
          checkLives(body.split("\n").map((line) => line.trim()));
      }),
      { numRuns: 300 },
    );
  });
});

function checkLives(lines: readonly string[]): void {
  const end = lines.findIndex((line) => line.startsWith("return"));
  const returned = lines.slice(end).join(" ");
  const mentions = (line: string, name: string): boolean =>
    new RegExp(`(?<![\\w."])${name}(?![\\w"(])`).test(line.replace(/ {2}# .*$/, ""));
  const dropped = lines.flatMap((line, i) =>
    line.startsWith("del ")
      ? line
          .slice(4)
          .split(", ")
          .map((name) => ({ name, at: i }))
      : [],
  );
  for (const { name, at: place } of dropped) {
    assert.ok(mentions(lines[place - 1] ?? "", name), `${name} is dropped late`);
    assert.ok(!lines.slice(place + 1).some((line) => mentions(line, name)), `${name} is read after it was dropped`);
  }
  for (const [, made = ""] of lines.slice(0, end).map((line) => /^(\w+) = /.exec(line) ?? [])) {
    if (made === "" || mentions(returned, made)) continue;
    assert.equal(dropped.filter(({ name }) => name === made).length, 1, `${made} is never dropped`);
  }
}
