import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { countVariable, type Environment, readShard } from "../../../cli/shards/readShard.ts";

/** Variables of a process with one place among `count`, as each launcher sets them. */
type Launched = (place: number, count: number) => Environment;

const jobs: Readonly<Record<string, Launched>> = {
  // As sbatch --array=3-...:2 sets them; its script is no step.
  array: (place, count) => ({
    SLURM_JOB_ID: "7",
    SLURM_ARRAY_TASK_ID: String(3 + 2 * place),
    SLURM_ARRAY_TASK_MIN: "3",
    SLURM_ARRAY_TASK_STEP: "2",
    SLURM_ARRAY_TASK_COUNT: String(count),
    SLURM_PROCID: "0",
    SLURM_NTASKS: "5",
  }),
  kubernetes: (place, count) => ({ JOB_COMPLETION_INDEX: String(place), [countVariable]: String(count) }),
  parallel: (place, count) => ({ PARALLEL_SEQ: String(place + 1), [countVariable]: String(count) }),
};

const processes: Readonly<Record<string, Launched>> = {
  srun: (place, count) => ({ SLURM_STEP_ID: "0", SLURM_PROCID: String(place), SLURM_NTASKS: String(count) }),
  openMpi: (place, count) => ({ OMPI_COMM_WORLD_RANK: String(place), OMPI_COMM_WORLD_SIZE: String(count) }),
  pmi: (place, count) => ({ PMI_RANK: String(place), PMI_SIZE: String(count) }),
  torchrun: (place, count) => ({ RANK: String(place), WORLD_SIZE: String(count), LOCAL_RANK: "0" }),
};

const launchers = { ...jobs, ...processes };
const among = (names: Readonly<Record<string, Launched>>) => fc.constantFrom(...Object.entries(names));
const places = fc.integer({ min: 1, max: 100 }).chain((count) => fc.tuple(fc.nat(count - 1), fc.constant(count)));

describe("--shard auto", () => {
  it("is what a launcher says, and says where from", () => {
    fc.assert(
      fc.property(among(launchers), places, ([, launched], [place, count]) => {
        const environment = launched(place, count);
        const { shard, from } = readShard(environment);
        assert.deepEqual(shard, { index: place + 1, count });
        for (const part of from.split(", ")) {
          const [name = "", value] = part.split("=");
          assert.equal(environment[name], value);
        }
      }),
    );
  });

  it("gives every process of every job a share of its own", () => {
    fc.assert(
      fc.property(
        among(jobs),
        among(processes),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        ([, job], [, process], count, size) => {
          const indices = Array.from({ length: count * size }, (_, i) => {
            const environment = { ...job(Math.floor(i / size), count), ...process(i % size, size) };
            const { shard } = readShard(environment);
            assert.equal(shard.count, count * size);
            return shard.index;
          });
          assert.deepEqual(
            indices,
            indices.map((_, i) => i + 1),
          );
        },
      ),
    );
  });

  it("takes MPI's word before that of srun, which starts MPI's own processes", () => {
    const environment = { ...processes["srun"]?.(1, 2), ...processes["openMpi"]?.(5, 8) };
    assert.deepEqual(readShard(environment).shard, { index: 6, count: 8 });
  });

  it("says that launchers disagree, unless they say the same", () => {
    fc.assert(
      fc.property(among(jobs), among(jobs), places, places, ([one, first], [other, second], a, b) => {
        fc.pre(one !== other);
        const environment = { ...first(...a), ...second(...b) };
        // What numbers Kubernetes and GNU parallel share is one variable.
        fc.pre(environment[countVariable] === undefined || one === "array" || other === "array");
        if (a.join() === b.join()) assert.equal(readShard(environment).shard.index, a[0] + 1);
        else assert.throws(() => readShard(environment), { code: "value", message: /and also .*Say which by --shard/ });
      }),
    );
  });

  it("refuses what is missing, out of range or no number, and names it", () => {
    const cases: readonly (readonly [environment: Environment, words: RegExp])[] = [
      [{}, /none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, .* is set\. Say which shard it is: --shard 2\/4/],
      [{ SLURM_JOB_ID: "3", SLURM_PROCID: "0", SLURM_NTASKS: "4" }, /script of a Slurm job.*Start it by srun/],
      [
        { JOB_COMPLETION_INDEX: "1" },
        /Kubernetes job sets JOB_COMPLETION_INDEX, but EVENKEEL_SHARDS isn't set; set it/,
      ],
      [{ PARALLEL_SEQ: "1" }, /GNU parallel sets PARALLEL_SEQ, but EVENKEEL_SHARDS isn't set/],
      [{ RANK: "1" }, /WORLD_SIZE isn't set/],
      [{ RANK: "4", WORLD_SIZE: "4" }, /RANK=4 isn't one of the 4 numbers from 0 to 3 that torchrun would give/],
      [{ PARALLEL_SEQ: "0", EVENKEEL_SHARDS: "2" }, /PARALLEL_SEQ=0 isn't one of the 2 numbers from 1 to 2/],
      [{ PMI_RANK: "-1", PMI_SIZE: "4" }, /PMI_RANK=-1 is no whole number/],
      [{ PMI_RANK: "1", PMI_SIZE: "" }, /PMI_SIZE= is no whole number/],
      [
        // sbatch --array=1,2,5
        {
          ...{ SLURM_ARRAY_TASK_ID: "5", SLURM_ARRAY_TASK_COUNT: "3", SLURM_ARRAY_TASK_MIN: "1" },
          SLURM_ARRAY_TASK_STEP: "1",
        },
        /SLURM_ARRAY_TASK_ID=5 isn't one of the 3 numbers from 1 to 3.*with gaps/,
      ],
    ];
    for (const [environment, words] of cases) {
      assert.throws(() => readShard(environment), { code: "value", message: words });
    }
  });
});
