/** What the page holds: the experiment that is being chosen, the runs, the devices and data sets there are. */
import { computed, effect, signal } from "@preact/signals";
import type { DatasetFacts, DeviceState, GivenSettings, Plan } from "../worker/messages.ts";
import { readLink } from "./link.ts";
import { goingRuns } from "./going.ts";
import { Run } from "./run.ts";
import { differences } from "./differences.ts";
import { study } from "./workers.ts";

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
  const run = new Run(freeName(`${settings.data}-${settings.config}`), settings);
  runs.value = [...runs.value, run];
  chosenName.value = run.name;
  await run.start(isPaused);
}

/** `emoji16-G`, `emoji16-G-2`, ... */
export function freeName(wanted: string): string {
  const plain = wanted.replaceAll(/[^\w.-]+/g, "-");
  const taken = new Set(runs.value.map(({ name }) => name));
  for (let number = 1; ; number++) {
    const name = number === 1 ? plain : `${plain}-${number}`;
    if (!taken.has(name)) return name;
  }
}

export async function removeRun(run: Run): Promise<void> {
  await study().removeRun(run.name);
  runs.value = runs.value.filter((each) => each !== run);
  if (chosenName.value === run.name) chosenName.value = runs.value.at(-1)?.name ?? null;
}

/** Reads what the browser has kept, and goes on with what went on. */
export async function openLab(): Promise<void> {
  const linked = readLink(location.hash);
  if (linked !== null) {
    given.value = { ...given.value, ...linked };
    say("note", "This link holds an experiment: its settings are chosen below. Press Start to train it.");
  }
  effect(() => {
    const asked = saying(
      study()
        .plan(given.value)
        .then((made): Plan => made),
    );
    planning = asked;
    void asked.then((made) => {
      if (planning === asked && made !== undefined) plan.value = made;
    });
  });
  void saying(
    study()
      .devices()
      .then((found) => void (devices.value = found)),
  );
  void saying(
    study()
      .datasets()
      .then((found) => void (datasets.value = found)),
  );
  await saying(readRuns());
}

async function readRuns(): Promise<void> {
  const stored = await study().storedRuns();
  const known = new Set(runs.value.map(({ name }) => name));
  runs.value = [...stored.filter(({ name }) => !known.has(name)).map((each) => Run.of(each)), ...runs.value];
  chosenName.value ??= runs.value.at(-1)?.name ?? null;
  const going = new Set(goingRuns());
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
