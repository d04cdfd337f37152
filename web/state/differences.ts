/** What to call runs beside each other. */
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
const first = ["data", "preset", "config", "switches"];

/**
 * For each run its name in the chart: the settings in which the runs differ, less those that follow from others, as a configuration's
 * learning rate does; or the run's own name where runs don't differ.
 */
export function differences(runs: readonly Run[]): ReadonlyMap<string, string> {
  const texts = runs.map(
    ({ settings }) => new Map(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)])),
  );
  const names = [...new Set([...first, ...texts.flatMap((text) => [...text.keys()])])].filter(
    (name) => !untold.has(name),
  );
  const told: string[] = [];
  for (const name of names) {
    // Runs that are alike in what is told so far and differ in this.
    const values = new Map<string, string | undefined>();
    const isNews = texts.some((text) => {
      const alike = told.map((each) => text.get(each) ?? "").join("\n");
      if (!values.has(alike)) values.set(alike, text.get(name));
      return values.get(alike) !== text.get(name);
    });
    if (isNews) told.push(name);
  }
  const titles = texts.map((text) =>
    told.map((name) => `${name} ${(text.get(name) ?? "default").replaceAll('"', "")}`).join(", "),
  );
  return new Map(
    runs.map(({ name }, i) => {
      const title = titles[i] ?? "";
      const isAlone = title !== "" && titles.filter((each) => each === title).length === 1;
      return [name, isAlone ? title : title === "" ? name : `${title} (${name})`];
    }),
  );
}
