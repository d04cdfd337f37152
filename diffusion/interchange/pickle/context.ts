export type Fail = (problem: string) => never;

/** What the builder of a value is given. */
export type PickleContext = {
  /** Refuses the file. */
  readonly fail: Fail;
  /** Announces that so many values are about to be copied or looked at, and refuses the file if it asks for too many. */
  readonly spend: (values: number) => void;
};
