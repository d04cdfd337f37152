import { useState } from "preact/hooks";
import type { ReadingKind } from "../../diffusion/dynamics/index.ts";
import { HeatMap } from "../charts/heatMap.tsx";
import type { Run } from "../state/run.ts";

type Shown = {
  readonly kind: ReadingKind;
  readonly names: "activations" | "weights" | "gains" | "attention";
  readonly title: string;
  readonly about: string;
  readonly isLog: boolean;
};

const shown: readonly Shown[] = [
  {
    kind: "activation",
    names: "activations",
    title: "Activations",
    isLog: true,
    about: "Root mean square of each layer's output: 1 where magnitudes are preserved",
  },
  {
    kind: "weight",
    names: "weights",
    title: "Weights",
    isLog: true,
    about: "Root mean square of each layer's stored weights",
  },
  {
    kind: "update",
    names: "weights",
    title: "Effective rate",
    isLog: true,
    about: "How far a step moves a layer's weights, relative to their magnitude",
  },
  {
    kind: "gradient",
    names: "weights",
    title: "Gradients",
    isLog: true,
    about: "Root mean square of each layer's gradient",
  },
  {
    kind: "angle",
    names: "weights",
    title: "Angle turned",
    isLog: true,
    about: "Angle in radians by which a step turns each layer's weights",
  },
  {
    kind: "stableRank",
    names: "weights",
    title: "Rank of gradients",
    isLog: true,
    about: "Of how many directions each layer's gradient is made, at most (stable rank)",
  },
  { kind: "gain", names: "gains", title: "Gains", isLog: false, about: "Learned gains" },
  {
    kind: "entropy",
    names: "attention",
    title: "Attention",
    isLog: false,
    about: "Entropy of attention: 1 looks everywhere evenly, 0 at one place",
  },
];

/** Each layer over time, as heat maps. */
export function Magnitudes({ run }: { readonly run: Run | null }) {
  const [kind, choose] = useState<ReadingKind>("activation");
  const what = shown.find((each) => each.kind === kind) ?? shown[0];
  const dynamics = run?.dynamics.value ?? null;
  if (what === undefined) return null;
  return (
    <>
      <div class="panelHead">
        <h2>Inside the network</h2>
        <div class="segments" role="group" aria-label="What is shown of each layer">
          {shown.map((each) => (
            <button key={each.kind} type="button" aria-pressed={each.kind === kind} onClick={() => choose(each.kind)}>
              {each.title}
            </button>
          ))}
        </div>
      </div>
      <p class="quiet">{what.about}. Layers from first to last, images seen to the right.</p>
      {dynamics === null ? (
        <p class="quiet">Shown once a run has looked inside.</p>
      ) : (
        <HeatMap
          rows={dynamics.header.names[what.names]}
          columns={dynamics.samples.map(({ nimg }) => nimg)}
          values={dynamics.header.names[what.names].map((_, row) =>
            dynamics.samples.map(({ readings }) => readings[kind][row] ?? NaN),
          )}
          isLog={what.isLog}
          columnName="images"
          valueName={what.title.toLowerCase()}
        />
      )}
    </>
  );
}
