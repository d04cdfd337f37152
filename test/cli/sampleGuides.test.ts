import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { parseGuide } from "../../cli/sampleGuides.ts";
import type { SampleSettings } from "../../cli/sampleSettings.ts";
import { sample } from "./fakeNetworks.ts";

const root = await mkdtemp(path.join(os.tmpdir(), "evenkeel-guides-"));
after(() => rm(root, { recursive: true }));
let folders = 0;
const newFolder = (): string => path.join(root, `out${folders++}`);

describe("guides of sampled images", () => {
  it("guides by another network with the same classes or none, or by itself without labels", async () => {
    const guided = async (gnet: string, guidance = 2): Promise<readonly [readonly string[], (number[] | null)[]]> => {
      const settings = { outdir: newFolder(), steps: 1, seeds: [1], networkBatch: 1, classes: "2", guidance, gnet };
      const { loaded, labels } = await sample(settings);
      return [loaded, labels];
    };
    const own = [0, 0, 1, 0];
    assert.deepEqual(await guided("weak"), [
      ["colour", "weak"],
      [own, own],
    ]);
    assert.deepEqual(await guided("unlabelled"), [
      ["colour", "unlabelled"],
      [own, null],
    ]);
    assert.deepEqual(await guided("self"), [["colour"], [own, null]]);
    assert.deepEqual(await guided("weak", 1), [["colour"], [own]]);
  });

  it("guides by several networks at once, each loaded once, and by itself with dropout on", async () => {
    const settings = { steps: 1, seeds: [1], networkBatch: 1, classes: "2" };
    const own = [0, 0, 1, 0];
    const all = ["weak=0.5", "self=1", "unlabelled=0.2", "weak=0.1:0,1:0.25", "dropout=0.4", "colour=0"].map(
      parseGuide,
    );
    const { loaded, labels, dropped, disposed } = await sample({
      ...settings,
      outdir: newFolder(),
      guides: all,
      dropout: 0.2,
    });
    assert.deepEqual(loaded, ["colour", "weak", "unlabelled"]);
    assert.deepEqual(disposed.toSorted(), loaded.toSorted());
    assert.deepEqual([labels, dropped], [[own, own, null, null, own, own], [0.2]]);
    const grid = async (guide: Partial<SampleSettings>): Promise<Uint8Array> => {
      const file = path.join(newFolder(), "g.png");
      await sample({ ...settings, ...guide, grid: file });
      return readFile(file);
    };
    const pushed = await grid({ guides: [parseGuide("weak=0.5")] });
    assert.deepEqual(pushed, await grid({ gnet: "weak", guidance: 1.5 }));
    assert.notDeepEqual(pushed, await grid({}));
    assert.deepEqual(await grid({ guides: [parseGuide("weak=0")] }), await grid({}));
  });

  it("says which guides are none, and refuses what is no guide", async () => {
    const told = async (settings: Partial<SampleSettings>): Promise<string> =>
      (await sample({ outdir: newFolder(), seeds: [1], steps: 1, ...settings })).lines.join("\n");
    assert.match(await told({ guides: [parseGuide("weak=0")] }), /--guide weak changes nothing: its push is 0/);
    assert.match(await told({ dropout: 0.1 }), /--dropout changes nothing: there is no guide dropout/);
    const dropout = [parseGuide("dropout=1")];
    assert.match(await told({ guides: dropout, dropout: 0 }), /the guide dropout changes nothing: --dropout is 0/);
    await assert.rejects(told({ guides: dropout }), { code: "value", message: /without dropout.*--dropout 0\.1/ });
    await assert.rejects(told({ gnet: "dropout", guidance: 2 }), { code: "value", message: /--dropout 0\.1/ });
    assert.deepEqual(parseGuide("a=b.safetensors=1.5"), { name: "a=b.safetensors", weight: 2.5 });
    for (const text of ["weak", "=1", "weak=", "weak=strong"]) {
      assert.throws(() => parseGuide(text), { code: "value", message: /guidance: / });
    }
  });

  it("says that what a guide or a solver asks for was never trained, or isn't known to be", async () => {
    const told = async (settings: Partial<SampleSettings>): Promise<readonly string[]> => {
      const { lines } = await sample({ outdir: newFolder(), seeds: [1], steps: 1, ...settings });
      return lines.filter((line) => /trained|tuned/.test(line));
    };
    const expectOne = async (settings: Partial<SampleSettings>, line: RegExp): Promise<void> => {
      const lines = await told(settings);
      assert.equal(lines.length, 1, lines.join("\n"));
      assert.match(lines[0] ?? "", line);
    };
    const byItself = { gnet: "self", guidance: 2 } as const;
    assert.deepEqual(await told(byItself), []);
    await expectOne({ net: "undropped", ...byItself }, /^undropped was trained without label dropout .*"self"/);
    await expectOne({ net: "undropped", guides: [parseGuide("self=1")] }, /without label dropout/);
    await expectOne({ net: "older", ...byItself }, /^older doesn't say whether .* label dropout/);
    assert.deepEqual(await told({ net: "undropped", ...byItself, guidance: 1 }), []);
    assert.deepEqual(await told({ net: "undropped", gnet: "weak", guidance: 2 }), []);
    assert.deepEqual(await told({ net: "older" }), []);
    const consistency = { solver: "consistency", steps: 32 } as const;
    assert.deepEqual(await told({ net: "student", ...consistency }), []);
    await expectOne({ net: "undropped", ...consistency }, /^undropped was not tuned to be consistent/);
    await expectOne({ net: "older", ...consistency }, /^older doesn't say whether it was tuned to be consistent/);
    await expectOne({ net: "student" }, /^student was tuned to be consistent: the steps of heun/);
  });

  it("samples in the steps of a consistency-tuned network, and says what these leave out", async () => {
    const settings = { seeds: [1], networkBatch: 1, classes: "2", solver: "consistency" } as const;
    const evaluations = async (renoise?: readonly number[]): Promise<number> =>
      (await sample({ ...settings, outdir: newFolder(), steps: 32, ...(renoise === undefined ? {} : { renoise }) }))
        .labels.length;
    assert.deepEqual([await evaluations(), await evaluations([]), await evaluations([5, 1])], [2, 1, 3]);
    const told = async (changes: Partial<SampleSettings>): Promise<string> =>
      (await sample({ ...settings, outdir: newFolder(), steps: 32, ...changes })).lines.join("\n");
    assert.doesNotMatch(await told({}), /changes nothing/);
    assert.match(
      await told({ steps: 2 }),
      /--steps, .* changes nothing: --solver consistency has the steps of --renoise/,
    );
    assert.match(await told({ sChurn: 1 }), /S_churn changes nothing/);
    assert.match(await told({ solver: "heun", steps: 2, renoise: [1] }), /--renoise changes nothing/);
    await assert.rejects(told({ renoise: [100] }), { code: "value", message: /levels must fall/ });
  });
});
