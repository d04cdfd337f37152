/** A peer's names of operations by ours, from words `ours:theirs`, or one word where both are called the same. */
export function nameTable(words: string): ReadonlyMap<string, string> {
  return new Map(
    words.split(" ").map((word) => {
      const [ours = "", theirs = ours] = word.split(":");
      return [ours, theirs] as const;
    }),
  );
}
