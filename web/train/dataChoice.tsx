import { lazy, Suspense } from "preact/compat";
import { useState } from "preact/hooks";
import { choose } from "../state/choose.ts";
import { datasets, given } from "../state/lab.ts";
import type { DatasetFacts } from "../worker/messages.ts";

const BringData = lazy(async () => (await import("../data/bringData.tsx")).BringData);

/** The preset whose depth and rates suit images of a size. */
function presetFor({ resolution, channels }: Pick<DatasetFacts, "resolution" | "channels">): string {
  return `${channels === 1 ? "fashion" : "emoji"}${resolution <= 16 ? 16 : 32}`;
}

/** What is trained on. */
export function DataChoice() {
  const [isBringing, bring] = useState(false);
  const chosen = datasets.value.find(({ name }) => name === given.value.data);
  const take = (name: string): void => {
    const facts = datasets.value.find((each) => each.name === name);
    if (facts === undefined) return;
    choose("data", name);
    choose("preset", presetFor(facts));
  };
  return (
    <fieldset class="data">
      <legend>Data</legend>
      <label class="field" for="option-data">
        <span class="hidden">Data set</span>
        <select id="option-data" value={given.value.data} onChange={(event) => take(event.currentTarget.value)}>
          {chosen === undefined && <option value={given.value.data}>{given.value.data}</option>}
          {datasets.value.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {chosen !== undefined && (
        <p class="about">
          {chosen.count.toLocaleString("en")} images, {chosen.resolution}×{chosen.resolution},{" "}
          {chosen.channels === 1 ? "grey" : "colour"}
          {chosen.classNames === null ? "" : `, ${chosen.classNames.length} classes`}
        </p>
      )}
      <button type="button" class="quietButton" aria-expanded={isBringing} onClick={() => bring(!isBringing)}>
        Bring your own images, or draw some
      </button>
      {isBringing && (
        <Suspense fallback={<p class="quiet">Loading…</p>}>
          <BringData done={() => bring(false)} take={take} />
        </Suspense>
      )}
    </fieldset>
  );
}
