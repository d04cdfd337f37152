import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawLatents, unwhitenLatents, vaeWhitening } from "../../../diffusion/encoding/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

describe("latents", () => {
  it("are means plus noise, whitened channel by channel", () => {
    // Two images of two channels with two pixels: the means and deviations are told apart by their tens.
    const meanAndDeviation = Float32Array.of(1, 2, 3, 4, 10, 20, 30, 40, 5, 6, 7, 8, 50, 60, 70, 80);
    const noise = Float32Array.of(1, -1, 0, 2, 0, 1, -1, 0);
    const whitening = { scale: [2, 0.5], bias: [1, -1] };
    assert.deepEqual(
      drawLatents(meanAndDeviation, noise, [2, 2, 1, 2], whitening),
      Float32Array.of(23, -35, 0.5, 41, 11, 133, -32.5, 3),
    );
  });

  it("of the VAE have mean 0 and the standard deviation of the data", () => {
    const { scale, bias } = vaeWhitening(0.5);
    const means = [5.81, 3.25, 0.12, -2.15];
    const deviations = [4.17, 4.62, 3.71, 3.28];
    means.forEach((mean, channel) => {
      const [factor, shift] = [scale[channel] ?? NaN, bias[channel] ?? NaN];
      assert.ok(Math.abs(mean * factor + shift) < 1e-15);
      assert.ok(Math.abs((deviations[channel] ?? NaN) * factor - 0.5) < 1e-15);
    });
  });

  it("are as the decoder takes them once they are unwhitened", () => {
    const whitened = Float32Array.of(0, 0.5, 0, 0.5, 0, 0.5, 0, 0.5);
    const shape = [1, 4, 1, 2];
    const latents = unwhitenLatents(whitened, shape, vaeWhitening(0.5));
    const expected = [5.81, 9.98, 3.25, 7.87, 0.12, 3.83, -2.15, 1.13];
    latents.forEach((value, i) => assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-5, `${value} at ${i}`));
    // Without deviations, drawing is whitening.
    const encoded = new Float32Array(16);
    encoded.set(latents);
    const again = drawLatents(encoded, new Float32Array(8), shape, vaeWhitening(0.5));
    again.forEach((value, i) => assert.ok(Math.abs(value - (whitened[i] ?? NaN)) < 1e-6, `${value} at ${i}`));
    assert.throws(() => unwhitenLatents(latents, [1, 2, 1, 2], vaeWhitening()), { code: "shape" });
  });

  it("need arrays that fit each other", () => {
    const whitening = { scale: [1], bias: [0] };
    for (const [statistics, normals, shape] of [
      [4, 2, [1, 1, 1, 1]],
      [3, 2, [1, 1, 1, 2]],
      [4, 2, [1, 2, 1, 1]],
      [4, 2, [1, 1, 2]],
    ] as const) {
      assert.throws(
        () => drawLatents(new Float32Array(statistics), new Float32Array(normals), shape, whitening),
        (error) => error instanceof EvenkeelError && error.code === "shape",
      );
    }
  });
});
