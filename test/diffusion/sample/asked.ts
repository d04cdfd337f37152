/** Denoisers that note what they are asked, for specs of samplers. */
import { type Denoiser, type DenoisingFormula, FormulaDenoiser } from "../../../diffusion/network/index.ts";
import type { Device } from "../../../engine/index.ts";

/** What a network was asked: noise levels, and label vectors one behind the other. */
export type Asked = { readonly sigma: readonly number[]; readonly labels: readonly number[] | null };

/** A formula whose questions are noted. */
export function noting(formula: DenoisingFormula, device: Device): Denoiser & { readonly asked: Asked[] } {
  const inner = new FormulaDenoiser(formula, device);
  const asked: Asked[] = [];
  return {
    device,
    asked,
    async evaluate(state, isLabelled = true) {
      const { sigma, labels } = await state.read(({ evaluation }) => ({
        sigma: evaluation.sigma,
        labels: evaluation.labels,
      }));
      asked.push({
        sigma: [...(await sigma.data())],
        labels: labels === null || !isLabelled ? null : [...(await labels.data())],
      });
      await inner.evaluate(state, isLabelled);
    },
  };
}
