/** How the results of a loop's iterations are put together: eight of a height to one of the next, so that each is copied few times. */

/** Stacks of one height that are put together at a time. */
export const radix = 8;

/** Stacks of one height. */
export type StackLevel = {
  /** Iterations whose results one of them holds. */
  readonly height: number;
  /** How many there are at most. */
  readonly most: number;
  /** How many are there after all iterations. */
  readonly left: number;
};

/** The stacks of a loop with something to stack, the lowest first; those of all levels but the last become one of the next. */
export function stackLevels(length: number): StackLevel[] {
  const levels: StackLevel[] = [];
  let height = 1;
  for (; height * radix < length; height *= radix) {
    levels.push({ height, most: radix, left: Math.floor(length / height) % radix });
  }
  const count = Math.floor(length / height);
  return [...levels, { height, most: count, left: count }];
}
