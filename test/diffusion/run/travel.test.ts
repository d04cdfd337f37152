/** Runs that are moved go on with the bits of those that weren't, and nothing is left of a move that fails. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { copyRun, exportRun, importRun, runTraining, type TravelReport } from "../../../diffusion/run/index.ts";
import { describeRunFiles } from "../../../diffusion/run/runFiles.ts";
import { createDevice, type Device, EvenkeelError } from "../../../engine/index.ts";
import { blobFolder, type Folder, memoryFolder, readWhole, writeText, writeZip } from "../../../engine/io/index.ts";
import { diskFolder } from "../../../engine/io/node.ts";
import { rawZip } from "../data/sampleFiles.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";

let root = "";
let device: Device;
/** A run of 48 images, and what it holds after all 96. */
const begun = memoryFolder("runs/begun");
const straight = memoryFolder("runs/straight");
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-travel-"));
  device = await createDevice("wasm", { wasm: { threads: 1 } });
  await train(straight, 96);
  await train(begun, 48);
  for (const folder of [begun, straight]) await writeText(folder.file("settings.toml"), "batch = 8\n");
  await writeText(begun.file("run.lock"), "1 host");
  await writeText(begun.file(".evenkeel-0123456789ab.partial"), "half");
  await writeText(begun.file("notes.txt"), "mine");
});
after(async () => {
  device.dispose();
  await rm(root, { recursive: true });
});

async function train(folder: Folder, duration: number): Promise<void> {
  const unet = { ...smallOptions.network.unet, channelMult: [1], labelDim: 0 };
  await runTraining({
    folder,
    training: { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }) },
    duration,
    intervals: { status: 0, snapshot: 48, checkpoint: 24, samples: 0, validation: 0 },
    dynamicsEvery: 2,
    snapshotDtype: "F32",
    classNames: null,
    device,
    fixed: { data: "waves" },
    nextBatch: (nimg, count) => ({ ...smallBatch(nimg, count), labels: null }),
  });
}

const stays = ["run.lock", ".evenkeel-0123456789ab.partial"];

async function contentOf(folder: Folder): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for (const name of await folder.list()) {
    content.set(name, Buffer.from(await readWhole(folder.file(name))).toString("base64"));
  }
  return content;
}

async function weights(folder: Folder): Promise<Map<string, string>> {
  const all = await contentOf(folder);
  return new Map([...all].filter(([name]) => /safetensors$|^dynamics/.test(name)));
}

async function exported(folder: Folder): Promise<{ bytes: Uint8Array<ArrayBuffer>; report: TravelReport }> {
  const file = memoryFolder().file("run.zip");
  let report: TravelReport | undefined;
  await file.write(async (sink) => void (report = await exportRun(folder, sink)));
  assert.ok(report !== undefined, "a report");
  return { bytes: await readWhole(file), report };
}

async function imported(zip: Uint8Array, to: Folder, signal?: AbortSignal): Promise<TravelReport> {
  const file = memoryFolder().file("run.zip");
  await file.write((sink) => sink.write(zip));
  return importRun(await file.open(), "run.zip", to, { signal });
}

async function filesOf(folder: Folder): Promise<[name: string, content: Uint8Array][]> {
  const names = await folder.list();
  return Promise.all(
    names.map(async (name): Promise<[string, Uint8Array]> => [name, await readWhole(folder.file(name))]),
  );
}

const zipped = (files: readonly (readonly [string, Uint8Array])[], isPacked = false): Buffer =>
  rawZip(files, { isPacked });

test("a run goes through an archive, and goes on with the same bits, in memory and on a disk", async () => {
  const { bytes, report } = await exported(begun);
  assert.deepEqual(report.told, [
    'Left out what only the process that trains there needs: 2 (".evenkeel-0123456789ab.partial", ...).',
    'Files that no run writes, kept all the same: 1 ("notes.txt").',
  ]);
  assert.deepEqual((await exported(begun)).bytes, bytes);
  const expected = await contentOf(begun);
  for (const name of stays) expected.delete(name);
  for (const to of [memoryFolder("moved"), diskFolder(join(root, "moved"))]) {
    const arrived = await imported(bytes, to);
    assert.deepEqual(arrived.told, ['Files that no run writes, kept all the same: 1 ("notes.txt").']);
    assert.equal(arrived.bytes, report.bytes);
    assert.deepEqual(await contentOf(to), expected);
    await train(to, 96);
    assert.deepEqual(await weights(to), await weights(straight));
  }
});

test("archives of other programs are taken: packed, without a folder, with what the Mac adds", async () => {
  const files = (await filesOf(begun)).filter(([name]) => !stays.includes(name));
  const expected = new Map(files.map(([name, content]) => [name, Buffer.from(content).toString("base64")]));
  const outermost = memoryFolder();
  await imported(zipped(files, true), outermost);
  assert.deepEqual(await contentOf(outermost), expected);
  const more: (readonly [string, Uint8Array])[] = [
    ...files.map(([name, content]) => [`a/${name}`, content] as const),
    ["__MACOSX/a/._settings.toml", Uint8Array.of(1)],
    ["a/.DS_Store", Uint8Array.of(1)],
    ["a/inner/b.txt", Uint8Array.of(1)],
    ["a/run.lock", Uint8Array.of(1)],
  ];
  const inFolder = memoryFolder();
  const { told } = await imported(zipped(more), inFolder);
  assert.deepEqual(await contentOf(inFolder), expected);
  assert.deepEqual(told.slice(0, 3), [
    `Left out what lies in folders of the run's, or beside it: 1 ("a/inner/b.txt").`,
    'Left out what systems leave behind: 2 ("__MACOSX/a/._settings.toml", ...).',
    'Left out what only the process that trained there needs: 1 ("run.lock").',
  ]);
});

test("a dropped folder is copied, and so is a folder of a disk", async () => {
  const given = (await filesOf(begun)).map(([name, content]) => ({
    path: `begun/${name}`,
    blob: new Blob([new Uint8Array(content)]),
  }));
  const expected = await contentOf(begun);
  for (const name of stays) expected.delete(name);
  const dropped = blobFolder("begun", given);
  assert.deepEqual(dropped.leftOut, ["begun/.evenkeel-0123456789ab.partial"]);
  const onDisk = diskFolder(join(root, "dropped"));
  const progress: number[] = [];
  const { bytes } = await copyRun(dropped, onDisk, { onProgress: (done) => void progress.push(done) });
  assert.deepEqual(await contentOf(onDisk), expected);
  assert.equal(progress.at(-1), bytes);
  const inMemory = memoryFolder();
  await copyRun(onDisk, inMemory);
  assert.deepEqual(await contentOf(inMemory), expected);
});

test("what is no run is refused before anything is written, and says what is missing", async () => {
  const files = (await filesOf(begun)).filter(([name]) => !stays.includes(name));
  const without = (pattern: RegExp): Buffer => zipped(files.filter(([name]) => !pattern.test(name)));
  const refused = async (zip: Uint8Array, pattern: RegExp): Promise<void> => {
    const to = memoryFolder("to");
    await assert.rejects(imported(zip, to), (reason) => {
      assert.ok(reason instanceof EvenkeelError && reason.code === "file", String(reason));
      assert.match(reason.message, pattern);
      return true;
    });
    assert.deepEqual(await to.list(), []);
  };
  await refused(Uint8Array.of(1, 2), /run\.zip: can't be read as a zip/);
  await refused(zipped([]), /run\.zip: holds no run: there is no settings\.toml\. Found no files/);
  await refused(without(/settings/), /there is no settings\.toml\. Found "dynamics\.jsonl"/);
  await refused(without(/^(training|network)/), /neither a checkpoint \(training-state-\*\) nor a snapshot/);
  const withText = (name: RegExp, text: string): Buffer =>
    zipped(files.map(([file, content]) => [file, name.test(file) ? Buffer.from(text) : content]));
  await refused(withText(/settings/, "batch = "), /settings\.toml/);
  await refused(withText(/^training/, "nothing"), /holds no run of ours\. A checkpoint can't be gone on from/);
  const both = files.flatMap(([name, content]) => [[`a/${name}`, content] as const, [`b/${name}`, content] as const]);
  await refused(zipped(both), /there is no settings\.toml/);
  const partly = await imported(without(/^training/), memoryFolder());
  assert.match(partly.told.join(), /There is no checkpoint: the run can be sampled from, but it can't go on\./);
  const full = memoryFolder("full");
  await writeText(full.file("a.txt"), "a");
  await assert.rejects(imported(zipped(files), full), /full: holds files already, such as a\.txt; wanted an empty/);
  assert.deepEqual(await full.list(), ["a.txt"]);
});

test("nothing is left of a move that fails or is stopped, wherever it was", async () => {
  const files = (await filesOf(begun)).filter(([name]) => !stays.includes(name));
  for (const [name, content] of files) {
    const zip = zipped(files);
    // A byte of this file, which is stored.
    zip.writeUInt8(zip.readUInt8(zip.indexOf(content)) ^ 1, zip.indexOf(content));
    const to = diskFolder(join(root, "failed"));
    await assert.rejects(imported(zip, to), (reason) => {
      assert.ok(reason instanceof EvenkeelError, String(reason));
      assert.ok(reason.message.includes(name), reason.message);
      return true;
    });
    assert.deepEqual(await to.list(), []);
  }
  const { bytes } = await exported(begun);
  for (let at = 0; at < files.length; at++) {
    const stop = new AbortController();
    const to = memoryFolder();
    let pieces = 0;
    const file = memoryFolder().file("run.zip");
    await file.write((sink) => sink.write(bytes));
    const onProgress = (): void => {
      if (pieces++ === at) stop.abort();
    };
    await assert.rejects(
      importRun(await file.open(), "run.zip", to, { signal: stop.signal, onProgress }),
      (reason) => reason instanceof EvenkeelError && reason.code === "aborted",
    );
    assert.deepEqual(await to.list(), []);
  }
  const stop = new AbortController();
  stop.abort();
  const nowhere = memoryFolder().file("run.zip");
  await assert.rejects(nowhere.write((sink) => exportRun(begun, sink, { signal: stop.signal }).then(() => undefined)));
  assert.equal(await nowhere.exists(), false);
});

test("names that would leave the folder go no further than the archive", async () => {
  const to = memoryFolder();
  await assert.rejects(imported(zipped([["../settings.toml", Uint8Array.of(1)]]), to), /invalid relative path/);
  const file = memoryFolder().file("a.zip");
  const modified = new Date(Date.UTC(2000, 0, 1));
  await file.write((sink) => writeZip(sink, [{ name: "a/b/settings.toml", modified, content: new Uint8Array(1) }]));
  await assert.rejects(importRun(await file.open(), "a.zip", to), /a\.zip: holds no run/);
});

test("the emoji that the command converted for a run are files of the run", () => {
  const names = [
    "settings.toml",
    "training-state-0000001024.safetensors",
    "network-snapshot-0000001-0.100.safetensors",
  ];
  assert.deepEqual(describeRunFiles("run", [...names, "emoji16.zip", "emoji32-google.zip"]), []);
  assert.deepEqual(describeRunFiles("run", [...names, "photos.zip"]), [
    'Files that no run writes, kept all the same: 1 ("photos.zip").',
  ]);
});
