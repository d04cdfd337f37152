/** Files that hold less than ours, and files in which one number is another. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import type { FileReport } from "../../../diffusion/verify/node.ts";
import { disposeDevices } from "../../../engine/index.ts";
import { type Content, spoiled, verifyEdited } from "./editedFixture.ts";
import { inputs } from "./referenceInputs.ts";

after(disposeDevices);

/** Deterministic: what is drawn is drawn again on the next machine. */
const runs = { seed: 20_26, endOnFailure: true };

/** Options whose values are the published ones' defaults, by file: the metadata's key, and the path in it. */
const defaults: Readonly<Record<string, readonly (readonly [key: string, ...path: string[]])[]>> = {
  "edm2_primitives.safetensors": [
    ["cases", "normalize.0", "dim"],
    ["cases", "normalize.0", "eps"],
    ["cases", "mp_silu", "op"],
    ["cases", "mp_sum.t0.5", "t"],
    ["cases", "mp_cat.6_3_t0.5", "t"],
    ["cases", "mp_cat.5_2_t0.3", "dim"],
    ["cases", "resample.keep.f1_1", "mode"],
    ["cases", "resample.down.f1_1", "filter"],
    ["cases", "mp_fourier.8", "num_channels"],
    ["cases", "mp_conv.conv3x3.train.gain_1", "training"],
    ["cases", "mp_conv.conv3x3.train.gain_1", "gain"],
    ["cases", "mp_conv.conv3x3.train.gain_1", "kernel"],
    ["cases", "rgb_codec"],
  ],
  "edm2_blocks.safetensors": [
    ["cases", "enc_widen", "flavor"],
    ["cases", "enc_widen", "training"],
    ["cases", "enc_widen", "in_channels"],
    ["cases", "dec_attn", "out_channels"],
    ["cases", "dec_attn", "emb_channels"],
  ],
  "edm2_scalars.safetensors": [
    ["precond_sigma_data"],
    ["loss_params"],
    ["loss_params", "P_mean"],
    ["presets", "edm2-img512-xs", "dropout"],
    ["posthoc_cond_one_profile"],
  ],
  "edm2_sampling.safetensors": [
    ["cases", "heun", "rho"],
    ["cases", "heun", "sigma_min"],
    ["cases", "heun_guided", "sigma_max"],
    ["config", "guide_label_dim"],
    ["config", "label_dim"],
  ],
  "edm2_unet_cond.safetensors": [
    ["config", "loss"],
    ["config", "sigma_data"],
    ["config", "logvar_channels"],
    ["config", "img_channels"],
  ],
  "edm2_training_true_init.safetensors": [
    ["config", "batch"],
    ["config", "steps"],
    ["config", "adam"],
    ["config", "ema_stds"],
    ["config", "loss", "P_std"],
    ["config", "loss_scaling"],
  ],
  "toy_mixture.safetensors": [
    ["ode", "sigma_max"],
    ["ode", "rho"],
    ["toy_model", "sigma_data"],
    ["toy_model", "training"],
    ["toy_model", "loss"],
  ],
  "network-snapshot-0008388-0.100.safetensors": [
    ["config", "sigma_data"],
    ["config", "dropout"],
    ["config", "label_dim"],
  ],
  "phema_chain.safetensors": [["in_stds"], ["in_nimg"], ["out_std"], ["out_nimg"]],
  "edm_baseline_primitives.safetensors": [
    ["precond_sigma_data"],
    ["loss_params"],
    ["cases", "group_norm.8", "num_groups"],
    ["cases", "block.keep"],
  ],
  "edm_baseline_adm_unet.safetensors": [
    ["config", "loss"],
    ["config", "sigma_data"],
  ],
};

type Options = Record<string, unknown>;

/** Removes an option, or a whole group of them. What a path leads to may be gone already. */
function removeOption({ metadata }: Content, [key, ...path]: readonly [string, ...string[]]): void {
  const text = metadata.get(key);
  const last = path.pop();
  if (text === undefined) return;
  if (last === undefined) {
    metadata.delete(key);
    return;
  }
  const options = JSON.parse(text) as Options;
  const group = path.reduce<Options | undefined>((from, name) => from?.[name] as Options | undefined, options);
  if (group !== undefined) Reflect.deleteProperty(group, last);
  metadata.set(key, JSON.stringify(options));
}

/** Removes results by chance, each for itself: all but some in a hundred, so that few of a slow file are left. */
function removeResults({ tensors }: Content, isInput: RegExp, share: number, pick: (below: number) => number): void {
  const results = [...tensors.keys()].filter((name) => !isInput.test(name));
  const kept = results[pick(results.length)];
  for (const name of results) if (name !== kept && pick(1000) < 1000 * share) tensors.delete(name);
}

/** The random numbers of one run, from fast-check's, which shrinks them. */
const choices = fc.infiniteStream(fc.nat(2 ** 30));

function passed(file: string, { status, failures, tensors }: FileReport): void {
  assert.deepEqual(failures, [], file);
  assert.equal(status, "passed");
  assert.ok(tensors > 0);
}

describe("a file without some of its results, and without options that are the defaults", () => {
  for (const [file, device, isInput] of inputs) {
    // What takes long is tried once.
    const isSlow = /unet|training|toy|sampling|snapshot/.test(file);
    it(file, async () => {
      await fc.assert(
        fc.asyncProperty(
          choices,
          fc.double({ min: isSlow ? 0.8 : 0.2, max: 0.99, noNaN: true }),
          async (stream, share) => {
            const pick = (below: number): number => (stream.next().value as number) % below;
            const edit = (content: Content): void => {
              for (const option of defaults[file] ?? []) if (pick(2) === 0) removeOption(content, [...option]);
              removeResults(content, isInput, share, pick);
            };
            let kept: Content | undefined;
            const report = await verifyEdited(file, device, (content) => {
              edit(content);
              kept = { tensors: new Map(content.tensors), metadata: new Map(content.metadata) };
            });
            passed(file, report);
            if (isSlow) return;
            // What was not checked isn't needed: without it everything is as it was.
            const again = await verifyEdited(file, device, ({ tensors, metadata }) => {
              tensors.clear();
              metadata.clear();
              for (const [name, tensor] of kept?.tensors ?? []) {
                if (!report.notChecked.includes(name)) tensors.set(name, tensor);
              }
              for (const [key, text] of kept?.metadata ?? []) metadata.set(key, text);
            });
            passed(file, again);
            assert.equal(again.tensors, report.tensors);
          },
        ),
        { ...runs, numRuns: isSlow ? 1 : 3 },
      );
    });
  }

  it("lists what it could not check", async () => {
    const { status, notChecked } = await verifyEdited("edm2_primitives.safetensors", "oracle", ({ tensors }) => {
      for (const name of [...tensors.keys()])
        if (!name.startsWith("mp_s") || /t0.3\/(out|grad_.)$/.test(name)) tensors.delete(name);
      tensors.delete("mp_silu/grad_x");
    });
    assert.equal(status, "passed");
    for (const left of ["mp_silu/G", "case mp_sum.t0.3, of which nothing is there to compare", "mp_sum.t0.3/a"]) {
      assert.ok(notChecked.includes(left), left);
    }
    assert.ok(!notChecked.includes("mp_silu/x"));
  });
});

/** Inputs, and options, whose change shows in no result of the file: of a filter that isn't applied, and of an axis alone. */
const without = /input_scale|note|resample.keep|group_norm.*eps|zero_row.*dim|^ema_response.2.ofs|attention$|^out_nimg/;

/** Places of all numbers and truths in nested data. */
function leavesOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return typeof value === "string" ? [] : [path];
  return Object.entries(value).flatMap(([key, child]) => leavesOf(child, [...path, key]));
}

/** Another value of the same type. */
function changed(value: unknown): unknown {
  if (typeof value === "boolean") return !value;
  if (typeof value !== "number") return 1;
  return Number.isInteger(value) ? value + 1 : value * 1.1;
}

/** Changes one of a file's options. @returns which it was. */
function changeOption({ metadata }: Content, pick: (below: number) => number): string {
  const places = [...metadata].flatMap(([key, text]) =>
    /^[[{\d]/.test(text) && key !== "f32_vs_f64_max_rel_by_group"
      ? leavesOf(JSON.parse(text)).map((path) => [key, ...path])
      : [],
  );
  const candidates = places.filter((path) => !without.test(path.join(".")));
  const [key = "", ...path] = candidates[pick(candidates.length)] ?? [];
  const root = { value: JSON.parse(metadata.get(key) ?? "") as unknown };
  let group = root as Record<string, unknown>;
  let last = "value";
  for (const name of path) [group, last] = [group[last] as Record<string, unknown>, name];
  group[last] = changed(group[last]);
  metadata.set(key, JSON.stringify(root.value));
  return [key, ...path].join(".");
}

describe("a file in which one number is another", () => {
  const quick = inputs.filter(([file]) => !/unet|training|toy|sampling|snapshot/.test(file));
  for (const [file, device] of quick) {
    it(`fails: ${file}`, async () => {
      await fc.assert(
        fc.asyncProperty(choices, fc.boolean(), async (stream, isOption) => {
          const pick = (below: number): number => (stream.next().value as number) % below;
          let what = "";
          const { status } = await verifyEdited(file, device, (content) => {
            if (isOption && content.metadata.has("cases")) what = changeOption(content, pick);
            else {
              const names = [...content.tensors.keys()];
              what = names[pick(names.length)] ?? "";
              const tensor = content.tensors.get(what);
              if (tensor !== undefined) content.tensors.set(what, spoiled(tensor, 0.1));
            }
          });
          assert.equal(status, "failed", what);
        }),
        { ...runs, numRuns: 4 },
      );
    });
  }
});
