import type { SnapshotSource } from "./reconstruct.ts";

/** A stored average in a file. */
export interface SnapshotFile extends SnapshotSource {
  /** Where it lies. */
  readonly path: string;
  /** The strings that a safetensors file of the same network carries beside its tensors; see `reconstructFiles`. */
  metadata(): Promise<ReadonlyMap<string, string>>;
}
