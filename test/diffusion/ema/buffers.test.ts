/** Which tensors are constants of a network, and what can't be averaged, with the whole of the message. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isBufferByName } from "../../../diffusion/ema/layout.ts";
import { reconstruct, type SnapshotSource } from "../../../diffusion/ema/reconstruct.ts";
import { powerProfile } from "../../../diffusion/ema/profile.ts";
import type { StoredTensor } from "../../../engine/io/index.ts";

const float32 = (name: string, ...values: number[]): StoredTensor => ({
  name,
  dtype: "F32",
  shape: [values.length],
  data: Float32Array.from(values),
});

/** A snapshot of some tensors. */
function source(nimg: number, ...tensors: readonly StoredTensor[]): SnapshotSource {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return { name: `snapshot ${nimg}`, profile: powerProfile(nimg, 0.1), open: async () => byName };
}

const wanted = [powerProfile(2000, 0.15)];
const mistake = (message: string) => ({ name: "EvenkeelError", code: "file", message });

describe("isBufferByName", () => {
  it("knows buffers by the last part of their name alone", () => {
    for (const name of ["freqs", "phases", "resample_filter", "running_mean", "running_var", "num_batches_tracked"]) {
      assert.ok(isBufferByName(name, float32(name, 1)), name);
      assert.ok(isBufferByName(`unet.${name}`, float32(name, 1)), name);
      for (const other of [`my${name}`, `${name}.weight`, `${name}2`, `my_${name}`])
        assert.ok(!isBufferByName(other, float32(other, 1)), other);
    }
  });

  it("takes every float for a weight and everything else for a buffer", () => {
    const shape = [1];
    assert.ok(!isBufferByName("w", { name: "w", dtype: "F16", shape, data: Uint16Array.of(1) }));
    assert.ok(!isBufferByName("w", { name: "w", dtype: "BF16", shape, data: Uint16Array.of(1) }));
    assert.ok(!isBufferByName("w", { name: "w", dtype: "F32", shape, data: Float32Array.of(1) }));
    assert.ok(!isBufferByName("w", { name: "w", dtype: "F64", shape, data: Float64Array.of(1) }));
    assert.ok(isBufferByName("w", { name: "w", dtype: "I32", shape, data: Int32Array.of(1) }));
  });
});

describe("reconstruct", () => {
  it("names what differs between snapshots", async () => {
    const first = source(1000, float32("a", 1, 2), float32("b", 3));
    for (const [second, problem] of [
      [source(2000, float32("a", 1, 2)), "has no tensor b, which snapshot 1000 has."],
      [
        source(2000, float32("a", 1, 2), float32("b", 3), float32("c", 4)),
        "has a tensor c, which snapshot 1000 hasn't.",
      ],
      [
        source(2000, { ...float32("a", 1, 2, 3, 4), shape: [2, 2] }, float32("b", 3)),
        "a is [2, 2]; in snapshot 1000 it is [2].",
      ],
    ] as const) {
      await assert.rejects(
        reconstruct([first, second], wanted),
        mistake(`snapshot 2000: ${problem} Only snapshots of one network can be averaged.`),
      );
    }
    const square = { ...float32("a", 1, 2, 3, 4), shape: [2, 2] };
    await assert.rejects(
      reconstruct([source(1000, square), source(2000, { ...square, shape: [4, 1] })], wanted),
      mistake(
        "snapshot 2000: a is [4, 1]; in snapshot 1000 it is [2, 2]. Only snapshots of one network can be averaged.",
      ),
    );
  });

  it("names numbers that aren't finite or don't fit", async () => {
    await assert.rejects(
      reconstruct([source(1000, float32("a", 1, 2)), source(2000, float32("a", 1, NaN))], wanted),
      mistake("snapshot 2000: element 1 of a is NaN; its training had failed by then."),
    );
    const large = [source(2000, float32("a", 1, 1e6))];
    await assert.rejects(
      reconstruct(large, [powerProfile(2000, 0.1)]),
      mistake("sigma_rel 0.1 at 2000 images: element 1 of a is 1000000, too large for F16. Store F32."),
    );
    const [{ weights } = assert.fail("no result")] = await reconstruct(large, [powerProfile(2000, 0.1)], {
      dtype: "F32",
    });
    assert.deepEqual(weights.get("a"), float32("a", 1, 1e6));
  });
});
