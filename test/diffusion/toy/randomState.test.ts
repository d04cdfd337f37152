import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RandomState } from "../../../diffusion/toy/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

describe("NumPy's RandomState", () => {
  it("has the bits of the Mersenne Twister", () => {
    // The generator's default seed; the C++ standard names its 10000th number, 4123659995.
    const random = new RandomState(5489);
    const bits = Array.from({ length: 10000 }, () => random.bits());
    assert.deepEqual([bits[0], bits[1], bits[2], bits[9999]], [3499211612, 581869302, 3890346734, 4123659995]);
  });

  it("has NumPy's uniform numbers, of the largest seed, too", () => {
    const random = new RandomState(2 ** 32 - 1);
    const numbers = [random.uniform(), random.uniform(), random.uniform()];
    assert.deepEqual(numbers, [0.0976320289940138, 0.9123828453026218, 0.78903530185164]);
  });

  it("has NumPy's normal numbers, to the last bits of a logarithm", () => {
    const known: readonly (readonly [seed: number, index: number, value: number])[] = [
      [2, 0, -0.4167578474054706],
      [2, 1, -0.056266827226329474],
      [2, 2, -2.136196095668454],
      [2, 4, -1.7934355851948631],
      [0, 0, 1.764052345967664],
      [0, 1, 0.4001572083672233],
      [0, 2000, -1.5329210534301279],
    ];
    for (const [seed, index, value] of known) {
      const random = new RandomState(seed);
      for (let i = 0; i < index; i++) random.normal();
      // Two roundings of a library's logarithm and root are allowed to differ.
      assert.ok(Math.abs(random.normal() - value) <= 4 * Number.EPSILON * Math.abs(value), `${seed} ${index}`);
    }
  });

  it("refuses what is no seed", () => {
    for (const seed of [-1, 2 ** 32, 0.5, NaN]) {
      assert.throws(
        () => new RandomState(seed),
        (error) => error instanceof EvenkeelError && error.code === "range" && error.message.includes(String(seed)),
      );
    }
  });
});
