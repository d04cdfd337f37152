/** What the page holds: the experiment that is being chosen, the runs, the devices and data sets there are. */
import { computed, effect, signal } from "@preact/signals";
import type { DatasetFacts, DeviceState, GivenSettings, Plan } from "../worker/messages.ts";
import { readLink } from "./link.ts";
import { goingRuns, stopGoing } from "./going.ts";
import { Run } from "./run.ts";
import { keepColors } from "./runColors.ts";
import { differences } from "./differences.ts";
import { study, studyFailure } from "./workers.ts";

/** What is chosen to begin with. */
const first: GivenSettings = { preset: "emoji16", config: "G", data: "emoji16", seed: 0 };

/** What somebody chose; the rest comes from the preset and the lab's defaults. */
export const given = signal<GivenSettings>(first);

/** What it makes; null while that is being found out. */
export const plan = signal<Plan | null>(null);

export const runs = signal<readonly Run[]>([]);
export const devices = signal<readonly DeviceState[]>([]);
export const datasets = signal<readonly DatasetFacts[]>([]);

/** The name of the run that the views are about. */
export const chosenName = signal<string | null>(null);
export const chosenRun = computed(() => runs.value.find(({ name }) => name === chosenName.value) ?? null);

/** What to call each run: what it differs in from the others. */
export const runTitles = computed(() => differences(runs.value));

/** What the page has to say: what went wrong, what it did by itself. */
export const messages = signal<readonly LabMessage[]>([]);
export type LabMessage = { readonly id: number; readonly kind: "error" | "note"; readonly text: string };

let lastMessage = 0;

export function say(kind: LabMessage["kind"], text: string): void {
  if (messages.value.some((message) => message.text === text)) return;
  messages.value = [...messages.value, { id: ++lastMessage, kind, text }];
}

export function dismiss(id: number): void {
  messages.value = messages.value.filter((message) => message.id !== id);
}

/** Says what a task failed with. */
export async function saying<T>(task: Promise<T>): Promise<T | undefined> {
  try {
    return await task;
  } catch (reason) {
    say("error", reason instanceof Error ? reason.message : String(reason));
    return undefined;
  }
}

/** The plan of what is chosen at this moment, which `plan` shows a little later. */
let planning: Promise<Plan | undefined> = Promise.resolve(undefined);

/** Begins a run of what was chosen. */
export async function startRun(isPaused = false): Promise<void> {
  const made = await planning;
  if (made?.kind !== "possible") return;
  const { settings } = made;
  const name = await saying(study().createRun(`${settings.data}-${settings.config}`, settings));
  if (name === undefined) return;
  const run = new Run(name, settings);
  runs.value = [...runs.value, run];
  chosenName.value = run.name;
  await run.start(isPaused);
}

export async function removeRun(run: Run): Promise<void> {
  await study().removeRun(run.name);
  stopGoing(run.name);
  runs.value = runs.value.filter((each) => each !== run);
  keepColors(runs.value.map(({ name }) => name));
  if (chosenName.value === run.name) chosenName.value = runs.value.at(-1)?.name ?? null;
}

/** What settings make. */
const planOf = async (settings: GivenSettings): Promise<Plan> => study().plan(settings);

/** Chooses what a run was made of, so that one can begin that differs from it. */
export async function takeSettings({ settings }: Run): Promise<void> {
  const { preset, config, data, seed, batch } = settings;
  // What the lab says by itself follows from these.
  const basis: GivenSettings = { preset, config, data, seed, batch };
  const usual = await saying(planOf(basis));
  if (usual === undefined) return;
  if (usual.kind === "impossible") {
    say("error", usual.reason);
    return;
  }
  const usualValues = new Map<string, unknown>(Object.entries(usual.settings));
  const differing = Object.entries(settings).filter(
    ([name, value]) => name !== "outdir" && JSON.stringify(value) !== JSON.stringify(usualValues.get(name)),
  );
  given.value = { ...basis, ...Object.fromEntries(differing) };
}

/** Chooses what the page's address holds. */
function takeLink(): void {
  const linked = readLink(location.hash);
  if (linked === null) return;
  given.value = { ...first, ...linked };
  say("note", "This link holds an experiment: its settings are chosen below. Press Start to train it.");
}

/** Chooses what there was to begin with. */
export function beginAnew(): void {
  history.replaceState(null, "", location.pathname + location.search);
  given.value = first;
}

/** Reads what the browser has kept, and goes on with what went on. */
export async function openLab(): Promise<void> {
  takeLink();
  addEventListener("hashchange", takeLink);
  effect(() => {
    const reason = studyFailure.value;
    if (reason !== null) say("error", `A part of the page doesn't work: ${reason}. Load the page again.`);
  });
  effect(() => {
    const asked = saying(planOf(given.value));
    planning = asked;
    // What was made of other settings isn't shown for long.
    const late = setTimeout(() => void (plan.value = null), 500);
    void asked.then((made) => {
      clearTimeout(late);
      if (planning === asked && made !== undefined) plan.value = made;
    });
    return () => clearTimeout(late);
  });
  void saying(
    study()
      .devices()
      .then((found) => void (devices.value = found)),
  );
  void saying(readDatasets());
  await saying(readRuns());
}

/** Looks at what data sets there are. */
export async function readDatasets(): Promise<void> {
  const { datasets: found, problems } = await study().datasets();
  datasets.value = found;
  for (const problem of problems) say("error", problem);
}

async function readRuns(): Promise<void> {
  const { runs: stored, problems } = await study().storedRuns();
  for (const { what } of problems) say("error", what);
  const known = new Set(runs.value.map(({ name }) => name));
  keepColors([...known, ...stored.map(({ name }) => name)]);
  runs.value = [...stored.filter(({ name }) => !known.has(name)).map((each) => Run.of(each)), ...runs.value];
  chosenName.value ??= runs.value.at(-1)?.name ?? null;
  const going = new Set(goingRuns());
  const there = new Set([...runs.value.map(({ name }) => name), ...problems.map(({ run }) => run)]);
  for (const name of going) if (!there.has(name)) stopGoing(name);
  for (const run of runs.value) {
    if (!going.has(run.name) || run.isGoing || run.phase.value.kind === "finished") continue;
    say(
      "note",
      `${run.name} was training when the page was closed: it goes on from ${run.nimg.value.toLocaleString("en")} images.`,
    );
    chosenName.value = run.name;
    void run.start();
  }
}
