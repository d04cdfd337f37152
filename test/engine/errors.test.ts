import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { describeIssues, isNestedDeeply, quoteText } from "../../engine/io/index.ts";
import { EvenkeelError, printable } from "../../engine/index.ts";

/** Texts as hostile files have them: orders to the terminal among ordinary letters. */
const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom("\u001b[31m", "\u001b]0;t\u0007", "\r", "\n", "\u009b", "\u202e", "\u2028", "\0"),
    fc.string({ maxLength: 3 }),
  ),
});

const orders = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

describe("EvenkeelError", () => {
  it("is one line of bounded length without orders to the terminal, whatever it repeats of a file", () => {
    fc.assert(
      fc.property(hostile, fc.nat(20_000), (name, times) => {
        const { message } = new EvenkeelError("file", `first ${name.repeat(times)}, do this.`);
        assert.doesNotMatch(message, orders);
        assert.ok(message.length <= 4000, `${message.length} characters`);
        assert.ok(message.startsWith("first ") && message.endsWith(", do this."));
      }),
      { numRuns: 50 },
    );
  });

  it("keeps what is printable as it is, and escapes once", () => {
    const text = 'a.png: "\\u001b" is 3x4 – größer, 日本語 👍🏽, שלום';
    assert.equal(new EvenkeelError("value", text).message, text);
    assert.equal(printable("a\u001b[31mb\u0085"), "a\\u001b[31mb\\u0085");
    fc.assert(fc.property(hostile, (name) => assert.equal(printable(printable(name)), printable(name))));
  });

  it("shows the source of a kernel whole", () => {
    const source = "let a = 1;\n".repeat(1000);
    assert.equal(new EvenkeelError("kernel", source).message, source);
  });
});

describe("isNestedDeeply", () => {
  it("tells what can't be walked through from what can", () => {
    const nested = (depth: number): unknown => JSON.parse(`${'{"a":['.repeat(depth)}1${"]}".repeat(depth)}`);
    assert.deepEqual([0, 1, 49, 50, 51, 100_000].map(nested).map(isNestedDeeply), [
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
    assert.equal(isNestedDeeply(Array.from({ length: 1e5 }, () => [null, 1, "a"])), false);
  });
});

describe("describeIssues", () => {
  it("names the first places and counts the others", () => {
    const issues = Array.from({ length: 200_001 }, (_, i) => ({ path: ["labels", i, 0], message: "expected a text" }));
    assert.equal(
      describeIssues({ issues }),
      "expected a text at labels.0.0; expected a text at labels.1.0; expected a text at labels.2.0; and 199998 more such places",
    );
    assert.equal(describeIssues({ issues: [{ path: [], message: "expected a number" }] }), "expected a number");
    assert.ok(describeIssues({ issues: [{ path: ["x".repeat(1e6)], message: "y".repeat(1e6) }] }).length < 500);
    assert.equal(quoteText("\u001b"), '"\\u001b"');
  });
});
