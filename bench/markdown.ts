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
