import { EvenkeelError, printable } from "../../errors.ts";

// A file of its own: callers' types must not depend on WebGPU's, which their projects may not have.
export type WebgpuKernels = "own" | "generated";

/** A tenth of what Windows allows, so that estimates may be wrong by as much. */
const defaultSubmitMilliseconds = 200;

export type WebgpuOptions = {
  /** Has WebGPU validate every run and waits for its verdict, not only each program's first run. Slower. */
  readonly debug?: boolean;
  /**
   * `own` (the default): kernels in WGSL that the engine writes. `generated`: each kernel as JavaScript that gpu.js translates, one thread
   * for each element: the same results by another way, and much slower. Without this option the environment variable
   * EVENKEEL_WEBGPU says which.
   */
  readonly kernels?: WebgpuKernels;
  /** Whether steps that do the same to different arrays are one dispatch; default true. Same results, bit for bit. Own kernels only. */
  readonly batches?: boolean;
  /**
   * Whether steps over the same rows, as those of a norm, are one dispatch. Same results, bit for bit but for those of NaN. Own kernels only. The default is
   * true, but on software adapters, which take a second to compile the barriers.
   */
  readonly chains?: boolean;
  /**
   * Whether temporaries of numbers that 16 bits hold, as `roundToFloat16` gives, take no more than that in memory; default true. Same results,
   * bit for bit. Own kernels only.
   */
  readonly halves?: boolean;
  /**
   * Times the products of each program by every tile there is when it is compiled, and runs them by the fastest; default false. Same
   * results, bit for bit. What was found is told by the device's `tuning()`. Own kernels only.
   */
  readonly autotune?: boolean;
  /** What `tuning()` of a device told before, perhaps of another process. One of another adapter is ignored, with a line that says so. */
  readonly tuning?: TuningTable;
  /**
   * Milliseconds for which one submit may keep the GPU busy, by estimate; default 200. Longer runs are cut into several, for systems reset a
   * GPU that is busy for seconds, and nothing is drawn meanwhile. A software adapter has no such limit unless it is given here. Same
   * results, bit for bit.
   */
  readonly submitMilliseconds?: number;
};

/** The fastest tiles that were found on an adapter: plain JSON, to be kept where the caller likes. */
export type TuningTable = {
  /** As the device's description names it. */
  readonly adapter: string;
  /** Version of the schedules that were timed. */
  readonly schedules: number;
  /** Names of tiles by products. */
  readonly tiles: Readonly<Record<string, string>>;
};

const switches = ["debug", "batches", "chains", "halves", "autotune"] as const;
const others = ["kernels", "tuning", "submitMilliseconds"] as const;

/**
 * Before an adapter is looked for.
 * @throws EvenkeelError `value` for an option that there isn't, one that is to be true or false and is neither, or kernels that are none
 */
export function checkOptions(options: WebgpuOptions): void {
  for (const name of Object.keys(options)) {
    if (![...switches, ...others].some((known) => known === name)) {
      const known = [...switches, ...others].join(", ");
      throw new EvenkeelError("value", `webgpu has no option ${printable(name)}. Expected some of ${known}.`);
    }
  }
  for (const name of switches) {
    const value: unknown = options[name];
    if (value === undefined || typeof value === "boolean") continue;
    throw new EvenkeelError(
      "value",
      `the option ${name} of webgpu is of type ${typeof value}. Expected true or false.`,
    );
  }
  kernelsOf(options);
}

/** What a submit may take by estimate. @throws EvenkeelError `value` unless it is above 0. */
export function submitLimitOf({ submitMilliseconds }: WebgpuOptions, isSoftware: boolean): number {
  // The CPU's work is neither watched nor in a display's way.
  const limit: unknown = submitMilliseconds ?? (isSoftware ? Infinity : defaultSubmitMilliseconds);
  if (typeof limit === "number" && limit > 0) return limit;
  throw new EvenkeelError(
    "value",
    `the option submitMilliseconds of webgpu is ${String(limit)}. Expected a number above 0.`,
  );
}

/** @throws EvenkeelError `value` if the option, or else EVENKEEL_WEBGPU, is neither. */
export function kernelsOf({ kernels }: WebgpuOptions): WebgpuKernels {
  const named = typeof process === "undefined" ? undefined : process.env["EVENKEEL_WEBGPU"];
  const wanted: string = kernels ?? named ?? "own";
  if (wanted === "own" || wanted === "generated") return wanted;
  const from = kernels === undefined ? "EVENKEEL_WEBGPU" : "the option kernels of webgpu";
  throw new EvenkeelError("value", `${from} is "${wanted}". Expected own or generated.`);
}
