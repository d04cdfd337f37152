import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { Command } from "@commander-js/extra-typings";
import sharp from "sharp";
import { addPhemaCommand } from "../../cli/commands/phema.ts";
import { parseSigmaRelList } from "../../cli/sigmaRelList.ts";
import { formatSnapshotName } from "../../diffusion/ema/snapshotNames.ts";
import { solvePostHocCoefficients } from "../../diffusion/ema/index.ts";
import { RunLock } from "../../diffusion/run/node.ts";
import { fromFloat16Bits } from "../../engine/io/index.ts";
import { readSafetensors, writeSafetensors } from "../../engine/io/node.ts";

const root = mkdtempSync(path.join(os.tmpdir(), "evenkeel-phema-"));
after(() => rmSync(root, { recursive: true }));
const newFolder = (): string => mkdtempSync(path.join(root, "folder-"));

const times = [1000, 2500, 4000, 5500];
const widths = [0.05, 0.1];
const weightOf = (nimg: number, sigmaRel: number): number => nimg / 1000 + 10 * sigmaRel;
const indir = path.join(root, "run");

before(async () => {
  mkdirSync(indir);
  for (const nimg of times) {
    for (const sigmaRel of widths) {
      const file = path.join(indir, `${formatSnapshotName("network-snapshot", nimg, sigmaRel)}.safetensors`);
      const metadata = { evenkeel: JSON.stringify({ version: 1, kind: "snapshot", nimg, sigmaRel, network: {} }) };
      const data = Float32Array.of(weightOf(nimg, sigmaRel));
      await writeSafetensors(file, { w: { dtype: "F32", shape: [1], data } }, { metadata });
    }
  }
});

type Outcome = { readonly output: string; readonly errors: string; readonly failure: Error | undefined };

/** Runs `evenkeel phema` in this process. */
async function phema(t: TestContext, ...args: readonly string[]): Promise<Outcome> {
  const output: string[] = [];
  let errors = "";
  const log = t.mock.method(console, "log", (text: string) => void output.push(text));
  const program = new Command("evenkeel").exitOverride().configureOutput({
    writeErr: (text) => void (errors += text),
    writeOut: (text) => void output.push(text),
  });
  addPhemaCommand(program);
  try {
    await program.parseAsync(["phema", ...args], { from: "user" });
    return { output: output.join("\n"), errors, failure: undefined };
  } catch (failure) {
    assert.ok(failure instanceof Error);
    return { output: output.join("\n"), errors, failure };
  } finally {
    log.mock.restore();
  }
}

type Report = {
  readonly conditionNumber: number;
  readonly stored: readonly { readonly file: string; readonly nimg: number; readonly sigmaRel: number }[];
  readonly averages: readonly {
    readonly nimg: number;
    readonly sigmaRel: number;
    readonly file: string;
    readonly written: boolean;
    readonly relativeError: number;
    readonly coefficients: readonly number[];
  }[];
};

/** The average that a file holds of the weight. */
async function weightIn(file: string): Promise<number> {
  const { dtype, data } = (await readSafetensors(file)).tensor("w");
  return dtype === "F16" ? fromFloat16Bits(data[0] ?? 0) : Number(data[0]);
}

function expectedWeight(nimg: number, sigmaRel: number): number {
  const used = times.filter((time) => time <= nimg).flatMap((time) => widths.map((width) => [time, width] as const));
  const [inNimg, inSigmaRel] = [used.map(([time]) => time), used.map(([, width]) => width)];
  const [fit] = solvePostHocCoefficients(inNimg, inSigmaRel, [nimg], [sigmaRel]);
  return used.reduce((sum, [time, width], i) => sum + (fit?.coefficients[i] ?? 0) * weightOf(time, width), 0);
}

describe("evenkeel phema", () => {
  it("writes an average for each width, at the latest time or another", async (t) => {
    const outdir = path.join(newFolder(), "new");
    const { output, failure } = await phema(
      t,
      "--indir",
      indir,
      "--outdir",
      outdir,
      "--outstd",
      "0.15,0.07",
      "--batch",
      "1",
    );
    assert.equal(failure, undefined);
    assert.match(output, /8 stored averages of 4 times up to 5500 images; condition number \d/);
    assert.match(output, /sigma_rel 0.07 at 5500 images: error \d\.\d+e-\d/);
    assert.deepEqual(readdirSync(outdir), ["phema-0000005-0.070.safetensors", "phema-0000005-0.150.safetensors"]);
    for (const width of [0.07, 0.15]) {
      const found = await weightIn(path.join(outdir, `${formatSnapshotName("phema", 5500, width)}.safetensors`));
      // f16 numbers near 6 are 2^-8 apart.
      assert.ok(Math.abs(found - expectedWeight(5500, width)) <= 2 ** -9 + 1e-5);
    }
    const early = ["--outkimg", "2", "--outprefix", "early", "--dtype", "f32"];
    assert.equal(
      (await phema(t, "--indir", indir, "--outdir", outdir, "--outstd", "0.12", ...early)).failure,
      undefined,
    );
    const found = await weightIn(path.join(outdir, "early-0000002-0.120.safetensors"));
    assert.ok(Math.abs(found - expectedWeight(2500, 0.12)) < 1e-5);
  });

  it("leaves what exists by --skip, and makes it again without", async (t) => {
    const outdir = newFolder();
    const file = path.join(outdir, "phema-0000005-0.120.safetensors");
    writeFileSync(file, "mine");
    const run = (...more: readonly string[]): Promise<Outcome> =>
      phema(t, "--indir", indir, "--outdir", outdir, "--outstd", "0.12,0.14", ...more);
    const { output } = await run("--skip");
    assert.match(output, /1 of 2 averages exist already/);
    assert.equal(readFileSync(file, "utf8"), "mine");
    assert.ok(existsSync(path.join(outdir, "phema-0000005-0.140.safetensors")));
    await run();
    assert.ok(statSync(file).size > 100);
  });

  it("shares averages out to the bytes of one process, and leaves one to who is at it", async (t) => {
    const [whole, shared] = [newFolder(), newFolder()];
    const args = ["--indir", indir, "--outstd", "0.08,0.1,0.12,0.14,0.16", "--batch", "2"];
    assert.equal((await phema(t, ...args, "--outdir", whole)).failure, undefined);
    const second = await phema(t, ...args, "--outdir", shared, "--shard", "2/2");
    assert.match(second.output, /^Shard 2 of 2\n/);
    assert.deepEqual(readdirSync(shared), ["phema-0000005-0.100.safetensors", "phema-0000005-0.140.safetensors"]);
    const busy = await RunLock.tryTake(shared, "phema-0000005-0.120.safetensors.lock");
    assert.ok(busy instanceof RunLock);
    const first = await phema(t, ...args, "--outdir", shared, "--shard", "1/2");
    assert.match(first.output, /0\.120\.safetensors: left to process \d+, which is at it/);
    assert.equal(readdirSync(shared).filter((name) => name.endsWith(".safetensors")).length, 4);
    busy.release();
    const last = await phema(t, ...args, "--outdir", shared, "--skip");
    assert.match(last.output, /4 of 5 averages exist already/);
    assert.deepEqual(readdirSync(shared), readdirSync(whole));
    for (const name of readdirSync(whole)) {
      assert.deepEqual(readFileSync(path.join(shared, name)), readFileSync(path.join(whole, name)), name);
    }
    assert.match((await phema(t, ...args, "--outdir", shared, "--shard", "3/2")).errors, /"3\/2" is not i\/N/);
  });

  it("prints coefficients and writes nothing by --dry-run", async (t) => {
    const { output, failure } = await phema(t, "--indir", indir, "--outstd", "0.1,0.2", "--dry-run");
    assert.equal(failure, undefined);
    assert.match(output, /network-snapshot-0000005-0.100.safetensors +1\.000000 +-?\d\.\d{6}\n/);
    assert.match(output, /sum before scaling +1\.000000 +0\.\d{6}\n/);
    assert.match(output, /poor: too few stored averages/);
    assert.deepEqual(readdirSync(indir).length, 8);
  });

  it("prints JSON, and nothing else, by --json", async (t) => {
    const args = ["--indir", indir, "--outstd", "0.05,0.12", "--instd", "0.05,.1", "--json"];
    const dry = JSON.parse((await phema(t, ...args, "--dry-run")).output) as Report;
    assert.deepEqual(
      dry.averages.map(({ nimg, sigmaRel, written }) => [nimg, sigmaRel, written]),
      [
        [5500, 0.05, false],
        [5500, 0.12, false],
      ],
    );
    assert.equal(dry.stored.length, 8);
    const fits = solvePostHocCoefficients(
      dry.stored.map(({ nimg }) => nimg),
      dry.stored.map(({ sigmaRel }) => sigmaRel),
      [5500, 5500],
      [0.05, 0.12],
    );
    assert.deepEqual(
      dry.averages.map(({ coefficients }) => coefficients),
      fits.map(({ coefficients }) => [...coefficients]),
    );
    assert.equal(dry.conditionNumber, fits[0]?.conditionNumber);
    const wet = JSON.parse((await phema(t, ...args, "--outdir", newFolder())).output) as Report;
    assert.ok(wet.averages.every(({ file, written }) => written && existsSync(file)));
    const raw = JSON.parse((await phema(t, ...args, "--dry-run", "--no-normalize")).output) as Report;
    const sum = raw.averages[1]?.coefficients.reduce((a, b) => a + b, 0) ?? 1;
    assert.ok(Math.abs(sum - 1) > 1e-4);
  });

  it("draws the profiles by --plot, as a picture that other programs read", async (t) => {
    const file = path.join(newFolder(), "profiles.svg");
    await phema(t, "--indir", indir, "--outstd", "0.03,0.07,0.2", "--dry-run", "--plot", file);
    const svg = readFileSync(file, "utf8");
    assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="860"/);
    // Three wanted and three fitted profiles above, eight stored ones below.
    assert.equal([...svg.matchAll(/<path [^>]*d="M[^"]{200,}"/g)].length, 3 + 3 + 8);
    for (const label of ["σ_rel 0.030", "σ_rel 0.070", "σ_rel 0.200", "σ_rel 0.050, σ_rel 0.100", "images seen"]) {
      assert.ok(svg.includes(label), label);
    }
    assert.doesNotMatch(svg, /NaN|undefined/);
    const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height], [860, 620]);
    const drawn = data.filter((value) => value !== 255).length / data.length;
    assert.ok(drawn > 0.02 && drawn < 0.4, `share of coloured pixels: ${drawn}`);
  });

  it("takes anybody's files by a pattern or a schedule", async (t) => {
    const folder = newFolder();
    for (const nimg of times) {
      for (const sigmaRel of widths) {
        const data = Float32Array.of(weightOf(nimg, sigmaRel));
        const file = path.join(folder, `step${nimg}-ema${sigmaRel}.safetensors`);
        await writeSafetensors(file, {
          w: { dtype: "F32", shape: [1], data },
          stat: { dtype: "F32", shape: [1], data },
        });
      }
    }
    const outdir = newFolder();
    const target = ["--outdir", outdir, "--outstd", "0.14", "--dtype", "f32"];
    const pattern = ["--indir", folder, "--pattern", "step{nimg}-ema{std}.safetensors"];
    assert.equal((await phema(t, ...pattern, ...target)).failure, undefined);
    const file = path.join(outdir, "phema-0000005-0.140.safetensors");
    assert.ok(Math.abs((await weightIn(file)) - expectedWeight(5500, 0.14)) < 1e-5);
    rmSync(file);
    const snapshot = times.flatMap((nimg) =>
      widths.map((sigmaRel) => ({ file: `step${nimg}-ema${sigmaRel}.safetensors`, nimg, sigma_rel: sigmaRel })),
    );
    const schedule = path.join(folder, "schedule.json");
    writeFileSync(schedule, JSON.stringify({ snapshot, buffers: ["st*"] }));
    assert.equal((await phema(t, "--indir", folder, "--schedule", schedule, ...target)).failure, undefined);
    assert.ok(Math.abs((await weightIn(file)) - expectedWeight(5500, 0.14)) < 1e-5);
    assert.deepEqual((await readSafetensors(file)).tensor("stat").data, Float32Array.of(weightOf(5500, 0.1)));
  });

  it("says what is wrong", async (t) => {
    const fails = async (pattern: RegExp, ...args: readonly string[]): Promise<void> => {
      const { failure, errors } = await phema(t, ...args);
      assert.match(`${failure?.message ?? "no failure"}\n${errors}`, pattern);
    };
    const good = ["--indir", indir, "--outstd", "0.1"];
    await fails(/say where the averages go by --outdir, or ask for none by --dry-run/, ...good);
    await fails(/required option '--indir/, "--outstd", "0.1", "--dry-run");
    await fails(/required option '--outstd/, "--indir", indir, "--dry-run");
    await fails(/nowhere: reading the folder failed/, "--indir", "nowhere", "--outstd", "0.1", "--dry-run");
    await fails(/no snapshot named other-KKKKKKK-S.SSS/, ...good, "--dry-run", "--inprefix", "other");
    await fails(/no snapshot named PREFIX-KKKKKKK-0.030\|0.040/, ...good, "--dry-run", "--instd", "0.03,0.04");
    await fails(/--outkimg 3: .*run has snapshots of 1, 2, 4, 5 thousand/, ...good, "--dry-run", "--outkimg", "3");
    await fails(/"0.3" is no sigma_rel/, "--indir", indir, "--dry-run", "--outstd", "0.3");
    await fails(/wanted a whole number from 1 on/, ...good, "--dry-run", "--batch", "0");
    await fails(/wanted a whole number of thousands/, ...good, "--dry-run", "--outkimg", "1.5");
    await fails(/Allowed choices are f16, f32/, ...good, "--dry-run", "--dtype", "f8");
    await fails(/cannot be used with option/, ...good, "--dry-run", "--schedule", "a.toml", "--pattern", "b");
    await fails(/is one of the snapshots/, ...good, "--outdir", indir, "--outprefix", "network-snapshot");
    await fails(/creating a file in .*nowhere/, ...good, "--dry-run", "--plot", path.join(root, "nowhere/a.svg"));
    assert.equal(readdirSync(indir).length, 8);
  });

  it("explains itself", async (t) => {
    const { output } = await phema(t, "--help");
    for (const text of ["--outkimg", "Examples:", "0.010,0.015,...,0.250", "schedule.toml"])
      assert.ok(output.includes(text), text);
  });
});

describe("parseSigmaRelList", () => {
  it("expands even grids", () => {
    assert.deepEqual(parseSigmaRelList("0.1"), [0.1]);
    assert.deepEqual(parseSigmaRelList(".2, 0.05"), [0.2, 0.05]);
    assert.throws(() => parseSigmaRelList("0.2,0.05,0.20"), /0\.2 is listed twice/);
    assert.deepEqual(parseSigmaRelList("0.1,0.15,...,0.25"), [0.1, 0.15, 0.2, 0.25]);
    assert.deepEqual(parseSigmaRelList("0.010,0.015,...,0.030,0.1"), [0.01, 0.015, 0.02, 0.025, 0.03, 0.1]);
    assert.deepEqual(parseSigmaRelList("0.2,0.15,...,0.05"), [0.2, 0.15, 0.1, 0.05]);
    assert.deepEqual(parseSigmaRelList("0.1,0.15,...,0.2"), [0.1, 0.15, 0.2]);
    assert.equal(parseSigmaRelList("0.010,0.015,...,0.250").length, 49);
  });

  it("refuses what is no list", () => {
    for (const text of [
      "",
      "x",
      "0",
      "0.1,",
      "0.5",
      "...",
      "0.1,...,0.2",
      "0.1,0.2,...",
      "0.05,0.1,...,...,0.2",
      "0.1,0.13,...,0.2",
      "0.1,0.1,...,0.2",
      "0.1,0.15,...,0.1",
    ]) {
      assert.throws(() => parseSigmaRelList(text), /sigma_rel|stands between|whole number of steps/, text);
    }
  });
});
