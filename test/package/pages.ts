/** The package in a page: built by Vite without a word of configuration, on a host that allows little, in Chromium. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import type { DeviceName } from "../../engine/index.ts";
import { type LabFiles, readFolder } from "../browser/lab/buildLab.ts";
import { type LabServer, serveLab } from "../browser/lab/serveLab.ts";
import { type Chromium, findChromium, openChromium } from "../browser/run.ts";
import type { PackedProject } from "./packedProject.ts";
import { readmeTour } from "./tour.ts";

const guide = resolve(import.meta.dirname, "../../docs/browser.md");

/** What `page.ts` leaves for these tests, or makes of what they ask. */
type InPage = {
  readonly computeOn: (name: DeviceName) => Promise<{ readonly values: unknown; readonly threads: number }>;
  readonly chooseAutomatically: () => Promise<{ readonly name: DeviceName; readonly reason: string }>;
  readonly toured?: boolean;
};

const program = `
import { chooseAutomatically, compile, createDevice, type DeviceName, tensor, type Tensor } from "evenkeel/engine";

async function computeOn(name: DeviceName): Promise<{ readonly values: unknown; readonly threads: number }> {
  const device = await createDevice(name);
  try {
    const { traits } = device;
    const run = compile((x: Tensor) => x.add(1), { device });
    return { values: await (await run(tensor([1, 2, 3]))).array(), threads: traits.threads };
  } finally {
    device.dispose();
  }
}

Object.assign(globalThis, { computeOn, chooseAutomatically });
await import("./tour.ts");
Object.assign(globalThis, { toured: true });
`;

/** The policy that the guide says is enough. */
async function policyOfGuide(): Promise<string> {
  const [, policy] = /Content-Security-Policy: (.*)/.exec(await readFile(guide, "utf8")) ?? [];
  assert.ok(policy !== undefined);
  return policy;
}

/** Builds the page in the project and gives its files. */
async function buildPage(project: string): Promise<LabFiles> {
  await writeFile(join(project, "index.html"), '<!doctype html><script type="module" src="/page.ts"></script>');
  await writeFile(join(project, "page.ts"), program);
  await writeFile(join(project, "tour.ts"), await readmeTour());
  const outDir = join(project, "page");
  await build({ root: project, configFile: false, logLevel: "error", build: { target: "es2022", outDir } });
  return readFolder(outDir);
}

/** Sizes that the guide's table tells, in thousands of bytes, by the first word of the row. */
async function sizesOfGuide(): Promise<ReadonlyMap<string, number>> {
  const rows = [...(await readFile(guide, "utf8")).matchAll(/^\| `(\w+)`[^|]*\| (\d+) kB \|/gm)];
  return new Map(rows.map(([, name = "", size]) => [name, Number(size)]));
}

export function testInPages(packed: () => PackedProject): void {
  const chromium = findChromium();
  const skip = chromium === undefined ? "no chromium: install it or name it by CHROMIUM" : false;

  describe("in a page that Vite builds", { skip }, () => {
    let files: LabFiles;
    let server: LabServer;
    let browser: Chromium;
    before(async () => {
      if (chromium === undefined) return;
      files = await buildPage(packed().project);
      const headers = { "Content-Security-Policy": await policyOfGuide() };
      // As the root of a host, which Vite's page takes for granted.
      server = await serveLab(new Map([...files].map(([name, bytes]) => [`/${name}`, bytes])), { headers });
      browser = await openChromium(chromium, { ...server, url: new URL("/index.html", server.url).href });
    });
    after(() => browser.close());

    /** Scripts that were asked for since the last call. */
    let seen = 0;
    const asked = (): string[] => {
      const since = server.asked.slice(seen);
      seen = server.asked.length;
      return since.filter((address) => address.endsWith(".js"));
    };
    const kilobytes = (addresses: readonly string[]): number =>
      addresses.reduce((sum, address) => sum + gzipSync(files.get(address.slice(1)) ?? "").length / 1000, 0);
    const computeOn = (name: DeviceName): ReturnType<InPage["computeOn"]> =>
      browser.page.evaluate((device) => (globalThis as unknown as InPage).computeOn(device), name);

    let wasm: readonly string[];
    it("runs the README's tour on wasm, with threads, under the guide's policy", async () => {
      const isDone = (): Promise<boolean> =>
        browser.page.evaluate(() => (globalThis as unknown as InPage).toured === true);
      for (const end = Date.now() + 60_000; !(await isDone()); ) {
        assert.ok(Date.now() < end, browser.said.join("\n"));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.ok(
        browser.said.some((line) => line.includes("[2, 3]") || line.includes("(2) [2, 3]")),
        browser.said.join("\n"),
      );
      const { values, threads } = await computeOn("wasm");
      assert.deepEqual(values, [2, 3, 4]);
      assert.ok(threads > 1, "threads need the isolation that the host's headers give");
      wasm = asked();
    });

    it("learns what auto is without gpu.js", async () => {
      const automatic = await browser.page.evaluate(() => (globalThis as unknown as InPage).chooseAutomatically());
      assert.equal(automatic.name, "wasm");
      assert.match(automatic.reason, /there is no GPU/);
      const more = asked();
      assert.deepEqual(more.length, 1, more.join());
      assert.ok(kilobytes(more) < 5, `${kilobytes(more)} kB`);
    });

    it("computes on webgpu under the same policy, and gpu.js comes then", async () => {
      const { values } = await computeOn("webgpu");
      assert.deepEqual(values, [2, 3, 4]);
      const more = asked();
      assert.ok(
        more.some((address) => /library/.test(address)),
        more.join(),
      );
    });

    it("refuses cpu there, whose kernels are made of text", async () => {
      await assert.rejects(computeOn("cpu"), /content security policy forbids\. Allow 'unsafe-eval'/);
    });

    it("weighs what the guide says", async (t) => {
      const told = await sizesOfGuide();
      const all = [...files.keys()].filter((name) => name.endsWith(".js")).map((name) => `/${name}`);
      const measured = new Map([
        ["wasm", kilobytes(wasm)],
        ["webgpu", kilobytes([...wasm, ...all.filter((name) => /webgpuDevice|adapter|library/i.test(name))])],
      ]);
      for (const [name, size] of measured) {
        t.diagnostic(`${name}: ${size.toFixed(1)} kB`);
        const said = told.get(name);
        assert.ok(said !== undefined && Math.abs(said - size) <= 0.1 * size, `${name}: ${size} kB, told as ${said}`);
      }
    });
  });
}
