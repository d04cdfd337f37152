/** Anybody's averages: safetensors files whose times and widths a schedule file or a pattern of names states. */
import path from "node:path";
import { z } from "zod";
import { clip, describeIssues, EvenkeelError, messageOf } from "../../../engine/index.ts";
import { hasForm, matchPattern, type PatternPart, starPattern } from "../namePattern.ts";
import { powerProfile } from "../profile.ts";
import { parseToml } from "../../parseToml.ts";
import { profileFromFields, readAverageMetadata } from "./averageMetadata.ts";
import { listFiles, readText } from "./folder.ts";
import type { SnapshotFile } from "./storedAverage.ts";
import { safetensorsMetadata, snapshotFile } from "./snapshotFile.ts";

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
 */
export async function readSchedule(file: string, folder: string): Promise<SnapshotSchedule> {
  const checked = scheduleSchema.safeParse(await parseScheduleFile(file));
  if (!checked.success) {
    throw new EvenkeelError("file", `${file}: is no schedule: ${describeIssues(checked.error)}`);
  }
  const { snapshot, buffers = [] } = checked.data;
  const snapshots = snapshot.map(({ file: name, nimg, sigma_rel: sigmaRel, half_life: halfLife }) =>
    snapshotFile(path.resolve(folder, name), profileFromFields(`${file}: ${name}`, { nimg, sigmaRel, halfLife })),
  );
  return { snapshots, buffers };
}

async function parseScheduleFile(file: string): Promise<unknown> {
  const text = await readText(file);
  const extension = path.extname(file);
  if (extension !== ".toml" && extension !== ".json") {
    throw new EvenkeelError("file", `${file}: a schedule is a .toml or .json file.`);
  }
  if (extension === ".toml") return parseToml(text, file);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new EvenkeelError("file", `${file}: no JSON: ${clip(reason)}`, { cause });
  }
}

const fields = ["nimg", "kimg", "std"] as const;

/**
 * The files of a folder whose name has the form of `pattern`, such as `step{nimg}-ema{std}.safetensors`: {nimg} stands for
 * the images seen ({kimg} for exact thousands of them), {std} for sigma_rel, `*` for any text. Post-hoc averages of Evenkeel are none.
 * @throws EvenkeelError `value` if the pattern lacks {nimg} (or {kimg}) or {std}, `file` if the folder can't be read.
 */
export async function listByPattern(folder: string, pattern: string): Promise<readonly SnapshotFile[]> {
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
  for (const name of await listFiles(folder)) {
    const numbers = matchPattern(parts, name);
    if (numbers === undefined) continue;
    const nimg = numbers.has("nimg") ? Number(numbers.get("nimg")) : Number(numbers.get("kimg")) * 1000;
    const file = path.join(folder, name);
    if (nimg > 0 && !(await isResult(file))) {
      found.push(snapshotFile(file, powerProfile(nimg, Number(numbers.get("std")))));
    }
  }
  return found;
}

/** Whether a file is a post-hoc average, as it says itself. */
async function isResult(file: string): Promise<boolean> {
  if (path.extname(file) !== ".safetensors") return false;
  return readAverageMetadata(file, await safetensorsMetadata(file))?.postHoc !== undefined;
}

/** Tells whether a tensor's name has the form of one of the patterns, in which `*` stands for any text. */
export function matchesAny(patterns: readonly string[]): (name: string) => boolean {
  const forms = patterns.map(starPattern);
  return (name) => forms.some((form) => hasForm(form, name));
}
