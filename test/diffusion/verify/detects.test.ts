import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { solvePostHocCoefficients } from "../../../diffusion/ema/index.ts";
import { disposeDevices } from "../../../engine/index.ts";
import { encodeBfloat16, encodeFloat16, fromFloat16Bits } from "../../../engine/io/index.ts";
import { editCases, spoiled, verifyEdited } from "./editedFixture.ts";
import { inputs } from "./referenceInputs.ts";

after(disposeDevices);

/** A little more than the largest tolerance, and a fifth of what the smallest mistake worth finding changes. */
const deviation = 3e-5;

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

  it("averages at a time that a trajectory doesn't have, although their coefficients would be the same", async () => {
    const { failures } = await verifyEdited("edm2_scalars.safetensors", "oracle", ({ tensors }) => {
      tensors.set("reconstruct/out_ofs", { dtype: "F64", shape: [], data: Float64Array.of(1689.6) });
    });
    assert.deepEqual(failures, [
      "reconstruct: averages are at 1689.6 images, which is no step of 96 of 16 images each.",
    ]);
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

  it("labels, noise levels and results of other types and shapes pass", async () => {
    const { status, failures, tensors } = await verifyEdited("edm2_unet_cond.safetensors", "wasm", (content) => {
      const of = (name: string): Float32Array => {
        const tensor = content.tensors.get(name);
        assert.ok(tensor?.dtype === "F32");
        return Float32Array.from(tensor.data);
      };
      for (const name of [...content.tensors.keys()]) {
        if (/^(loss|grad|weights_after)\//.test(name)) content.tensors.delete(name);
      }
      const labels = BigInt64Array.from(of("class_labels"), BigInt);
      content.tensors.set("class_labels", { dtype: "I64", shape: [labels.length], data: labels });
      content.tensors.set("precond/sigma", {
        dtype: "F64",
        shape: [3, 1, 1, 1],
        data: Float64Array.from(of("precond/sigma")),
      });
      const halves = encodeFloat16(of("precond/D"));
      content.tensors.set("precond/D", { dtype: "F16", shape: [3, 3, 16, 16], data: halves });
      // One image's answers, and one label for it.
      const one = { dtype: "F32", shape: [1, 3, 16, 16] } as const;
      for (const name of ["unet/x", "unet/out"]) {
        content.tensors.set(name, { ...one, data: of(name).slice(0, 768) });
      }
      content.tensors.set("unet/out", { dtype: "BF16", shape: one.shape, data: encodeBfloat16(of("unet/out")) });
      content.tensors.set("unet/noise_labels", { dtype: "F32", shape: [], data: of("unet/noise_labels").slice(0, 1) });
      content.tensors.set("unet/class_labels", {
        dtype: "F32",
        shape: [10],
        data: Float32Array.from(labels, Number).slice(0, 10),
      });
    });
    assert.deepEqual(failures, []);
    assert.equal(status, "passed");
    assert.equal(tensors, 4);
  });

  it("classes as numbers, and sums in 16 bits, pass", async () => {
    const { status, failures, tensors } = await verifyEdited("edm2_unet_cond.safetensors", "wasm", (content) => {
      const of = (name: string): number[] => {
        const tensor = content.tensors.get(name);
        assert.ok(tensor?.dtype === "F32" || tensor?.dtype === "F64");
        return Array.from(tensor.data);
      };
      const rows = of("class_labels");
      const classes = Array.from({ length: rows.length / 10 }, (_, i) => rows.slice(10 * i, 10 * i + 10).indexOf(1));
      content.tensors.set("class_labels", {
        dtype: "I64",
        shape: [classes.length],
        data: BigInt64Array.from(classes, BigInt),
      });
      for (const name of ["loss/objective", "loss/mean"]) {
        const bits = encodeBfloat16(Float32Array.from(of(name)));
        content.tensors.set(name, { dtype: "BF16", shape: [], data: bits });
      }
      for (const name of [...content.tensors.keys()]) {
        if (/^(precond|grad|weights_after)\//.test(name)) content.tensors.delete(name);
      }
    });
    assert.deepEqual(failures, []);
    assert.equal(status, "passed");
    assert.equal(tensors, 4);
  });

  it("a sampler's case that leaves out all of its options, and an upper limit of infinity as a text, pass", async () => {
    const { status, failures, tensors } = await verifyEdited(
      "edm2_sampling_guide_labels.safetensors",
      "wasm",
      (content) => {
        editCases(content, (cases) => {
          delete cases["heun_defaults_32"];
          cases["autoguided"] = { ...cases["autoguided"], S_max: "inf" };
        });
        for (const name of [...content.tensors.keys()]) {
          if (/(x_cur|x_euler|denoised_main|out)$/.test(name)) content.tensors.delete(name);
        }
      },
    );
    assert.deepEqual(failures, []);
    assert.equal(status, "passed");
    assert.equal(tensors, 4);
  });

  it("a chain's rows in any order, one width as a number, and 16-bit averages in 32 bits pass", async () => {
    const { status, failures, tensors } = await verifyEdited("phema_chain.safetensors", "oracle", (content) => {
      const order = [3, 0, 5, 1, 4, 2];
      const { tensors: all, metadata } = content;
      const [coefs, times, widths] = ["coefs", "in_nimg", "in_std"].map((name) => all.get(name));
      assert.ok(coefs?.dtype === "F64" && times?.dtype === "I64" && widths?.dtype === "F64");
      const first = order.map((row) => coefs.data[2 * row] ?? NaN);
      all.set("coefs", { dtype: "F64", shape: [6], data: Float64Array.from(first) });
      all.set("in_nimg", { ...times, data: BigInt64Array.from(order, (row) => times.data[row] ?? 0n) });
      all.set("in_std", { ...widths, data: Float64Array.from(order, (row) => widths.data[row] ?? NaN) });
      metadata.set("out_std", "0.07");
      for (const [name, tensor] of [...all]) {
        if (name.startsWith("phema-0.120")) all.delete(name);
        else if (tensor.dtype === "F16") {
          const data = Float32Array.from(tensor.data as Uint16Array, fromFloat16Bits);
          all.set(name, { dtype: "F32", shape: tensor.shape, data });
        }
      }
    });
    assert.deepEqual(failures, []);
    assert.equal(status, "passed");
    assert.equal(tensors, 65);
  });

  it("averages earlier than some of the snapshots are made of those before", async () => {
    const [widths, times] = [
      [0.05, 0.1],
      [8192, 16384],
    ];
    const [inStd, inNimg] = [times.flatMap(() => widths), times.flatMap((time) => widths.map(() => time))];
    const fits = solvePostHocCoefficients(inNimg, inStd, [16384, 16384], [0.07, 0.12]);
    const coefs = inNimg.flatMap((_, i) => fits.map(({ coefficients }) => coefficients[i] ?? NaN));
    for (const later of [0, 2]) {
      const { status, failures, notChecked } = await verifyEdited("phema_chain.safetensors", "oracle", (content) => {
        const { tensors, metadata } = content;
        metadata.set("out_nimg", "16384");
        for (const name of [...tensors.keys()]) if (name.startsWith("phema-")) tensors.delete(name);
        // Those that are too late are left out, or have coefficients of 0.
        const rows = inNimg.length + later;
        const all = Float64Array.from({ length: 2 * rows }, (_, i) => coefs[i] ?? 0);
        tensors.set("coefs", { dtype: "F64", shape: [rows, 2], data: all });
        const late = later === 0 ? [] : [24576, 24576];
        tensors.set("in_nimg", { dtype: "I64", shape: [rows], data: BigInt64Array.from([...inNimg, ...late], BigInt) });
        tensors.delete("in_std");
      });
      assert.deepEqual(failures, []);
      assert.equal(status, "passed");
      assert.deepEqual(notChecked, ["metadata f32_vs_f64_max_rel_by_group"]);
    }
  });
});
