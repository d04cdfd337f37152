/** Event files, read by a reader of the tests' own. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import {
  crc32c,
  encodeEvent,
  EventFile,
  frameRecord,
  maskedCrc,
  type SummaryValue,
} from "../../../diffusion/run/eventFile.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { message, only, readFields, readRecords, text } from "./readEvents.ts";

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-events-"));
});
after(() => rm(root, { recursive: true }));

test("CRC-32C gives the check values of RFC 3720 and of the polynomial's catalogue", () => {
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(new Uint8Array(0)), 0);
  assert.equal(maskedCrc(new Uint8Array(0)), 0xa282ead8);
});

test("the bytes of a first event and of a number are those of the format", () => {
  // Worked out by hand: field 1 as double 0, field 3 "brain.Event:2".
  const version = "09 0000000000000000 1a 0d 627261696e2e4576656e743a32".replaceAll(" ", "");
  assert.equal(Buffer.from(encodeEvent(0, 0, "version")).toString("hex"), version);
  // Wall time 1, step 300 = 0xac 0x02, summary { value { tag "a", simple_value 1 } }.
  const scalar = "09 000000000000f03f 10 ac02 2a 0a 0a 08 0a 01 61 15 0000803f".replaceAll(" ", "");
  assert.equal(Buffer.from(encodeEvent(1, 300, [{ kind: "scalar", tag: "a", value: 1 }])).toString("hex"), scalar);
  const record = frameRecord(Uint8Array.of(1, 2, 3));
  assert.equal(record.length, 19);
  assert.deepEqual(readRecords(record), [Uint8Array.of(1, 2, 3)]);
});

test("a written file reads back: version, then numbers and pictures at their steps", async () => {
  const folder = await mkdtemp(join(root, "file-"));
  const now = new Date(1_700_000_000_500);
  const file = await EventFile.create(folder, now, 0);
  assert.match(basename(file.path), /^events\.out\.tfevents\.1700000000\../);
  const png = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 31) & 255);
  await file.write(now, 2208, [
    { kind: "scalar", tag: "Loss/loss", value: -0.15 },
    { kind: "scalar", tag: "Validation/error/0.5", value: 0.25 },
  ]);
  await file.write(now, 5_000_000_000, [{ kind: "image", tag: "samples", png, width: 640, height: 480 }]);

  const [version, start, numbers, picture, ...rest] = readRecords(await readFile(file.path)).map(readFields);
  assert.ok(version !== undefined && start !== undefined && numbers !== undefined && picture !== undefined);
  assert.deepEqual(rest, []);
  assert.equal(text(only(version, 3)), "brain.Event:2");
  assert.equal(only(version, 1), 1_700_000_000.5);

  assert.equal(only(start, 2), 0);
  assert.deepEqual(message(only(start, 7)), [{ field: 1, value: 1 }]);
  assert.equal(only(numbers, 2), 2208);
  const values = message(only(numbers, 5)).map(({ field, value }) => {
    assert.equal(field, 1);
    return message(value);
  });
  assert.deepEqual(
    values.map((value) => [text(only(value, 1)), only(value, 2)]),
    [
      ["Loss/loss", Math.fround(-0.15)],
      ["Validation/error/0.5", 0.25],
    ],
  );

  assert.equal(only(picture, 2), 5_000_000_000);
  const image = message(only(message(only(message(only(picture, 5)), 1)), 4));
  assert.deepEqual([only(image, 1), only(image, 2), only(image, 3)], [480, 640, 3]);
  assert.deepEqual(only(image, 4), png);
});

test("a resumed run writes a file of its own, which voids later steps of earlier ones", async () => {
  const folder = await mkdtemp(join(root, "resumed-"));
  const first = await EventFile.create(folder, new Date(1_700_000_000_000), 0);
  // The clock was put back.
  const resumed = await EventFile.create(folder, new Date(1_600_000_060_000), 4097);
  assert.deepEqual(
    (await readdir(folder)).sort(),
    [basename(first.path), basename(resumed.path)],
    "readers sort names",
  );
  const [, start] = readRecords(await readFile(resumed.path)).map(readFields);
  assert.ok(start !== undefined);
  assert.equal(only(start, 2), 4097);
  // SessionLog { status: START }
  assert.deepEqual(message(only(start, 7)), [{ field: 1, value: 1 }]);
});

test("any number and tag survives, as float32", () => {
  const scalar = fc.record({ tag: fc.string({ unit: "binary" }), value: fc.float() });
  fc.assert(
    fc.property(fc.array(scalar), fc.nat(), fc.double(), (scalars, step, wallTime) => {
      const values = scalars.map((each): SummaryValue => ({ kind: "scalar", ...each }));
      const event = readFields(encodeEvent(wallTime, step, values));
      assert.ok(Object.is(only(event, 1), wallTime) || Number.isNaN(wallTime));
      assert.equal(only(event, 2), step);
      const read = message(only(event, 5)).map(({ value }) => message(value));
      assert.deepEqual(
        read.map((value) => ({ tag: text(only(value, 1)), value: only(value, 2) })),
        scalars.map(({ tag, value }) => ({ tag: new TextDecoder().decode(new TextEncoder().encode(tag)), value })),
      );
    }),
  );
});

test("a folder that isn't there is an error of kind file", async () => {
  await assert.rejects(
    EventFile.create(join(root, "absent"), new Date(), 0),
    (reason) =>
      reason instanceof EvenkeelError &&
      reason.code === "file" &&
      /absent: writing into it failed/.test(reason.message),
  );
});
