/**
 * The compiled step of a training, explained. Texts are long, tens of megabytes in all: they stay in the worker, and the page asks for
 * the lines that it shows.
 */
import { createRunDevice, type PlannedSettings, splitForRun, trainingOptions } from "../../diffusion/settings/index.ts";
import { type ExplainedProgram, explainTraining } from "../../diffusion/training/index.ts";
import {
  describeDispatches,
  describeMemory,
  EvenkeelError,
  type ExplainedBuffer,
  type ExplainedKernel,
  gigaflopsPerSecond,
  intensity,
  type KernelCosts,
  kernelCosts,
  type KernelKind,
  type MemoryMap,
  memoryMap,
} from "../../engine/index.ts";
import { openDataset } from "./datasets.ts";
import type { DeviceState } from "./messages.ts";

/** What is to be explained. */
export type ExplainRequest = {
  readonly settings: PlannedSettings;
  readonly device: DeviceState["name"];
  /** Whether each kernel is measured. */
  readonly profile: boolean;
};

/** A kernel without its texts. */
export type KernelFacts = {
  readonly step: number;
  readonly name: string;
  readonly kind: KernelKind;
  readonly operands: readonly number[];
  readonly results: readonly number[];
  readonly flops: number;
  readonly bytes: number;
  /** Of the program's time, or of its arithmetic where nothing was measured. */
  readonly share: number;
  readonly milliseconds: number | null;
  readonly gigaflopsPerSecond: number | null;
  /** Operations per byte. */
  readonly intensity: number | null;
  /** The languages of its sources, in their order. */
  readonly sources: readonly string[];
};

/** A program of a step without its texts. */
export type ProgramFacts = Pick<KernelCosts, "measure" | "milliseconds" | "flops"> & {
  readonly name: string;
  /** How often a step runs it. */
  readonly runs: number;
  readonly device: string;
  /** Held on the device. */
  readonly bytes: number;
  readonly kernels: readonly KernelFacts[];
  readonly passes: readonly { readonly name: string; readonly nodes: number }[];
  readonly dispatches: readonly string[];
  readonly memory: readonly string[];
  readonly map: MemoryMap;
  readonly buffers: readonly ExplainedBuffer[];
};

/** One of the texts of the explained programs. */
export type TextPlace =
  | { readonly kind: "pass"; readonly program: number; readonly pass: number }
  | { readonly kind: "loops"; readonly program: number; readonly step: number }
  | { readonly kind: "source"; readonly program: number; readonly step: number; readonly source: number };

/** Lines of a text from `first` on, and how many it has. */
export type TextPart = { readonly first: number; readonly lines: readonly string[]; readonly total: number };

/** Where a text has what was looked for: how often, and the lines that have it. */
export type TextMatches = { readonly count: number; readonly lines: readonly number[] };

export class Explaining {
  #programs: readonly ExplainedProgram[] = [];

  /** Compiles the step and runs it. @param tell told what is done. */
  async explain(request: ExplainRequest, tell: (what: string) => void): Promise<readonly ProgramFacts[]> {
    const { settings, device: name, profile } = request;
    tell("reading the images");
    const { training: images } = splitForRun(await openDataset(settings.data), settings);
    const options = trainingOptions(settings, images);
    tell(`starting ${name}`);
    const device = await createRunDevice(name, settings);
    try {
      this.#programs = await explainTraining(options, device, {
        profile,
        onProgress: (program, done, total) =>
          tell(`compiling ${program}${profile ? " and measuring its kernels" : ""} (${done + 1} of ${total})`),
      });
    } finally {
      device.dispose();
    }
    return this.#programs.map(factsOf);
  }

  /** The kernels of a program whose name, kind, loops or sources have a text, in any case, and how often. */
  search(program: number, query: string): readonly { readonly step: number; readonly count: number }[] {
    const pattern = patternOf(query);
    return this.#program(program).kernels.flatMap((kernel, step) => {
      const texts = [kernel.name, kernel.kind, kernel.text, ...kernel.sources.map(({ text }) => text)];
      const count = texts.reduce((sum, text) => sum + countOf(text, pattern), 0);
      return count === 0 ? [] : [{ step, count }];
    });
  }

  /** Lines `first` to `first + count - 1` of a text. */
  lines(place: TextPlace, first: number, count: number): TextPart {
    const lines = this.text(place).split("\n");
    return { first, lines: lines.slice(first, first + count), total: lines.length };
  }

  /** Where a text has another one, in any case. */
  find(place: TextPlace, query: string): TextMatches {
    const pattern = patternOf(query);
    let count = 0;
    const lines = this.text(place)
      .split("\n")
      .flatMap((line, number) => {
        const found = countOf(line, pattern);
        count += found;
        return found === 0 ? [] : [number];
      });
    return { count, lines };
  }

  /** All of a text. */
  text(place: TextPlace): string {
    const { passes, kernels } = this.#program(place.program);
    const text = ((): string | undefined => {
      switch (place.kind) {
        case "pass":
          return passes[place.pass]?.text;
        case "loops":
          return kernels[place.step]?.text;
        case "source":
          return kernels[place.step]?.sources[place.source]?.text;
      }
    })();
    if (text === undefined) throw new EvenkeelError("value", `explain: there is no text at ${JSON.stringify(place)}.`);
    return text;
  }

  #program(number: number): ExplainedProgram["explanation"] {
    const program = this.#programs[number];
    if (program === undefined) throw new EvenkeelError("value", `explain: there is no program ${number}.`);
    return program.explanation;
  }
}

function patternOf(query: string): RegExp {
  return new RegExp(query.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), "gi");
}

function countOf(text: string, pattern: RegExp): number {
  let count = 0;
  for (const _ of text.matchAll(pattern)) count++;
  return count;
}

function factsOf({ name, runs, explanation }: ExplainedProgram): ProgramFacts {
  const { device, bytes, kernels, passes, dispatches, memory, buffers } = explanation;
  const { measure, shares, milliseconds, flops } = kernelCosts(kernels);
  return {
    name,
    runs,
    device,
    bytes,
    measure,
    milliseconds,
    flops,
    kernels: kernels.map((kernel, step) => kernelFacts(kernel, step, shares[step] ?? 0)),
    passes: passes.map((pass) => ({ name: pass.name, nodes: pass.nodes })),
    dispatches: dispatches === undefined ? [] : describeDispatches(dispatches),
    memory: memory === undefined ? [] : describeMemory(memory),
    map: memoryMap(explanation),
    buffers,
  };
}

function kernelFacts(kernel: ExplainedKernel, step: number, share: number): KernelFacts {
  const { name, kind, operands, results, flops, bytes, milliseconds = null, sources } = kernel;
  return {
    step,
    name,
    kind,
    operands,
    results,
    flops,
    bytes,
    share,
    milliseconds,
    gigaflopsPerSecond: gigaflopsPerSecond(kernel),
    intensity: intensity(kernel),
    sources: sources.map(({ language }) => language),
  };
}
