/** Label files that name an image or an entry twice, of which JSON.parse keeps the last. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { membersOf } from "../../../diffusion/data/files/jsonMembers.ts";
import { described, meanings, read } from "./labelsIn.ts";

const space = fc.constantFrom("", " ", "\n\t", "\r\n");

/** An object as JSON, whose names may repeat. */
function objectText(members: readonly (readonly [name: string, value: unknown])[], between = ""): string {
  const texts = members.map(([name, value]) =>
    [JSON.stringify(name), ":", JSON.stringify(value, null, between.length)].join(between),
  );
  return `{${between}${texts.join(`${between},${between}`)}${between}}`;
}

describe("members of an object in a JSON text", () => {
  it("are all that stand there, whatever they hold", () => {
    const name = fc.oneof(fc.constantFrom("a", '"', "\\", '\\"', "{", "__proto__", ""), fc.string({ unit: "binary" }));
    const members = fc.array(fc.tuple(name, fc.jsonValue()), { maxLength: 6 });
    fc.assert(
      fc.property(members, members, space, (list, inner, between) => {
        const text = `${between}${objectText([...list, ["last", null]], between)}`;
        const nested = text.replace(/null(\s*\})$/, (_, end: string) => objectText(inner, between) + end);
        const found = [...membersOf(nested, nested.indexOf("{"))];
        assert.deepEqual(
          found.map((each) => each.name),
          [...list.map(([each]) => each), "last"],
        );
        list.forEach(([, value], i) => {
          const { start = 0, end = 0 } = found[i] ?? {};
          assert.deepEqual(JSON.parse(nested.slice(start, end)), JSON.parse(JSON.stringify(value)));
        });
        const within = [...membersOf(nested, found.at(-1)?.start ?? 0)];
        assert.deepEqual(
          within.map((each) => each.name),
          inner.map(([each]) => each),
        );
      }),
    );
  });
});

describe("dataset.json with repeated entries", () => {
  it("tells those that agree and refuses those that don't, with their names, as a list and as an object", async () => {
    const images = ["a.png", "b.png", "c.png"];
    const entry = fc.tuple(fc.constantFrom("./a.png", ...images), fc.constantFrom(0, 1, [1, 2], [1, 3], "x", "y"));
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 6 }), fc.boolean(), space, async (more, isList, between) => {
        const entries = [...images.map((image) => [image, more[0]?.[1] ?? 0] as const), ...more];
        const labels = isList ? JSON.stringify(entries) : objectText(entries, between);
        const reading = read(images, { "dataset.json": `{"labels": ${labels}}` });
        const first = new Map<string, unknown>();
        const contradicted = new Set<string>();
        let repeated = 0;
        for (const [file, label] of entries) {
          const name = file.replace("./", "");
          if (!first.has(name)) first.set(name, label);
          else if (String(first.get(name)) !== String(label)) contradicted.add(name);
          else repeated++;
        }
        if (contradicted.size > 0) {
          await assert.rejects(reading, (error: Error) => {
            assert.match(error.message, /different labels for the same images, (\d+) of them/);
            for (const name of contradicted) assert.ok(error.message.includes(JSON.stringify(name)));
            return true;
          });
          return;
        }
        const result = await reading;
        assert.deepEqual(meanings(result), Object.fromEntries(first));
        const counts = result.notices.map(({ what, count }) => [/have the same one there already/.test(what), count]);
        assert.deepEqual(counts, repeated === 0 ? [] : [[true, repeated]]);
      }),
    );
  });

  it("or with whole parts twice is refused; parts that aren't read are told", async () => {
    const twice = (name: string): Record<string, string> => ({
      "dataset.json": `{"labels": [["a.png", 0]], "classNames": ["x"], "${name}": null}`,
    });
    for (const name of ["labels", "classNames", "\\u006cabels"]) {
      await assert.rejects(
        read(["a.png"], twice(name)),
        /it has "(labels|classNames)" twice, of which one would be lost/,
      );
    }
    const { told, classNames } = await read(["a.png"], described([["a.png", 0]], { class_names: ["x"], info: {} }));
    assert.equal(classNames, null);
    assert.deepEqual(told, [
      'Left out 2 (class_names, info): entries of dataset.json that aren\'t read; it has "labels" and "classNames".',
    ]);
  });
});
