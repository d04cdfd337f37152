import type { Draw } from "../engine/io/mutateFile.ts";

/** A change to a file. `other` is another right file of the same reader, to splice with. */
export type Mutation = (file: Uint8Array, draw: Draw, other: Uint8Array) => Uint8Array;

/** A reader of files, with right files to begin from. */
export type Target = {
  readonly name: string;
  /** Right files; small, so that many can be read. */
  readonly samples: () => Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  /** What knows the format; changes of bytes come in any case. */
  readonly mutations: readonly Mutation[];
  /**
   * Reads a file, and compares what was read with a second opinion where there is one.
   * @param folder gives an empty folder for it, removed later.
   * @returns how many bytes what was read rightly takes.
   * @throws EvenkeelError to refuse it; anything else is a finding.
   */
  readonly read: (file: Uint8Array, folder: () => string) => Promise<number> | number;
};
