import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { describeNotice, Notices } from "../../../diffusion/node.ts";

describe("notices", () => {
  it("are one line a kind, with the count and the first names", () => {
    const notices = new Notices();
    notices.add("left out", "HEIC pictures", "a.heic");
    notices.add("guessed", "classes, from folders", null, 5);
    notices.add("left out", "HEIC pictures", "b.heic");
    assert.deepEqual(notices.list.map(describeNotice), [
      "Left out 2 (a.heic, b.heic): HEIC pictures.",
      "Guessed 5: classes, from folders.",
    ]);
    for (let i = 0; i < 100; i++) notices.add("changed", "sizes", `${i}.png`);
    assert.match(
      describeNotice(notices.list[2] ?? assert.fail()),
      /^Changed 100 \(0\.png, 1\.png, .*, \.\.\.\): sizes\.$/,
    );
  });

  it("count all that was added and stay one short line whatever the names hold", () => {
    const name = fc.string({ unit: "binary", maxLength: 60 });
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 15 }), (names) => {
        const notices = new Notices();
        for (const each of names) notices.add("changed", "things", each);
        const [notice] = notices.list;
        assert.ok(notice !== undefined && notices.list.length === 1);
        assert.equal(notice.count, names.length);
        const line = describeNotice(notice);
        assert.ok(!/[\p{Cc}\u2028\u202e]/u.test(line));
        assert.ok(line.startsWith(`Changed ${names.length} (`) && line.endsWith("): things."), line);
        // A character is escaped to ten at most.
        assert.ok(line.length < 10 * 60 + 160 + 60, `${line.length}`);
      }),
    );
  });
});
