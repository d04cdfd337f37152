import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as z from "zod";
import { mergeOptions } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";

const schema = z.strictObject({
  lr: z.number().positive(),
  "batch-gpu": z.number().int(),
  P_mean: z.number(),
  ema: z.array(z.number().lt(0.2886)),
  device: z.enum(["wasm", "webgpu"]),
  threads: z.number().optional(),
});
const complete = { lr: 0.01, "batch-gpu": 8, P_mean: -0.4, ema: [0.05], device: "wasm" };
const flag = (name: string): string => `--${name}`;

const refused = (message: string) => (reason: unknown) => {
  assert.ok(reason instanceof EvenkeelError);
  assert.equal(reason.code, "value");
  assert.equal(reason.message, message);
  return true;
};

test("of any layers, the last one that gives an option wins", () => {
  const layer = fc.record(
    {
      lr: fc.double({ min: 1e-9, max: 1, noNaN: true }),
      "batch-gpu": fc.nat(),
      threads: fc.nat(),
      P_mean: fc.constant(undefined),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(layer), (layers) => {
      const merged = mergeOptions(schema, [
        { from: "defaults", values: complete },
        ...layers.map((values, i) => ({ from: `layer ${i}`, values })),
      ]);
      for (const name of ["lr", "batch-gpu", "threads"] as const) {
        assert.equal(
          merged[name],
          layers.findLast((values) => values[name] !== undefined)?.[name] ?? Reflect.get(complete, name),
        );
      }
      assert.equal(merged.P_mean, -0.4, "an undefined value hides nothing");
    }),
  );
});

test("a wrong value is told with its place, what it is and what was expected", () => {
  const merge = (values: Record<string, unknown>) => () =>
    mergeOptions(schema, [
      { from: "defaults", values: complete },
      { from: "run.toml", values },
    ]);
  assert.throws(merge({ lr: "fast" }), refused('run.toml: lr is "fast"; expected number, received string.'));
  assert.throws(merge({ lr: -1 }), refused("run.toml: lr is -1; expected number to be >0."));
  assert.throws(merge({ ema: [0.05, 0.5] }), refused("run.toml: ema.1 is 0.5; expected number to be <0.2886."));
  assert.throws(merge({ device: "gpu" }), refused('run.toml: device is "gpu"; expected one of "wasm"|"webgpu".'));
  assert.throws(
    merge({ lr: "fast", P_mean: true }),
    refused(
      'run.toml: lr is "fast"; expected number, received string; P_mean is true; expected number, received boolean.',
    ),
  );
});

test("a mistake is told where it was made, though a later layer hides it", () => {
  assert.throws(
    () =>
      mergeOptions(schema, [
        { from: "run.toml", values: { ...complete, lr: 0 } },
        { from: "flags", values: { lr: 0.02 }, label: flag },
      ]),
    refused("run.toml: lr is 0; expected number to be >0."),
  );
  assert.throws(
    () =>
      mergeOptions(schema, [
        { from: "run.toml", values: complete },
        { from: "train", values: { lr: 0 }, label: flag },
      ]),
    refused("train: --lr is 0; expected number to be >0."),
  );
});

test("an unknown name comes with the nearest known one, if there is one near", () => {
  const merge = (name: string) => () =>
    mergeOptions(schema, [{ from: "run.toml", values: { ...complete, [name]: 1 } }]);
  assert.throws(merge("batchgpu"), refused("run.toml: batchgpu is no option; did you mean batch-gpu?"));
  assert.throws(merge("p_mean"), refused("run.toml: p_mean is no option; did you mean P_mean?"));
  assert.throws(merge("wibble"), refused("run.toml: wibble is no option."));
});

test("what no layer gives is listed", () => {
  assert.throws(
    () =>
      mergeOptions(schema, [
        { from: "run.toml", values: { lr: 0.01, device: "wasm" } },
        { from: "flags", values: { ema: [] } },
      ]),
    refused("batch-gpu, P_mean are not set; looked in run.toml, flags."),
  );
});
