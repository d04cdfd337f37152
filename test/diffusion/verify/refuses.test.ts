import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { type FileReport, verifyFolder } from "../../../diffusion/verify/node.ts";
import { disposeDevices, EvenkeelError, getDevice } from "../../../engine/index.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";
import { type Content, editCases, editedFolder, newFolder, spoiled, verifyEdited } from "./editedFixture.ts";

after(disposeDevices);

const primitives = "edm2_primitives.safetensors";
const blocks = "edm2_blocks.safetensors";
const uncond = "edm2_unet_uncond.safetensors";

async function failuresOf(name: string, edit: (content: Content) => void): Promise<string> {
  const { status, failures } = await verifyEdited(name, "oracle", edit);
  assert.equal(status, "failed");
  assert.ok(failures.length > 0);
  return failures.join("\n");
}

/** The reports of a folder with these files, by name. */
async function verifyFiles(files: Readonly<Record<string, Uint8Array>>): Promise<Map<string, FileReport>> {
  const folder = newFolder();
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name), bytes);
  const report = await verifyFolder(folder, await getDevice("oracle"));
  rmSync(folder, { recursive: true });
  const failed = report.files.filter(({ status }) => status === "failed").length;
  assert.equal(report.failed, failed);
  return new Map(report.files.map((file) => [file.file, file]));
}

const whole = readFileSync(path.join(referenceFolder, primitives));
const noTensors = Buffer.concat([Buffer.from(BigInt64Array.of(2n).buffer), Buffer.from("{}")]);

describe("files of a known kind that can't be checked", () => {
  it("are failures one by one, and the others are checked", async () => {
    const reports = await verifyFiles({
      "edm2_blocks.safetensors": new Uint8Array(),
      "edm2_primitives.safetensors": whole,
      "edm2_primitives_cut.safetensors": whole.subarray(0, whole.length / 2),
      "edm2_primitives_short.safetensors": whole.subarray(0, 1000),
      "edm2_sampling.safetensors": noTensors,
      "edm2_scalars.npz": whole,
      "edm2_unet_noise.safetensors": Buffer.from("not at all of this format, whatever its name says"),
      "edm_baseline_adm_unet.safetensors": noTensors,
      "network-snapshot-0000001-0.100.pkl": Buffer.from("pickle"),
      "README.md": Buffer.from("not of a known kind"),
    });
    assert.equal(reports.get("edm2_primitives.safetensors")?.status, "passed");
    assert.equal(reports.has("README.md"), false);
    for (const [name, { status, failures, tensors }] of reports) {
      if (name === "edm2_primitives.safetensors") continue;
      assert.equal(status, "failed", name);
      assert.equal(failures.length, 1, name);
      assert.equal(tensors, 0, name);
    }
    assert.match(reports.get("edm2_scalars.npz")?.failures[0] ?? "", /is not a \.safetensors file/);
    assert.match(reports.get("edm2_sampling.safetensors")?.failures[0] ?? "", /nothing in it was checked/);
  });

  it("a file whose cases have other options than the defaults, and leave them out", async () => {
    const failures = await failuresOf(primitives, ({ metadata }) => metadata.delete("cases"));
    assert.match(failures, /normalize\.2\/out is off/);
    assert.match(await failuresOf(primitives, ({ metadata }) => metadata.set("cases", "{")), /not JSON/);
    assert.match(await failuresOf(blocks, ({ metadata }) => metadata.set("cases", "{}")), /enc_attn: .*attn_qkv/);
  });

  it("a folder of snapshots without its file", async () => {
    const folder = newFolder();
    cpSync(path.join(referenceFolder, "phema_chain"), path.join(folder, "phema_chain"), { recursive: true });
    const { files } = await verifyFolder(folder, await getDevice("oracle"));
    rmSync(folder, { recursive: true });
    assert.deepEqual(
      files.map(({ file, status }) => [file, status]),
      [["phema_chain", "failed"]],
    );
  });
});

describe("what a file has and no check knows", () => {
  it("an operation", async () => {
    const failures = await failuresOf(primitives, (content) =>
      editCases(content, (cases) => {
        cases["mp_silu"] = { op: "mp_gelu" };
      }),
    );
    assert.match(failures, /^mp_silu: options: Invalid .* at op\./);
  });

  it("an option", async () => {
    const failures = await failuresOf(blocks, (content) =>
      editCases(content, (cases) => {
        cases["enc_keep"] = { ...cases["enc_keep"], swiglu: true };
      }),
    );
    assert.match(failures, /^enc_keep: options: .*swiglu/);
    const config = (content: Content): void => {
      const old = JSON.parse(content.metadata.get("config") ?? "") as object;
      content.metadata.set("config", JSON.stringify({ ...old, group_norm: true }));
    };
    assert.match(await failuresOf(uncond, config), /unknown option group_norm/);
  });

  it("more steps than there are numbers", async () => {
    const failures = await failuresOf("edm2_sampling.safetensors", (content) =>
      editCases(content, (cases) => {
        for (const options of Object.values(cases)) options["num_steps"] = 1e12;
      }),
    );
    assert.match(failures, /heun\/t_steps has 9 elements along its first axis, its options call for 1000000000001/);
    const long = [{ ofs: 100, std: 0.1, len: 1e12 }];
    assert.match(
      await failuresOf("edm2_scalars.safetensors", ({ metadata }) =>
        metadata.set("ema_response", JSON.stringify(long)),
      ),
      /ema\/response\.0 has 128 elements/,
    );
  });

  it("a tensor, which is listed first; of the network's arrays it is refused", async () => {
    const mystery = { dtype: "F32", shape: [1], data: Float32Array.of(1) } as const;
    for (const [name, tensor] of [
      [primitives, "mystery/out"],
      [primitives, "mp_silu/more"],
      [blocks, "enc_keep/hidden"],
      ["edm2_scalars.safetensors", "lr/more"],
    ] as const) {
      const { status, notChecked } = await verifyEdited(name, "oracle", ({ tensors }) => tensors.set(tensor, mystery));
      assert.equal(status, "passed", name);
      assert.equal(notChecked[0], tensor);
    }
    const failures = await failuresOf(uncond, ({ tensors }) => {
      for (const each of [...tensors.keys()]) if (!/^(weights|unet)\//.test(each)) tensors.delete(each);
      tensors.set("weights/unet.mystery", mystery);
    });
    assert.match(failures, /unet\.mystery", which the network doesn't/);
  });

  it("averages of other widths than its options name", async () => {
    const options = (edit: (config: Record<string, unknown>) => void) => (content: Content) => {
      const config = JSON.parse(content.metadata.get("config") ?? "") as Record<string, unknown>;
      edit(config);
      content.metadata.set("config", JSON.stringify(config));
    };
    const training = await failuresOf(
      "edm2_training_true_init.safetensors",
      options((config) => {
        config["ema_stds"] = [0.05, 0.11];
      }),
    );
    assert.match(training, /has ema-0\.100\/\.\.\., and its options name ema-0\.050, ema-0\.110/);
    const chain = await failuresOf("phema_chain.safetensors", ({ metadata }) =>
      metadata.set("out_std", "[0.07, 0.13]"),
    );
    assert.match(chain, /has phema-0\.120\/\.\.\., and its options name phema-0\.070, phema-0\.130/);
  });
});

describe("what a file lacks", () => {
  it("a tensor that a result of it needs", async () => {
    for (const [name, tensor] of [
      [primitives, "mp_conv.linear.train.gain_param/gain"],
      [primitives, "resample.down.f1_1/G"],
      [primitives, "mp_silu/x"],
      [blocks, "enc_attn/emb"],
      [blocks, "enc_dropout/dropout_keep_mask"],
      [uncond, "unet/noise_labels"],
      [uncond, "precond/sigma"],
      [uncond, "loss/noise"],
      ["edm2_scalars.safetensors", "lr/reflr_refbatches_rampupMimg_batch_curnimg"],
      ["edm2_scalars.safetensors", "ema/correlation/b_std"],
    ] as const) {
      const failures = await failuresOf(name, ({ tensors }) => tensors.delete(tensor));
      assert.ok(failures.includes(`"${tensor}"`), `${tensor}: ${failures}`);
    }
  });

  it("a weight of a network", async () => {
    assert.match(
      await failuresOf(uncond, ({ tensors }) => tensors.delete("weights/unet.out_conv.weight")),
      /lacks "unet\.out_conv\.weight/,
    );
  });

  it("a tensor's elements", async () => {
    const empty = await failuresOf(primitives, ({ tensors }) => {
      for (const name of ["x", "out", "G", "grad_x"]) {
        tensors.set(`mp_silu/${name}`, { dtype: "F32", shape: [0, 3], data: new Float32Array() });
      }
    });
    assert.match(empty, /mp_silu/);
    const turned = await failuresOf(primitives, ({ tensors }) => {
      const out = tensors.get("mp_silu/out");
      assert.ok(out?.dtype === "F32");
      tensors.set("mp_silu/out", { ...out, shape: out.shape.toReversed() });
    });
    assert.match(turned, /mp_silu\/out is \[2, 6, 3, 4\], expected \[4, 3, 6, 2\]/);
  });
});

describe("a pickled snapshot", () => {
  const name = "network-snapshot-0008388-0.100";
  const verifyPickle = async (edit: (content: Content) => void): Promise<FileReport> => {
    const folder = await editedFolder(`${name}.safetensors`, edit);
    cpSync(path.join(referenceFolder, `${name}.pkl`), path.join(folder, `${name}.pkl`));
    const { files } = await verifyFolder(folder, await getDevice("wasm"));
    rmSync(folder, { recursive: true });
    const report = files.find(({ file }) => file.endsWith(".pkl"));
    assert.ok(report !== undefined);
    return report;
  };

  it("must hold the weights and the configuration that are written down for it", async () => {
    const weight = "weights/unet.dec.8x8_in1.conv_res0.weight";
    const { failures } = await verifyPickle(({ tensors, metadata }) => {
      const tensor = tensors.get(weight);
      assert.ok(tensor !== undefined);
      tensors.set(weight, spoiled(tensor, 1));
      metadata.set("config", (metadata.get("config") ?? "").replace('"sigma_data": 0.5', '"sigma_data": 0.4'));
    });
    assert.ok(failures.some((failure) => failure.startsWith(`${weight} is off by 2`)));
    assert.ok(failures.some((failure) => failure.startsWith("its configuration ")));
    assert.ok(failures.some((failure) => failure.startsWith("D_upcast_f32 is off")));
    const shorter = await verifyPickle(({ tensors }) => tensors.delete(weight));
    assert.equal(shorter.status, "passed", shorter.failures.join());
    assert.ok(
      shorter.notChecked.some((left) => left === `1 arrays that are not written down, such as ${weight.slice(8)}`),
    );
  });
});

describe("numbers that are none", () => {
  const withNan = (name: string) => (content: Content) => {
    const tensor = content.tensors.get(name);
    assert.ok(tensor?.dtype === "F32");
    content.tensors.set(name, { ...tensor, data: Float32Array.from(tensor.data).fill(NaN, 3, 4) });
  };

  it("are failures, in a truth as in an input", async () => {
    assert.match(await failuresOf(primitives, withNan("mp_silu/out")), /mp_silu\/out has a truth that is not finite/);
    assert.match(await failuresOf(primitives, withNan("mp_silu/x")), /mp_silu\/out was computed as NaN/);
  });
});

describe("the scale of tolerances", () => {
  it("applies to all of them", async () => {
    const spoil = ({ tensors }: Content): void => {
      for (const name of ["mp_silu/out", "mp_silu/grad_x"]) {
        const tensor = tensors.get(name);
        assert.ok(tensor !== undefined);
        tensors.set(name, spoiled(tensor, 2e-5));
      }
    };
    assert.equal((await verifyEdited(primitives, "oracle", spoil, 1)).failures.length, 2);
    assert.equal((await verifyEdited(primitives, "oracle", spoil, 3)).failures.length, 1);
    assert.equal((await verifyEdited(primitives, "oracle", spoil, 10)).status, "passed");
  });

  it("must be a number above 0", async () => {
    for (const rtolScale of [0, -1, NaN, Infinity]) {
      const run = verifyFolder(referenceFolder, await getDevice("oracle"), { rtolScale });
      await assert.rejects(run, (error) => error instanceof EvenkeelError && error.code === "value");
    }
  });
});

describe("folders", () => {
  it("that aren't there, or have nothing to verify", async () => {
    const isFileError = (error: unknown): boolean => error instanceof EvenkeelError && error.code === "file";
    const device = await getDevice("oracle");
    await assert.rejects(verifyFolder(path.join(newFolder(), "none"), device), isFileError);
    await assert.rejects(verifyFolder(newFolder(), device), isFileError);
    await assert.rejects(verifyFolder(path.join(referenceFolder, primitives), device), isFileError);
  });
});
