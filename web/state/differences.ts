/** What to call runs beside each other. */
import { optionGroups } from "../train/options.ts";
import type { Run } from "./run.ts";

/** Settings that change what a page shows and keeps, not what is trained. */
const untold: ReadonlySet<string> = new Set([
  "outdir",
  "status",
  "samples",
  "checkpoint",
  "snapshot",
  "validation",
  "dynamics",
  "snapshot-dtype",
  "sample-ema",
  "guidance",
]);

/** What most else follows from comes first. */
const first = ["data", "config", "switches"];

/** What a configuration's recipe gives, and what follows from the data: told only where it was chosen otherwise. */
const following: ReadonlySet<string> = new Set([
  "preset",
  "dropout",
  "P_mean",
  "P_std",
  "lr",
  "decay",
  "rampup",
  "ls",
  "channel-mult",
  "attn-resolutions",
  "channels-per-head",
  "batch-device",
  "ema",
]);

/** What the form calls a setting. */
const titleOf = new Map<string, string>([
  ...optionGroups.flatMap(({ options }) => options.map(({ name, title }) => [name, title.toLowerCase()] as const)),
  ["config", "config"],
]);

/**
 * For each run its name in the chart: the settings in which the runs differ, in the form's words, less those that follow from others, as a
 * configuration's learning rate does; or the run's own name where runs don't differ.
 */
export function differences(runs: readonly Run[]): ReadonlyMap<string, string> {
  const texts = runs.map(
    ({ settings }) => new Map(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)])),
  );
  const all = [...new Set([...first, ...texts.flatMap((text) => [...text.keys()])])].filter(
    (name) => !untold.has(name),
  );
  const kindOf = (text: ReadonlyMap<string, string>): string => first.map((name) => text.get(name) ?? "").join("\n");
  const told = all.filter((name) => {
    /** Values among runs of the same data and configuration, or among all. */
    const values = new Map<string, Set<string | undefined>>();
    for (const text of texts) {
      const among = following.has(name) ? kindOf(text) : "all";
      values.set(among, (values.get(among) ?? new Set()).add(text.get(name)));
    }
    return [...values.values()].some(({ size }) => size > 1);
  });
  const titles = texts.map((text) =>
    told.map((name) => `${titleOf.get(name) ?? name} ${(text.get(name) ?? "default").replaceAll('"', "")}`).join(", "),
  );
  return new Map(
    runs.map(({ name }, i) => {
      const title = titles[i] ?? "";
      const isAlone = title !== "" && titles.filter((each) => each === title).length === 1;
      return [name, isAlone ? title : title === "" ? name : `${title} (${name})`];
    }),
  );
}
