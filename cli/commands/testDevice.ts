import type { Command } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { disposeDevices, type Device, EvenkeelError, getDevice, messageOf } from "../../engine/index.ts";
import type { DeviceLawName } from "../../testing/index.ts";
import { stopping } from "../stopping.ts";
import { wholeNumber, wholeNumberFrom } from "../wholeNumber.ts";
import { WorkProgress } from "../workProgress.ts";

/** The laws, loaded by the command alone: they need a package that is installed for them. */
type Testing = typeof import("../../testing/index.ts");

/** What became of a law with one seed. */
export type LawOutcome = {
  readonly law: DeviceLawName;
  readonly seed: number;
  /** Cases that were asked for. */
  readonly runs: number;
  /** Elements, or calls, that were compared. */
  readonly compared: number;
  /** Elements about which float32 decides nothing. */
  readonly uncertain: number;
  /** The shrunk counterexample, and the command that finds it again; null if the law holds. */
  readonly failure: { readonly message: string; readonly repeat: string } | null;
};

type Options = {
  readonly law?: readonly string[] | undefined;
  readonly seed: number;
  readonly seeds: number;
  readonly seconds?: number | undefined;
  readonly runs: number;
};

/** `evenkeel test-device NAME`: the laws of devices. */
export function addTestDeviceCommand(program: Command): void {
  program
    .command("test-device")
    .description(
      "Hold a device to the laws: random kernels, products, plans and programs against float64, equal bits, refusals.",
    )
    .argument("[name]", "oracle, wasm, cpu, webgpu or webgl2 (default: EVENKEEL_DEVICE, else wasm)")
    .option("--law <names...>", "only these: kernels, products, plans, programs, determinism, refusals")
    .option("--seed <number>", "of the first round of cases", wholeNumberFrom(0), 20_240_612)
    .option("--seeds <count>", "rounds, each with the next seed", wholeNumber, 1)
    .option("--seconds <number>", "go on with further seeds until so much time has gone by", positive)
    .option("--runs <count>", "cases of each round; of laws whose cases take long a share of it", wholeNumber, 100)
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `
A law that is broken is told with the smallest case that is found to break it, and with the command that finds it again; the others go on.
A law that had nothing to compare isn't told as right: ask for more cases (--runs, --seeds).
Ends with exit code 1 if one was broken, had nothing to compare, or if the device was lost. Needs the package fast-check (npm i -D fast-check).

Examples:
  $ npx evenkeel test-device wasm --seconds 60
  $ npx evenkeel test-device webgpu --law programs --seed 7 --runs 1000`,
    )
    .action(async (name, { json, ...options }) => {
      const testing = await loadTesting();
      const laws = lawsOf(testing, options.law);
      // The name is checked where devices are made, with the list of those there are.
      const device = await getDevice(name as "auto" | undefined);
      try {
        if (json !== true) console.log(`${device.name}: ${device.description}`);
        const outcomes = await holdLaws(testing, device, laws, options, (outcome) => {
          if (json !== true) console.log(describeOutcome(testing, outcome));
        });
        const broken = outcomes.filter(({ failure }) => failure !== null).length;
        const blind = blindLaws(outcomes);
        if (json === true)
          console.log(JSON.stringify({ device: device.name, description: device.description, outcomes }, null, 2));
        else console.log(summary(outcomes, broken, blind));
        if (broken > 0 || blind.length > 0) process.exitCode = 1;
      } finally {
        await disposeDevices();
      }
    });
}

function positive(text: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("wanted a number above 0.");
}

async function loadTesting(): Promise<Testing> {
  try {
    return await import("../../testing/index.ts");
  } catch (reason) {
    if (!messageOf(reason).includes("fast-check")) throw reason;
    throw new EvenkeelError(
      "file",
      "test-device: the package fast-check, which draws and shrinks the cases, isn't installed here. Install it: npm i -D fast-check",
      { cause: reason },
    );
  }
}

function lawsOf({ deviceLawNames }: Testing, wanted: readonly string[] | undefined): readonly DeviceLawName[] {
  if (wanted === undefined) return deviceLawNames;
  const unknown = wanted.find((name) => !(deviceLawNames as readonly string[]).includes(name));
  if (unknown === undefined) return deviceLawNames.filter((name) => wanted.includes(name));
  throw new EvenkeelError("value", `test-device: there is no law "${unknown}". Expected ${deviceLawNames.join(", ")}.`);
}

/** Round by round, each law once with the round's seed; a law that was broken is not tried again. */
async function holdLaws(
  { deviceLaws, holdLaw, casesOf, accuracies }: Testing,
  device: Device,
  laws: readonly DeviceLawName[],
  { seed: first, seeds, seconds, runs }: Options,
  onOutcome: (outcome: LawOutcome) => void,
): Promise<LawOutcome[]> {
  const outcomes: LawOutcome[] = [];
  const broken = new Set<DeviceLawName>();
  const until = performance.now() + 1000 * (seconds ?? 0);
  const progress = new WorkProgress();
  const isWanted = (round: number): boolean =>
    round === 0 || (seconds === undefined ? round < seeds : performance.now() < until);
  try {
    for (let round = 0; isWanted(round); round++) {
      const open = laws.filter((name) => deviceLaws[name].appliesTo(device) && !broken.has(name));
      if (open.length === 0) break;
      for (const name of open) {
        // At least one round is whole, unless a signal ends it.
        if (stopping.exitCode !== undefined) return outcomes;
        if (round > 0 && seconds !== undefined && performance.now() >= until) break;
        const law = deviceLaws[name];
        const [seed, cases] = [first + round, casesOf(law, runs)];
        const options = { runs: cases, seed, accuracy: accuracies[device.name] };
        progress.at(`${law.title}, seed ${seed}`, 0, cases);
        const asked = { law: name, seed, runs: cases };
        const onCase = (done: number): void => progress.at(`${law.title}, seed ${seed}`, Math.min(done, cases), cases);
        const outcome = await holdLaw(device, name, { ...options, onCase }).then(
          ({ compared, uncertain }): LawOutcome => ({ ...asked, compared, uncertain, failure: null }),
          (reason: unknown): LawOutcome => {
            // What ends the device isn't a broken law.
            if (!device.usable) throw reason;
            const repeat = `npx evenkeel test-device ${device.name} --law ${name} --seed ${seed} --runs ${runs}`;
            return { ...asked, compared: 0, uncertain: 0, failure: { message: messageOf(reason), repeat } };
          },
        );
        if (outcome.failure !== null) broken.add(name);
        outcomes.push(outcome);
        progress.pause();
        onOutcome(outcome);
      }
    }
    return outcomes;
  } finally {
    progress.end();
  }
}

function describeOutcome(
  { deviceLaws }: Testing,
  { law, seed, runs, compared, uncertain, failure }: LawOutcome,
): string {
  const { title } = deviceLaws[law];
  const cases = `${title}, ${runs} ${runs === 1 ? "case" : "cases"} of seed ${seed}`;
  if (failure !== null) return `BROKEN  ${law}: ${cases}\n${failure.message}\nRepeat it with: ${failure.repeat}`;
  const counts = `${compared.toLocaleString("en")} compared${uncertain === 0 ? "" : `, ${uncertain.toLocaleString("en")} uncertain`}`;
  return `${compared === 0 ? "open " : "right"}   ${law}: ${cases}, ${counts}`;
}

/** The laws that are not broken, and of which no round compared anything. */
function blindLaws(outcomes: readonly LawOutcome[]): DeviceLawName[] {
  const seen = new Set(
    outcomes.flatMap(({ law, compared, failure }) => (compared > 0 || failure !== null ? [law] : [])),
  );
  return [...new Set(outcomes.map(({ law }) => law))].filter((law) => !seen.has(law));
}

function summary(outcomes: readonly LawOutcome[], broken: number, blind: readonly DeviceLawName[]): string {
  const [cases, compared] = [
    outcomes.reduce((sum, { runs }) => sum + runs, 0),
    outcomes.reduce((sum, each) => sum + each.compared, 0),
  ];
  const laws = new Set(outcomes.map(({ law }) => law)).size;
  const counts = `${cases.toLocaleString("en")} cases, ${compared.toLocaleString("en")} compared`;
  if (broken > 0) return `${broken} of ${laws} laws broken: ${counts}`;
  if (blind.length > 0) return `nothing to compare for ${blind.join(", ")}: ${counts}. Ask for more (--runs, --seeds)`;
  return `all ${laws} laws hold: ${counts}`;
}
