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

/** For each run its name in the chart: the settings in which the runs differ, or its own name where they don't differ. */
export function differences(runs: readonly Run[]): ReadonlyMap<string, string> {
  const texts = runs.map(
    ({ settings }) => new Map(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)])),
  );
  const names = [...new Set(texts.flatMap((text) => [...text.keys()]))].filter(
    (name) => !untold.has(name) && new Set(texts.map((text) => text.get(name))).size > 1,
  );
  const titles = texts.map((text) =>
    names.map((name) => `${name} ${(text.get(name) ?? "default").replaceAll('"', "")}`).join(", "),
  );
  return new Map(
    runs.map(({ name }, i) => {
      const title = titles[i] ?? "";
      const isAlone = title !== "" && titles.filter((each) => each === title).length === 1;
      return [name, isAlone ? title : title === "" ? name : `${title} (${name})`];
    }),
  );
}
