import type { Dynamics } from "../format.ts";
import { layerCurve } from "../places.ts";
import { type Finding, lastThird, median, show, worst } from "./finding.ts";

/** Share of the largest entropy below which a head looks at one or two places only. */
const limits = { low: 0.1, tooLow: 0.02 };

/** Attention: entropies that collapse, and logits where cosine attention can't have any. */
export function examineAttention(dynamics: Dynamics): Finding[] {
  const { unet } = dynamics.header.training.network;
  const layers = dynamics.header.names.attention;
  const current = (kind: "entropyMin" | "logit"): { layer: string; value: number }[] =>
    layers.map((layer) => ({ layer, value: median(lastThird(layerCurve(dynamics, kind, layer))) }));
  const findings: Finding[] = [];
  const spiky = current("entropyMin").filter(({ value }) => value < limits.low);
  if (spiky.length > 0) {
    const least = Math.min(...spiky.map(({ value }) => value));
    findings.push({
      check: "attention",
      severity: least < limits.tooLow ? "error" : "warning",
      what: `attention is saturated in ${spiky.length} of ${layers.length} layers: its entropy is down to ${show(100 * least)}% of the largest possible`,
      where: worst(spiky).reverse(),
      meaning:
        "A head looks at one place whatever the image, and hardly any gradient passes its softmax." +
        (unet.attentionKind === "dotProduct" ? " Queries and keys grow without a bound in dot-product attention." : ""),
      advice:
        unet.attentionKind === "dotProduct"
          ? "Use cosine attention (configuration C on), or a smaller learning rate."
          : "Logits are bounded by sqrt(channels per head): take fewer channels per head, or a smaller learning rate.",
    });
  }
  const bound = Math.sqrt(unet.channelsPerHead);
  const beyond = unet.attentionKind === "cosine" ? current("logit").filter(({ value }) => value > 1.01 * bound) : [];
  if (beyond.length > 0) {
    findings.push({
      check: "attention",
      severity: "error",
      what: `logits of attention reach ${show(Math.max(...beyond.map(({ value }) => value)))}, and cosine attention keeps them within ${show(bound)}`,
      where: worst(beyond),
      meaning:
        "Queries and keys are not of unit magnitude over the channels of a head, or logits aren't divided by sqrt(channels per head).",
      advice:
        "Normalize queries, keys and values over each head's channels at each pixel before the product (section B.3).",
    });
  }
  return findings;
}
