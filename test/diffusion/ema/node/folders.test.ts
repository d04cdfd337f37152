import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  type AveragingProfile,
  powerProfile,
  type SnapshotFile,
  snapshotPlace,
} from "../../../../diffusion/ema/index.ts";
import { formatSnapshotName } from "../../../../diffusion/ema/snapshotNames.ts";
import { foreignFilesOf } from "../../../../diffusion/snapshot/index.ts";
import {
  listByPattern,
  listSnapshots,
  readSchedule,
  reconstructFiles,
  tensorNameMatcher,
} from "../../../../diffusion/ema/node.ts";
import { EvenkeelError } from "../../../../engine/index.ts";
import { diskFolder, readSafetensors, writeSafetensors } from "../../../../engine/io/node.ts";

const root = mkdtempSync(path.join(os.tmpdir(), "evenkeel-ema-"));
after(() => rmSync(root, { recursive: true }));
const newFolder = (): string => mkdtempSync(path.join(root, "folder-"));

type Header = { readonly nimg: number; readonly sigmaRel: number | null; readonly [key: string]: unknown };

async function writeOne(file: string, value: number, header?: Header | string): Promise<void> {
  const text = typeof header === "string" ? header : JSON.stringify({ version: 1, kind: "snapshot", ...header });
  const metadata: Record<string, string> = header === undefined ? {} : { evenkeel: text };
  await writeSafetensors(file, { w: { dtype: "F32", shape: [1], data: Float32Array.of(value) } }, { metadata });
}

async function ourFolder(): Promise<string> {
  const folder = newFolder();
  for (const nimg of [500, 1500, 2700]) {
    for (const sigmaRel of [0.05, 0.1]) {
      const name = `${formatSnapshotName("network-snapshot", nimg, sigmaRel)}.safetensors`;
      await writeOne(path.join(folder, name), nimg * sigmaRel, { nimg, sigmaRel, network: { note: nimg } });
    }
  }
  return folder;
}

const rejects = async (doing: Promise<unknown>, message: RegExp): Promise<void> =>
  assert.rejects(doing, (error) => {
    assert.ok(error instanceof EvenkeelError, String(error));
    assert.match(error.message, message);
    return true;
  });

const profilesOf = (files: readonly SnapshotFile[]): AveragingProfile[] => files.map(({ profile }) => profile);

describe("listSnapshots", () => {
  it("finds our snapshots with the exact number of images", async () => {
    const folder = await ourFolder();
    const all = [500, 1500, 2700].flatMap((nimg) => [0.05, 0.1].map((sigmaRel) => powerProfile(nimg, sigmaRel)));
    assert.deepEqual(profilesOf(await listSnapshots(folder)), all);
    const narrow = await listSnapshots(folder, { prefix: "network-snapshot", sigmaRels: [0.1] });
    assert.deepEqual(
      profilesOf(narrow),
      all.filter(({ sigmaRel }) => sigmaRel === 0.1),
    );
    assert.deepEqual(await listSnapshots(folder, { prefix: "network" }), []);
  });

  it("takes anything else for the authors': multiples of 1024 images", async () => {
    const folder = newFolder();
    for (const name of ["s-0000008-0.050", "s-0000016-0.100", "s-0000000-0.100", "other"]) {
      await writeOne(path.join(folder, `${name}.safetensors`), 1);
    }
    writeFileSync(path.join(folder, "s-0000008-0.050.txt"), "");
    assert.deepEqual(profilesOf(await listSnapshots(folder)), [powerProfile(8192, 0.05), powerProfile(16384, 0.1)]);
    await writeOne(path.join(folder, "s-0000042-0.050.safetensors"), 1);
    await rejects(listSnapshots(folder), /42 thousand images: no multiple of 1024/);
  });

  it("leaves out raw weights, the start, and post-hoc averages unless they are asked for", async () => {
    const folder = newFolder();
    await writeOne(path.join(folder, "a-0000000-0.100.safetensors"), 1, { nimg: 0, sigmaRel: 0.1 });
    await writeOne(path.join(folder, "a-0000001-0.100.safetensors"), 1, { nimg: 1000, sigmaRel: null });
    await writeOne(path.join(folder, "a-0000002-0.100.safetensors"), 1, { nimg: 2000, sigmaRel: 0.1 });
    await writeOne(path.join(folder, "phema-0000002-0.120.safetensors"), 1, {
      nimg: 2000,
      sigmaRel: 0.12,
      postHoc: {},
    });
    assert.deepEqual(profilesOf(await listSnapshots(folder)), [powerProfile(2000, 0.1)]);
    assert.deepEqual(profilesOf(await listSnapshots(folder, { prefix: "phema" })), [powerProfile(2000, 0.12)]);
  });

  it("lists the snapshots of one run, and says what it leaves out", async () => {
    const one = async (folder: string, name: string, header?: Header): Promise<void> =>
      writeOne(path.join(folder, `${name}.safetensors`), 1, header);
    const prefixes = newFolder();
    for (const name of ["a-0000008-0.050", "a-0000016-0.050", "b-0000016-0.100"]) await one(prefixes, name);
    await rejects(listSnapshots(prefixes), /of 2 prefixes: "a" \(2\), "b" \(1\)\. .* --inprefix/);
    assert.deepEqual(profilesOf(await listSnapshots(prefixes, { prefix: "b" })), [powerProfile(16384, 0.1)]);

    const results = newFolder();
    await one(results, "a-0000008-0.050");
    await one(results, "a-0000000-0.050");
    // As the authors' program names its results, which say nothing of themselves.
    writeFileSync(path.join(results, "phema-0000008-0.120.pkl"), "");
    await one(results, "mine-0000008-0.120", { nimg: 8192, sigmaRel: 0.12, postHoc: {} });
    const lines: string[] = [];
    const found = await listSnapshots(results, { onLeftOut: (line) => lines.push(line) });
    assert.deepEqual(profilesOf(found), [powerProfile(8192, 0.05)]);
    assert.deepEqual(lines, [
      'left out: 1 averages from before the first image, such as "a-0000000-0.050.safetensors"',
      'left out: 2 post-hoc averages, such as "mine-0000008-0.120.safetensors"',
    ]);

    const [programs, networks] = [newFolder(), newFolder()];
    await one(programs, "a-0000008-0.050");
    await one(programs, "a-0000016-0.050", { nimg: 16384, sigmaRel: 0.05 });
    await rejects(listSnapshots(programs), /two programs, such as "a-0000008-0\.050\.safetensors" and "a-0000016/);
    const network = (channelsPerHead: number): Header["network"] => ({
      unet: { imageResolution: 8, imageChannels: 1, labelDim: 0, modelChannels: 8, channelMult: [1], channelsPerHead },
    });
    await one(networks, "a-0000008-0.050", { nimg: 8192, sigmaRel: 0.05, network: network(8) });
    await one(networks, "a-0000016-0.050", { nimg: 16384, sigmaRel: 0.05, network: network(4) });
    await rejects(listSnapshots(networks), /two networks, such as/);
  });

  it("finds every state that was written, also two within a thousand images", async () => {
    const increasing = fc.uniqueArray(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(increasing, async (numbers) => {
        const folder = newFolder();
        const times = numbers.toSorted((a, b) => a - b);
        // As a run that was killed does: it goes on from an earlier state and writes the later ones again.
        for (const nimg of [0, ...times, ...times.slice(1)]) {
          await writeOne((await snapshotPlace(diskFolder(folder), "s", nimg, 0.1)).path, nimg, { nimg, sigmaRel: 0.1 });
        }
        const found = await listSnapshots(folder);
        assert.deepEqual(
          found.map(({ profile }) => profile.nimg).sort((a, b) => a - b),
          times,
        );
        for (const { profile, path: file } of found) {
          assert.deepEqual((await readSafetensors(file)).tensor("w").data, Float32Array.of(profile.nimg));
        }
      }),
      { numRuns: 20 },
    );
    const folder = newFolder();
    await writeOne(path.join(folder, "s-0000002.528-0.100.safetensors"), 1, { nimg: 2529, sigmaRel: 0.1 });
    await rejects(listSnapshots(folder), /its name says 2528 images, its content 2529/);
  });

  it("names files of other programs as what they are", async () => {
    const folder = newFolder();
    writeFileSync(path.join(folder, "s-0000008-0.100.safetensors"), "<!DOCTYPE html><html>");
    await rejects(listSnapshots(folder), /s-0000008-0\.100\.safetensors: is a web page/);
    writeFileSync(path.join(folder, "s-0000008-0.100.pkl"), "PK\u0003\u0004 archive/data.pkl");
    const [snapshot] = await listSnapshots(folder, { sigmaRels: [0.1] }).catch(async () => {
      rmSync(path.join(folder, "s-0000008-0.100.safetensors"));
      return listSnapshots(folder);
    });
    assert.ok(snapshot !== undefined);
    await rejects(snapshot.open(), /s-0000008-0\.100\.pkl: is a file of torch\.save .*safetensors\.torch\.save_file/);
    writeFileSync(path.join(folder, "0.100.pt"), "PK\u0003\u0004");
    const others = await foreignFilesOf(diskFolder(folder));
    assert.equal(others.length, 2);
    assert.match(others.join(), /"0\.100\.pt" is named as a file of torch\.save/);
  });

  it("names the file whose name or content can't be right", async () => {
    const [named, wide] = [newFolder(), newFolder()];
    await writeOne(path.join(named, "a-0000008-0.000.safetensors"), 1);
    await rejects(listSnapshots(named), /a-0000008-0\.000\.safetensors: sigma_rel is 0/);
    await writeOne(path.join(wide, "a-0000008-0.050.safetensors"), 1, { nimg: 8192, sigmaRel: 0.1 });
    await rejects(listSnapshots(wide), /its name says sigma_rel 0\.05, its content 0\.1/);
  });

  it("refuses what can't be read or contradicts itself", async () => {
    await rejects(listSnapshots(path.join(root, "nowhere")), /nowhere: reading the folder failed/);
    const folder = newFolder();
    const file = path.join(folder, "a-0000002-0.100.safetensors");
    await writeOne(file, 1, { nimg: 3000, sigmaRel: 0.1 });
    await rejects(listSnapshots(folder), /name says 2 thousand images, its content 3000/);
    await writeOne(file, 1, "{");
    await rejects(listSnapshots(folder), /header of evenkeel.s is not JSON/);
    await writeOne(file, 1, '{"nimg":"many"}');
    await rejects(listSnapshots(folder), /header of evenkeel.s is damaged: .*nimg/);
    await writeOne(file, 1, { nimg: 2000, sigmaRel: 0.5 });
    await rejects(listSnapshots(folder), /its name says sigma_rel 0\.1, its content 0\.5/);
  });
});

describe("schedules", () => {
  const write = (name: string, text: string): string => {
    const file = path.join(newFolder(), name);
    writeFileSync(file, text);
    return file;
  };

  it("state times and profiles in TOML or JSON", async () => {
    const toml = write(
      "schedule.toml",
      `buffers = ["*.mean"]
       [[snapshot]]
       file = "a.safetensors"
       nimg = 100
       sigma_rel = 0.1
       [[snapshot]]
       file = "sub/b.safetensors"
       nimg = 200
       half_life = 20`,
    );
    const { snapshots, buffers } = await readSchedule(toml, "/data");
    assert.deepEqual(
      snapshots.map((snapshot) => snapshot.path),
      ["/data/a.safetensors", "/data/sub/b.safetensors"],
    );
    assert.deepEqual(profilesOf(snapshots), [powerProfile(100, 0.1), { kind: "exponential", nimg: 200, halfLife: 20 }]);
    assert.deepEqual(buffers, ["*.mean"]);
    const isBuffer = tensorNameMatcher(buffers);
    assert.deepEqual(["a.mean", "mean", "a.means", "aXmean"].map(isBuffer), [true, false, false, false]);
    const json = write("schedule.json", '{"snapshot":[{"file":"a.safetensors","nimg":7,"sigma_rel":0.2}]}');
    assert.deepEqual(profilesOf((await readSchedule(json, "/data")).snapshots), [powerProfile(7, 0.2)]);
  });

  it("are refused with what is wrong in them", async () => {
    const one = (fields: string): string => write("schedule.json", `{"snapshot":[{"file":"a.safetensors",${fields}}]}`);
    await rejects(readSchedule(path.join(root, "no.toml"), root), /no.toml: opening failed/);
    await rejects(readSchedule(write("schedule.yaml", ""), root), /a schedule is a .toml or .json file/);
    await rejects(readSchedule(write("schedule.json", "{"), root), /schedule.json: .*JSON/);
    await rejects(readSchedule(write("schedule.toml", "a = "), root), /schedule.toml: /);
    await rejects(readSchedule(write("schedule.json", '{"snapshot":[]}'), root), /is no schedule/);
    await rejects(readSchedule(one('"nimg":"x","sigma_rel":1'), root), /is no schedule:[^]*nimg/);
    await rejects(readSchedule(one('"nimg":1,"sigmarel":1'), root), /is no schedule:[^]*sigmarel/);
    await rejects(readSchedule(one('"nimg":1'), root), /a.safetensors: wanted either sigma_rel .* or half_life/);
    await rejects(readSchedule(one('"nimg":1,"sigma_rel":0.1,"half_life":3'), root), /wanted either sigma_rel/);
    await rejects(readSchedule(one('"nimg":1,"half_life":3'), root), /still 79.4% initial weights/);
    const odd = write("schedule.json", '{"snapshot":[{"file":"a.npz","nimg":1,"sigma_rel":0.1}]}');
    await rejects(readSchedule(odd, root), /a.npz: snapshots are .safetensors/);
  });

  it("are patterns of names", async () => {
    const folder = newFolder();
    for (const name of [
      "m(1)_s100_e0.05_x.safetensors",
      "m(1)_s0_e.1_y.safetensors",
      "m(1)_s200_e.1_.safetensors",
      "m_s1_e1",
    ]) {
      await writeOne(path.join(folder, name), 1);
    }
    // A post-hoc average is none of them, whatever it is called.
    await writeOne(path.join(folder, "m(1)_s300_e.1_z.safetensors"), 1, { nimg: 300, sigmaRel: 0.1, postHoc: {} });
    const lines: string[] = [];
    const found = await listByPattern(folder, "m(1)_s{nimg}_e{std}_*.safetensors", (line) => lines.push(line));
    assert.deepEqual(lines, [
      'left out: 1 averages from before the first image, such as "m(1)_s0_e.1_y.safetensors"',
      'left out: 1 post-hoc averages, such as "m(1)_s300_e.1_z.safetensors"',
      'taken for one run: names in which * stands for 2 texts, such as "x" and ""; if these are several, name one',
    ]);
    assert.deepEqual(profilesOf(found), [powerProfile(100, 0.05), powerProfile(200, 0.1)]);
    const thousands = await listByPattern(folder, "m(1)_s{kimg}_e{std}_x.safetensors");
    assert.deepEqual(profilesOf(thousands), [powerProfile(100000, 0.05)]);
    for (const pattern of ["{nimg}", "{std}", "{nimg}{kimg}{std}", "{std}{std}{nimg}", "*"]) {
      await rejects(listByPattern(folder, pattern), /wanted \{std\} and either \{nimg\} or \{kimg\}/);
    }
  });
});

describe("patterns of names", () => {
  const pattern = "*-{kimg}-{std}.safetensors";

  it("take the images that files state, and refuse files that say otherwise than their names", async () => {
    const folder = newFolder();
    await writeOne(path.join(folder, "a-8-0.050.safetensors"), 1, { nimg: 8192, sigmaRel: 0.05 });
    assert.deepEqual(profilesOf(await listByPattern(folder, pattern)), [powerProfile(8192, 0.05)]);
    await writeOne(path.join(folder, "a-9-0.050.safetensors"), 1, { nimg: 8192, sigmaRel: 0.05 });
    await rejects(listByPattern(folder, pattern), /a-9-.*its name says 9000 images, its content 8192/);
    const width = newFolder();
    await writeOne(path.join(width, "a-8-0.100.safetensors"), 1, { nimg: 8192, sigmaRel: 0.05 });
    await rejects(listByPattern(width, pattern), /its name says sigma_rel 0\.1, its content 0\.05/);
  });

  it("never mix files of two networks, or of this and another program", async () => {
    const [programs, networks] = [newFolder(), newFolder()];
    await writeOne(path.join(programs, "a-8-0.050.safetensors"), 1);
    await writeOne(path.join(programs, "b-16-0.050.safetensors"), 1, { nimg: 16384, sigmaRel: 0.05 });
    await rejects(listByPattern(programs, pattern), /two programs, such as "a-8-0\.050\.safetensors" and "b-16/);
    const network = (modelChannels: number): Header["network"] => ({
      unet: { imageResolution: 8, imageChannels: 1, labelDim: 0, modelChannels, channelMult: [1] },
    });
    await writeOne(path.join(networks, "a-8-0.050.safetensors"), 1, {
      nimg: 8192,
      sigmaRel: 0.05,
      network: network(8),
    });
    await writeOne(path.join(networks, "b-16-0.050.safetensors"), 1, {
      nimg: 16384,
      sigmaRel: 0.05,
      network: network(4),
    });
    await rejects(listByPattern(networks, pattern), /two networks, such as/);
  });
});

describe("reconstructFiles", () => {
  it("writes averages that say what they are, batch by batch", async () => {
    const folder = await ourFolder();
    const out = path.join(newFolder(), "deep/er");
    const wanted = [0.07, 0.12, 0.15].map((sigmaRel) => ({
      profile: powerProfile(1500, sigmaRel),
      path: path.join(out, `${formatSnapshotName("phema", 1500, sigmaRel)}.safetensors`),
    }));
    const done: string[] = [];
    await reconstructFiles(await listSnapshots(folder), wanted, {
      batch: 2,
      onFile: ({ path: file }) => done.push(file),
    });
    assert.deepEqual(
      done,
      wanted.map((file) => file.path),
    );
    assert.deepEqual(readdirSync(out).length, 3);
    const file = await readSafetensors(done[1] ?? "");
    assert.equal(file.metadata.get("format"), "pt");
    assert.equal(file.tensor("w").dtype, "F16");
    const header = JSON.parse(file.metadata.get("evenkeel") ?? "") as Header & {
      postHoc: { stored: { nimg: number; sigmaRel: number; coefficient: number }[]; normalized: boolean };
    };
    assert.deepEqual([header.nimg, header.sigmaRel, header["kind"]], [1500, 0.12, "snapshot"]);
    assert.deepEqual(header["network"], { note: 1500 });
    assert.equal(header.postHoc.normalized, true);
    assert.deepEqual(
      header.postHoc.stored.map(({ nimg }) => nimg),
      [500, 500, 1500, 1500],
    );
    assert.ok(Math.abs(header.postHoc.stored.reduce((sum, { coefficient }) => sum + coefficient, 0) - 1) < 1e-15);
    // Averages are snapshots themselves, and can be found and read again.
    assert.equal((await listSnapshots(out, { prefix: "phema" })).length, 3);
  });

  it("overwrites no snapshot, and leaves nothing behind where it fails", async () => {
    const folder = await ourFolder();
    const snapshots = await listSnapshots(folder);
    const own = snapshots[3]?.path ?? "";
    const profile = powerProfile(1500, 0.1);
    await rejects(reconstructFiles(snapshots, [{ profile, path: own }]), /is one of the snapshots/);
    const twice = { profile, path: path.join(root, "twice.safetensors") };
    await rejects(reconstructFiles(snapshots, [twice, twice]), /is wanted twice/);
    await rejects(reconstructFiles(snapshots, [twice], { batch: 0 }), /batch 0/);
    await writeOne(snapshots[2]?.path ?? "", Number.NaN, { nimg: 1500, sigmaRel: 0.05 });
    const out = path.join(root, "unmade");
    await rejects(
      reconstructFiles(snapshots, [{ profile, path: path.join(out, "a.safetensors") }]),
      /element 0 of w is NaN/,
    );
    assert.throws(() => readdirSync(out), /ENOENT/);
    const blocked = path.join(own, "a.safetensors");
    await rejects(
      reconstructFiles(snapshots.slice(0, 2), [{ profile: powerProfile(500, 0.1), path: blocked }]),
      /making the folder/,
    );
  });
});
