/** What programs that start others many times tell them: which one a process is, and of how many. */
import type { Shard } from "../../diffusion/sample/index.ts";
import { EvenkeelError } from "../../engine/index.ts";

/** The variable that says how many shards there are where the launcher only numbers them. */
export const countVariable = "EVENKEEL_SHARDS";

type Launcher = {
  readonly name: string;
  /** Whether it starts jobs, or processes within a job. */
  readonly starts: "jobs" | "processes";
  readonly index: string;
  readonly count: string;
  /** The lowest index: a number, or the variable that has it. */
  readonly first: number | string;
  /** The variable of the distance between indices; 1 if there is none. */
  readonly step?: string;
};

const launchers: readonly Launcher[] = [
  {
    ...{ name: "a Slurm array", starts: "jobs", index: "SLURM_ARRAY_TASK_ID", count: "SLURM_ARRAY_TASK_COUNT" },
    ...{ first: "SLURM_ARRAY_TASK_MIN", step: "SLURM_ARRAY_TASK_STEP" },
  },
  { name: "a Kubernetes job", starts: "jobs", index: "JOB_COMPLETION_INDEX", count: countVariable, first: 0 },
  { name: "GNU parallel", starts: "jobs", index: "PARALLEL_SEQ", count: countVariable, first: 1 },
  { name: "torchrun", starts: "processes", index: "RANK", count: "WORLD_SIZE", first: 0 },
  {
    ...{ name: "Open MPI", starts: "processes", index: "OMPI_COMM_WORLD_RANK", count: "OMPI_COMM_WORLD_SIZE" },
    first: 0,
  },
  { name: "MPI", starts: "processes", index: "PMI_RANK", count: "PMI_SIZE", first: 0 },
];

/**
 * Read only if no other one of processes is there: those are started by srun, a process on each machine. Outside of a step, Slurm's
 * script itself has the number 0.
 */
const srun: Launcher = { name: "srun", starts: "processes", index: "SLURM_PROCID", count: "SLURM_NTASKS", first: 0 };

/** Variables as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A shard, and the variables that say so. */
export type ReadShard = { readonly shard: Shard; readonly from: string };

/** One launcher's word: a place among `count`, from 0 on. */
type Told = { readonly place: number; readonly count: number; readonly from: string };

/**
 * The shard of this process by the variables of Slurm, Kubernetes, MPI, torchrun or GNU parallel. Processes of a job of an array share that
 * job's share: of 4 jobs of 2 processes each, the second process of the third job is 6 of 8.
 * @throws EvenkeelError `value` if there are none, one of them is missing, out of range or no number, or two launchers disagree.
 */
export function readShard(environment: Environment): ReadShard {
  const isThere = ({ index }: Launcher): boolean => environment[index] !== undefined;
  const found = launchers.filter(isThere);
  const isStep = environment["SLURM_STEP_ID"] !== undefined && isThere(srun);
  if (isStep && !found.some(({ starts }) => starts === "processes")) found.push(srun);
  if (found.length === 0) {
    const isScript = environment["SLURM_JOB_ID"] !== undefined;
    const names = [...launchers, srun].map(({ index }) => index).join(", ");
    throw new EvenkeelError(
      "value",
      isScript
        ? "--shard auto: this is the script of a Slurm job, not one of its tasks. Start it by srun, or submit an array (sbatch --array=0-7)."
        : `--shard auto: none of ${names} is set. Say which shard it is: --shard 2/4.`,
    );
  }
  const told = found.map((launcher) => ({ ...launcher, ...readLauncher(launcher, environment) }));
  const [jobs, processes] = (["jobs", "processes"] as const).map((kind) =>
    agreed(told.filter(({ starts }) => starts === kind)),
  );
  const parts = [jobs, processes].flatMap((part) => part ?? []);
  const shard = parts.reduce(
    (whole, part) => ({ index: (whole.index - 1) * part.count + part.place + 1, count: whole.count * part.count }),
    { index: 1, count: 1 },
  );
  return { shard, from: parts.map(({ from }) => from).join(", ") };
}

function readLauncher({ name, index, count, first, step }: Launcher, environment: Environment): Told {
  const read = (variable: string): number => {
    const text = environment[variable];
    if (text === undefined) {
      const advice = variable === countVariable ? `; set it to the number of shards` : "";
      throw new EvenkeelError("value", `--shard auto: ${name} sets ${index}, but ${variable} isn't set${advice}.`);
    }
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
      throw new EvenkeelError("value", `--shard auto: ${variable}=${text} is no whole number.`);
    }
    return Number(text);
  };
  const lowest = typeof first === "string" ? read(first) : first;
  const distance = step === undefined || environment[step] === undefined ? 1 : read(step);
  const [given, total] = [read(index), read(count)];
  const place = (given - lowest) / distance;
  if (!Number.isSafeInteger(place) || place < 0 || place >= total) {
    const last = lowest + distance * (total - 1);
    const gaps =
      step === undefined ? "" : " An array with gaps, or of which a part is submitted again, has no such numbers.";
    throw new EvenkeelError(
      "value",
      `--shard auto: ${index}=${given} isn't one of the ${total} numbers from ${lowest} to ${last} that ${name} would give ` +
        `(${count}=${total}).${gaps}`,
    );
  }
  const variables = [index, count, ...(typeof first === "string" ? [first] : [])];
  return { place, count: total, from: variables.map((each) => `${each}=${environment[each] ?? ""}`).join(", ") };
}

/** What launchers of one kind say, if any does. @throws EvenkeelError `value` if they disagree. */
function agreed(told: readonly Told[]): Told | undefined {
  const [one, ...others] = told;
  const other = others.find(({ place, count }) => place !== one?.place || count !== one.count);
  if (one === undefined || other === undefined) return one;
  const say = ({ place, count, from }: Told): string => `${place + 1} of ${count} (${from})`;
  throw new EvenkeelError(
    "value",
    `--shard auto: this is shard ${say(one)} and also ${say(other)}. Say which by --shard i/N.`,
  );
}
