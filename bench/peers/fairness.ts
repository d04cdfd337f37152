/** What PyTorch's process says of itself. */
export type TorchFacts = {
  readonly version: string;
  readonly python: string;
  readonly threads: number;
  /** Files of BLAS libraries that it has loaded. */
  readonly blas: readonly string[];
  /** How each OpenBLAS among them makes threads, as it says itself: 0 not at all, 1 its own, 2 OpenMP's. */
  readonly openblasThreads: readonly number[];
  /** Was PyTorch built with MKL? It needs no other BLAS then. */
  readonly mkl: boolean;
  /** The environment's OPENBLAS_CORETYPE. */
  readonly coreType: string | null;
};

/** Why times of this PyTorch would say nothing of PyTorch; undefined if they do. `threads` are ours. */
export function unfairness(facts: TorchFacts, threads: number): string | undefined {
  const why = unfairBlas(facts) ?? unfairThreads(facts, threads);
  return why === undefined ? undefined : `not compared, as it would not be fair: ${why} (bench/README.md)`;
}

function unfairBlas({ blas, openblasThreads, mkl, coreType }: TorchFacts): string | undefined {
  if (coreType !== null) {
    return `OPENBLAS_CORETYPE is ${JSON.stringify(coreType)}, so that OpenBLAS may use another processor's kernels. Unset it`;
  }
  if (mkl) return undefined;
  if (openblasThreads.includes(1)) {
    return "OpenBLAS makes threads of its own beside PyTorch's OpenMP pool. Install libopenblas0-openmp in its place";
  }
  if (openblasThreads.length === 0) {
    const reference = blas.find((file) => /(^|\/)libblas\.so/.test(file));
    if (reference !== undefined)
      return `its products are made by the reference BLAS, ${reference}. Install libopenblas0-openmp`;
  }
  return undefined;
}

function unfairThreads({ threads: theirs, openblasThreads }: TorchFacts, threads: number): string | undefined {
  if (theirs !== threads) return `it has ${theirs} threads and we have ${threads}`;
  if (threads > 1 && openblasThreads.includes(0)) {
    return `its OpenBLAS has one thread and we have ${threads}. Install libopenblas0-openmp in its place`;
  }
  return undefined;
}
