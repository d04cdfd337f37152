/** Headers of snapshots, checkpoints and averages: whatever they hold, it is read right or refused in one line. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { checkpointName, readCheckpoint } from "../../../diffusion/checkpoint/checkpoint.ts";
import { readAverageMetadata } from "../../../diffusion/ema/averageMetadata.ts";
import { networkConfig, networkConfigFromReference } from "../../../diffusion/network/index.ts";
import { parseSnapshotMetadata } from "../../../diffusion/snapshot/index.ts";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { writeSafetensors } from "../../../engine/io/node.ts";
import { diskFile } from "../../../engine/io/node.ts";

const folder = mkdtempSync(join(tmpdir(), "evenkeel-headers-"));
after(() => {
  rmSync(folder, { recursive: true });
});

const unet = { imageResolution: 8, imageChannels: 1, labelDim: 0, modelChannels: 8, channelMult: [1], numBlocks: 1 };
const network = { unet, sigmaData: 0.5, lossHead: true, logvarChannels: 8 };
/** A right header of each kind. */
const right = {
  snapshot: { version: 1, kind: "snapshot", network, nimg: 2000, sigmaRel: 0.1, classNames: ["a", "b"] },
  checkpoint: { version: 1, kind: "checkpoint", nimg: 2000, fixed: { seed: 1 }, progress: {} },
  average: { version: 1, kind: "average", nimg: 2000, sigmaRel: 0.1, postHoc: {} },
};
type Kind = keyof typeof right;

async function read(kind: Kind, text: string): Promise<unknown> {
  const metadata = new Map([["evenkeel", text]]);
  if (kind === "snapshot") return parseSnapshotMetadata(metadata, "net.safetensors");
  if (kind === "average") return readAverageMetadata("net.safetensors", metadata);
  const path = join(folder, "state.safetensors");
  await writeSafetensors(path, {}, { metadata });
  return readCheckpoint(diskFile(path));
}

/** Refused as what the file is to blame for, in one short line with the file's name. */
function assertRefusal(reason: unknown): void {
  assert.ok(reason instanceof EvenkeelError, String(reason));
  assert.equal(reason.code, "file");
  assert.match(reason.message, /(net|state)\.safetensors/);
  assert.doesNotMatch(reason.message, /\p{Cc}/u);
  assert.ok(reason.message.length < 2000, `${reason.message.length} characters`);
}

async function refuses(kind: Kind, header: unknown, message: RegExp): Promise<void> {
  await assert.rejects(read(kind, JSON.stringify(header)), (reason) => {
    assertRefusal(reason);
    assert.match((reason as EvenkeelError).message, message);
    return true;
  });
}

/** JSON that is anything, and a right header of the kind with values of it in some places, at any depth. */
function headers(kind: Kind): fc.Arbitrary<string> {
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom<unknown>(null, [], {}, -1, 0.5, 1e300, "long", [null], { a: 1 }, "\u001b[31m", "x".repeat(1e4)),
  );
  const replaced = fc.array(fc.tuple(fc.nat(), odd), { minLength: 1, maxLength: 2 }).map((changes) => {
    const header = structuredClone(right[kind]) as Record<string, unknown>;
    for (const [choice, value] of changes) {
      const places: [group: Record<string, unknown>, key: string][] = [];
      const visit = (group: Record<string, unknown>): void => {
        for (const [key, child] of Object.entries(group)) {
          places.push([group, key]);
          if (typeof child === "object" && child !== null) visit(child as Record<string, unknown>);
        }
      };
      visit(header);
      const [group, key] = places[choice % places.length] ?? [header, "kind"];
      group[key] = structuredClone(value);
    }
    return header;
  });
  return fc.oneof(
    { weight: 1, arbitrary: fc.oneof(fc.json(), fc.string()) },
    { weight: 5, arbitrary: replaced.map((header) => JSON.stringify(header)) },
  );
}

describe("any JSON as a header", () => {
  for (const kind of ["snapshot", "checkpoint", "average"] as const) {
    it(`of kind ${kind}`, async () => {
      await fc.assert(
        fc.asyncProperty(headers(kind), async (text) => {
          let info: unknown;
          try {
            info = await read(kind, text);
          } catch (reason) {
            assertRefusal(reason);
            return;
          }
          const { nimg, sigmaRel, classNames, fixed } = info as Record<string, unknown>;
          assert.ok(Number.isSafeInteger(nimg) && (nimg as number) >= 0);
          if (kind === "checkpoint") {
            assert.ok(typeof fixed === "object" && fixed !== null && !Array.isArray(fixed));
            return;
          }
          assert.ok(sigmaRel === undefined || sigmaRel === null || (typeof sigmaRel === "number" && sigmaRel > 0));
          if (kind === "average") return;
          assert.ok(classNames === null || (classNames as unknown[]).every((name) => typeof name === "string"));
        }),
        { numRuns: kind === "checkpoint" ? 100 : 400 },
      );
    });
  }
});

describe("headers that are wrong", () => {
  it("are refused with what is wrong in them", async () => {
    for (const kind of ["snapshot", "checkpoint", "average"] as const) {
      await assert.rejects(read(kind, "{"), /is not JSON/);
      for (const header of [null, [], 7, "snapshot"]) await refuses(kind, header, /is no object/);
      await refuses(kind, { ...right[kind], kind: "toy" }, /is of kind "toy"\. Expected a file of kind/);
      await refuses(kind, { ...right[kind], kind: [] }, /is of kind unknown/);
      await refuses(kind, { ...right[kind], version: 2 }, /has version 2, and this program reads 1/);
      for (const nimg of [-1, 0.5, "many", null, 1e99])
        await refuses(kind, { ...right[kind], nimg }, /damaged: .*nimg/);
    }
    const { snapshot } = right;
    for (const wrong of [null, [], 5, "net"]) {
      await refuses("snapshot", { ...snapshot, network: wrong }, /no network that can be: .*no object/);
      await refuses("snapshot", { ...snapshot, network: { ...network, unet: wrong } }, /unetConfig: the options are/);
    }
    for (const classNames of [7, [{ a: 1 }, null], "a"]) {
      await refuses("snapshot", { ...snapshot, classNames }, /damaged: .*classNames/);
    }
    for (const sigmaRel of ["long", -0.1, []])
      await refuses("snapshot", { ...snapshot, sigmaRel }, /damaged: .*sigmaRel/);
    await refuses("checkpoint", { ...right.checkpoint, fixed: null }, /damaged: .*fixed/);
  });

  it("of a checkpoint that is another than its name says", async () => {
    const path = join(folder, checkpointName(1000));
    await writeSafetensors(path, {}, { metadata: { evenkeel: JSON.stringify(right.checkpoint) } });
    await assert.rejects(readCheckpoint(diskFile(path)), /its name says 1000 images, its header 2000/);
  });
});

describe("configurations", () => {
  it("of wrong types are refused by field", () => {
    const wrongs: [object, RegExp][] = [
      [{ channelMult: null }, /channelMult is null/],
      [{ channelMult: "1,2" }, /channelMult is "1,2"/],
      [{ channelMult: [1, "2"] }, /channelMult/],
      [{ channelMult: Array(1000).fill(1) }, /channelMult .* at most 64/],
      [{ attnResolutions: "16" }, /attnResolutions is "16"/],
      [{ attnResolutions: 16 }, /attnResolutions is 16/],
      [{ resampleFilter: null }, /resampleFilter is null/],
      [{ numBlocks: 100_000 }, /numBlocks is 100000, expected a whole number from 1 to 1024/],
      [{ numBlocks: 3n }, /numBlocks is 3, expected/],
      [{ modelChannels: 1e9 }, /modelChannels is 1000000000/],
      [{ resBalance: "0.3" }, /resBalance is "0.3"/],
      [{ clipAct: "256" }, /clipAct is "256"/],
      [{ channelMultEmb: "4" }, /channelMultEmb is "4"/],
      [{ mpSum: 1n }, /mpSum is 1/],
    ];
    for (const [options, message] of wrongs) {
      const config = { ...network, unet: { ...unet, ...options } } as Parameters<typeof networkConfig>[0];
      assert.throws(
        () => networkConfig(config),
        (reason) => reason instanceof EvenkeelError && reason.code === "value" && message.test(reason.message),
        message.source,
      );
    }
    const reference = { img_resolution: 8, img_channels: 1, label_dim: 0, model_channels: 8 };
    for (const options of [
      { attn_resolutions: "16" },
      { channel_mult: null },
      { sigma_data: [] },
      { foo: 2n ** 70n },
    ]) {
      assert.throws(() => networkConfigFromReference({ ...reference, ...options }), EvenkeelError);
    }
  });

  it("of more arrays than a file has are refused before they are described", async () => {
    const path = join(folder, "large.safetensors");
    const large = {
      ...network,
      unet: { ...unet, imageResolution: 2 ** 15, channelMult: Array(16).fill(1), numBlocks: 1024 },
    };
    await writeSafetensors(path, {}, { metadata: { evenkeel: JSON.stringify({ ...right.snapshot, network: large }) } });
    const before = process.memoryUsage().heapUsed;
    await assert.rejects(readSnapshot(path), /describes a network of at least 98\d{3} arrays, and has 0/);
    assert.ok(process.memoryUsage().heapUsed - before < 20e6);
  });
});
