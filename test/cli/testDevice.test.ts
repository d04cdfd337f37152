import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Device } from "../../engine/index.ts";
import { deviceLaws } from "../../testing/index.ts";
import { evenkeel } from "./train/tinyRun.ts";

describe("evenkeel test-device", () => {
  it("holds a device to the laws that are named, with a line for each and one in the end", async () => {
    const { code, out, err } = await evenkeel([
      ...["test-device", "oracle", "--law", "programs", "determinism", "kernels", "--runs", "8", "--seeds", "2"],
    ]);
    assert.deepEqual([code, err], [0, ""]);
    const lines = out.trim().split("\n");
    assert.match(lines[0] ?? "", /^oracle: /);
    // An interpreter of graphs has no kernels.
    assert.match(
      lines[1] ?? "",
      /^right {3}programs: random programs against float64, 4 cases of seed 20240612, [\d,]+ compared$/,
    );
    assert.match(lines[2] ?? "", /^right {3}determinism: .*, 1 case of seed 20240612, /);
    assert.match(lines[4] ?? "", /1 case of seed 20240613, /);
    assert.match(lines[5] ?? "", /^all 2 laws hold: 10 cases, [\d,]+ compared$/);
    assert.equal(lines.length, 6);
  });

  it("prints JSON, and runs all laws of a device with kernels", async () => {
    const { code, out } = await evenkeel([
      "test-device",
      "wasm",
      "--runs",
      "5",
      "--seed",
      "3",
      "--seconds",
      "0.001",
      "--json",
    ]);
    assert.equal(code, 0);
    const { device, outcomes } = JSON.parse(out) as {
      readonly device: string;
      readonly outcomes: readonly { readonly law: string; readonly seed: number; readonly failure: unknown }[];
    };
    assert.equal(device, "wasm");
    assert.deepEqual(
      outcomes.map(({ law, seed, failure }) => [law, seed, failure]),
      ["kernels", "products", "plans", "programs", "determinism", "refusals"].map((law) => [law, 3, null]),
    );
  });

  it("tells a broken law with how to repeat it, goes on with the others and ends with 1", async (t) => {
    const seeds: number[] = [];
    t.mock.method(deviceLaws.programs, "hold", async (_: unknown, { seed }: { readonly seed: number }) => {
      seeds.push(seed);
      if (seed === 8) throw new Error("the smallest program");
      return { compared: 5, uncertain: 0 };
    });
    const before = process.exitCode;
    try {
      const laws = ["--law", "programs", "determinism", "--seed", "7", "--seeds", "3", "--runs", "6"];
      const { out } = await evenkeel(["test-device", "oracle", ...laws]);
      assert.equal(process.exitCode, 1);
      assert.match(
        out,
        /BROKEN {2}programs: .*, 3 cases of seed 8\nthe smallest program\nRepeat it with: npx evenkeel test-device oracle --law programs --seed 8 --runs 6\n/,
      );
      assert.match(out, /1 of 2 laws broken: 9 cases/);
      assert.equal(out.match(/^right {3}determinism/gm)?.length, 3);
      assert.deepEqual(seeds, [7, 8]);
    } finally {
      process.exitCode = before;
    }
  });

  it("doesn't tell a law as right that had nothing to compare, and ends with 1", async (t) => {
    t.mock.method(deviceLaws.programs, "hold", () => Promise.resolve({ compared: 0, uncertain: 1234 }));
    const before = process.exitCode;
    try {
      const laws = ["--law", "programs", "determinism", "--seed", "7", "--runs", "6"];
      const { out } = await evenkeel(["test-device", "oracle", ...laws]);
      assert.equal(process.exitCode, 1);
      assert.match(out, /^open {4}programs: .*, 3 cases of seed 7, 0 compared, 1,234 uncertain$/m);
      assert.match(out, /^right {3}determinism/m);
      assert.match(out, /^nothing to compare for programs: 4 cases, .*--runs/m);
    } finally {
      process.exitCode = before;
    }
  });

  it("says that the device was lost, and in which law, and tells no law as broken or right for it", async (t) => {
    t.mock.method(deviceLaws.programs, "hold", (device: Device) => {
      device.dispose();
      return Promise.reject(new Error("the case", { cause: new Error("the adapter is gone") }));
    });
    const { code, out, err } = await evenkeel(["test-device", "oracle", "--law", "programs", "determinism"]);
    assert.equal(code, 1);
    assert.match(err, /oracle .*was lost.* the law programs, seed 20240612: .* new device .*the adapter is gone/);
    assert.doesNotMatch(out, /right|BROKEN|hold/);
  });

  it("refuses laws and devices that there are not", async () => {
    const law = await evenkeel(["test-device", "oracle", "--law", "gravity"]);
    assert.equal(law.code, 2);
    assert.match(law.err, /no law "gravity"\. Expected kernels, products,/);
    assert.match((await evenkeel(["test-device", "abacus"])).err, /unknown device "abacus"/);
    assert.equal((await evenkeel(["test-device", "--seconds", "0"])).code, 2);
  });
});
