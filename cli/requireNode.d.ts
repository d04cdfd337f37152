/** What to say to somebody whose Node is older than `range`, as `engines` of package.json has it, names; undefined if it isn't. */
export declare function nodeTooOld(version: string, range: string): string | undefined;
/** A range in words: `20.19 or a later 20, or 22.2 or later`. */
export declare function nodeInWords(range: string): string;
