/** Reads changed files until time is over; started by `main.ts`, which sees from outside what it is at. */
import { createHash } from "node:crypto";
import { mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { attempt } from "./attempt.ts";
import { caseOf } from "./cases.ts";
import { shrink } from "./shrink.ts";
import { targets } from "./targets/index.ts";

/** What the worker is given. */
export type Work = {
  readonly seed: number;
  readonly until: number;
  readonly only: string | null;
  /** The file that always names the case under way. */
  readonly current: string;
  readonly found: string;
  /** Where each reader goes on. */
  readonly counts: Readonly<Record<string, number>>;
};

/** What it tells from time to time. */
export type Progress = {
  readonly counts: Record<string, number>;
  readonly refused: Record<string, number>;
  readonly findings: readonly string[];
};

/** Faults of one kind in one place are one finding. */
const seen = new Set<string>();

async function work({ seed, until, only, current, found, counts: first }: Work): Promise<void> {
  const chosen = targets.filter(({ name }) => only === null || name === only);
  const samples = new Map(
    await Promise.all(chosen.map(async (target) => [target.name, await target.samples()] as const)),
  );
  const progress: Progress = { counts: { ...first }, refused: {}, findings: [] };
  const spent = new Map(chosen.map(({ name }) => [name, 0]));
  const descriptor = openSync(current, "w");
  let told = 0;
  while (Date.now() < until) {
    // All readers get the same time.
    const target = chosen.reduce((least, each) =>
      (spent.get(each.name) ?? 0) < (spent.get(least.name) ?? 0) ? each : least,
    );
    const { name } = target;
    const number = progress.counts[name] ?? 0;
    progress.counts[name] = number + 1;
    writeSync(descriptor, `${name} ${number}`.padEnd(64), 0);
    const file = caseOf(target, samples.get(name) ?? [], seed, number);
    const start = process.cpuUsage();
    const outcome = await attempt(target, file);
    const { user, system } = process.cpuUsage(start);
    spent.set(name, (spent.get(name) ?? 0) + user + system);
    if (outcome === "refused") progress.refused[name] = (progress.refused[name] ?? 0) + 1;
    else if (outcome !== "read") {
      // Where an error came from; of the rest what it was.
      const place = /^ +at .*/m.exec(outcome.what)?.[0] ?? outcome.what.replace(/\d+/g, "N").slice(0, 60);
      if (!seen.has(`${name} ${outcome.kind} ${place}`)) {
        seen.add(`${name} ${outcome.kind} ${place}`);
        const small = await shrink(target, file, outcome);
        const path = join(found, `${name}-${createHash("sha256").update(small).digest("hex").slice(0, 8)}`);
        mkdirSync(found, { recursive: true });
        writeFileSync(path, small);
        (progress.findings as string[]).push(
          `${name} ${number}: ${outcome.kind}: ${outcome.what}\n  ${small.length} bytes in ${path}`,
        );
      }
    }
    if (Date.now() - told > 1000) {
      told = Date.now();
      process.send?.(progress);
    }
  }
  process.send?.(progress);
}

process.once("message", (message) => {
  void work(message as Work).then(
    () => process.exit(0),
    (reason: unknown) => {
      console.error(reason);
      process.exit(1);
    },
  );
});
