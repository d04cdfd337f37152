/** The law of going on: who stops, stores and goes on has the bits of who never stopped. */
import fc from "fast-check";
import { assertCases } from "./lawOptions.ts";

/** Something that goes step by step and can be stored in between. */
export type Resumable<Run, Saved> = {
  /** A new run at its beginning, always the same. */
  readonly start: () => Run | Promise<Run>;
  /** Does one step and gives the run after it, which may be the same object. */
  readonly step: (run: Run) => Run | Promise<Run>;
  /** All that is stored of a run. */
  readonly save: (run: Run) => Saved | Promise<Saved>;
  /** A run made of what was stored alone. */
  readonly load: (saved: Saved) => Run | Promise<Run>;
  /** What must be the same: arrays of numbers by name. */
  readonly read: (run: Run) => Values | Promise<Values>;
  /** Called for every run that isn't needed any more. */
  readonly dispose?: (run: Run) => void;
};

/** Arrays of numbers, by name. */
export type Values = Readonly<Record<string, ArrayLike<number>>>;

/** How resuming is tried. */
export type ResumeLawOptions = {
  /** Steps at most. Default 8. */
  readonly steps?: number;
  /** Runs with random stops. Default 20. */
  readonly runs?: number;
  /** The same seed draws the same stops. Default 1. */
  readonly seed?: number;
};

/**
 * Compares runs that are stored and loaded after random steps, several times in one place, too, with one that goes through: after the same
 * number of steps all values are the same, bit for bit (NaN equals NaN), and so they are after going on from a store to which its writer
 * added further steps.
 * @throws Error with the fewest steps and stops that part, the array, the element and both values
 * @example
 * ```ts
 * // The descent forgets its momentum when it is stored.
 * type Run = { readonly weight: number; readonly momentum: number };
 * const broken = resumeLaw({
 *   start: (): Run => ({ weight: 1, momentum: 0 }),
 *   step: ({ weight, momentum }) => ({ weight: weight + momentum, momentum: momentum / 2 - weight / 4 }),
 *   save: ({ weight }) => weight,
 *   load: (weight): Run => ({ weight, momentum: 0 }),
 *   read: ({ weight }) => ({ weight: [weight] }),
 * });
 * await broken.catch(({ message }: Error) => console.log(/after .* steps, stored after \d+/.exec(message)?.[0])); // after 2 steps, stored after 1
 * ```
 */
export async function resumeLaw<Run, Saved>(
  { start, step, save, load, read, dispose = () => undefined }: Resumable<Run, Saved>,
  { steps = 8, runs = 20, seed = 1 }: ResumeLawOptions = {},
): Promise<void> {
  /** The values after each number of steps of the run that goes through. */
  const straight: Values[] = [];
  let run = await start();
  straight.push(copyOf(await read(run)));
  for (let done = 1; done <= steps; done++) {
    run = await step(run);
    straight.push(copyOf(await read(run)));
  }
  dispose(run);
  const cases = fc.record({
    count: fc.integer({ min: 0, max: steps }),
    // After so many steps, in order; the same number twice stores what was just loaded, later ones than the last step don't happen.
    stops: fc.array(fc.nat(steps), { maxLength: 4 }).map((stops) => [...stops].sort((a, b) => a - b)),
    writerGoesOn: fc.boolean(),
  });
  await assertCases(
    cases,
    async ({ count, stops, writerGoesOn }) => {
      let resumed = await start();
      try {
        for (let done = 0; done <= count; done++) {
          if (done > 0) resumed = await step(resumed);
          for (const stop of stops) {
            if (stop !== done) continue;
            const saved = await save(resumed);
            if (writerGoesOn) resumed = await step(resumed);
            dispose(resumed);
            resumed = await load(saved);
          }
        }
        const difference = differenceOf(straight[count] ?? {}, await read(resumed));
        if (difference !== undefined) {
          const when = stops.length === 0 ? "never stored" : `stored after ${stops.join(", ")}`;
          throw new Error(
            `resumeLaw: after ${count} steps, ${when}${writerGoesOn ? " with the writer going on" : ""}: ${difference}`,
          );
        }
      } finally {
        dispose(resumed);
      }
    },
    { runs, seed },
  );
}

const copyOf = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([name, array]) => [name, Array.from(array)]));

/** The first element that differs, in words. */
function differenceOf(wanted: Values, got: Values): string | undefined {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(got)])];
  for (const name of names) {
    const [a, b] = [wanted[name], got[name]];
    if (a === undefined || b === undefined) return `${name} is ${a === undefined ? "new" : "missing"}`;
    if (a.length !== b.length) return `${name} has ${b.length} elements, without stops ${a.length}`;
    for (let i = 0; i < a.length; i++) {
      if (!Object.is(a[i], b[i])) return `${name}, element ${i}: ${b[i]}, without stops ${a[i]}`;
    }
  }
  return undefined;
}
