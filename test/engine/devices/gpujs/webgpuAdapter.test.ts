import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { acquireContext, type GpujsContext } from "../../../../engine/devices/gpujs/adapter.ts";
import { gpujsVersion } from "../../../../engine/devices/gpujs/internals.ts";
import { isSoftwareAdapter, probeWebgpu } from "../../../../engine/devices/gpujs/adapterSelection.ts";
import type { KernelSource } from "../../../../engine/devices/gpujs/kernelSource.ts";
import { selfTest } from "../../../../engine/devices/gpujs/selfTest.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { EvenkeelError } from "../../../../engine/errors.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { incrementPlan } from "./samplePlans.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

const doubling: KernelSource = {
  name: "doubling",
  source: "function kernel(a0) { return a0[this.thread.x] * 2; }",
  functions: [],
  operandWords: [70],
  resultWords: 70,
  output: [70],
};

describe("gpu.js adapter", { skip: webgpuSkip }, () => {
  test("a kernel that gpu.js can't translate is refused with its name, its source and the reason", async () => {
    const { context, release } = await acquireContext();
    const source = "function kernel(a0) { return isNaN(a0[this.thread.x]) ? 1 : 0; }";
    await assert.rejects(context.compile({ ...doubling, source }), (error) => {
      assert.ok(error instanceof EvenkeelError);
      assert.equal(error.code, "kernel");
      assert.match(error.message, /refuses kernel doubling: .*isNaN/s);
      assert.ok(error.message.includes(source));
      return true;
    });
    release();
  });

  test("WGSL that the driver refuses is told once, with the compiler's message, and harms nothing after it", async () => {
    const { context, release } = await acquireContext();
    const source = "function kernel(a0) { return a0[this.thread.x] + missing(3); }";
    await assert.rejects(context.compile({ ...doubling, source }), /unresolved call target 'fn_missing'/);
    await context.device.queue.onSubmittedWorkDone();
    context.health.check();
    await selfTest(context);
    release();
  });

  test("equal kernels are compiled once, whatever their names", async () => {
    const { context, release } = await acquireContext();
    const first = context.kernelOf(doubling);
    assert.equal(context.kernelOf({ ...doubling, name: "other" }), first);
    assert.notEqual(context.kernelOf({ ...doubling, output: [7, 10] }), first);
    await first;
    release();
  });

  test("a failed kernel is tried again", async () => {
    const { context, release } = await acquireContext();
    const bad = { ...doubling, source: "function kernel(a0) { return a0[0] + missing(3); }" };
    const first = context.kernelOf(bad);
    await assert.rejects(first);
    const second = context.kernelOf(bad);
    assert.notEqual(second, first);
    await assert.rejects(second);
    release();
  });

  test("the self-test fails if results are wrong", async () => {
    const { context, release } = await acquireContext();
    const wrong: Pick<GpujsContext, "compile" | "compileOwn" | "device" | "description"> = {
      device: context.device,
      description: context.description,
      compileOwn: (own) => context.compileOwn(own),
      compile: async (source) => {
        const compiled = await context.compile(source);
        // A gpu.js that laid its params out differently: rows of another width.
        const params = Uint32Array.from(compiled.params ?? []);
        params[0] = 8;
        return { ...compiled, params };
      },
    };
    await assert.rejects(
      selfTest(wrong),
      (error) => error instanceof EvenkeelError && /self-test.*element \d+, expected/s.test(error.message),
    );
    release();
  });

  test("leases share the context until the last is given back; then there is a new one", async () => {
    const [a, b] = await Promise.all([acquireContext(), acquireContext()]);
    assert.equal(a.context, b.context);
    a.release();
    a.release();
    await selfTest(b.context);
    b.release();
    const c = await acquireContext();
    assert.notEqual(c.context, b.context);
    await selfTest(c.context);
    c.release();
    assert.equal((await b.context.device.lost).reason, "destroyed");
  });

  test("no global navigator is left behind", async () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
    const { release } = await acquireContext();
    assert.deepEqual(Object.getOwnPropertyDescriptor(globalThis, "navigator"), before);
    release();
  });

  test("the installed gpu.js is the one described", async () => {
    const { default: packageFile } = await import("gpu.js/package.json", { with: { type: "json" } });
    assert.equal((packageFile as { readonly version: string }).version, gpujsVersion);
  });
});

describe("loss of the WebGPU device", { skip: webgpuSkip }, () => {
  test("pending and later calls fail with the reason, and a new device works", async () => {
    const device = await createWebgpuDevice();
    const executable = await device.compile(incrementPlan(64));
    const [x, y] = [device.allocate("f32", 64), device.allocate("f32", 64)];
    device.upload(x, new Float32Array(64));
    await executable.run([x], [y]);
    const isLoss = (error: unknown): boolean => {
      assert.ok(error instanceof EvenkeelError, String(error));
      assert.equal(error.code, "device");
      assert.match(error.message, /lost \(destroyed/);
      return true;
    };
    const { context, release } = await acquireContext();
    const pending = assert.rejects(downloaded(device, y), isLoss);
    context.device.destroy();
    await pending;
    await assert.rejects(executable.run([x], [y]), isLoss);
    await assert.rejects(device.compile(incrementPlan(3)), isLoss);
    assert.throws(() => device.upload(x, new Float32Array(64)), isLoss);
    assert.throws(() => device.allocate("f32", 1), isLoss);

    const next = await createWebgpuDevice();
    // The old one is still there, and its disposal must not touch the new one.
    device.dispose();
    release();
    const again = await next.compile(incrementPlan(64));
    const [u, v] = [next.allocate("f32", 64), next.allocate("f32", 64)];
    next.upload(u, new Float32Array(64).fill(4));
    await again.run([u], [v]);
    assert.deepEqual(await downloaded(next, v), new Float32Array(64).fill(5));
    next.dispose();
  });

  test("many runs in flight when it happens end too", async () => {
    const device = await createWebgpuDevice();
    const { context, release } = await acquireContext();
    const executable = await device.compile(incrementPlan(64));
    const [x, y] = [device.allocate("f32", 64), device.allocate("f32", 64)];
    const runs = Array.from({ length: 40 }, () => executable.run([x], [y]));
    context.device.destroy();
    const outcomes = await Promise.allSettled(runs);
    assert.ok(outcomes.some(({ status }) => status === "rejected"));
    device.dispose();
    release();
  });
});

describe("choice of an adapter", () => {
  test("software adapters are told apart by what they say of themselves", () => {
    const adapter = (info: object): GPUAdapter =>
      ({ info: { vendor: "", architecture: "", device: "", description: "", ...info } }) as GPUAdapter;
    for (const info of [
      { isFallbackAdapter: true },
      { architecture: "swiftshader" },
      { description: "llvmpipe (LLVM 15.0.6, 256 bits)" },
      { description: "Microsoft Basic Render Driver" },
    ]) {
      assert.ok(isSoftwareAdapter(adapter(info)), JSON.stringify(info));
    }
    for (const info of [
      { vendor: "apple", architecture: "metal-3", isFallbackAdapter: false },
      { vendor: "nvidia", architecture: "ada-lovelace", description: "NVIDIA GeForce RTX 4090" },
      { vendor: "intel", architecture: "gen-12lp" },
    ]) {
      assert.ok(!isSoftwareAdapter(adapter(info)), JSON.stringify(info));
    }
  });

  test("SwiftShader is found and known as software", { skip: webgpuSkip }, async (t) => {
    const probe = await probeWebgpu();
    assert.equal(probe.available, true);
    if (!/swiftshader/i.test(probe.description)) return t.skip(`this machine has ${probe.description}`);
    assert.equal(probe.software, true);
  });

  test("without an adapter the error says what to install", async () => {
    const { code, output } = await runNode(
      `import { createWebgpuDevice, probeWebgpu } from "./engine/devices/gpujs/webgpuDevice.ts";
       const probe = await probeWebgpu();
       console.log(probe.available, probe.reason);
       await createWebgpuDevice().catch((error) => console.log(error.code, error.message));`,
      { VK_ICD_FILENAMES: "/nowhere/no_icd.json", VK_DRIVER_FILES: "/nowhere/no_icd.json" },
    );
    assert.equal(code, 0, output);
    assert.match(output, /false webgpu: .*no adapter.*VK_ICD_FILENAMES/s);
    assert.match(output, /device webgpu: .*no adapter/s);
  });

  test("Node ends by itself after dispose", { skip: webgpuSkip }, async () => {
    const { code, output } = await runNode(
      `import "./test/support/softwareVulkan.ts";
       import { createWebgpuDevice } from "./engine/devices/gpujs/webgpuDevice.ts";
       const device = await createWebgpuDevice();
       const buffer = device.allocate("f32", 3);
       device.upload(buffer, Float32Array.of(1, 2, 3));
       console.log(String(await device.download([buffer])));
       device.dispose();`,
      {},
    );
    assert.equal(code, 0, output);
    assert.match(output, /1,2,3/);
  });

  test("drivers that look for a display in vain say nothing, and the environment stays as it was", async () => {
    const { code, output } = await runNode(
      `import "./test/support/softwareVulkan.ts";
       import { probeWebgpu } from "./engine/devices/gpujs/webgpuDevice.ts";
       delete process.env.XDG_RUNTIME_DIR;
       delete process.env.WAYLAND_DISPLAY;
       await probeWebgpu();
       console.log("WAYLAND_DISPLAY" in process.env);`,
      {},
    );
    assert.deepEqual([code, output], [0, "false\n"]);
  });
});

type Outcome = { readonly code: number | null; readonly output: string };

/** Runs a module's text in a Node of its own; `code` is null if it doesn't end within two minutes. */
async function runNode(text: string, environment: Readonly<Record<string, string>>): Promise<Outcome> {
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", text], {
    cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
    env: { ...process.env, ...environment },
    timeout: 120_000,
    killSignal: "SIGKILL",
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, output };
}
