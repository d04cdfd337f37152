import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { describeClasses, parseClasses } from "../../../diffusion/sample/index.ts";

describe("parseClasses", () => {
  const names = ["cats", "dogs", "mice", "a, b"];
  const parse = (list: string): readonly number[] => parseClasses(list, { count: 4, names });

  it("takes names, numbers and ranges, in their order, as often as they are there", () => {
    assert.deepEqual(parse("dogs"), [1]);
    assert.deepEqual(parse("mice, cats,cats,0,3-3,0-2"), [2, 0, 0, 0, 3, 0, 1, 2]);
    assert.deepEqual(parse("cats,a, b,dogs"), [0, 3, 1]);
    assert.deepEqual(parseClasses("2,0,0", { count: 3, names: null }), [2, 0, 0]);
  });

  it("takes a number for the name that is written so", () => {
    const folders = { count: 12, names: Array.from({ length: 12 }, (_, i) => String(i)).sort() };
    assert.deepEqual(folders.names.slice(0, 4), ["0", "1", "10", "11"]);
    assert.deepEqual(parseClasses("2,10", folders), [4, 2]);
    assert.deepEqual(parseClasses("2-4", folders), [4, 5, 6]);
    assert.equal(describeClasses([4, 2], folders.names), "2 (4), 10 (2)");
    assert.deepEqual(parseClasses("0-9", { count: 2, names: ["0-9", "a-z"] }), [0]);
  });

  it("finds every name in any list of names, whatever they hold", () => {
    const name = fc
      .string({ minLength: 1, maxLength: 8 })
      .filter((text) => text.trim() === text && !text.includes(","));
    const lists = fc
      .uniqueArray(name, { minLength: 1, maxLength: 6 })
      .chain((all) => fc.tuple(fc.constant(all), fc.array(fc.nat(all.length - 1), { minLength: 1, maxLength: 8 })));
    fc.assert(
      fc.property(lists, ([all, wanted]) => {
        const list = wanted.map((each) => all[each]).join(",");
        assert.deepEqual(parseClasses(list, { count: all.length, names: all }), wanted);
      }),
    );
  });

  it("finds names with accents in whatever form they are typed or kept", () => {
    for (const kept of ["NFC", "NFD"] as const) {
      for (const typed of ["NFC", "NFD"] as const) {
        const space = { count: 2, names: ["dogs", "cafés".normalize(kept)] };
        assert.deepEqual(parseClasses("cafés ,dogs".normalize(typed), space), [1, 0]);
      }
    }
  });

  it("refuses what is no class in words about classes", () => {
    const refuse = (
      list: string,
      pattern: RegExp,
      space = { count: 4, names: names as readonly string[] | null },
    ): void => assert.throws(() => parseClasses(list, space), { code: "value", message: pattern });
    refuse(
      "4",
      /^class "4" is none of the network's\. It has classes 0 to 3: cats \(0\), dogs \(1\), mice \(2\), a, b \(3\)\.$/,
    );
    refuse("Cat", /\(did you mean "cats"\)/);
    refuse("cats,", /^class "" is none/);
    refuse("2-1", /a range goes upwards/);
    refuse("0-99999999999", /classes 0 to 3/);
    refuse("dogs", /its classes have no names.*classes 0 to 9\.$/, { count: 10, names: null });
    refuse("1", /class 0 alone/, { count: 1, names: null });
    const many = Array.from({ length: 1000 }, (_, i) => `class of number ${i}`);
    assert.throws(
      () => parseClasses("x".repeat(500), { count: 1000, names: many }),
      (error: Error) => error.message.length < 1200,
    );
  });
});
