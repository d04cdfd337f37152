/** All laws of devices, by name. */
import type { Device } from "../../engine/devices/device.ts";
import { EvenkeelError, messageOf } from "../../engine/errors.ts";
import { createDevice } from "../../engine/devices/select.ts";
import { accuracies } from "../bounds/accuracies.ts";
import { titleOf } from "../graphCase.ts";
import { checkContractions, checkKernels, checkPlans } from "./kernelLaws.ts";
import { determinismLaw } from "./determinismLaw.ts";
import type { LawOptions, LawReport } from "./lawOptions.ts";
import { checkPrograms } from "./programLaw.ts";
import { findUnrefused } from "./refusalLaw.ts";

/** Laws that a device is held to. */
export const deviceLawNames = ["kernels", "products", "plans", "programs", "determinism", "refusals"] as const;
/** What is tried: see {@link deviceLaws}. */
export type DeviceLawName = (typeof deviceLawNames)[number];

/** A law of devices. */
export type DeviceLaw = {
  /** What is tried, in a few words. */
  readonly title: string;
  /** Cases for each hundred that are asked for: those of some laws take longer than those of others. */
  readonly share: number;
  /** Whether a device can be held to it: those that interpret graphs have no kernels. */
  readonly appliesTo: (device: Device) => boolean;
  /** @throws Error with the shrunk counterexample */
  readonly hold: (device: Device, options: LawOptions) => Promise<LawReport>;
};

/**
 * `kernels`: random kernels, one by one. `products`: matrix products and convolutions of several tiles. `plans`: several kernels that share
 * memory, each plan run twice. `programs`: random programs against the oracle. `determinism`: the same bits again. `refusals`: wrong calls
 * are refused with the right code and change nothing (on two devices of the same name that are made for it).
 */
export const deviceLaws: { readonly [K in DeviceLawName]: DeviceLaw } = {
  kernels: kernelLaw("random kernels", 100, checkKernels),
  products: kernelLaw("products and convolutions of several tiles", 10, checkContractions),
  plans: kernelLaw("random plans, each run twice", 20, checkPlans),
  programs: {
    title: "random programs against float64",
    share: 50,
    appliesTo: () => true,
    hold: checkPrograms,
  },
  determinism: {
    title: "random programs, the same bits again",
    share: 10,
    appliesTo: () => true,
    // Bits are equal or not.
    hold: async (device, options) => ({ ...(await determinismLaw(device, options)), uncertain: 0 }),
  },
  refusals: {
    title: "wrong calls",
    share: 3,
    appliesTo: ({ runs }) => runs === "kernels",
    hold: holdRefusals,
  },
};

function kernelLaw(title: string, share: number, check: typeof checkKernels): DeviceLaw {
  return {
    title,
    share,
    appliesTo: ({ runs }) => runs === "kernels",
    hold: (device, options) => {
      if (device.runs === "kernels") return check(device, options);
      throw new EvenkeelError("device", `${device.name} interprets graphs; the law is about kernels.`);
    },
  };
}

async function holdRefusals({ name }: Device, { runs, seed, onCase }: LawOptions): Promise<LawReport> {
  const [own, other] = [await createDevice(name), await createDevice(name)];
  try {
    const unrefused = await findUnrefused(own, other, { runs, seed });
    if (unrefused.length > 0) throw new Error(`seed ${seed}: not refused as it should be:\n${unrefused.join("\n")}`);
    onCase?.(runs);
    return { compared: runs, uncertain: 0 };
  } finally {
    own.dispose();
    other.dispose();
  }
}

/** How a device is held to all laws. */
export type DeviceLawOptions = Partial<LawOptions> & {
  /** Which laws. Default: all but `refusals`, which makes devices of its own by name. */
  readonly laws?: readonly DeviceLawName[];
};

/**
 * Holds a device to one law.
 * @throws Error with the shrunk counterexample; EvenkeelError `device` if the device was lost meanwhile, of which nothing follows
 * @example
 * ```ts
 * const options = { runs: 5, seed: 1, accuracy: accuracies.wasm };
 * console.log((await holdLaw(new ReferenceDevice("arena"), "kernels", options)).compared > 0); // true
 * ```
 */
export async function holdLaw(device: Device, name: DeviceLawName, options: LawOptions): Promise<LawReport> {
  const lost = (cause?: unknown): EvenkeelError =>
    new EvenkeelError(
      "device",
      `${titleOf(device)} was lost or disposed of while it was held to the law ${name}, seed ${options.seed}: of this law nothing is known. ` +
        `Make a new device and begin again there${cause === undefined ? "." : `. What it said: ${firstLines(cause)}`}`,
      { cause },
    );
  const report = await deviceLaws[name].hold(device, options).catch((cause: unknown) => {
    throw device.usable ? cause : lost(cause);
  });
  if (!device.usable) throw lost();
  return report;
}

/** The innermost reason, in which the case at hand isn't told. */
function firstLines(reason: unknown): string {
  let innermost = reason;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  return messageOf(innermost).split("\n").slice(0, 3).join(" ");
}

/**
 * Holds a device to the laws: what it computes is within the error that float32 allows of what the definition of kernels and graphs says,
 * the same again the next time, and no memory is left behind.
 * @param options by default 100 cases (of laws whose cases take long, a share of that), seed 20240612, and the accuracy that the device's
 * name promises
 * @returns how many elements were compared by each law, and about how many float32 decides nothing
 * @throws Error with the shrunk counterexample of the first law that is broken, or if a law had nothing to compare; EvenkeelError `device`
 * if the device is lost, `value` for a law that there isn't
 * @example
 * ```ts
 * const reports = await deviceLaw(new ReferenceDevice("arena"), { runs: 4, laws: ["kernels", "programs"] });
 * console.log(Object.keys(reports), (reports.kernels?.compared ?? 0) > 0); // [ 'kernels', 'programs' ] true
 * ```
 */
export async function deviceLaw(
  device: Device,
  options: DeviceLawOptions = {},
): Promise<Partial<Record<DeviceLawName, LawReport>>> {
  const { laws = deviceLawNames.filter((name) => name !== "refusals"), runs = 100 } = options;
  const reports: Partial<Record<DeviceLawName, LawReport>> = {};
  const unknown = laws.find((name) => !Object.hasOwn(deviceLaws, name));
  if (unknown !== undefined) {
    throw new EvenkeelError("value", `deviceLaw: "${unknown}" is no law. There are: ${deviceLawNames.join(", ")}.`);
  }
  for (const name of laws) {
    const law = deviceLaws[name];
    if (!law.appliesTo(device)) continue;
    const own = { seed: 20_240_612, accuracy: accuracies[device.name], ...options, runs: casesOf(law, runs) };
    const report = await holdLaw(device, name, own);
    if (report.compared === 0) {
      throw new Error(
        `seed ${own.seed}: nothing was compared in ${own.runs} cases of the law ${name} (${report.uncertain} elements were uncertain). Ask for more runs.`,
      );
    }
    reports[name] = report;
  }
  return reports;
}

/**
 * How many cases of a law are tried where `runs` are asked for.
 * @example console.log(casesOf(deviceLaws.kernels, 1000), casesOf(deviceLaws.plans, 1000)); // 1000 200
 */
export const casesOf = ({ share }: DeviceLaw, runs: number): number => Math.max(1, Math.round((runs * share) / 100));
