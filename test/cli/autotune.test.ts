/** Tiles in a file: read for the device, kept where they are of the same adapter, and never in the way of what was computed. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { keepTuning, tuningOptions } from "../../cli/autotune.ts";
import { withTunedDevice } from "../../cli/withDevice.ts";
import type { Device, TuningTable } from "../../engine/index.ts";
import { webgpuSkip } from "../support/webgpuSkip.ts";

const table = (adapter: string, ...keys: readonly string[]): TuningTable => ({
  adapter,
  schedules: 1,
  tiles: Object.fromEntries(keys.map((key) => [key, "a tile"])),
});

const deviceWith = (found: TuningTable): Device => ({ runs: "kernels", tuning: () => found }) as unknown as Device;

async function inFolder(use: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "evenkeel-autotune-"));
  try {
    await use(join(folder, "tiles.json"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("--autotune", () => {
  it("gives webgpu the table of the file, if there is one", () =>
    inFolder(async (file) => {
      assert.deepEqual(await tuningOptions(undefined, "wasm", true), {});
      assert.deepEqual(await tuningOptions(file, "webgpu", true), { webgpu: { autotune: true } });
      writeFileSync(file, JSON.stringify(table("GPU", "product")));
      const options = { webgpu: { autotune: true, tuning: table("GPU", "product") } };
      assert.deepEqual(await tuningOptions(file, "webgpu", false), options);
    }));

  it("is refused for another device that was named, and for a file that is none", () =>
    inFolder(async (file) => {
      await assert.rejects(tuningOptions(file, "wasm", true), { code: "value" });
      assert.deepEqual(await tuningOptions(file, "wasm", false), {});
      writeFileSync(file, "tiles");
      await assert.rejects(tuningOptions(file, "webgpu", true), {
        code: "file",
        message: /tiles\.json: it is no JSON/,
      });
    }));

  it("keeps what was found, but for another adapter's table", () =>
    inFolder(async (file) => {
      const lines: string[] = [];
      const keep = (found: TuningTable): Promise<void> =>
        keepTuning(file, deviceWith(found), (line) => void lines.push(line));
      await keep(table("GPU", "one"));
      await keep(table("GPU", "one", "two"));
      assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), table("GPU", "one", "two"));
      await keep(table("another", "three"));
      assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), table("GPU", "one", "two"));
      assert.match(lines.join("\n"), /of 1 products.*\n.*of 2 products.*\n.*not kept: .* is of "GPU"/);
      writeFileSync(file, "tiles");
      await keep(table("GPU", "one"));
      assert.match(lines.at(-1) ?? "", /not kept: .*no JSON/);
    }));

  it("makes the command's device with them, and leaves a table behind", { skip: webgpuSkip }, () =>
    inFolder(async (file) => {
      let description = "";
      await withTunedDevice("webgpu", file, async (device) => void (description = device.description));
      const { adapter, tiles } = JSON.parse(readFileSync(file, "utf8")) as TuningTable;
      assert.ok(description.includes(adapter), description);
      assert.deepEqual(tiles, {});
    }),
  );
});
