import type { Device } from "../../engine/index.ts";
import type { Checks, Tolerances } from "./checks.ts";
import type { Fixture } from "./fixture.ts";

/** A kind of reference file: those whose name begins with `prefix` and ends with `extension`. */
export type Kind = {
  readonly prefix: string;
  readonly extension: ".safetensors" | ".pkl";
  /** The safetensors file with the truth, where it is another than the file itself. */
  readonly numbersOf?: (path: string) => string;
  /** What a float32 run of another implementation was measured to need, times about ten. */
  readonly tolerances: Tolerances;
  /** Runs every check of a file on a device, with options from the file's metadata alone. */
  readonly check: (fixture: Fixture, checks: Checks, device: Device) => Promise<void>;
};
