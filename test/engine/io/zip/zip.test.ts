/** Archives that are written come back, by our reader and by other programs', and damaged ones don't pass for whole. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { crc32 as crc32OfNode, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { EvenkeelError } from "../../../../engine/index.ts";
import {
  type FileSink,
  memoryFolder,
  readWhole,
  type WritableZipEntry,
  writeZip,
  ZipArchive,
} from "../../../../engine/io/index.ts";
import { crc32 } from "../../../../engine/io/zip/crc32.ts";
import { diskFile } from "../../../../engine/io/node.ts";
import { rawZip } from "../../../diffusion/data/sampleFiles.ts";

const root = await mkdtemp(join(tmpdir(), "evenkeel-zip-"));
after(() => rm(root, { recursive: true }));

const modified = new Date(Date.UTC(2024, 1, 29, 13, 37, 42));

type Content = { readonly name: string; readonly pieces: readonly Uint8Array[]; readonly isWhole: boolean };

const bytesOf = ({ pieces }: Content): Buffer => Buffer.concat(pieces);

function entryOf(content: Content): WritableZipEntry {
  const whole = new Uint8Array(bytesOf(content));
  if (content.isWhole) return { name: content.name, modified, content: whole };
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    yield* content.pieces;
  };
  return { name: content.name, modified, size: whole.length, content: pieces() };
}

async function zipOf(entries: Iterable<WritableZipEntry>): Promise<Uint8Array<ArrayBuffer>> {
  const file = memoryFolder().file("a.zip");
  await file.write((sink) => writeZip(sink, entries));
  return readWhole(file);
}

async function openBytes(bytes: Uint8Array): Promise<ZipArchive> {
  const file = memoryFolder().file("a.zip");
  await file.write((sink) => sink.write(bytes));
  return ZipArchive.open(await file.open(), "a.zip");
}

const part = fc
  .oneof(fc.stringMatching(/^[a-zäßé日😀 _.()-]{1,12}$/u), fc.constantFrom("n".repeat(200), "a", "con"))
  .filter((text) => text !== "." && text !== "..");
const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 30 }),
  fc.integer({ min: 65_530, max: 70_000 }).map((length) => new Uint8Array(length).fill(length)),
);
const contents = fc.uniqueArray(
  fc.record({ name, pieces: fc.array(piece, { maxLength: 3 }), isWhole: fc.boolean() }),
  // Without what other programs can't unpack beside each other.
  { maxLength: 6, selector: ({ name }) => name.split("/")[0] },
);

const python = `
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    print(json.dumps([[i.filename, z.read(i).hex(), i.date_time, i.external_attr >> 16] for i in z.infolist()]))
`;

const runs = (program: string, option: string): boolean => spawnSync(program, [option]).status === 0;
const skipPython = runs("python3", "--version") ? false : "there is no python3";
const skipUnzip = runs("unzip", "-v") ? false : "there is no unzip";

describe("the checksum", () => {
  it("is zlib's, in pieces, too", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(9), (bytes, at, skipped) => {
        assert.equal(crc32(bytes.subarray(skipped)), crc32OfNode(bytes.subarray(skipped)));
        assert.equal(crc32(bytes.subarray(at), crc32(bytes.subarray(0, at))), crc32OfNode(bytes));
      }),
    );
  });
});

describe("archives that are written", () => {
  it("come back, and are the same bytes each time", async () => {
    await fc.assert(
      fc.asyncProperty(contents, async (files) => {
        const zip = await zipOf(files.map(entryOf));
        assert.deepEqual(await zipOf(files.map(entryOf)), zip);
        const archive = await openBytes(zip);
        assert.equal(archive.bytesAround, 0);
        assert.deepEqual(
          archive.entries.map((entry) => [entry.name, entry.nameGuess, entry.isLink]),
          files.map((file) => [file.name, null, false]),
        );
        for (const [i, entry] of archive.entries.entries()) {
          const expected = bytesOf(files[i] ?? { name: "", pieces: [], isWhole: true });
          assert.deepEqual(Buffer.from(await archive.read(entry)), expected);
          assert.deepEqual(Buffer.from(await archive.head(entry, 7)), expected.subarray(0, 7));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("are read by Python, with names, times and modes", { skip: skipPython }, async () => {
    await fc.assert(
      fc.asyncProperty(contents, async (files) => {
        await writeFile(join(root, "p.zip"), await zipOf(files.map(entryOf)));
        const { stdout, stderr } = spawnSync("python3", ["-c", python, join(root, "p.zip")], {
          encoding: "utf8",
          maxBuffer: 2 ** 27,
        });
        assert.equal(stderr, "");
        const expected = files.map((file) => [
          file.name,
          bytesOf(file).toString("hex"),
          [2024, 2, 29, 13, 37, 42],
          0o100644,
        ]);
        assert.deepEqual(JSON.parse(stdout), expected);
      }),
      { numRuns: 10 },
    );
  });

  it("are whole to Info-ZIP", { skip: skipUnzip }, async () => {
    await fc.assert(
      fc.asyncProperty(contents, async (files) => {
        fc.pre(files.length > 0);
        await writeFile(join(root, "u.zip"), await zipOf(files.map(entryOf)));
        const { status, stdout } = spawnSync("unzip", ["-t", join(root, "u.zip")], { encoding: "utf8" });
        assert.equal(status, 0, stdout);
        assert.match(stdout, /No errors detected/);
      }),
      { numRuns: 10 },
    );
  });

  it("hold more files than 16 bits count", { skip: skipPython }, async () => {
    const empty = Array.from({ length: 2 ** 16 - 1 }, (_, i) => ({
      name: i.toString(36),
      modified,
      content: new Uint8Array(0),
    }));
    for (const count of [2 ** 16 - 2, 2 ** 16 - 1]) {
      const zip = await zipOf(empty.slice(0, count));
      assert.equal((await openBytes(zip)).entries.length, count);
      await writeFile(join(root, "m.zip"), zip);
      const list = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))";
      const { stdout } = spawnSync("python3", ["-c", list, join(root, "m.zip")], { encoding: "utf8" });
      assert.equal(Number(stdout), count);
    }
  });

  it("hold files above 4 GiB, and files behind them", { skip: skipPython }, async () => {
    const block = new Uint8Array(2 ** 26);
    const path = join(root, "large.zip");
    const size = 64 * block.length + 3;
    const large = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 64; i++) yield block;
      yield Uint8Array.of(1, 2, 3);
    };
    const behind = new TextEncoder().encode("behind");
    const file = await open(path, "w");
    let position = 0;
    // Zeros are left out of the file, where a disk reads zeros.
    const sink: FileSink = {
      write: async (bytes) => {
        if (bytes !== block) await file.write(bytes, 0, bytes.length, position);
        position += bytes.length;
      },
    };
    await writeZip(sink, [
      { name: "large", modified, size, content: large() },
      { name: "behind", modified, content: behind },
    ]);
    await file.close();
    const opened = await diskFile(path).open();
    const archive = await ZipArchive.open(opened, path);
    const [first, second] = archive.entries;
    assert.ok(first !== undefined && second !== undefined, "two files");
    assert.deepEqual([first.size, first.packedSize], [size, size]);
    assert.ok(second.offset > 2 ** 32, "the second file's header lies above 4 GiB");
    assert.deepEqual(new Uint8Array(await archive.read(second)), behind);
    assert.deepEqual(new Uint8Array(await archive.head(first, 2)), new Uint8Array(2));
    await opened.close();
    const list =
      "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print([i.file_size for i in z.infolist()], z.read('behind'))";
    const { stdout } = spawnSync("python3", ["-c", list, path], { encoding: "utf8" });
    assert.equal(stdout.trim(), `[${size}, 6] b'behind'`);
  });

  it("are refused for names, dates and sizes that can't be kept", async () => {
    const content = new Uint8Array(0);
    const refused = (entries: readonly WritableZipEntry[], pattern: RegExp): Promise<void> =>
      assert.rejects(zipOf(entries), (reason) => {
        assert.ok(reason instanceof EvenkeelError && reason.code === "value", String(reason));
        assert.match(reason.message, pattern);
        return true;
      });
    for (const bad of ["", "/a", "a/", "a//b", "../a", "a/./b", "a\\b", "C:a", "a\0b"]) {
      await refused([{ name: bad, modified, content }], /is no name of a file in an archive/);
    }
    await refused([{ name: "é".repeat(32_768), modified, content }], /has 65536 bytes, at most 65535/);
    const twice = { name: "a", modified, content };
    await refused([twice, twice], /"a" comes twice/);
    for (const date of [new Date(Date.UTC(1979, 11, 31)), new Date(Date.UTC(2108, 0, 1)), new Date(NaN)]) {
      await refused([{ name: "a", modified: date, content }], /expected a year from 1980 to 2107/);
    }
    const short = entryOf({ name: "a", pieces: [Uint8Array.of(1)], isWhole: false });
    await refused([{ ...short, size: 2 }], /"a" gave 1 bytes, expected 2/);
  });
});

describe("archives that are read", () => {
  it("unpack what is deflated, however long, and its beginning without the rest", async () => {
    const long = fc.tuple(fc.nat(300_000), fc.integer({ min: 1, max: 256 }), fc.nat()).map(([length, values, seed]) => {
      const bytes = new Uint8Array(length);
      let state = seed;
      for (let i = 0; i < length; i++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        bytes[i] = (state >>> 24) % values;
      }
      return bytes;
    });
    await fc.assert(
      fc.asyncProperty(long, fc.integer({ min: 0, max: 400 }), async (content, head) => {
        const archive = await openBytes(rawZip([["a", content]], { isPacked: true }));
        const [entry] = archive.entries;
        assert.ok(entry !== undefined, "a file");
        assert.deepEqual(Buffer.from(await archive.read(entry)), Buffer.from(content));
        assert.deepEqual(Buffer.from(await archive.head(entry, head)), Buffer.from(content.subarray(0, head)));
      }),
      { numRuns: 40 },
    );
  });

  it("give an error or the right bytes wherever one byte is another", async () => {
    const content = new Uint8Array(Array.from({ length: 400 }, (_, i) => (i * i) % 251));
    const text = new TextEncoder().encode("evenkeel ".repeat(40));
    for (const isPacked of [false, true]) {
      const zip = rawZip(
        [
          ["a", content],
          ["b/c", text],
        ],
        { isPacked },
      );
      await fc.assert(
        fc.asyncProperty(fc.nat(zip.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
          const damaged = Buffer.from(zip);
          damaged[at] = (damaged[at] ?? 0) ^ change;
          try {
            const archive = await openBytes(damaged);
            for (const entry of archive.entries) {
              // The claim is checked by who reads, before anything is unpacked.
              if (entry.size > 1000) continue;
              const read = Buffer.from(await archive.read(entry));
              const expected = entry.crc32 === crc32OfNode(content) ? content : text;
              assert.deepEqual(read, Buffer.from(expected));
            }
          } catch (reason) {
            assert.ok(reason instanceof EvenkeelError && reason.code === "file", String(reason));
          }
        }),
        { numRuns: 400 },
      );
    }
  });

  it("stop unpacking what is more than it claims", async () => {
    // Zeros pack a thousandfold: 128 MiB of them in one file that claims ten bytes.
    const packed = deflateRawSync(new Uint8Array(2 ** 27));
    const zip = rawZip([["a", packed]]);
    const directory = zip.indexOf(Buffer.from("PK\x01\x02", "latin1"));
    zip.writeUInt16LE(8, directory + 10);
    zip.writeUInt32LE(10, directory + 24);
    const archive = await openBytes(zip);
    const [entry] = archive.entries;
    assert.ok(entry !== undefined, "a file");
    await assert.rejects(archive.read(entry), /a: unpacks to more than the 10 bytes that it claims/);
  });
});
