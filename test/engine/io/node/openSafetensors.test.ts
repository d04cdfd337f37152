import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { EvenkeelError } from "../../../../engine/errors.ts";
import { parseSafetensors, serializeSafetensors, type WritableTensor } from "../../../../engine/io/index.ts";
import { openSafetensors, readSafetensors } from "../../../../engine/io/node.ts";
import { countAllocations } from "../allocationCounter.ts";

const weights: WritableTensor = {
  dtype: "F32",
  shape: [100, 100],
  data: Float32Array.from({ length: 10_000 }, Math.sqrt),
};
const labels: WritableTensor = { dtype: "I64", shape: [2], data: BigInt64Array.of(3n, -1n) };
const empty: WritableTensor = { dtype: "F16", shape: [0], data: new Uint16Array(0) };
const bytes = serializeSafetensors({ weights, labels, empty }, { metadata: { config: '{"width":100}' } });

function refuses(code: string, file: string, pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof EvenkeelError, String(error));
    assert.equal(error.code, code);
    assert.ok(error.message.startsWith(file), error.message);
    assert.match(error.message, pattern);
    return true;
  };
}

describe("openSafetensors", () => {
  let folder = "";
  let file = "";
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "evenkeel-open-"));
    file = path.join(folder, "net.safetensors");
    await writeFile(file, bytes);
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  async function openFiles(): Promise<number> {
    return (await readdir("/proc/self/fd")).length;
  }

  it("reads single tensors, in any order and at once", async () => {
    const reader = await openSafetensors(file);
    assert.deepEqual([...reader.metadata], [["config", '{"width":100}']]);
    assert.deepEqual([...reader.entries.keys()], ["labels", "weights", "empty"]);
    const [w, l, e] = await Promise.all(["weights", "labels", "empty"].map((name) => reader.tensor(name)));
    assert.deepEqual(w, { name: "weights", ...weights });
    assert.deepEqual(l, { name: "labels", ...labels });
    assert.deepEqual(e, { name: "empty", ...empty });
    await reader.close();
  });

  it("streams all tensors in the order of their data", async () => {
    await using reader = await openSafetensors(file);
    const names: string[] = [];
    for await (const { name, data } of reader.tensors()) {
      names.push(name);
      assert.deepEqual(data, parseSafetensors(bytes).tensor(name).data);
    }
    assert.deepEqual(names, ["labels", "weights", "empty"]);
  });

  it("reads no data on opening, and each tensor's bytes once", async () => {
    const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const opened = await countAllocations(() => openSafetensors(file));
    assert.ok(opened.allocations.totalBytes <= 8 + 2 * headerBytes);
    const { allocations } = await countAllocations(() => opened.result.tensor("weights"));
    assert.deepEqual(allocations, { count: 1, totalBytes: 40_000, largestBytes: 40_000 });
    await opened.result.close();
  });

  it("reads the whole file", async () => {
    const whole = await readSafetensors(file);
    assert.deepEqual(whole.tensor("weights").data, weights.data);
    assert.throws(() => whole.tensor("bias"), refuses("file", file, /no tensor is called "bias"/));
  });

  it("says what is wrong with the path", async () => {
    const missing = path.join(folder, "none.safetensors");
    await assert.rejects(openSafetensors(missing), refuses("file", missing, /no such file.*ENOENT/));
    await assert.rejects(openSafetensors(folder), refuses("file", folder, /is a folder/));
    await assert.rejects(readSafetensors(path.join(file, "x")), refuses("file", file, /ENOTDIR/));
  });

  it("does not wait for a pipe", { skip: process.platform === "win32" && "Windows has no named pipes" }, async () => {
    const pipe = path.join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await assert.rejects(openSafetensors(pipe), refuses("file", pipe, /not a regular file/));
  });

  it("closes: twice is fine, reading afterwards is an error, tensors stay valid", async () => {
    const reader = await openSafetensors(file);
    const tensor = await reader.tensor("labels");
    await reader.close();
    await reader.close();
    await assert.rejects(reader.tensor("labels"), refuses("disposed", file, /closed/));
    assert.deepEqual(tensor.data, labels.data);
  });

  it("leaves no file open, whatever happens", {
    skip: process.platform !== "linux" && "/proc is Linux's",
  }, async () => {
    const broken = path.join(folder, "broken.safetensors");
    await writeFile(broken, bytes.subarray(0, 100));
    const before = await openFiles();
    for (let i = 0; i < 20; i++) {
      await assert.rejects(openSafetensors(broken), refuses("file", broken, /truncated/));
      await assert.rejects(readSafetensors(broken), refuses("file", broken, /truncated/));
      await readSafetensors(file);
      await (await openSafetensors(file)).close();
    }
    // Node closes some of its own meanwhile, one at times.
    const left = (await openFiles()) - before;
    assert.ok(left <= 0, `${left} files more are open`);
  });

  it("notices a file that is cut while it is open", async () => {
    const cut = path.join(folder, "cut.safetensors");
    await writeFile(cut, bytes);
    await using reader = await openSafetensors(cut);
    await truncate(cut, bytes.length - 1000);
    await assert.rejects(reader.tensor("weights"), refuses("file", cut, /1000 bytes early/));
    assert.deepEqual((await reader.tensor("labels")).data, labels.data);
  });
});
