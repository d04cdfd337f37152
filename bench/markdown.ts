/** Text of tables. */

/** A Markdown table. */
export function tableOf(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", ";")).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

/** Three significant digits. */
export const digits = (value: number): string =>
  Number.isFinite(value) && Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(3);

/** What one time is longer than another: where it isn't, the times' own scatter hides it. @param rest said of a difference, behind it */
export const longerBy = (milliseconds: number, rest = ""): string =>
  milliseconds <= 0 ? "below what can be measured" : `${digits(milliseconds)} ms${rest}`;
