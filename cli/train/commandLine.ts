/**
 * A command of this program as one line for a POSIX shell, as it can be pasted wherever the package is installed: words with characters
 * of a meaning of their own are quoted.
 */
export function commandLine(...words: readonly (string | number)[]): string {
  return ["npx", "evenkeel", ...words].map((word) => quoted(String(word))).join(" ");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
