/** How a long sum becomes nested loops. */

/** Loop counts, outermost first, whose product is at least `size` and of which none is above `longest`. */
export function loopCounts(size: number, longest: number): number[] {
  if (size <= longest) return [size];
  let inner = longest;
  // A divisor saves the guard.
  for (let divisor = longest; divisor >= 16; divisor--) {
    if (size % divisor === 0) {
      inner = divisor;
      break;
    }
  }
  return [...loopCounts(Math.ceil(size / inner), longest), inner];
}
