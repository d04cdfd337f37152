import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  add,
  compile,
  compileStep,
  conv2d,
  createDevice,
  createState,
  type DeviceName,
  explain,
  intensity,
  mean,
  scalar,
  silu,
  square,
  subtract,
  type Tensor,
  valueAndGrad,
  zeros,
} from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

/** The forms of generated source that each device shows. */
const languages: { readonly [K in DeviceName]?: readonly string[] } = {
  wasm: ["wat"],
  cpu: ["javascript"],
  webgpu: ["wgsl"],
};

const network = (w: Tensor, x: Tensor): Tensor => mean(square(silu(conv2d(x, w, { padding: 1 }))));
const args = [zeros([4, 2, 3, 3]), zeros([2, 2, 8, 8])] as const;

describe("explain", () => {
  for (const [name, forms] of Object.entries(languages) as [DeviceName, readonly string[]][]) {
    it(`shows passes, kernels with their sources, memory and times on ${name}`, {
      skip: name === "webgpu" && webgpuSkip,
    }, async () => {
      const device = await createDevice(name);
      const compiled = compile((w: Tensor, x: Tensor) => valueAndGrad(network)(w, x), { device });
      const explanation = await explain(compiled, args, { profile: true });
      assert.equal(explanation.device, `${name}: ${device.description}`);
      assert.deepEqual(
        explanation.passes.map((pass) => pass.name),
        [
          "trace",
          "simplify",
          "readSoftmax",
          "divideLast",
          "lowerConvolutions",
          "splitReductions",
          "splitConcats",
          "simplifyAgain",
        ],
      );
      const after = (pass: string): string => explanation.passes.find(({ name: found }) => found === pass)?.text ?? "";
      assert.match(after("trace"), /= filterGradient .*padding \[1, 1\]/);
      assert.match(after("lowerConvolutions"), /= pad .*low \[0, 0, 1, 1\]/);
      assert.ok(explanation.kernels.length > 2);
      for (const kernel of explanation.kernels) {
        assert.match(kernel.text, new RegExp(`^${kernel.name}\\(`));
        assert.deepEqual(
          [...new Set(kernel.sources.map(({ language }) => language))].sort(),
          [...forms].sort(),
          kernel.name,
        );
        assert.ok(kernel.sources.every(({ text }) => text.length > 20));
        assert.ok((kernel.milliseconds ?? -1) >= 0);
        assert.ok([...kernel.operands, ...kernel.results].every((buffer) => buffer < explanation.buffers.length));
      }
      // The convolution: 2 images, 4 channels of 8 x 8, 2 x 9 multiply-adds each.
      const convolution = explanation.kernels.find(({ flops }) => flops >= 2 * 4 * 64 * 18 * 2);
      assert.ok(
        convolution !== undefined && (intensity(convolution) ?? 0) > 1,
        "a convolution with much arithmetic a byte",
      );
      assert.ok(explanation.bytes > 0);
      const counts = explanation.dispatches;
      assert.ok(counts !== undefined);
      assert.equal(counts.dispatches, explanation.kernels.length);
      assert.equal(counts.kernels, new Set(explanation.kernels.map((kernel) => kernel.name)).size);
      assert.equal(
        counts.flops,
        explanation.kernels.reduce((sum, { flops }) => sum + flops, 0),
      );
      assert.ok(counts.kinds.some(({ kind }) => kind === "filter gradient"));
      for (const part of [
        "== graph after simplify",
        ...explanation.kernels.map((kernel) => `-- ${kernel.name}:`),
        `== ${counts.dispatches} dispatches of ${counts.kernels} kernels`,
        ...counts.kinds.map(({ kind, flops }) => `${kind}: ${flops} flops`),
        "== buffers",
      ]) {
        assert.ok(explanation.text.includes(part), part);
      }
      compiled.dispose();
      device.dispose();
    });
  }

  for (const [name, comment] of [
    ["wasm", ";; schedule: "],
    ["webgpu", "// schedule: "],
  ] as const) {
    it(`has times only when asked, and tells which schedule a kernel has on ${name}`, {
      skip: name === "webgpu" && webgpuSkip,
    }, async () => {
      const device = await createDevice(name);
      const compiled = compile(network, { device });
      const { kernels } = await explain(compiled, args);
      assert.ok(kernels.every(({ milliseconds }) => milliseconds === undefined));
      assert.ok(kernels.every(({ sources }) => sources.every(({ text }) => text.startsWith(comment))));
      compiled.dispose();
      device.dispose();
    });
  }

  it("shows a step with its state, and the oracle without kernels", async () => {
    const device = await createDevice("oracle");
    const state = await createState({ x: scalar(3) }, device);
    const step = compileStep(
      (s: { x: Tensor }, y: Tensor) => ({ state: { x: subtract(s.x, y) }, result: add(s.x, y) }),
      { device },
    );
    const explanation = await explain(step, [state, scalar(1)]);
    assert.deepEqual([explanation.kernels, explanation.buffers, explanation.dispatches], [[], [], undefined]);
    assert.match(explanation.passes[0]?.text ?? "", /input argument0\.x/);
    state.dispose();
    step.dispose();
    device.dispose();
  });

  it("says what most memory is made of: each kind of argument, and the temporaries that are there then", async () => {
    const device = await createDevice("wasm");
    type Layers = { readonly weights: { readonly first: Tensor; readonly second: Tensor } };
    const step = compileStep(
      (state: Layers, x: Tensor) => {
        const { value, gradient } = valueAndGrad((layers: Layers) =>
          mean(square(silu(conv2d(silu(conv2d(x, layers.weights.first, { padding: 1 })), layers.weights.second)))),
        )(state);
        const { first, second } = state.weights;
        const weights = {
          first: subtract(first, gradient.weights.first),
          second: subtract(second, gradient.weights.second),
        };
        return { state: { weights }, result: value };
      },
      { device },
    );
    const state = await createState({ weights: { first: zeros([16, 2, 3, 3]), second: zeros([4, 16, 1, 1]) } }, device);
    const x = zeros([2, 2, 8, 8]);
    const { memory, text, kernels, buffers, slots } = await explain(step, [state, x]);
    assert.ok(memory !== undefined);
    assert.deepEqual(
      memory.shares.filter(({ what }) => what.startsWith("argument")),
      [
        { what: "argument 0.weights.first", count: 1, bytes: 4 * 16 * 2 * 9 },
        { what: "argument 1", count: 1, bytes: 4 * 2 * 2 * 64 },
        { what: "argument 0.weights.second", count: 1, bytes: 4 * 64 },
      ],
    );
    assert.equal(memory.temporaries, slots[0]);
    assert.equal(memory.total, memory.inputs + memory.outputs + memory.constants + memory.temporaries);
    // What lives at once, counted anew: of all steps none has more.
    const liveAt = (step: number): number => {
      const touching = (buffer: number): number[] =>
        kernels.flatMap(({ operands, results }, at) => ([...operands, ...results].includes(buffer) ? [at] : []));
      return buffers.reduce((sum, { role, length }, buffer) => {
        const steps = touching(buffer);
        const lives = Math.min(...steps) <= step && Math.max(...steps) >= step;
        return role === "temporary" && lives ? sum + 4 * length : sum;
      }, 0);
    };
    const temporaries = memory.shares.filter(({ what }) => what.startsWith("temporaries of "));
    const most = Math.max(...kernels.map((_, step) => liveAt(step)));
    assert.ok(most > 0);
    assert.equal(
      temporaries.reduce((sum, { bytes }) => sum + bytes, 0),
      most,
    );
    assert.ok(temporaries.length > 0 && memory.peakKernel !== null);
    assert.match(text, /== memory .*KiB: arguments .*temporaries .*; most is in use at .*:\n +\S+ \w+ in \d+: /);
    state.dispose();
    step.dispose();
    device.dispose();
  });
});
