// A file of its own: callers' types must not depend on WebGPU's, which their projects may not have.
export type WebgpuOptions = {
  /** Has WebGPU validate every run and waits for its verdict, not only each program's first run. Slower. */
  readonly debug?: boolean;
};
