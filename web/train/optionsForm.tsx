import { beginAnew, given, plan, say } from "../state/lab.ts";
import { linkOf } from "../state/link.ts";
import { bytesText, whole } from "../numbers.ts";
import { DataChoice } from "./dataChoice.tsx";
import { DeviceChoice } from "./deviceChoice.tsx";
import { Field } from "./field.tsx";
import { optionGroups } from "./options.ts";

/** Everything that can be chosen of an experiment. */
export function OptionsForm() {
  return (
    <form class="options" aria-label="Experiment" onSubmit={(event) => event.preventDefault()}>
      <DataChoice />
      {optionGroups.map(({ title, isOpen, options }) => (
        <details key={title} open={isOpen}>
          <summary>{title}</summary>
          {options.map((option) => (
            <Field key={option.name} option={option} />
          ))}
        </details>
      ))}
      <DeviceChoice />
      <PlanFacts />
      <button type="button" class="quietButton" onClick={() => void copyLink()}>
        Copy a link to this experiment
      </button>
    </form>
  );
}

function PlanFacts() {
  const made = plan.value;
  if (made === null) return <p class="quiet">Counting…</p>;
  if (made.kind === "impossible") {
    return (
      <div role="alert">
        <p class="problem">{made.reason}</p>
        <button type="button" class="quietButton" onClick={beginAnew}>
          Begin with the first settings again
        </button>
      </div>
    );
  }
  const { parameters, flopsOfImage, bytes } = made.facts;
  return (
    <p class="quiet">
      {whole(parameters)} parameters; {(flopsOfImage / 1e9).toPrecision(3)} GFLOP to train on an image; at least{" "}
      {bytesText(bytes)} of memory.
    </p>
  );
}

async function copyLink(): Promise<void> {
  const hash = linkOf(given.value);
  history.replaceState(null, "", hash);
  try {
    await navigator.clipboard.writeText(location.href);
    say(
      "note",
      "The link is copied. Opened elsewhere it has this experiment: the same losses, bit for bit, on the same kind of device.",
    );
  } catch {
    say("note", `The browser doesn't let the page copy. The link is in the address bar: ${location.href}`);
  }
}
