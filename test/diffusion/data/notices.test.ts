import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { describeNotice, listNotice, Notices } from "../../../diffusion/data/index.ts";

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

  it("list as many names as are wanted", () => {
    const notices = new Notices();
    for (let i = 0; i < 120; i++) notices.add("left out", "damaged", `folder/${i}.png`);
    const [line = ""] = notices.list.map(listNotice);
    assert.ok(line.startsWith("Left out 120 (folder/0.png, ") && line.includes("folder/99.png, ...)"), line);
  });

  it("count all that was added and stay one short line whatever the names hold", () => {
    const characters = fc.constantFrom("a", "é", "😀", "\u0007", "\u001b", "\n", "\u202e", "\u2028", "\ud800");
    const name = fc.string({ unit: characters, maxLength: 1000 });
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
        // A character is escaped to six at most.
        assert.ok(line.length < 6 * (160 + 160) + 60, `${line.length}`);
      }),
    );
  });
});
