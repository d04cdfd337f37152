/**
 * A number of many digits in a few: `1.5 k`, `2.0 M`, `3.25 G`.
 * @example console.log(describeCount(723627)); // 723.6 k
 */
export function describeCount(count: number): string {
  if (count < 1e3) return String(count);
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} k`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} M` : `${(count / 1e9).toFixed(2)} G`;
}
