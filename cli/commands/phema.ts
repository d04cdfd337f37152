import path from "node:path";
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import {
  type AveragingProfile,
  compareProfiles,
  describeProfile,
  fittingProfiles,
  formatSigmaRel,
  isBufferByName,
  type PostHocFit,
  powerProfile,
  profileFields,
  type SnapshotFile,
  type SnapshotFilter,
  snapshotPlace,
  snapshotsIn,
} from "../../diffusion/ema/index.ts";
import {
  type AverageFile,
  listByPattern,
  readSchedule,
  reconstructFiles,
  tensorNameMatcher,
} from "../../diffusion/ema/node.ts";
import { foreignFilesOf } from "../../diffusion/snapshot/index.ts";
import { EvenkeelError, inTurns } from "../../engine/index.ts";
import { diskFolder, writeFileAtomically } from "../../engine/io/node.ts";
import { takeShard } from "../../diffusion/sample/index.ts";
import { exists } from "../exists.ts";
import type { ReadShard } from "../shards/readShard.ts";
import { describeShard, shardOption } from "../shards/shardOption.ts";
import { takeUnits } from "../shards/unitLock.ts";
import { parseSigmaRelList } from "../sigmaRelList.ts";
import { profileChart } from "../profileChart.ts";
import { stopping } from "../stopping.ts";
import { WorkProgress } from "../workProgress.ts";
import { wholeNumber } from "../wholeNumber.ts";

/** Squared relative error from which on a fitted profile is visibly another one. */
const poorFit = 0.01;

/** `evenkeel phema`: averages of any width from stored averages, after training. */
export function addPhemaCommand(program: Command): void {
  program
    .command("phema")
    .description(
      "Make weight averages of any length after training, from the averages stored during it (post-hoc EMA).",
    )
    .requiredOption("--indir <folder>", "folder of snapshots, Evenkeel's or the authors': PREFIX-KKKKKKK-S.SSS")
    .option("--inprefix <text>", "use only snapshots with this prefix (default: any)")
    .option("--instd <list>", "use only snapshots of these sigma_rel (default: any)", parseSigmaRelList)
    .addOption(
      new Option(
        "--schedule <file>",
        "TOML or JSON file that states each file's time and profile, for any safetensors",
      ).conflicts(["inprefix", "instd", "pattern"]),
    )
    .addOption(
      new Option("--pattern <name>", 'form of the file names, such as "step{nimg}-ema{std}.safetensors"').conflicts([
        "inprefix",
        "instd",
      ]),
    )
    .option("--outdir <folder>", "where to put the averages; made if missing")
    .option("--outprefix <text>", "prefix of their names", "phema")
    .requiredOption("--outstd <list>", "their sigma_rel: 0.1 or 0.05,0.1 or 0.010,0.015,...,0.250", parseSigmaRelList)
    .option("--outkimg <kimg>", "their time in thousands of images, one of the snapshots' (default: latest)", parseKimg)
    .option("--skip", "leave out averages whose files exist already; with --shard always so")
    .addOption(shardOption("the averages"))
    .option("--batch <count>", "averages made in one pass; each takes the memory of one network", wholeNumber, 8)
    .addOption(new Option("--dtype <type>", "how averages are stored").choices(["f16", "f32"]).default("f16" as const))
    .option("--no-normalize", "don't divide coefficients by their sum (as the paper, unlike its program)")
    .option("--dry-run", "write no averages; print the coefficients")
    .option("--plot <file>", "draw the stored, wanted and fitted profiles into an SVG file")
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples)
    .action(run);
}

const examples = `
Examples:
  One average of sigma_rel 0.1 at the end of a run
  $ npx evenkeel phema --indir runs/emoji16 --outdir runs/emoji16/phema --outstd 0.1

  A sweep at 5 million images; what exists already is not made again
  $ npx evenkeel phema --indir runs/emoji16 --outdir sweep --outstd 0.010,0.015,...,0.250 --outkimg 5000 --skip

  The same sweep by 8 processes; this is the third. What a last call with --skip and without --shard doesn't make, there is
  $ npx evenkeel phema --indir runs/emoji16 --outdir sweep --outstd 0.010,0.015,...,0.250 --shard 3/8

  How well would it work? Coefficients, errors and a picture, but no averages
  $ npx evenkeel phema --indir runs/emoji16 --outstd 0.05,0.1,0.2 --dry-run --plot profiles.svg

  Averages of another trainer, with the exact times stated
  $ npx evenkeel phema --indir other --schedule other/schedule.toml --outdir phema --outstd 0.15
  schedule.toml:
    buffers = ["*.running_mean"]    # copied from the last snapshot, not averaged
    [[snapshot]]
    file = "epoch010.safetensors"
    nimg = 512000
    sigma_rel = 0.05                # or half_life = 50000, of an exponential average

Snapshots must be of one run: of one prefix, one network and one program. Post-hoc averages among them are left out unless --inprefix asks
for them. A second state within the same thousand of images is named PREFIX-KKKKKKK.NNN-S.SSS. What is the same in all snapshots stays so.

The error of a fit is the integral of (fitted - wanted)^2 over that of wanted^2.`;

type Options = {
  readonly indir: string;
  readonly inprefix?: string | undefined;
  readonly instd?: number[] | undefined;
  readonly schedule?: string | undefined;
  readonly pattern?: string | undefined;
  readonly outdir?: string | undefined;
  readonly outprefix: string;
  readonly outstd: number[];
  readonly outkimg?: number | undefined;
  readonly skip?: true | undefined;
  readonly shard?: ReadShard | undefined;
  readonly batch: number;
  readonly dtype: "f16" | "f32";
  readonly normalize: boolean;
  readonly dryRun?: true | undefined;
  readonly plot?: string | undefined;
  readonly json?: true | undefined;
};

async function run(options: Options): Promise<void> {
  const { outdir, outprefix, json, plot, normalize } = options;
  if (outdir === undefined && options.dryRun !== true) {
    throw new EvenkeelError("value", "phema: say where the averages go by --outdir, or ask for none by --dry-run.");
  }
  const { snapshots: found, buffers } = await findSnapshots(options);
  const snapshots = found.toSorted((a, b) => compareProfiles(a.profile, b.profile));
  const stored = snapshots.map(({ profile }) => profile);
  const nimg = chooseTime(stored, options.outkimg, options.indir);
  const wanted = options.outstd.map((sigmaRel) => powerProfile(nimg, sigmaRel));
  const fits = await inTurns(fittingProfiles(stored, wanted, { normalize }));
  const files: AverageFile[] = [];
  for (const [i, { wanted }] of fits.entries()) {
    const place = await snapshotPlace(diskFolder(outdir ?? ""), outprefix, nimg, options.outstd[i] ?? Number.NaN);
    files.push({ profile: wanted, path: place.path });
  }
  const print = (text: string): void => {
    if (json !== true) console.log(text);
  };
  if (options.shard !== undefined) print(describeShard(options.shard));
  print(describeStored(options.indir, stored, fits));
  print(options.dryRun === true ? coefficientTables(snapshots, fits) : errorTable(fits));
  if (plot !== undefined) {
    await writeText(plot, profileChart(stored, fits));
    print(`${plot}: profiles drawn`);
  }
  const written = options.dryRun === true ? [] : await makeAverages(options, snapshots, buffers, files, print);
  if (json === true) console.log(JSON.stringify(asJson(snapshots, fits, files, written), null, 2));
}

/** Makes the averages that were asked for, or a share of them. @returns those that were made here */
async function makeAverages(
  options: Options,
  snapshots: readonly SnapshotFile[],
  buffers: readonly string[],
  all: readonly AverageFile[],
  print: (text: string) => void,
): Promise<readonly AverageFile[]> {
  const { shard, batch, normalize, dtype } = options;
  const paths = all.map(({ path: file }) => file);
  const twice = paths.find((file, i) => paths.indexOf(file) !== i);
  if (twice !== undefined) throw new EvenkeelError("value", `phema: two of the averages would be ${twice}.`);
  const isSkipping = options.skip === true || shard !== undefined;
  const files = shard === undefined ? all : takeShard(all, shard.shard);
  const missing = isSkipping ? await missingFiles(files) : files;
  const skipped = files.length - missing.length;
  if (skipped > 0) print(`${skipped} of ${files.length} averages exist already and are left as they are`);
  const written: AverageFile[] = [];
  const tellWhole = (): void => {
    const advice = shard === undefined ? "--skip leaves these as they are" : "the same command goes on";
    stopping.left = `${skipped + written.length} of ${files.length} averages are whole; ${advice}.`;
  };
  tellWhole();
  const isBuffer = tensorNameMatcher(buffers);
  const progress = new WorkProgress();
  progress.at("reading snapshots", 0, null);
  try {
    for (let begin = 0; begin < missing.length; begin += batch) {
      const group = missing.slice(begin, begin + batch);
      const taken = await takeUnits(
        group.map(({ path: file }) => file),
        print,
      );
      try {
        const own = taken.indices.flatMap((index) => group[index] ?? []);
        // Another process may have made them just now.
        await reconstructFiles(snapshots, isSkipping ? await missingFiles(own) : own, {
          normalize,
          batch,
          dtype: dtype === "f32" ? "F32" : "F16",
          isBuffer: (name, tensor) => isBuffer(name) || isBufferByName(name, tensor),
          onSnapshot: (done, total) => progress.at("snapshots added up", done, total),
          onFile: (file) => {
            progress.pause();
            print(file.path);
            written.push(file);
            tellWhole();
          },
        });
      } finally {
        taken.release();
      }
    }
  } finally {
    progress.end();
  }
  return written;
}

async function findSnapshots(
  options: Options,
): Promise<{ readonly snapshots: readonly SnapshotFile[]; readonly buffers: readonly string[] }> {
  const { indir, inprefix: prefix, instd: sigmaRels, schedule, pattern } = options;
  if (schedule !== undefined) return readSchedule(schedule, indir);
  const onLeftOut = (line: string): void => {
    if (options.json !== true) console.log(`${indir}: ${line}`);
  };
  const filter: SnapshotFilter = { prefix, sigmaRels, onLeftOut };
  const snapshots =
    pattern === undefined
      ? await snapshotsIn(diskFolder(indir), filter)
      : await listByPattern(indir, pattern, onLeftOut);
  if (snapshots.length > 0) return { snapshots, buffers: [] };
  const others = (await foreignFilesOf(diskFolder(indir))).slice(0, 3);
  const there = others.length === 0 ? "" : `There: ${others.join("; ")}. `;
  const wanted = pattern ?? `${prefix ?? "PREFIX"}-KKKKKKK-${sigmaRels?.map(formatSigmaRel).join("|") ?? "S.SSS"}`;
  throw new EvenkeelError(
    "file",
    `phema: ${indir} holds no snapshot named ${wanted} (.safetensors or .pkl) taken after the start. ${there}` +
      "Choose another folder, or say by --pattern or --schedule which files are averages.",
  );
}

function chooseTime(stored: readonly AveragingProfile[], kimg: number | undefined, indir: string): number {
  const times = [...new Set(stored.map(({ nimg }) => nimg))].sort((a, b) => a - b);
  const chosen = kimg === undefined ? times.at(-1) : times.find((nimg) => Math.floor(nimg / 1000) === kimg);
  if (chosen !== undefined) return chosen;
  const all = times.map((nimg) => Math.floor(nimg / 1000));
  const some = all.length <= 12 ? all.join(", ") : `${all.slice(0, 6).join(", ")}, ..., ${all.slice(-3).join(", ")}`;
  throw new EvenkeelError(
    "value",
    `phema: --outkimg ${kimg ?? ""}: ${indir} has snapshots of ${some} thousand images.`,
  );
}

async function missingFiles(files: readonly AverageFile[]): Promise<readonly AverageFile[]> {
  const missing: AverageFile[] = [];
  for (const file of files) if (!(await exists(file.path))) missing.push(file);
  return missing;
}

async function writeText(file: string, text: string): Promise<void> {
  await writeFileAtomically(file, (sink) => sink.write(new TextEncoder().encode(text)));
}

function describeStored(folder: string, stored: readonly AveragingProfile[], fits: readonly PostHocFit[]): string {
  const target = fits[0];
  if (target === undefined) return `${folder}: nothing wanted`;
  const used = stored.filter(({ nimg }) => nimg <= target.wanted.nimg);
  const times = new Set(used.map(({ nimg }) => nimg)).size;
  return (
    `${folder}: ${used.length} stored averages of ${times} times up to ${target.wanted.nimg} images; ` +
    `condition number ${target.conditionNumber.toExponential(2)}`
  );
}

function errorTable(fits: readonly PostHocFit[]): string {
  return fits.map((fit) => `  ${describeProfile(fit.wanted)}: error ${errorText(fit)}`).join("\n");
}

function errorText({ relativeError }: PostHocFit): string {
  return `${relativeError.toExponential(2)}${relativeError > poorFit ? " (poor: too few stored averages for this width)" : ""}`;
}

/** One row a stored average, one column a wanted one, as many columns side by side as fit a screen. */
function coefficientTables(snapshots: readonly SnapshotFile[], fits: readonly PostHocFit[]): string {
  const columns = 5;
  const tables: string[] = [];
  for (let i = 0; i < fits.length; i += columns) tables.push(coefficientTable(snapshots, fits.slice(i, i + columns)));
  const poor = fits.filter(({ relativeError }) => relativeError > poorFit);
  return [tables.join("\n\n"), ...(poor.length === 0 ? [] : [errorTable(poor)])].join("\n");
}

function coefficientTable(snapshots: readonly SnapshotFile[], fits: readonly PostHocFit[]): string {
  const names = snapshots.map((snapshot) => path.basename(snapshot.path));
  const nameWidth = Math.max(20, ...names.map((name) => name.length));
  const row = (name: string, cell: (fit: PostHocFit) => string): string =>
    `  ${name.padEnd(nameWidth)}${fits.map((fit) => cell(fit).padStart(14)).join("")}`;
  return [
    row("sigma_rel", ({ wanted }) => (wanted.kind === "power" ? formatSigmaRel(wanted.sigmaRel) : "")),
    ...names.map((name, i) => row(name, ({ coefficients }) => coefficient(coefficients[i] ?? 0))),
    row("sum before scaling", ({ sum }) => sum.toFixed(6)),
    row("error", ({ relativeError }) => relativeError.toExponential(2)),
  ].join("\n");
}

function coefficient(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(3) : value.toFixed(6);
}

function asJson(
  snapshots: readonly SnapshotFile[],
  fits: readonly PostHocFit[],
  files: readonly AverageFile[],
  written: readonly AverageFile[],
): unknown {
  return {
    conditionNumber: fits[0]?.conditionNumber,
    stored: snapshots.map(({ path: file, profile }) => ({ file, ...profileFields(profile) })),
    averages: fits.map(({ wanted, coefficients, sum, relativeError }, i) => {
      const file = files[i];
      return {
        ...profileFields(wanted),
        file: file?.path,
        written: file !== undefined && written.includes(file),
        relativeError,
        sum,
        coefficients: [...coefficients],
      };
    }),
  };
}

function parseKimg(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("wanted a whole number of thousands of images.");
}
