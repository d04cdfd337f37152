import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../../../engine/errors.ts";
import { serializeSafetensors, type WritableTensor } from "../../../../engine/io/index.ts";
import { openSafetensors, writeFileAtomically, writeSafetensors } from "../../../../engine/io/node.ts";
import { metadatas, namedTensors } from "../safetensorsSamples.ts";

const tensor: WritableTensor = { dtype: "F32", shape: [3], data: Float32Array.of(1, 2, 3) };

/** What the operating system would say. */
function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

describe("writeSafetensors", () => {
  let folder = "";
  let file = "";
  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(tmpdir(), "evenkeel-write-"));
    file = path.join(folder, "net.safetensors");
  });
  afterEach(async () => {
    mock.restoreAll();
    await fs.rm(folder, { recursive: true });
  });

  /** The error names the file; the folder holds nothing but what was there before. */
  async function refusesCleanly(writing: Promise<void>, pattern: RegExp, left: readonly string[] = []): Promise<void> {
    await assert.rejects(writing, (error: unknown) => {
      assert.ok(error instanceof EvenkeelError, String(error));
      assert.equal(error.code, "file");
      assert.ok(error.message.startsWith(file), error.message);
      assert.match(error.message, pattern);
      return true;
    });
    assert.deepEqual(await fs.readdir(folder), left);
  }

  /** Lets the next opened file fail with `code` at one of its operations; a write fails after half of its bytes. */
  function breakFile(operation: "write" | "sync" | "close", code: string): void {
    const open = fs.open;
    mock.method(fs, "open", async (...parameters: Parameters<typeof open>) => {
      const handle = await open(...parameters);
      const original = handle[operation].bind(handle) as (...rest: unknown[]) => Promise<unknown>;
      mock.method(handle, operation, async (...rest: unknown[]) => {
        if (operation === "write") await original(rest[0], rest[1], Math.floor(Number(rest[2]) / 2));
        if (operation === "close") await original();
        throw systemError(code);
      });
      return handle;
    });
  }

  it("writes the bytes of serializeSafetensors, at once or tensor by tensor", async () => {
    await fc.assert(
      fc.asyncProperty(namedTensors, metadatas, async (list, metadata) => {
        const expected = serializeSafetensors(list, { metadata });
        await writeSafetensors(file, list, { metadata });
        assert.equal(Buffer.compare(await fs.readFile(file), expected), 0);
        const lazy = list.map(([name, { dtype, shape, data }]) => [
          name,
          { dtype, shape, data: () => Promise.resolve(data) },
        ]);
        // The pairing of dtype and data is lost on the compiler in the line above.
        await writeSafetensors(file, lazy as unknown as Parameters<typeof writeSafetensors>[1], { metadata });
        assert.equal(Buffer.compare(await fs.readFile(file), expected), 0);
      }),
      { numRuns: 30 },
    );
    assert.deepEqual(await fs.readdir(folder), ["net.safetensors"]);
  });

  it("asks for lazy data one tensor at a time, in the order of the file", async () => {
    const events: string[] = [];
    const lazy = (name: string) => ({
      dtype: "F32" as const,
      shape: [2],
      data: async () => {
        events.push(`${name} asked`);
        await new Promise((resolve) => setImmediate(resolve));
        events.push(`${name} given`);
        return Float32Array.of(1, 2);
      },
    });
    await writeSafetensors(file, { b: lazy("b"), a: lazy("a") });
    assert.deepEqual(events, ["a asked", "a given", "b asked", "b given"]);
  });

  it("writes tensors of many chunks", async () => {
    const data = Float32Array.from({ length: 700_000 }, (_, i) => i / 7);
    await writeSafetensors(file, {
      half: { dtype: "F16", shape: [700_000], data },
      full: { dtype: "F32", shape: [700_000], data },
    });
    await using reader = await openSafetensors(file);
    assert.deepEqual((await reader.tensor("full")).data, data);
    assert.equal((await reader.tensor("half")).data.length, 700_000);
  });

  it("replaces a file whole", async () => {
    await writeSafetensors(file, { old: { dtype: "U8", shape: [5000], data: new Uint8Array(5000) } });
    await writeSafetensors(file, { tensor });
    assert.equal(Buffer.compare(await fs.readFile(file), serializeSafetensors({ tensor })), 0);
  });

  it("completes short writes", async () => {
    const open = fs.open;
    mock.method(fs, "open", async (...parameters: Parameters<typeof open>) => {
      const handle = await open(...parameters);
      const write = handle.write.bind(handle) as (b: Uint8Array, at: number, n: number) => Promise<unknown>;
      mock.method(handle, "write", (b: Uint8Array, at: number, n: number) => write(b, at, Math.min(n, 7)));
      return handle;
    });
    await writeSafetensors(file, { tensor });
    assert.equal(Buffer.compare(await fs.readFile(file), serializeSafetensors({ tensor })), 0);
  });

  for (const [operation, code, pattern] of [
    ["write", "ENOSPC", /writing failed: the disk is full.*ENOSPC/],
    ["write", "EIO", /writing failed: the disk reported an error/],
    ["write", "EDQUOT", /quota/],
    ["sync", "EIO", /flushing to the disk failed/],
    ["close", "ENOSPC", /closing failed: the disk is full/],
  ] as const) {
    it(`keeps the old file and nothing else when ${operation} fails with ${code}`, async () => {
      await writeSafetensors(file, { tensor });
      const old = await fs.readFile(file);
      breakFile(operation, code);
      const half: WritableTensor = { dtype: "U8", shape: [100], data: new Uint8Array(100) };
      await refusesCleanly(writeSafetensors(file, { half }), pattern, ["net.safetensors"]);
      mock.restoreAll();
      assert.deepEqual(await fs.readFile(file), old);
    });
  }

  it("says that a folder is read-only", async () => {
    mock.method(fs, "open", () => Promise.reject(systemError("EROFS")));
    await refusesCleanly(
      writeSafetensors(file, { tensor }),
      /creating a file in .* failed: the file system is read-only/,
    );
    mock.restoreAll();
    mock.method(fs, "open", () => Promise.reject(systemError("EACCES")));
    await refusesCleanly(writeSafetensors(file, { tensor }), /permission denied/);
  });

  it("says that a folder may not be written", {
    skip: process.getuid?.() === 0 && "root may write everywhere",
  }, async () => {
    await fs.chmod(folder, 0o555);
    try {
      await refusesCleanly(writeSafetensors(file, { tensor }), /permission denied.*EACCES/);
    } finally {
      await fs.chmod(folder, 0o755);
    }
  });

  it("says that a folder is missing, or that the path is a folder", async () => {
    const inside = path.join(file, "deeper", "x.safetensors");
    await assert.rejects(writeSafetensors(inside, { tensor }), /no such file or folder/);
    await fs.mkdir(file);
    await refusesCleanly(writeSafetensors(file, { tensor }), /is a folder/, ["net.safetensors"]);
  });

  it("removes the new file when renaming fails", async () => {
    mock.method(fs, "rename", () => Promise.reject(systemError("EPERM")));
    await refusesCleanly(writeSafetensors(file, { tensor }), /renaming the finished file failed/);
  });

  it("removes the new file when the data is wrong or can't be had", async () => {
    const short = { dtype: "F32" as const, shape: [4], data: () => Float32Array.of(1) };
    await assert.rejects(writeSafetensors(file, { short }), /4 elements, data 1/);
    assert.deepEqual(await fs.readdir(folder), []);
    const failing = { dtype: "F32" as const, shape: [4], data: () => Promise.reject(new Error("device lost")) };
    await assert.rejects(writeSafetensors(file, { tensor, failing }), /^Error: device lost$/);
    assert.deepEqual(await fs.readdir(folder), []);
  });

  it("touches no file for tensors that can't be laid out", async () => {
    const open = mock.method(fs, "open");
    await assert.rejects(writeSafetensors(file, { __metadata__: tensor }), /own key/);
    assert.equal(open.mock.callCount(), 0);
  });

  it("shows the old file to readers until the new one is complete", async () => {
    await fs.writeFile(file, "old");
    await writeFileAtomically(file, async (sink) => {
      await sink.write(Buffer.from("new, "));
      assert.equal(await fs.readFile(file, "utf8"), "old");
      await sink.write(Buffer.from("and longer"));
      assert.equal(await fs.readFile(file, "utf8"), "old");
    });
    assert.equal(await fs.readFile(file, "utf8"), "new, and longer");
  });

  it("survives a file system that can't flush folders", async () => {
    const open = fs.open;
    mock.method(fs, "open", (...parameters: Parameters<typeof open>) =>
      parameters[0] === folder ? Promise.reject(systemError("EISDIR")) : open(...parameters),
    );
    await writeSafetensors(file, { tensor });
    assert.deepEqual(await fs.readdir(folder), ["net.safetensors"]);
  });
});
