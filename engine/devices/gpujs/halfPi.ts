/** pi/2 for reducing angles. */

/** pi/2 as a sum of parts with 8 significant bits, whose products with a quadrant are exact; the last part is the rest. */
export function partsOfHalfPi(): readonly number[] {
  // The first 80 bits after the point, in two doubles that don't overlap.
  const [high, low] = [Math.PI / 2, 6.123233995736766e-17];
  const parts: number[] = [];
  let rest = high;
  for (let i = 0; i < 4; i++) {
    const scale = 2 ** (7 - Math.floor(Math.log2(rest)));
    const part = Math.floor(rest * scale) / scale;
    parts.push(part);
    rest -= part;
  }
  return [...parts, Math.fround(rest + low)];
}
