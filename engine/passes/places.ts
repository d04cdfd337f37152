/** In which order steps are finished where some wait for values that they don't read (`checkpoint` in a gradient). */
import type { PlanStep } from "../kernel/plan.ts";

/** The output takes over the memory of the input: whoever makes it comes behind all who read that. */
export type Overwrite = { readonly input: number; readonly output: number };

/**
 * By step its place: 1 + the number of the last step that it waits for without reading it, at once or by what it reads; 0 if there is none.
 * If all of one place come before those of the next, what is computed again behind one value and behind the next isn't there at one time.
 * @param steps in an order of computation; each buffer is made by one of them at most
 */
export function placesOf(steps: readonly PlanStep[], overwrites: readonly Overwrite[] = []): readonly number[] {
  const [places, numbers] = [new Map<number, number>(), new Map<number, number>()];
  const overwritten = new Map(overwrites.map(({ input, output }) => [output, input]));
  const readUntil = new Map<number, number>();
  return steps.map(({ operands, results, after = [] }, number) => {
    const place = Math.max(
      0,
      ...operands.map((buffer) => places.get(buffer) ?? 0),
      ...after.map((buffer) => (numbers.get(buffer) ?? -1) + 1),
      // Who writes over an input comes behind all who read it.
      ...results.map((buffer) => readUntil.get(overwritten.get(buffer) ?? -1) ?? 0),
    );
    for (const buffer of results) {
      places.set(buffer, place);
      numbers.set(buffer, number);
    }
    for (const buffer of operands) readUntil.set(buffer, Math.max(place, readUntil.get(buffer) ?? 0));
    return place;
  });
}
