import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { EvenkeelError } from "../../../engine/errors.ts";
import { fileDTypes, parseSafetensors, serializeSafetensors } from "../../../engine/io/index.ts";
import { openSafetensors } from "../../../engine/io/node.ts";
import type { StoredTensor } from "../../../engine/io/index.ts";
import { countAllocations } from "./allocationCounter.ts";
import { type Draw, mutations, seededDraw } from "./mutateFile.ts";
import { type PlainFile, readPlainly } from "./plainReader.ts";
import { bytesOf, tensorOfBytes } from "./safetensorsSamples.ts";

const seed = 20_240_607;
const files = 5000;
/** Every so many files are also read from the disk. */
const diskEvery = 5;

function randomFile(draw: Draw): Uint8Array {
  const count = draw(6);
  const tensors = Array.from({ length: count }, (_, i) => {
    const dtype = fileDTypes[draw(fileDTypes.length)] ?? "F32";
    const shape = Array.from({ length: draw(4) }, () => draw(5));
    const length = shape.reduce((a, b) => a * b, 8);
    const bytes = Uint8Array.from({ length }, () => draw(256));
    const elements = shape.reduce((a, b) => a * b, 1);
    return [`w${i}`, tensorOfBytes(dtype, shape, bytes.subarray(0, elements * elementBytes(dtype)))] as const;
  });
  const metadata: Record<string, string> = draw(2) === 0 ? {} : { format: "pt", config: '{"a":[1,{"b":"c\\"é"}]}' };
  return serializeSafetensors(tensors, { metadata });
}

function elementBytes(dtype: string): number {
  return dtype === "BOOL" ? 1 : Number(dtype.replace(/\D/g, "")) / 8;
}

type Content = { readonly metadata: ReadonlyMap<string, string>; readonly tensors: readonly StoredTensor[] };

/** What reading gives: the content, or the error. */
async function attempt(read: () => Content | Promise<Content>): Promise<Content | EvenkeelError> {
  try {
    return await read();
  } catch (error) {
    assert.ok(error instanceof EvenkeelError, `not an EvenkeelError: ${String(error)}`);
    assert.equal(error.code, "file");
    return error;
  }
}

function judge(outcome: Content | EvenkeelError, expected: PlainFile | undefined): void {
  // Files that are right, and have a tensor that can't be asked for.
  const isUnreadable = [...(expected?.tensors ?? [])].some(
    ([, { dtype, bytes }]) =>
      (dtype === "BOOL" && bytes.some((byte) => byte > 1)) || /^(F4|F6_.*|F8_.*|C64)$/.test(dtype),
  );
  if (outcome instanceof EvenkeelError) {
    assert.ok(expected === undefined || isUnreadable, `refused a correct file: ${outcome.message}`);
    return;
  }
  assert.ok(expected !== undefined && !isUnreadable, "accepted a file that the format forbids");
  assert.deepEqual(outcome.metadata, expected.metadata);
  assert.deepEqual(outcome.tensors.map(({ name }) => name).sort(), [...expected.tensors.keys()].sort());
  for (const { name, dtype, shape, data } of outcome.tensors) {
    const same = expected.tensors.get(name);
    assert.equal(dtype, same?.dtype);
    assert.deepEqual(shape, same?.shape);
    assert.ok(same !== undefined && Buffer.compare(bytesOf(data), same.bytes) === 0, `bytes of ${name}`);
  }
}

describe("damaged files", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "evenkeel-fuzz-"));
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  it(`${files} of them give an error or the correct content, within twice their size`, async (t) => {
    const draw = seededDraw(seed);
    const kinds = Object.keys(mutations);
    const refused = new Map(kinds.map((kind) => [kind, 0]));
    let accepted = 0;
    let worstRatio = 0;
    let worstBuffers = 0;
    for (let n = 0; n < files; n++) {
      const kind = kinds[n % kinds.length] ?? "nothing";
      let file = randomFile(draw);
      // Now and then a second kind of damage on top.
      for (const name of draw(4) === 0 ? [kind, kinds[draw(kinds.length)] ?? kind] : [kind]) {
        if (file.length > 0) file = mutations[name]?.(file, draw) ?? file;
      }
      const expected = readPlainly(file);
      const readers: (() => Content | Promise<Content>)[] = [
        () => {
          const { metadata, tensors } = readInMemory(file);
          return { metadata, tensors };
        },
      ];
      if (n % diskEvery === 0) {
        const name = path.join(folder, "damaged.safetensors");
        await writeFile(name, file);
        readers.push(() => readFromDisk(name));
      }
      for (const read of readers) {
        const buffers = process.memoryUsage().arrayBuffers;
        const { result: outcome, allocations } = await countAllocations(() => attempt(read));
        const grown = process.memoryUsage().arrayBuffers - buffers;
        const label = `file ${n} (${kind}, ${file.length} bytes)`;
        // Work is linear in the file, counted and not timed: a tensor takes 50 bytes of the header and at most six allocations.
        const most = 8 + (6 * file.length) / 50;
        assert.ok(allocations.count <= most, `${label} made ${allocations.count} allocations`);
        assert.ok(allocations.totalBytes <= 2 * file.length, `${label} allocated ${allocations.totalBytes} bytes`);
        assert.ok(
          allocations.largestBytes <= file.length,
          `${label} allocated ${allocations.largestBytes} bytes at once`,
        );
        // Collected garbage only lowers this number; what the system's own file calls hold is constant.
        assert.ok(grown <= 2 * file.length + 4096, `${label} holds ${grown} bytes of buffers`);
        if (file.length > 0) worstRatio = Math.max(worstRatio, allocations.totalBytes / file.length);
        worstBuffers = Math.max(worstBuffers, grown);
        try {
          judge(outcome, expected);
        } catch (cause) {
          throw new Error(`${label}: ${Buffer.from(file).toString("latin1").slice(0, 500)}`, { cause });
        }
        if (outcome instanceof EvenkeelError) refused.set(kind, (refused.get(kind) ?? 0) + 1);
        else accepted++;
      }
    }
    t.diagnostic(`accepted ${accepted}; refused ${JSON.stringify(Object.fromEntries(refused))}`);
    t.diagnostic(`most allocated: ${worstRatio.toFixed(2)} x the file; most buffers kept: ${worstBuffers} bytes`);
    // The damage must not all be of one outcome, or the test says nothing.
    assert.ok(accepted > files / 10);
    for (const kind of kinds) {
      const harmless = ["nothing", "spaces", "shuffleMembers", "flipDataBits"].includes(kind);
      if (!harmless) assert.ok((refused.get(kind) ?? 0) > 0, `${kind} never led to an error`);
    }
  });

  it("a header that promises terabytes allocates nothing but the header", async () => {
    const header = '{"a":{"dtype":"F64","shape":[1000000000,1000],"data_offsets":[0,8000000000000]}}';
    const file = Buffer.concat([Buffer.from([header.length, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(header)]);
    const name = path.join(folder, "promise.safetensors");
    await writeFile(name, file);
    const { result, allocations } = await countAllocations(() => attempt(() => readFromDisk(name)));
    assert.ok(result instanceof EvenkeelError && /truncated/.test(result.message));
    assert.ok(result.message.startsWith(name));
    assert.ok(allocations.totalBytes <= 2 * file.length);
  });
});

function readInMemory(file: Uint8Array): Content {
  const parsed = parseSafetensors(file);
  return { metadata: parsed.metadata, tensors: [...parsed.tensors()] };
}

async function readFromDisk(name: string): Promise<Content> {
  const reader = await openSafetensors(name);
  try {
    const tensors: StoredTensor[] = [];
    for await (const tensor of reader.tensors()) tensors.push(tensor);
    return { metadata: reader.metadata, tensors };
  } finally {
    await reader.close();
  }
}
