import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { mergeOptions, type OptionLayer, parseSettings, trainSettings } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { fileSystemError } from "../../engine/io/node.ts";

/** What is changed of the base: settings of `evenkeel train` by name. */
export type Change = { readonly name: string; readonly values: Readonly<Record<string, unknown>> };

const known = new Set(Object.keys(trainSettings.shape));

/** Settings that both sides must share, and why. */
const shared: Readonly<Record<string, string>> = {
  data: "errors on other data can't be compared",
  holdout: "errors of other held-out images can't be compared",
  "holdout-seed": "errors of other held-out images can't be compared",
  seed: "runs of a pair share their seed",
  outdir: "each run has its folder in the comparison's",
};

/** What the base may set and a change may not, and why. */
const ofBase: Readonly<Record<string, string>> = {
  duration: "runs of a pair see as many images",
  "noise-df": "held-out errors are those of the noise that a run is trained on, and other noise is another task",
  "sigma-data": "held-out errors are weighted by it, and by another one they are other errors",
};

/**
 * A change as it is written: `lr=0.03`, `config=F`, `config=G,switches=pixelNorm=false,gains=false`, or a file of settings that ends with
 * `.toml`.
 * @throws EvenkeelError `value` for what is no setting (with the nearest one), no value of it, or must be the same on both sides; `file` for a
 * file that can't be read.
 */
export async function readChange(text: string, option = "--change"): Promise<Change> {
  const isFile = text.endsWith(".toml");
  const values = isFile ? await readSettings(text) : parsed(text, option);
  const layer: OptionLayer = { from: isFile ? text : `${option} "${text}"`, values };
  try {
    mergeOptions(trainSettings.partial(), [layer]);
  } catch (cause) {
    if (!(cause instanceof EvenkeelError) || !cause.message.endsWith("is no option.")) throw cause;
    throw new EvenkeelError(cause.code, `${cause.message} All that there are: npx evenkeel train --help.`, { cause });
  }
  const fixed = option === "--base" ? shared : { ...shared, ...ofBase };
  const [kept] = Object.keys(values).filter((name) => name in fixed);
  if (kept !== undefined) {
    const help = kept in ofBase ? `Leave it out, or set it for both sides: --base "${kept}=..."` : "Leave it out.";
    throw new EvenkeelError("value", `compare: ${layer.from} sets ${kept}: ${fixed[kept] ?? ""}. ${help}`);
  }
  if (Object.keys(values).length === 0) throw new EvenkeelError("value", `compare: ${layer.from} sets nothing.`);
  return { name: isFile ? basename(text, ".toml") : text, values };
}

async function readSettings(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw fileSystemError(path, "reading a change", cause);
  });
  return parseSettings(text, path);
}

/** `name=value` with commas between; a part that names no setting belongs to the switches before it. */
function parsed(text: string, option: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  let last = "";
  // Lists have commas of their own.
  for (const part of (text.match(/(\[[^\]]*\]|[^,])+/g) ?? []).map((each) => each.trim())) {
    const [name = "", ...rest] = part.split("=");
    if (last === "switches" && !known.has(name) && rest.length > 0) {
      values[last] = `${String(values[last])},${part}`;
      continue;
    }
    if (name === "" || rest.length === 0) {
      throw new EvenkeelError("value", `compare: ${option} "${text}": "${part}" isn't of the form setting=value.`);
    }
    if (name in values) throw new EvenkeelError("value", `compare: ${option} "${text}" sets ${name} twice.`);
    values[name] = valueOf(name, rest.join("="), `${option} "${text}"`);
    last = name;
  }
  return values;
}

/** A value as a file of settings has it; words needn't be in quotes. */
function valueOf(name: string, text: string, source: string): unknown {
  const isPlain = /^(true|false|[-+]?[\d.]+(e[-+]?\d+)?|\[.*\]|".*")$/i.test(text);
  return parseSettings(`"${name}" = ${isPlain ? text : JSON.stringify(text)}`, source)[name];
}
