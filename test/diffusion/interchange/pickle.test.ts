import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PickleDict, PickleList, PickleTuple, type PickleValue } from "../../../diffusion/interchange/pickle/values.ts";
import { PickleReader } from "../../../diffusion/interchange/pickle/reader.ts";
import { type PickleWorld, readPickle } from "../../../diffusion/interchange/pickle/machine.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { knowsPeakMemory, peakMemory } from "../../support/peakMemory.ts";

/** A dictionary of everything plain, as Python 3.11 pickles it by protocols 0 to 5. */
const everything = [
  "KGRwMApWYQpwMQoobHAyCkkxCmFMMTE4MDU5MTYyMDcxNzQxMTMwMzQyNEwKYUktMwphRjEuNQphTmFJMDEKYVZ0ZXh0XHUwMDBhCnAzCmFzVmIKcDQKKEkxCihJMgp0cDUKdHA2CnNWYwpwNwpjX2NvZGVjcwplbmNvZGUKcDgKKFZcdTAwMDAB/wpwOQpWbGF0aW4xCnAxMAp0cDExClJwMTIKc1ZkCnAxMwpjY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcDE0Cih0UnAxNQpWeApwMTYKSTEKc3NWZQpwMTcKVulcVTAwMDFmNjAwCnAxOApzLg==",
  "fXEAKFgBAAAAYXEBXXECKEsBTDExODA1OTE2MjA3MTc0MTEzMDM0MjRMCkr9////Rz/4AAAAAAAATkkwMQpYBQAAAHRleHQKcQNlWAEAAABicQQoSwEoSwJ0cQV0cQZYAQAAAGNxB2NfY29kZWNzCmVuY29kZQpxCChYBAAAAAABw79xCVgGAAAAbGF0aW4xcQp0cQtScQxYAQAAAGRxDWNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxDilScQ9YAQAAAHhxEEsBc1gBAAAAZXERWAYAAADDqfCfmIBxEnUu",
  "gAJ9cQAoWAEAAABhcQFdcQIoSwGKCQAAAAAAAAAAQEr9////Rz/4AAAAAAAATohYBQAAAHRleHQKcQNlWAEAAABicQRLAUsChXEFhnEGWAEAAABjcQdjX2NvZGVjcwplbmNvZGUKcQhYBAAAAAABw79xCVgGAAAAbGF0aW4xcQqGcQtScQxYAQAAAGRxDWNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxDilScQ9YAQAAAHhxEEsBc1gBAAAAZXERWAYAAADDqfCfmIBxEnUu",
  "gAN9cQAoWAEAAABhcQFdcQIoSwGKCQAAAAAAAAAAQEr9////Rz/4AAAAAAAATohYBQAAAHRleHQKcQNlWAEAAABicQRLAUsChXEFhnEGWAEAAABjcQdDAwAB/3EIWAEAAABkcQljY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcQopUnELWAEAAAB4cQxLAXNYAQAAAGVxDVgGAAAAw6nwn5iAcQ51Lg==",
  "gASVgQAAAAAAAAB9lCiMAWGUXZQoSwGKCQAAAAAAAAAAQEr9////Rz/4AAAAAAAAToiMBXRleHQKlGWMAWKUSwFLAoWUhpSMAWOUQwMAAf+UjAFklIwLY29sbGVjdGlvbnOUjAtPcmRlcmVkRGljdJSTlClSlIwBeJRLAXOMAWWUjAbDqfCfmICUdS4=",
  "gAWVgQAAAAAAAAB9lCiMAWGUXZQoSwGKCQAAAAAAAAAAQEr9////Rz/4AAAAAAAAToiMBXRleHQKlGWMAWKUSwFLAoWUhpSMAWOUQwMAAf+UjAFklIwLY29sbGVjdGlvbnOUjAtPcmRlcmVkRGljdJSTlClSlIwBeJRLAXOMAWWUjAbDqfCfmICUdS4=",
];

const world: PickleWorld = {
  functions: new Map<string, (args: readonly PickleValue[]) => PickleValue>([
    ["collections.OrderedDict", () => new PickleDict()],
    ["_codecs.encode", ([text]) => (typeof text === "string" ? new Uint8Array(Buffer.from(text, "latin1")) : null)],
  ]),
  classes: new Set(),
  names: () => false,
};

/** As JSON has it, with tuples, bytes and large integers marked. */
function show(value: PickleValue): unknown {
  if (value instanceof PickleTuple) return { tuple: value.items.map(show) };
  if (value instanceof PickleList) return value.items.map(show);
  if (value instanceof PickleDict)
    return Object.fromEntries([...value.entries].map(([key, item]) => [key, show(item)]));
  if (value instanceof Uint8Array) return { bytes: [...value] };
  return typeof value === "bigint" ? { integer: value.toString() } : value;
}

const read = (bytes: Uint8Array): PickleValue => readPickle(new PickleReader(bytes, "test.pkl"), world);
const bytesOf = (...parts: readonly (string | readonly number[])[]): Uint8Array =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string, "latin1")));

function refuses(bytes: Uint8Array, pattern: RegExp): void {
  assert.throws(
    () => read(bytes),
    (error) => {
      assert.ok(error instanceof EvenkeelError, String(error));
      assert.equal(error.code, "file");
      assert.match(error.message, pattern);
      return true;
    },
  );
}

describe("readPickle", () => {
  everything.forEach((text, protocol) => {
    it(`reads protocol ${protocol}`, () => {
      assert.deepEqual(show(read(Buffer.from(text, "base64"))), {
        a: [1, { integer: "1180591620717411303424" }, -3, 1.5, null, true, "text\n"],
        b: { tuple: [1, { tuple: [2] }] },
        c: { bytes: [0, 1, 255] },
        d: { x: 1 },
        e: "\u00e9\u{1F600}",
      });
    });
  });

  it("refuses what is not allowed by its name", () => {
    for (const text of [
      "Y3Bvc2l4CnN5c3RlbQpwMAooVmVjaG8gaGkKcDEKdHAyClJwMwou",
      "gAJjcG9zaXgKc3lzdGVtCnEAWAcAAABlY2hvIGhpcQGFcQJScQMu",
      "gASVIgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAdlY2hvIGhplIWUUpQu",
    ]) {
      refuses(Buffer.from(text, "base64"), /asks for posix\.system, which is not allowed; nothing of it was run/);
    }
    refuses(bytesOf("c__builtin__\neval\n."), /__builtin__\.eval/);
    refuses(bytesOf("(i__builtin__\nexec\n."), /__builtin__\.exec/);
  });

  it("reads texts of a million escapes in little memory", { skip: !knowsPeakMemory }, async () => {
    const count = 1_000_000;
    const file = bytesOf(`(S'${"\\\\\\x41\\z".repeat(count)}'\nV${"\\u0042\\".repeat(count)}\nt.`);
    const { result, bytes } = await peakMemory(() => read(file));
    assert.ok(result instanceof PickleTuple);
    assert.ok(result.items[0] === "\\A\\z".repeat(count) && result.items[1] === "B\\".repeat(count));
    assert.ok(bytes < 12 * file.length, `${Math.round(bytes / 2 ** 20)} MiB of ${file.length} bytes`);
  });

  it("reads pickles one after the other", () => {
    const reader = new PickleReader(bytesOf("K\x01.", "K\x02."), "two");
    assert.deepEqual([readPickle(reader, world), readPickle(reader, world)], [1, 2]);
    assert.equal(reader.position, 6);
  });

  it("refuses lengths beyond the end before anything is allocated", () => {
    refuses(bytesOf([0x8e], [255, 255, 255, 255, 255, 255, 255, 127], "."), /beyond the end/);
    refuses(bytesOf("B", [255, 255, 255, 255], "."), /ends where 4294967295 bytes/);
    refuses(bytesOf("X", [255, 255, 255, 127], "."), /ends where 2147483647 bytes/);
    refuses(bytesOf([0x8b], [255, 255, 255, 255], "."), /an integer has 4294967295 bytes/);
    refuses(bytesOf([0x95], [255, 255, 255, 255, 0, 0, 0, 1], "."), /beyond the end/);
  });

  it("refuses broken stacks, memos and opcodes", () => {
    refuses(bytesOf("."), /a value is missing/);
    // Numbers of a file's choice could all fall into one place of a table.
    const float = ["G", [0x3f, 0xf8, 0, 0, 0, 0, 0, 0]] as const;
    refuses(bytesOf("}", ...float, "K\x01s."), /key or member of a set is a number, and no integer of 24 bits/);
    refuses(bytesOf("\x8f(", ...float, "\x90."), /key or member of a set is a number/);
    refuses(bytesOf("}J", [0, 0, 0, 2], "K\x01s."), /key or member of a set is a number/);
    read(bytesOf("}J", [0, 0, 0, 1], "K\x01s."));
    refuses(bytesOf("Nr", [255, 255, 255, 255], "."), /a memo has the number 4294967295/);
    refuses(bytesOf("0."), /stack is empty/);
    refuses(bytesOf("K\x01K\x02."), /left over/);
    refuses(bytesOf("t."), /a mark is missing/);
    refuses(bytesOf("(K\x01."), /left over/);
    refuses(bytesOf("h\x07."), /memo 7 is empty/);
    refuses(bytesOf("K\x01K\x02a."), /what is no list/);
    refuses(bytesOf("K\x01K\x02K\x03s."), /what is no dictionary/);
    refuses(bytesOf("}(K\x01u."), /key has no value/);
    refuses(bytesOf("}}b."), /what is no object/);
    refuses(bytesOf("K\x01)R."), /no function/);
    refuses(bytesOf([0x80, 9], "."), /protocol 9/);
    refuses(bytesOf("\xff."), /opcode 0xff/);
    refuses(bytesOf([0x82, 1], "."), /opcode 0x82/);
    refuses(bytesOf("Pid\n."), /data outside of it/);
    refuses(bytesOf("K"), /ends where/);
    refuses(bytesOf("I12x\n."), /integer can't be read/);
    refuses(bytesOf("Fone\n."), /float can't be read/);
    refuses(bytesOf([0x8c, 1, 255], "."), /not UTF-8/);
    refuses(bytesOf("cx"), /a line has no end/);
  });

  it("takes shared parts for what they are, without unfolding them", () => {
    // A list of two of the list before, 60 deep: 2^60 leaves if it were unfolded.
    const parts = ["]", "K\x01a"];
    for (let i = 0; i < 60; i++)
      parts.push(`q${String.fromCharCode(i)}0](h${String.fromCharCode(i)}h${String.fromCharCode(i)}e`);
    const value = read(bytesOf(...parts, "."));
    assert.ok(value instanceof PickleList);
    assert.equal(value.items.length, 2);
    assert.equal(value.items[0], value.items[1]);
  });
});
