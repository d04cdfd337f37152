import assert from "node:assert/strict";
import { test } from "node:test";
import { type TorchFacts, unfairness } from "../../bench/peers/fairness.ts";

const folder = "/usr/lib/x86_64-linux-gnu";
const fair: TorchFacts = {
  version: "2.6.0",
  python: "3.13.5",
  threads: 2,
  blas: [`${folder}/openblas-openmp/libblas.so.3`, `${folder}/openblas-openmp/libopenblasp-r0.3.29.so`],
  openblasThreads: [2],
  mkl: false,
  coreType: null,
};

test("a PyTorch that computes with OpenBLAS on OpenMP or with MKL, on as many threads as we, is compared", () => {
  assert.equal(unfairness(fair, 2), undefined);
  assert.equal(unfairness({ ...fair, blas: [], openblasThreads: [], mkl: true }, 2), undefined);
  // Another package's OpenBLAS has other names, and is not what PyTorch's products are made by.
  assert.equal(
    unfairness({ ...fair, blas: ["/numpy.libs/libopenblas64_p.so"], openblasThreads: [], mkl: true }, 2),
    undefined,
  );
  assert.equal(unfairness({ ...fair, threads: 1, openblasThreads: [0] }, 1), undefined);
});

test("comparisons that would flatter us are refused in words", () => {
  const refused = (facts: Partial<TorchFacts>, words: RegExp): void =>
    assert.match(unfairness({ ...fair, ...facts }, 2) ?? "", words);
  refused(
    { blas: [`${folder}/blas/libblas.so.3.11.0`], openblasThreads: [] },
    /reference BLAS, .*libblas\.so\.3\.11\.0/,
  );
  refused({ openblasThreads: [1] }, /threads of its own beside PyTorch's OpenMP pool/);
  refused({ openblasThreads: [2, 1] }, /threads of its own/);
  refused({ openblasThreads: [0] }, /its OpenBLAS has one thread and we have 2/);
  refused({ threads: 1 }, /it has 1 threads and we have 2/);
  for (const coreType of ["Haswell", ""]) refused({ coreType }, /OPENBLAS_CORETYPE is "/);
});
