import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { decode } from "fast-png";
import { parseNpy } from "../../../diffusion/data/files/npyFile.ts";
import { encodeNpy } from "../../../diffusion/data/index.ts";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { evenkeel, network } from "./tinyRun.ts";

let [folder, data] = ["", ""];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "evenkeel-latent-run-"));
  data = join(folder, "data");
  await mkdir(data);
  for (let i = 0; i < 8; i++) {
    const statistics = Float32Array.from({ length: 8 * 64 }, (_, k) => (k < 4 * 64 ? 4 * Math.sin(i + k) : 0.1));
    await writeFile(join(data, `img-mean-std-0000000${i}.npy`), Buffer.concat(encodeNpy(statistics, [8, 8, 8])));
  }
});
after(() => rm(folder, { recursive: true }));

test("latents are trained on and sampled, for the VAE's decoder", async () => {
  const outdir = join(folder, "run");
  const options = ["--preset", "smoke", ...network, "--batch", "8", "--batch-device", "4", "--duration", "1000"];
  const run = await evenkeel([
    ...["train", "--data", data, "--outdir", outdir, ...options],
    ...[
      "--holdout",
      "2",
      "--samples",
      "1000",
      "--status",
      "1000",
      "--checkpoint",
      "1000",
      "--validation",
      "1000",
      "--device",
      "wasm",
      "--threads",
      "1",
    ],
  ]);
  assert.equal(run.code, 0, run.err);
  assert.match(run.out, /Data {15}6 images 8x8, latents of 4 channels, 2 more held out/);
  assert.match(run.out, /drawn anew .* whitened as those of stabilityai\/sd-vae-ft-mse/);
  assert.match(run.out, /their first three channels as colours/);
  assert.match(run.out, /Memory {13}up to .* of the 4 GiB that wasm holds/);
  const net = join(outdir, "network-snapshot-0000001-0.050.safetensors");
  assert.equal((await readSnapshot(net)).network.unet.imageChannels, 4);
  assert.equal(decode(await readFile(join(outdir, "samples-plain.png"))).channels, 3);
  const latents = join(folder, "latents.npy");
  const sampled = await evenkeel(["sample", "--net", net, "--seeds", "0-2", "--steps", "2", "--latents", latents]);
  assert.equal(sampled.code, 0, sampled.err);
  assert.deepEqual(parseNpy(await readFile(latents), latents).shape, [3, 4, 8, 8]);
  const mirrored = await evenkeel(["train", "--data", data, "--outdir", join(folder, "x"), ...options, "--xflip"]);
  assert.equal(mirrored.code, 2);
  assert.match(mirrored.err, /xflip with the latents/);
});
