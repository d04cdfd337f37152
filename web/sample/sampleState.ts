/** What is sampled, how, and what came out; kept while other views are looked at. */
import { signal } from "@preact/signals";
import * as Comlink from "comlink";
import { say, saying } from "../state/lab.ts";
import { study } from "../state/workers.ts";
import type {
  FrameKind,
  GuidanceChoice,
  HeldFile,
  LayerAttention,
  NetworkChoice,
  NetworkFacts,
  Sampled,
  SamplingChoice,
} from "../worker/studyMessages.ts";

/** What is known of a chosen network, or why nothing is. */
export type Known =
  | { readonly kind: "asking" }
  | { readonly kind: "known"; readonly facts: NetworkFacts }
  | { readonly kind: "unknown"; readonly reason: string };

/** A network that is chosen. */
export class NetworkPick {
  readonly choice = signal<NetworkChoice | null>(null);
  readonly known = signal<Known>({ kind: "asking" });
  #asked = 0;

  choose(choice: NetworkChoice | null): void {
    this.choice.value = choice;
    void this.look();
  }

  /** Asks what the network is: a run may have stored something new. */
  async look(): Promise<void> {
    const number = ++this.#asked;
    const choice = this.choice.value;
    if (choice === null) return;
    let known: Known;
    try {
      known = { kind: "known", facts: await study().describeNetwork(choice) };
    } catch (reason) {
      known = { kind: "unknown", reason: reason instanceof Error ? reason.message : String(reason) };
    }
    if (number === this.#asked) this.known.value = known;
  }
}

export const main = new NetworkPick();
export const other = new NetworkPick();
export const guide = new NetworkPick();

/** Files that the worker holds. */
export const files = signal<readonly HeldFile[]>([]);

export type Sampling = Omit<SamplingChoice, "guidance"> & {
  readonly guidance: GuidanceChoice["kind"];
  readonly weight: number;
};

export const sampling = signal<Sampling>({
  count: 8,
  seed: 0,
  label: { kind: "spread" },
  guidance: "off",
  weight: 1.8,
  interval: [0, Infinity],
  solver: "heun",
  steps: 16,
  sigmaMin: 0.002,
  sigmaMax: 80,
  rho: 7,
  sChurn: 0,
  sMin: 0,
  sMax: Infinity,
  sNoise: 1,
});

export function change(some: Partial<Sampling>): void {
  sampling.value = { ...sampling.value, ...some };
}

/** What goes on; null if nothing does. */
export const work = signal<{ readonly what: string; readonly done: number; readonly total: number } | null>(null);
export const result = signal<Sampled | null>(null);

/** What is looked at of the result. */
export const frames = signal<FrameKind>("denoised");
export const image = signal(0);
export const step = signal(0);

/** Takes a file that somebody gave. */
export async function takeFile(file: File): Promise<HeldFile | undefined> {
  const held = await saying(study().holdFile(file.name, file));
  if (held !== undefined) files.value = [...files.value, held];
  return held;
}

let asked = 0;

export async function sample(): Promise<void> {
  const chosen = main.choice.value;
  const { guidance: kind, weight, ...rest } = sampling.value;
  const guidance = guidanceOf(kind, weight);
  if (chosen === null || guidance === null) return;
  const number = ++asked;
  work.value = { what: "starting", done: 0, total: 1 };
  const made = await saying(
    study().sample(
      { main: chosen, other: other.choice.value, sampling: { ...rest, guidance } },
      Comlink.proxy((what, done, total) => {
        if (number === asked) work.value = { what, done, total };
      }),
    ),
  );
  if (number !== asked) return;
  work.value = null;
  if (made === undefined || made === null) return;
  attention.value = null;
  image.value = Math.min(image.value, made.seeds.length - 1);
  step.value = (made.sides[0]?.sigmas.length ?? 1) - 1;
  result.value = made;
}

function guidanceOf(kind: GuidanceChoice["kind"], weight: number): GuidanceChoice | null {
  if (kind === "off") return { kind };
  if (kind !== "network") return { kind, weight };
  const network = guide.choice.value;
  if (network !== null) return { kind, weight, network };
  say("error", "No guiding network is chosen. Choose one under Guidance, or turn guidance off.");
  return null;
}

export async function cancel(): Promise<void> {
  await study().cancelSampling();
}

/** Where the network looked, in the image and step that are looked at; null if nobody asked. */
export type Looked = {
  readonly side: number;
  readonly image: number;
  readonly step: number;
  readonly layers: readonly LayerAttention[];
};
export const attention = signal<Looked | null>(null);

export async function lookAt(side: number, at: number, during: number): Promise<void> {
  const layers = await saying(study().attention({ side, image: at, step: during }));
  if (layers !== undefined && layers !== null) attention.value = { side, image: at, step: during, layers };
}
