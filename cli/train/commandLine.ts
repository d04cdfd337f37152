/** A command as one line for a POSIX shell: words with characters of a meaning of their own are quoted. */
export function commandLine(...words: readonly (string | number)[]): string {
  return words.map((word) => quoted(String(word))).join(" ");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
