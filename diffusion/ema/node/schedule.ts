/** Anybody's averages: safetensors files whose times and widths a schedule file or a pattern of names states. */
import path from "node:path";
import * as z from "zod";
import { clipText, describeIssues, quoteText, readWhole } from "../../../engine/io/index.ts";
import { diskFile, diskFolder } from "../../../engine/io/node.ts";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { hasForm, matchPattern, type PatternPart, starPattern } from "../namePattern.ts";
import { powerProfile } from "../profile.ts";
import { parseToml } from "../../parseToml.ts";
import { type AverageMetadata, profileFromFields, readAverageMetadata } from "../averageMetadata.ts";
import { type OfRun, requireNamedWidth, requireOneRun, tellLeftOut } from "../oneRun.ts";
import { safetensorsMetadata, snapshotFile } from "../snapshotFile.ts";
import type { SnapshotFile } from "../storedAverage.ts";

const scheduleSchema = z.strictObject({
  /** Names of tensors that are copied from the last snapshot, beside those recognised; `*` stands for any text. */
  buffers: z.array(z.string()).optional(),
  snapshot: z
    .array(
      z.strictObject({
        file: z.string(),
        /** Images seen, or any other unit of time if all use it. */
        nimg: z.number(),
        sigma_rel: z.number().optional(),
        half_life: z.number().optional(),
      }),
    )
    .min(1),
});

/** Stored averages of anybody, as a schedule file lists them. */
export type SnapshotSchedule = {
  readonly snapshots: readonly SnapshotFile[];
  /** Patterns of the names of further buffers. */
  readonly buffers: readonly string[];
};

/**
 * Reads a schedule, TOML or JSON by its extension: `[[snapshot]]` tables with `file` (relative to `folder`), `nimg`, and
 * `sigma_rel` or, of an exponential average, `half_life` in the unit of `nimg`; optionally `buffers = ["*.running_mean"]`.
 * @throws EvenkeelError `file` with everything that is wrong in it.
 * @example
 * ```ts
 * import { describeProfile } from "evenkeel/diffusion/ema";
 * import { writeFile } from "node:fs/promises";
 *
 * await writeFile("schedule.toml", '[[snapshot]]\nfile = "a.safetensors"\nnimg = 16000\nsigma_rel = 0.05\n');
 * const { snapshots } = await readSchedule("schedule.toml", "averages");
 * console.log(snapshots.map(({ profile }) => describeProfile(profile))); // [ 'sigma_rel 0.05 at 16000 images' ]
 * ```
 */
export async function readSchedule(file: string, folder: string): Promise<SnapshotSchedule> {
  const checked = scheduleSchema.safeParse(await parseScheduleFile(file));
  if (!checked.success) {
    throw new EvenkeelError("file", `${file}: is no schedule: ${describeIssues(checked.error)}`);
  }
  const { snapshot, buffers = [] } = checked.data;
  const snapshots = snapshot.map(({ file: name, nimg, sigma_rel: sigmaRel, half_life: halfLife }) =>
    snapshotFile(
      diskFile(path.resolve(folder, name)),
      profileFromFields(`${file}: ${name}`, { nimg, sigmaRel, halfLife }),
    ),
  );
  return { snapshots, buffers };
}

async function parseScheduleFile(file: string): Promise<unknown> {
  const text = new TextDecoder().decode(await readWhole(diskFile(file)));
  const extension = path.extname(file);
  if (extension !== ".toml" && extension !== ".json") {
    throw new EvenkeelError("file", `${file}: a schedule is a .toml or .json file.`);
  }
  if (extension === ".toml") return parseToml(text, file);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new EvenkeelError("file", `${file}: no JSON: ${clipText(reason)}`, { cause });
  }
}

const fields = ["nimg", "kimg", "std"] as const;

/**
 * The files of a folder whose name has the form of `pattern`, such as `step{nimg}-ema{std}.safetensors`: {nimg} stands for
 * the images seen ({kimg} for exact thousands of them), {std} for sigma_rel, `*` for any text. Post-hoc averages of Evenkeel are none.
 * @param onLine told what was left out, and what the stars stand for where that differs.
 * @throws EvenkeelError `value` if the pattern lacks {nimg} (or {kimg}) or {std}; `file` if the folder or a file can't be read, a file
 * contradicts its name, or they can't be of one run.
 * @example
 * ```ts
 * import { describeProfile } from "evenkeel/diffusion/ema";
 * import { writeSafetensors } from "evenkeel/engine/node";
 * import { mkdir } from "node:fs/promises";
 *
 * await mkdir("averages");
 * const w = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * await writeSafetensors("averages/step16000-ema0.10.safetensors", { w });
 * const found = await listByPattern("averages", "step{nimg}-ema{std}.safetensors");
 * console.log(found.map(({ profile }) => describeProfile(profile))); // [ 'sigma_rel 0.1 at 16000 images' ]
 * ```
 */
export async function listByPattern(
  folder: string,
  pattern: string,
  onLine?: (line: string) => void,
): Promise<readonly SnapshotFile[]> {
  const names = fields.filter((field) => pattern.split(`{${field}}`).length === 2);
  if (names.length !== 2 || !names.includes("std")) {
    throw new EvenkeelError(
      "value",
      `pattern "${pattern}": wanted {std} and either {nimg} or {kimg}, each once: step{nimg}-ema{std}.safetensors`,
    );
  }
  const parts = pattern
    .split(/(\{nimg\}|\{kimg\}|\{std\}|\*)/)
    .filter((part) => part !== "")
    .map((part): PatternPart => {
      const field = fields.find((name) => part === `{${name}}`);
      if (field !== undefined) return { kind: field === "std" ? "decimal" : "whole", name: field };
      return part === "*" ? { kind: "any" } : { kind: "text", text: part };
    });
  const found: SnapshotFile[] = [];
  const ofRun: OfRun[] = [];
  const leftOut = new Map<string, string[]>();
  const texts = new Map<string, Set<string>>();
  for (const fileName of await diskFolder(folder).list()) {
    const read = matchPattern(parts, fileName);
    if (read === undefined) continue;
    const file = path.join(folder, fileName);
    const stated = await statedBy(file);
    const named = {
      nimg: read.has("nimg") ? Number(read.get("nimg")) : Number(read.get("kimg")) * 1000,
      sigmaRel: Number(read.get("std")),
    };
    const reason =
      stated?.postHoc !== undefined
        ? "post-hoc averages"
        : named.nimg === 0 && (stated?.nimg ?? 0) === 0
          ? "averages from before the first image"
          : undefined;
    if (reason !== undefined) {
      leftOut.set(reason, [...(leftOut.get(reason) ?? []), fileName]);
      continue;
    }
    const nimg = timeOf(file, named, read.has("kimg"), stated);
    found.push(snapshotFile(diskFile(file), powerProfile(nimg, named.sigmaRel)));
    ofRun.push({ fileName, prefix: "", stated });
    for (const [part, text] of read) {
      if (part.startsWith("*")) texts.set(part, (texts.get(part) ?? new Set()).add(text));
    }
  }
  tellLeftOut(leftOut, onLine);
  for (const [first = "", second, ...more] of texts.values()) {
    if (second === undefined) continue;
    const like = `such as ${quoteText(first)} and ${quoteText(second)}`;
    onLine?.(
      `taken for one run: names in which * stands for ${more.length + 2} texts, ${like}; if these are several, name one`,
    );
  }
  requireOneRun(folder, ofRun);
  return found;
}

/** What a file says of itself; undefined for those of other programs. */
async function statedBy(file: string): Promise<AverageMetadata | undefined> {
  if (path.extname(file) !== ".safetensors") return undefined;
  return readAverageMetadata(file, await safetensorsMetadata(diskFile(file)));
}

/** The images seen: those that a file states, if its name doesn't say otherwise. @throws EvenkeelError `file` if it does. */
function timeOf(
  file: string,
  { nimg, sigmaRel }: { readonly nimg: number; readonly sigmaRel: number },
  isThousands: boolean,
  stated: AverageMetadata | undefined,
): number {
  if (stated === undefined) return nimg;
  const isNamed = isThousands ? Math.floor(stated.nimg / 1000) * 1000 === nimg : stated.nimg === nimg;
  if (!isNamed) throw new EvenkeelError("file", `${file}: its name says ${nimg} images, its content ${stated.nimg}.`);
  requireNamedWidth(file, sigmaRel, stated);
  return stated.nimg;
}

/**
 * Tells whether a tensor's name has the form of one of the patterns, in which `*` stands for any text.
 * @example
 * ```ts
 * const isBuffer = tensorNameMatcher(["*.running_mean", "freqs"]);
 * console.log(isBuffer("layers.0.running_mean"), isBuffer("layers.0.weight")); // true false
 * ```
 */
export function tensorNameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const forms = patterns.map(starPattern);
  return (name) => forms.some((form) => hasForm(form, name));
}
