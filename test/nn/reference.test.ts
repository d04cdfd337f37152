/** Primitives, learning rate and the like beside the published implementation's numbers, in float64. */
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { verifyFolder } from "../../diffusion/verify/node.ts";
import { createDevice } from "../../engine/index.ts";

const reference = fileURLToPath(new URL("../reference/", import.meta.url));

test("primitives and scalars are the reference's on the oracle, outputs and gradients", async () => {
  const folder = await mkdtemp(join(tmpdir(), "evenkeel-primitives-"));
  const device = await createDevice("oracle");
  try {
    for (const name of ["edm2_primitives.safetensors", "edm2_scalars.safetensors"])
      await cp(join(reference, name), join(folder, name));
    const { files } = await verifyFolder(folder, device);
    assert.deepEqual(
      files.map(({ file, status, failures }) => ({ file, status, failures })),
      ["edm2_primitives", "edm2_scalars"].map((name) => ({
        file: `${name}.safetensors`,
        status: "passed",
        failures: [],
      })),
    );
    assert.ok(files.every(({ tensors }) => tensors > 40));
  } finally {
    device.dispose();
    await rm(folder, { recursive: true });
  }
});
