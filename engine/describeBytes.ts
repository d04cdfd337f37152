/**
 * A size in words: `2.6 GiB`.
 * @example console.log(describeBytes(2 ** 20 + 2 ** 19)); // 1.5 MiB
 */
export function describeBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let [amount, unit] = [bytes, 0];
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${units[unit] ?? ""}`;
}
