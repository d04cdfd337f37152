/** Statements of a helper function from an indented template: common indentation and blank lines removed. */
export function helperStatements(template: string): () => string {
  const lines = template.split("\n").filter((line) => line.trim() !== "");
  const indentation = Math.min(...lines.map((line) => line.length - line.trimStart().length));
  return () => lines.map((line) => `  ${line.slice(indentation)}`).join("\n");
}
