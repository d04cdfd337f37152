import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parseSafetensors, serializeSafetensors, toFloat64 } from "../../../../engine/io/index.ts";
import { openSafetensors } from "../../../../engine/io/node.ts";
import { readPlainly } from "../plainReader.ts";
import { bytesOf } from "../safetensorsSamples.ts";

const copied = fileURLToPath(new URL("../../../reference", import.meta.url));
const folder = process.env.EVENKEEL_REFERENCE ?? copied;
const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".safetensors")) : [];
const skip = files.length === 0 && `no reference files in ${folder}; set EVENKEEL_REFERENCE to their folder`;

describe("reference files", { skip }, () => {
  for (const name of files) {
    it(`${name}: every tensor, finite, the same from disk and memory, and written back`, async () => {
      const bytes = await readFile(path.join(folder, name));
      const plain = readPlainly(bytes);
      assert.ok(plain !== undefined);
      const memory = parseSafetensors(bytes);
      await using disk = await openSafetensors(path.join(folder, name));
      assert.deepEqual(disk.metadata, plain.metadata);
      assert.deepEqual(memory.metadata, plain.metadata);
      assert.equal(disk.entries.size, plain.tensors.size);
      assert.ok(disk.entries.size > 0);
      for await (const { name, dtype, shape, data } of disk.tensors()) {
        const tensor = memory.tensor(name);
        const expected = plain.tensors.get(name);
        assert.ok(expected !== undefined);
        assert.deepEqual([dtype, shape], [expected.dtype, expected.shape]);
        assert.deepEqual([tensor.dtype, tensor.shape], [dtype, shape]);
        assert.equal(Buffer.compare(bytesOf(data), expected.bytes), 0, name);
        assert.equal(Buffer.compare(bytesOf(tensor.data), expected.bytes), 0, name);
        const values = toFloat64(tensor);
        assert.ok(values.every(Number.isFinite), `${name} is not finite`);
        assert.equal(
          values.length,
          shape.reduce((product, size) => product * size, 1),
        );
      }
      const copy = readPlainly(
        serializeSafetensors(
          [...memory.tensors()].map((tensor) => [tensor.name, tensor] as const),
          {
            metadata: memory.metadata,
          },
        ),
      );
      assert.deepEqual(copy?.metadata, plain.metadata);
      assert.equal(copy.tensors.size, plain.tensors.size);
      for (const [name, { dtype, shape, bytes }] of plain.tensors) {
        const same = copy.tensors.get(name);
        assert.deepEqual([same?.dtype, same?.shape], [dtype, shape]);
        assert.ok(same !== undefined && Buffer.compare(same.bytes, bytes) === 0, name);
      }
    });
  }
});
