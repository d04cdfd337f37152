import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type DeviceName, disposeDevices } from "../../../engine/index.ts";
import { editCases, spoiled, verifyEdited } from "./editedFixture.ts";

after(disposeDevices);

/** A little more than the largest tolerance, and a fifth of what the smallest mistake worth finding changes. */
const deviation = 3e-5;

/** What is an input in a file of a kind; everything else was computed, and must be compared. */
const inputs: readonly (readonly [file: string, device: DeviceName, inputs: RegExp])[] = [
  ["edm2_primitives.safetensors", "oracle", /\/(x|a|b|G|freqs|phases|weight|gain|pixels_u8|latents)$/],
  ["edm2_blocks.safetensors", "oracle", /\/(x|emb|G|dropout_keep_mask|w\/.*)$/],
  [
    "edm2_unet_cond.safetensors",
    "wasm",
    /^(weights\/.*|class_labels|.*\/(x|noise_labels|sigma|images|rnd_normal|noise))$/,
  ],
  ["edm2_training_true_init.safetensors", "wasm", /^(init\/.*|steps\/(images|rnd_normal|noise|class_labels))$/],
  ["edm2_sampling.safetensors", "wasm", /^(g?net\/.*|class_labels|.*\/(noise|churn_noise))$/],
  [
    "edm2_scalars.safetensors",
    "oracle",
    new RegExp(
      [
        "ema/std_to_exp/std|ema/exp_to_std/exp|ema/beta/std_tnext_tdelta|ema/correlation/[ab]_.*|posthoc/.*/(in|out)_.*",
        "reconstruct/(theta|batch_size|snapshot_ofs|snapshot_std|out_ofs|out_std)|traditional_ema/halflife.*|lr/reflr.*",
        "precond/sigma|loss/(images|rnd_normal|noise|denoised|logvar)|latent_whitening/(raw_mean_std|noise|scale|bias)",
      ]
        .map((names) => `^(${names})$`)
        .join("|"),
    ),
  ],
  ["toy_mixture.safetensors", "wasm", /\/(phi|mu|Sigma|x|x_init)$|^toy_model\/(w\/.*|sigma)$/],
  ["network-snapshot-0008388-0.100.safetensors", "wasm", /^(weights\/.*|x|sigma|class_labels|D_half_gain_f32)$/],
  ["phema_chain.safetensors", "wasm", /^$/],
  [
    "edm_baseline_primitives.safetensors",
    "oracle",
    /^(?!.*resample_filter).*\/(x|emb|G|w\/.*|weight|bias|sigma|images|rnd_normal|noise|denoised)$(?<!loss\/sigma)/,
  ],
  [
    "edm_baseline_adm_unet.safetensors",
    "wasm",
    /^(?!.*resample_filter)(weights\/.*|class_labels|.*\/(x|noise_labels|sigma|images|rnd_normal|noise))$/,
  ],
];

describe("every computed tensor of a file can fail", () => {
  for (const [file, device, isInput] of inputs) {
    it(file, async () => {
      let truths: string[] = [];
      const { status, failures } = await verifyEdited(file, device, ({ tensors }) => {
        truths = [...tensors.keys()].filter((name) => !isInput.test(name));
        for (const name of truths) {
          const tensor = tensors.get(name);
          if (tensor !== undefined) tensors.set(name, spoiled(tensor, deviation));
        }
      });
      assert.ok(truths.length > 0);
      assert.equal(status, "failed");
      const unnoticed = truths.filter((name) => !failures.some((failure) => failure.startsWith(name)));
      assert.deepEqual(unnoticed, []);
    });
  }
});

describe("mistakes that implementations make", () => {
  const primitives = "edm2_primitives.safetensors";

  it("another epsilon", async () => {
    const { failures } = await verifyEdited(primitives, "oracle", (content) =>
      editCases(content, (cases) => {
        for (const options of Object.values(cases)) if (options["eps"] === 1e-4) options["eps"] = 1.01e-4;
      }),
    );
    assert.ok(failures.some((failure) => failure.startsWith("normalize.1/out is off")));
    assert.ok(failures.some((failure) => failure.startsWith("normalize.1/grad_x is off")));
  });

  it("the exact constant of SiLU", async () => {
    const { failures } = await verifyEdited(primitives, "oracle", ({ tensors }) => {
      for (const name of ["mp_silu/out", "mp_silu/grad_x"]) {
        const tensor = tensors.get(name);
        assert.ok(tensor?.dtype === "F32");
        tensors.set(name, { ...tensor, data: Float32Array.from(tensor.data, (value) => (value * 0.596) / 0.5964692) });
      }
    });
    assert.equal(failures.length, 2);
  });

  it("sums with their arguments swapped", async () => {
    const { failures } = await verifyEdited(primitives, "oracle", (content) =>
      editCases(content, (cases) => {
        cases["mp_sum.t0.3"] = { op: "mp_sum", t: 0.7 };
      }),
    );
    assert.equal(failures.length, 3);
  });

  it("no forced normalization in training mode", async () => {
    const { failures } = await verifyEdited("edm2_blocks.safetensors", "oracle", (content) =>
      editCases(content, (cases) => {
        cases["enc_attn"] = { ...cases["enc_attn"], training: false };
      }),
    );
    assert.ok(failures.some((failure) => failure.startsWith("enc_attn/grad/attn_qkv.weight is off")));
  });

  it("averages of another length, and a learning rate that counts the step's own images", async () => {
    const { failures } = await verifyEdited("edm2_training_true_init.safetensors", "wasm", (content) => {
      const config = JSON.parse(content.metadata.get("config") ?? "") as { lr: { rampup_Mimg: number } };
      config.lr.rampup_Mimg *= 8 / 9;
      content.metadata.set("config", JSON.stringify(config));
    });
    assert.ok(failures.some((failure) => failure.startsWith("steps/lr is off")));
    assert.ok(failures.some((failure) => failure.startsWith("final/unet.out_gain is off")));
    assert.ok(failures.some((failure) => failure.startsWith("ema-0.100/unet.out_gain is off")));
  });

  it("a toy model's score beside that of another class, or of one that isn't there", async () => {
    const withTruth = (cls: string) =>
      verifyEdited("toy_mixture.safetensors", "wasm", ({ metadata }) => {
        metadata.set("toy_model", (metadata.get("toy_model") ?? "").replace(/class A/, `class ${cls}`));
      });
    const other = await withTruth("B");
    assert.ok(other.failures.some((failure) => failure.startsWith("toy_model/gt_score is off")));
    const missing = await withTruth("C");
    assert.ok(
      missing.failures.some((failure) => /C\/phi/.test(failure)),
      missing.failures.join("\n"),
    );
  });
});

describe("files of other contents", () => {
  it("a mixture of any name passes, also as the toy model's truth", async () => {
    const { status, failures } = await verifyEdited("toy_mixture.safetensors", "wasm", ({ tensors, metadata }) => {
      for (const [name, tensor] of [...tensors]) {
        if (!/^[AB]+\//.test(name)) continue;
        tensors.delete(name);
        if (name.startsWith("A/")) tensors.set(name.replace(/^A/, "mixture"), tensor);
      }
      metadata.set("toy_model", (metadata.get("toy_model") ?? "").replace(/class A/, "class mixture"));
    });
    assert.deepEqual(failures, []);
    assert.equal(status, "passed");
  });
});
