/**
 * What the page asks its workers for. One worker serves what is asked beside training, and each run has one of its own: all run this
 * script, and each part of it is loaded by who asks for it.
 */
import * as Comlink from "comlink";
import type { PlannedSettings } from "../../diffusion/settings/index.ts";
import type {
  Datasets,
  DeviceState,
  GivenSettings,
  Plan,
  RunListener,
  RunStart,
  StoredRun,
  StoredRuns,
} from "./messages.ts";
import type {
  AttentionRequest,
  AverageFacts,
  AverageRequest,
  DescribedAverage,
  DrawnAverage,
  HeldFile,
  LayerAttention,
  LengthError,
  MeasureListener,
  NamedBlob,
  NetworkChoice,
  NetworkFacts,
  PictureRequest,
  Sampled,
  SampleListener,
  SampleRequest,
} from "./studyMessages.ts";
import type { Bringing } from "./bringing.ts";
import type { Explaining } from "./explaining.ts";
import type { Files } from "./files.ts";
import type { Training } from "./training.ts";

export class LabWorker {
  /** Asked for what comes while its script is still loaded, too. */
  #training: Promise<Training> | undefined;
  /** Whether averages of runs may be in memory. */
  #hasAverages = false;

  /** What can compute here. */
  async devices(): Promise<readonly DeviceState[]> {
    return (await import("./devices.ts")).probeDevices();
  }

  /** Every data set that the lab has, the bundled ones first. */
  async datasets(): Promise<Datasets> {
    return (await import("./datasets.ts")).listDatasets();
  }

  /** What settings make. */
  async plan(given: GivenSettings): Promise<Plan> {
    return (await import("./plan.ts")).planRun(given);
  }

  /** Every run that is kept in the browser. */
  async storedRuns(): Promise<StoredRuns> {
    return (await import("./storedRuns.ts")).storedRuns();
  }

  /** Keeps a run that is to begin, under a name like the wanted one that no run has, which it gives. */
  async createRun(wanted: string, settings: PlannedSettings): Promise<string> {
    return (await import("./storedRuns.ts")).createRun(wanted, settings);
  }

  /** A name like the wanted one that no run has; it is taken from then on. */
  async takeRunName(wanted: string): Promise<string> {
    return (await import("./storage.ts")).takeRunName(wanted);
  }

  /** One of them. */
  async storedRun(name: string): Promise<StoredRun> {
    return (await import("./storedRuns.ts")).storedRun(name);
  }

  /** A file of a run. */
  async file(run: string, file: string): Promise<Blob> {
    return (await import("./storedRuns.ts")).runFile(run, file);
  }

  async removeRun(name: string): Promise<void> {
    if (this.#hasAverages) await (await import("./storedAverages.ts")).forgetAverages(name);
    await (await import("./storedRuns.ts")).removeRun(name);
  }

  /** What a run has stored of averages. */
  async averageFacts(run: string): Promise<AverageFacts> {
    return (await this.#averages()).averageFacts(run);
  }

  /** How an average is made of the stored ones. */
  async describeAverage(request: AverageRequest): Promise<DescribedAverage> {
    return (await this.#averages()).describeAverage(request);
  }

  /** Images of an average; null if another was asked for meanwhile. */
  async drawAverage(request: AverageRequest): Promise<DrawnAverage | null> {
    return (await this.#averages()).drawAverage(request);
  }

  /** The error of averages of several lengths; null if it was cancelled. */
  async measureAverages(
    run: string,
    nimg: number | null,
    listener: MeasureListener,
  ): Promise<readonly LengthError[] | null> {
    return (await this.#averages()).measureAverages(run, nimg, listener);
  }

  async cancelMeasuring(): Promise<void> {
    (await this.#averages()).cancelMeasuring();
  }

  /** An average as a file. */
  async averageFile(request: AverageRequest): Promise<NamedBlob> {
    return (await this.#averages()).averageFile(request);
  }

  /** Takes a file that was given, if it is a network. */
  async holdFile(name: string, blob: Blob): Promise<HeldFile> {
    return (await import("./networks.ts")).holdFile(name, blob);
  }

  async describeNetwork(choice: NetworkChoice): Promise<NetworkFacts> {
    this.#hasAverages = true;
    return (await import("./networks.ts")).describeNetwork(choice);
  }

  /** Samples one network or two; null if something else was asked for meanwhile, or it was cancelled. */
  async sample(request: SampleRequest, listener: SampleListener): Promise<Sampled | null> {
    this.#hasAverages = true;
    return (await import("./sampling.ts")).sample(request, listener);
  }

  async cancelSampling(): Promise<void> {
    (await import("./sampling.ts")).cancelSampling();
  }

  /** Where a network looked; null if another place was asked for meanwhile. */
  async attention(request: AttentionRequest): Promise<readonly LayerAttention[] | null> {
    return (await import("./sampling.ts")).attention(request);
  }

  /** What was sampled last, as a PNG file. */
  async samplePicture(request: PictureRequest): Promise<NamedBlob> {
    return (await import("./sampling.ts")).samplePicture(request);
  }

  #averages(): Promise<typeof import("./averages.ts")> {
    this.#hasAverages = true;
    return import("./averages.ts");
  }

  /** Who explains a compiled step; each call makes one that knows nothing yet. */
  async explaining(): Promise<Explaining & Comlink.ProxyMarked> {
    return Comlink.proxy(new (await import("./explaining.ts")).Explaining());
  }

  /** Who moves files of runs and data sets. */
  async files(): Promise<Files & Comlink.ProxyMarked> {
    return Comlink.proxy(new (await import("./files.ts")).Files());
  }

  /** Who reads images that somebody brings. */
  async bringing(): Promise<Bringing & Comlink.ProxyMarked> {
    return Comlink.proxy(new (await import("./bringing.ts")).Bringing());
  }

  /** Trains until the run is finished or stopped; ends with an event that says which. */
  async train(start: RunStart, listener: RunListener): Promise<void> {
    this.#training = import("./training.ts").then(({ Training }) => new Training(start, listener));
    await (await this.#training).run();
  }

  async pause(): Promise<void> {
    (await this.#training)?.gate.pause();
  }

  async resume(): Promise<void> {
    (await this.#training)?.gate.resume();
  }

  async step(): Promise<void> {
    (await this.#training)?.gate.step();
  }

  /** Ends the run with a checkpoint. */
  async stop(): Promise<void> {
    (await this.#training)?.stop();
  }
}

Comlink.expose(new LabWorker());
