/** Samples networks where they are: the images stay on the device from their noise to their pixels. */
import {
  createState,
  type Device,
  EvenkeelError,
  type PendingResult,
  readResults,
  type Shape,
  type State,
  type Tensor,
  tensor,
  throwIfAborted,
} from "../../engine/index.ts";
import type { Denoiser } from "../network/index.ts";
import { consistencyLevels } from "./consistencySteps.ts";
import { type ActiveGuide, activeGuides, type Guide, type GuidanceInterval } from "./guidance.ts";
import {
  compileSampler,
  emptyState,
  type EvaluationReport,
  type NoiseSource,
  type SamplerInputs,
  type SamplerPrograms,
  type SamplerState,
  type StartReport,
} from "./samplerState.ts";
import type { ImageSolver, SamplerStep } from "./samplers.ts";
import { type ChurnOptions, type StepLevels, stepLevels } from "./stepLevels.ts";

/** What a sampler is made for. */
export type ImageSamplerOptions = ChurnOptions & {
  readonly denoiser: Denoiser;
  /** Default: no guidance. */
  readonly guides?: readonly Guide[];
  /** Noise levels (lo, hi] of guidance. Default: all. */
  readonly interval?: GuidanceInterval;
  /** Default heun. `consistency` has no churn of its own. */
  readonly solver?: ImageSolver;
  /** Falling noise levels with a final 0, as `sigmaSteps` makes them, or `consistencySigmas` for `consistency`. */
  readonly sigmas: readonly number[];
  /** Images that go through the networks at once: [N, C, H, W]. */
  readonly shape: Shape;
  /** Length of the label vectors; 0: there are none. */
  readonly labelDim: number;
};

/** What as many images as go through the networks at once begin with. */
export type SamplerPart = {
  /** Keys of their seeds (`imageKeys`), or standard normals. */
  readonly source: NoiseSource;
  /** Label vectors [N, labelDim], or null. */
  readonly labels: Float32Array | null;
  /** Standard normals [N, C, H, W] for a churned step. Default: drawn by the keys. */
  readonly churnNoise?: (step: number) => Tensor;
};

/** The images of a part, and the standard normals that they come from. */
export type SampledPart = { readonly images: Float32Array; readonly noise: Float32Array };

/** What one step did to all images, in the order of the parts. */
export type ImageStep = Omit<SamplerStep<Float32Array>, "denoised" | "denoisedEuler"> & {
  readonly denoised: Float32Array;
  readonly denoisedEuler: Float32Array | null;
  /** The main network's own answer for xHat; `denoised` is the guided one. */
  readonly denoisedMain: Float32Array;
};

/** How sampling is watched and ended. */
export type SamplingWatch = {
  /** Told after each evaluation of the network (guides included): how many are done, and all of this call. */
  readonly onEvaluation?: ((done: number, total: number) => void) | undefined;
  /** Ends sampling before the next evaluation, with an error `aborted`. */
  readonly signal?: AbortSignal | undefined;
};

/** Parts whose results wait on the device at most. */
const mostWaiting = 64;

/** A place where a part is sampled. */
type Track = { readonly state: State<SamplerState>; readonly inputs: State<SamplerInputs>; readonly part: SamplerPart };

/**
 * Follows the probability flow of a network from noise to images, by Heun's rule or Euler's, with churn and guidance: Karras et al. 2022,
 * Algorithms 1 and 2. The state is float32 on the device of the networks; nothing is fetched before the end, however many steps there
 * are. Of N steps Heun's rule makes 2 N - 1 evaluations. Owns device memory: dispose of it.
 */
export class ImageSampler {
  readonly #options: ImageSamplerOptions;
  readonly #device: Device;
  readonly #levels: readonly StepLevels[];
  readonly #guidesAt: (t: number) => readonly ActiveGuide[];
  readonly #programs: SamplerPrograms;
  readonly #states: State<SamplerState>[] = [];
  readonly #inputs: State<SamplerInputs>[] = [];
  /** Results that weren't read. */
  readonly #pending = new Set<PendingResult<unknown>>();
  #watch: SamplingWatch = {};
  /** Evaluations of this call of `sample`, done and all. */
  #evaluations = { done: 0, total: 0 };

  /**
   * @throws EvenkeelError `value` for levels that don't fall to 0, churn, weights or an interval out of range; `device` for guides on
   * another device than the main network; `value` for networks of Student-t noise with churn, or with guides that remove other noise
   */
  constructor(options: ImageSamplerOptions) {
    const { denoiser, guides = [], interval, sigmas, shape } = options;
    this.#options = options;
    this.#device = denoiser.device;
    const levels = stepLevels(sigmas, options);
    this.#levels = options.solver === "consistency" ? consistencyLevels(sigmas) : levels;
    this.#guidesAt = activeGuides(guides, interval);
    if (guides.some((guide) => guide.denoiser.device !== denoiser.device)) {
      throw new EvenkeelError(
        "device",
        "sampling: a guide is on another device than the main network. Put all networks on one device.",
      );
    }
    const { noiseDf = 0 } = denoiser;
    checkNoise(noiseDf, guides, this.#levels);
    // As many in each step: those that don't act there have no strength left.
    const strengths = ({ t }: StepLevels): number[] => {
      const active = this.#guidesAt(t);
      return guides.map((_, i) => (active[i]?.weight ?? 1) - 1);
    };
    const hasSecond = (step: StepLevels): boolean => this.#hasSecond(step);
    this.#programs = compileSampler(this.#levels, hasSecond, strengths, shape, this.#device, noiseDf);
  }

  /**
   * Samples parts of as many images as the sampler is made for. They don't depend on each other.
   * @param onStep told after every step of all parts, and awaited: the device is then waited for in every step. What it throws ends the
   * sampling.
   * @throws EvenkeelError `diverged` if a network answers NaN or infinity, `shape` if networks don't make images of this shape, `aborted`
   */
  async sample(
    parts: readonly SamplerPart[],
    onStep?: (step: ImageStep) => void | Promise<void>,
    watch: SamplingWatch = {},
  ): Promise<readonly SampledPart[]> {
    this.#watch = watch;
    this.#evaluations = { done: 0, total: parts.length * this.evaluations };
    // All inputs before the first run: what a device gathers goes to it at once.
    for (const [i, part] of parts.entries()) await this.#place(i, part);
    if (onStep !== undefined) return this.#sampleTelling(parts, onStep);
    const sampled: SampledPart[] = [];
    for (let begin = 0; begin < parts.length; begin += mostWaiting) {
      const starts: PendingResult<StartReport>[] = [];
      const ends: PendingResult<EvaluationReport>[] = [];
      for (const [i, part] of parts.slice(begin, begin + mostWaiting).entries()) {
        // One after the other in the same memory: what lies on the device has its place there once.
        const track = await this.#track(0, begin + i, part);
        starts.push(this.#wait(await this.#programs.start.begin(track.state, track.inputs)));
        for (const level of this.#levels) ends.push(...(await this.#step(track, level, level === this.#levels.at(-1))));
      }
      await this.#fetch([...starts, ...ends]);
      for (const [i, end] of ends.entries()) {
        const report = await end.read();
        await this.#requireFinite(report);
        sampled.push({ images: await floats(report.x), noise: await floats((await starts[i]?.read())?.noise) });
      }
    }
    return sampled;
  }

  /** All parts step by step, each in memory of its own. */
  async #sampleTelling(
    parts: readonly SamplerPart[],
    onStep: (step: ImageStep) => void | Promise<void>,
  ): Promise<readonly SampledPart[]> {
    const tracks: Track[] = [];
    const starts: PendingResult<StartReport>[] = [];
    for (const [i, part] of parts.entries()) {
      const track = await this.#track(i, i, part);
      tracks.push(track);
      starts.push(this.#wait(await this.#programs.start.begin(track.state, track.inputs)));
    }
    const noise = await this.#joined(starts, (start) => start.noise);
    let xCur = await this.#joined(starts, (start) => start.x);
    for (const level of this.#levels) {
      const first: PendingResult<EvaluationReport>[] = [];
      const second: PendingResult<EvaluationReport>[] = [];
      for (const track of tracks) {
        const [one, two] = await this.#step(track, level, true);
        if (one !== undefined) first.push(one);
        if (two !== undefined) second.push(two);
      }
      await this.#fetch([...first, ...second]);
      for (const each of [...first, ...second]) await this.#requireFinite(await each.read());
      const hasSecond = second.length > 0;
      const { index, t, tHat, tNext, churn } = level;
      const xEuler = await this.#joined(first, ({ x }) => x);
      const xNext = hasSecond ? await this.#joined(second, ({ x }) => x) : xEuler;
      await onStep({
        index,
        t,
        tHat,
        tNext,
        xCur,
        xHat: churn === null ? xCur : await this.#joined(first, ({ xHat }) => xHat),
        xEuler,
        xNext,
        denoised: await this.#joined(first, ({ denoised }) => denoised),
        denoisedEuler: hasSecond ? await this.#joined(second, ({ denoised }) => denoised) : null,
        denoisedMain: await this.#joined(first, ({ main }) => main),
      });
      xCur = xNext;
    }
    const size = xCur.length / parts.length;
    return parts.map((_, i) => ({
      images: xCur.slice(i * size, (i + 1) * size),
      noise: noise.slice(i * size, (i + 1) * size),
    }));
  }

  /** One step of a part; tells of each evaluation if it is asked to. */
  async #step(
    { state, inputs, part }: Track,
    level: StepLevels,
    tells: boolean,
  ): Promise<readonly PendingResult<EvaluationReport>[]> {
    const { denoiser } = this.#options;
    const { churn, dropout, hold, push, move } = this.#programs;
    if (level.churn !== null) {
      const given = part.churnNoise?.(level.index);
      await churn.advance(state, given === undefined ? inputs : { source: { normals: given }, labels: null });
    }
    const guides = this.#guidesAt(level.t);
    // Both evaluations of Heun's rule drop the same.
    if (guides.some(({ denoiser: { hasDropout } }) => hasDropout === true)) await dropout.advance(state, inputs);
    const reports: PendingResult<EvaluationReport>[] = [];
    const hasSecond = this.#hasSecond(level);
    for (const isSecond of hasSecond ? [false, true] : [false]) {
      throwIfAborted(this.#watch.signal, "sampling: the signal given to it is aborted. There are no images.");
      await denoiser.evaluate(state);
      if (guides.length > 0) await hold.advance(state);
      for (const [place, guide] of guides.entries()) {
        await guide.denoiser.evaluate(state, guide.labels === "same");
        await push.advance(state, place);
      }
      const stage = { isSecond, isLast: isSecond === hasSecond, isGuided: guides.length > 0 };
      if (tells) reports.push(this.#wait(await move.begin(state, stage)));
      else await move.advance(state, stage);
      const { done, total } = this.#evaluations;
      this.#evaluations = { done: done + 1, total };
      this.#watch.onEvaluation?.(done + 1, total);
    }
    return reports;
  }

  /** How often the main network is asked for each part. */
  get evaluations(): number {
    return this.#levels.reduce((sum, level) => sum + (this.#hasSecond(level) ? 2 : 1), 0);
  }

  #hasSecond({ tNext }: StepLevels): boolean {
    return (this.#options.solver ?? "heun") === "heun" && tNext > 0;
  }

  /** Brings what a part begins with to its place on the device. */
  async #place(index: number, { source, labels }: SamplerPart): Promise<void> {
    const { shape, labelDim } = this.#options;
    const [count = 0] = shape;
    const inputs: SamplerInputs = {
      source,
      labels: labels === null ? null : tensor(labels, { shape: [count, labelDim] }),
    };
    const known = this.#inputs[index];
    if (known === undefined) this.#inputs[index] = await createState<SamplerInputs>(inputs, this.#device);
    else await known.write(inputs);
  }

  async #track(place: number, index: number, part: SamplerPart): Promise<Track> {
    const { shape, labelDim } = this.#options;
    const inputs = this.#inputs[index];
    if (inputs === undefined) throw new Error(`part ${index} of the images isn't on the device`);
    const active = this.#levels.flatMap(({ t }) => this.#guidesAt(t));
    const isGuided = active.length > 0;
    const hasDropout = active.some(({ denoiser }) => denoiser.hasDropout === true);
    const state = (this.#states[place] ??= await createState<SamplerState>(
      emptyState(shape, labelDim, { isGuided, hasDropout }),
      this.#device,
    ));
    return { state, inputs, part };
  }

  #wait<Result>(pending: PendingResult<Result>): PendingResult<Result> {
    this.#pending.add(pending);
    return pending;
  }

  /** Reads results together. */
  async #fetch(pending: readonly PendingResult<unknown>[]): Promise<void> {
    await readResults(pending);
    for (const each of pending) this.#pending.delete(each);
  }

  /** An array of each result, one behind the other. */
  async #joined<Result>(
    pending: readonly PendingResult<Result>[],
    of: (result: Result) => Tensor,
  ): Promise<Float32Array> {
    await this.#fetch(pending);
    const parts: Float32Array[] = [];
    for (const each of pending) parts.push(await floats(of(await each.read())));
    const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const part of parts) {
      all.set(part, offset);
      offset += part.length;
    }
    return all;
  }

  async #requireFinite({ bad }: EvaluationReport): Promise<void> {
    const evaluation = await bad.item();
    if (evaluation < 0) return;
    const asked = this.#levels.flatMap((level) => {
      const { index, tHat, tNext } = level;
      return this.#hasSecond(level)
        ? [
            { index, sigma: tHat },
            { index, sigma: tNext },
          ]
        : [{ index, sigma: tHat }];
    })[evaluation];
    throw new EvenkeelError(
      "diverged",
      `sampling: in step ${asked?.index ?? NaN}, at noise level ${asked?.sigma ?? NaN}, the denoiser answered numbers that aren't finite. ` +
        "The network's weights or the guidance weight are too large, or damaged.",
    );
  }

  /** Frees what it has on the device; the networks are their owner's. Idempotent. */
  dispose(): void {
    for (const pending of this.#pending) pending.dispose();
    this.#programs.dispose();
    for (const state of [...this.#states, ...this.#inputs]) state.dispose();
  }
}

/** Churn adds Gaussian noise, and the sum of that and Student-t noise is neither. */
function checkNoise(noiseDf: number, guides: readonly Guide[], levels: readonly StepLevels[]): void {
  const other = guides.find((guide) => (guide.denoiser.noiseDf ?? 0) !== noiseDf);
  if (other !== undefined) {
    const words = (df: number): string => (df === 0 ? "Gaussian noise" : `Student-t noise of ${df} degrees of freedom`);
    throw new EvenkeelError(
      "value",
      `sampling: the network removes ${words(noiseDf)}, a guide ${words(other.denoiser.noiseDf ?? 0)}. Guide by a network that was ` +
        "trained with the same noise-df.",
    );
  }
  if (noiseDf !== 0 && levels.some(({ churn }) => churn !== null)) {
    throw new EvenkeelError(
      "value",
      `sampling: churn adds Gaussian noise, and this network removes Student-t noise of ${noiseDf} degrees of freedom. Leave churn (S_churn) at 0.`,
    );
  }
}

async function floats(x: Tensor | undefined): Promise<Float32Array> {
  const data = await x?.data();
  if (data instanceof Float32Array) return data;
  throw new TypeError("images are f32");
}
