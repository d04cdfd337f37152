/** In which order steps are finished where some wait for values that they don't read (`checkpoint` in a gradient). */

/** The output takes over the memory of the input: whoever makes it comes behind all who read that. */
export type Overwrite<Value = number> = { readonly input: Value; readonly output: Value };

/** A step of a plan, or what is to become one: what it reads, makes, and waits for without reading it. */
type Step<Value> = {
  readonly operands: readonly Value[];
  readonly results: readonly Value[];
  readonly after?: readonly Value[];
};

/**
 * By step its place: 1 + the number of the last step that it waits for without reading it, at once or by what it reads; 0 if there is none.
 * If all of one place come before those of the next, what is computed again behind one value and behind the next isn't there at one time.
 * @param steps in an order of computation; each value is made by one of them at most
 */
export function placesOf<Value>(
  steps: readonly Step<Value>[],
  overwrites: readonly Overwrite<Value>[] = [],
): readonly number[] {
  const [places, numbers] = [new Map<Value, number>(), new Map<Value, number>()];
  const overwritten = new Map(overwrites.map(({ input, output }) => [output, input]));
  const readUntil = new Map<Value, number>();
  return steps.map(({ operands, results, after = [] }, number) => {
    const place = Math.max(
      0,
      ...operands.map((value) => places.get(value) ?? 0),
      ...after.map((value) => (numbers.get(value) ?? -1) + 1),
      // Who writes over an input comes behind all who read it.
      ...results.map((value) => {
        const input = overwritten.get(value);
        return input === undefined ? 0 : (readUntil.get(input) ?? 0);
      }),
    );
    for (const value of results) {
      places.set(value, place);
      numbers.set(value, number);
    }
    for (const value of operands) readUntil.set(value, Math.max(place, readUntil.get(value) ?? 0));
    return place;
  });
}
