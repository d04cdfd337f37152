import assert from "node:assert/strict";
import { resolve } from "node:path";
import { before, describe, it } from "node:test";
import { ESLint } from "eslint";

const root = resolve(import.meta.dirname, "..");

/**
 * Lints a made-up text as if it stood in a file that exists (the type-aware rules need one of the project's), and gives
 * the ids of the rules that it breaks.
 */
async function brokenRules(eslint: ESLint, path: string, text: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: resolve(root, path) });
  assert.ok(result !== undefined, `${path} is not linted`);
  return result.messages.map(({ ruleId, message }) => ruleId ?? message);
}

describe("lint", () => {
  let eslint: ESLint;
  /** With the rule of layers alone, which needs no types: to make these takes most of the time. */
  let layers: ESLint;
  before(() => {
    eslint = new ESLint({ cwd: root });
    layers = new ESLint({
      cwd: root,
      overrideConfig: { files: ["**/*.ts"], languageOptions: { parserOptions: { projectService: false } } },
      ruleFilter: ({ ruleId }) => ruleId === "evenkeel/layers",
    });
  });

  const forbidden: readonly (readonly [path: string, text: string])[] = [
    ["engine/index.ts", `export * from "../nn/index.ts";`],
    ["engine/index.ts", `export * from "../diffusion/index.ts";`],
    ["engine/graph/node.ts", `import "../../cli/main.ts";`],
    ["engine/index.ts", `import "../test/support/softwareVulkan.ts";`],
    ["engine/index.ts", `export * from "evenkeel/nn";`],
    ["nn/index.ts", `export { Tensor } from "../engine/graph/tensor.ts";`],
    ["nn/index.ts", `import type { Node } from "../engine/graph/node.ts"; export type Alias = Node;`],
    ["nn/index.ts", `export type Alias = import("../engine/graph/node.ts").Node;`],
    ["nn/index.ts", `await import("../engine/graph/node.ts");`],
    ["nn/index.ts", `new Worker(new URL("../engine/graph/node.ts", import.meta.url));`],
    ["nn/index.ts", `export * from "./../engine/graph/../graph/node.ts";`],
    ["nn/index.ts", `export * from "evenkeel/engine";`],
    ["nn/index.ts", `export * from "../diffusion/index.ts";`],
    ["diffusion/index.ts", `export * from "../engine/graph/shape.ts";`],
    ["diffusion/index.ts", `export * from "../nn/optim/adam.ts";`],
    ["diffusion/index.ts", `export * from "../nn/optim/index.ts";`],
    ["diffusion/index.ts", `export * from "./ema/profile.ts";`],
    ["diffusion/data/dataset.ts", `export * from "../index.ts";`],
    ["diffusion/data/dataset.ts", `export * from "../training/trainer.ts";`],
    ["diffusion/data/dataset.ts", `export type Trainer = import("../training/trainer.ts").Trainer;`],
    ["diffusion/data/node/convert.ts", `export * from "../../node.ts";`],
    ["diffusion/metrics/kid.ts", `export * from "../interchange/pickle/index.ts";`],
    ["diffusion/parseToml.ts", `export * from "./ema/node/schedule.ts";`],
    ["nn/unet/unet.ts", `export * from "../mp/conv.ts";`],
    ["engine/program/explain.ts", `export * from "../io/safetensors.ts";`],
    ["engine/io/safetensors.ts", `export * from "../index.ts";`],
    ["nn/index.ts", `export * from "../engine/io/safetensors.ts";`],
    ["diffusion/index.ts", `export * from "../cli/program.ts";`],
    ["cli/program.ts", `export * from "../engine/program/explain.ts";`],
    ["cli/program.ts", `export * from "../diffusion/ema/profile.ts";`],
    ["cli/program.ts", `export * from "../diffusion/data/node/convert.ts";`],
    ["cli/commands/index.ts", `export * from "../../engine/errors.ts";`],
    ["cli/program.ts", `export * from "../bench/main.ts";`],
    ["cli/program.ts", `export * from "../testing/laws/programLaw.ts";`],
    ["engine/index.ts", `export * from "../testing/index.ts";`],
    ["testing/index.ts", `export * from "../diffusion/index.ts";`],
    ["testing/index.ts", `export * from "../nn/mp/conv.ts";`],
    ["onnx/index.ts", `export * from "../engine/kernel/plan.ts";`],
    ["onnx/index.ts", `export * from "../nn/index.ts";`],
    ["engine/devices/wasm/loops/loops.ts", `export * from "../algorithms/index.ts";`],
    ["engine/devices/wasm/loops/loops.ts", `export * from "../assembler/opcodes.ts";`],
    ["engine/devices/wasm/runtime/memory.ts", `export * from "../loops/index.ts";`],
    ["engine/devices/wasm/assembler/text.ts", `export * from "../device.ts";`],
    ["engine/devices/wasm/device.ts", `export * from "./program/records.ts";`],
    ["engine/devices/select.ts", `export * from "./wasm/runtime/index.ts";`],
  ];
  for (const [path, text] of forbidden) {
    it(`refuses ${text} in ${path}`, async () => {
      const rules = await brokenRules(layers, path, text);
      assert.ok(rules.includes("evenkeel/layers"), `broken rules: ${rules.join(", ")}`);
    });
  }

  const allowed: readonly (readonly [path: string, text: string])[] = [
    ["engine/index.ts", `export { EvenkeelError } from "./errors.ts";`],
    ["engine/graph/node.ts", `export { EvenkeelError } from "../errors.ts";`],
    ["engine/index.ts", `export { readFileSync } from "node:fs";`],
    ["nn/index.ts", `export { EvenkeelError } from "../engine/index.ts";`],
    ["diffusion/index.ts", `export { EvenkeelError } from "../engine/index.ts";\nexport * from "../nn/index.ts";`],
    ["cli/commands/index.ts", `export { EvenkeelError } from "../../engine/index.ts";`],
    ["cli/program.ts", `export * from "../nn/index.ts";\nexport * from "../diffusion/index.ts";`],
    ["cli/program.ts", `await import("../testing/index.ts");`],
    ["testing/index.ts", `export * from "../engine/graph/graph.ts";`],
    ["onnx/index.ts", `export * from "../engine/graph/graph.ts";`],
    ["cli/program.ts", `await import("../onnx/index.ts");`],
    ["cli/program.ts", `export * from "../diffusion/ema/index.ts";\nexport * from "../diffusion/ema/node.ts";`],
    ["diffusion/index.ts", `export * from "./ema/index.ts";\nexport * from "../engine/io/node.ts";`],
    ["diffusion/data/dataset.ts", `export * from "../training/index.ts";\nexport * from "./order.ts";`],
    ["diffusion/data/node/convert.ts", `export * from "../index.ts";\nexport * from "../../interchange/index.ts";`],
    ["diffusion/ema/node/schedule.ts", `export * from "../../parseToml.ts";`],
    ["nn/unet/unet.ts", `export * from "../mp/index.ts";\nexport * from "../parameters.ts";`],
    ["engine/passes/simplify.ts", `export * from "../ops/elementwise.ts";`],
    ["test/lint.test.ts", `export { EvenkeelError } from "../engine/errors.ts";`],
    ["engine/devices/wasm/loops/loops.ts", `export * from "../math/index.ts";\nexport * from "./schedule.ts";`],
    [
      "engine/devices/wasm/algorithms/product/emit.ts",
      `export * from "../../loops/index.ts";\nexport * from "../tile.ts";`,
    ],
    ["engine/devices/wasm/program/records.ts", `export { at } from "../../../graph/shape.ts";`],
    ["engine/devices/wasm/device.ts", `export * from "./program/index.ts";`],
    ["engine/devices/select.ts", `export * from "./wasm/device.ts";`],
  ];
  for (const [path, text] of allowed) {
    it(`accepts ${JSON.stringify(text)} in ${path}`, async () => {
      assert.deepEqual(await brokenRules(layers, path, text), []);
    });
  }

  const shortcuts: readonly (readonly [rule: string, text: string])[] = [
    ["@typescript-eslint/no-explicit-any", `export const x: any = 1;`],
    [
      "@typescript-eslint/no-non-null-assertion",
      `export function first(xs: readonly number[]): number {\n  return xs[0]!;\n}`,
    ],
    ["@typescript-eslint/ban-ts-comment", `// @ts-ignore: no reason is good enough\nexport const x: string = 1;`],
    ["@typescript-eslint/ban-ts-comment", `// @ts-nocheck: no reason is good enough\nexport const x: string = 1;`],
    ["@typescript-eslint/ban-ts-comment", `// @ts-expect-error\nexport const x: string = 1;`],
    ["@typescript-eslint/no-floating-promises", `export function f(): void {\n  Promise.resolve(1);\n}`],
    ["@typescript-eslint/no-explicit-any", `// eslint-disable-next-line\nexport const x: any = 1;`],
  ];
  for (const [rule, text] of shortcuts) {
    it(`refuses ${JSON.stringify(text)}`, async () => {
      const rules = await brokenRules(eslint, "nn/index.ts", text);
      assert.ok(rules.includes(rule), `broken rules: ${rules.join(", ")}`);
    });
  }
});
