import { choose } from "../state/choose.ts";
import { given, plan } from "../state/lab.ts";
import type { Option } from "./options.ts";

/** One option with what it is and where it is from. Empty, it is what the preset says. */
export function Field({ option }: { readonly option: Option }) {
  const { name, title, about, source } = option;
  const id = `option-${name}`;
  return (
    <div class="field">
      <label for={id}>{title}</label>
      <Entry option={option} id={id} />
      <p id={`${id}-about`} class="about">
        {about} <cite>{source}</cite>
      </p>
    </div>
  );
}

function Entry({ option: { name, entry }, id }: { readonly option: Option; readonly id: string }) {
  const chosen = given.value[name];
  const made = plan.value;
  const usual = made?.kind === "possible" ? made.settings[name] : undefined;
  const common = { id, name, "aria-describedby": `${id}-about` };
  switch (entry.kind) {
    case "choice":
      return (
        <select
          {...common}
          value={String(chosen ?? usual ?? entry.values[0]?.[0] ?? "")}
          onChange={(event) => choose(name, event.currentTarget.value)}
        >
          {entry.values.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      );
    case "number":
      return (
        <input
          {...common}
          type="number"
          inputMode="decimal"
          step={entry.isWhole === true ? 1 : "any"}
          min={entry.min}
          max={entry.max}
          value={typeof chosen === "number" ? chosen : ""}
          placeholder={typeof usual === "number" ? String(usual) : ""}
          onChange={(event) => {
            const { value, valueAsNumber, validity } = event.currentTarget;
            // What isn't read as a number is empty, too: it is told, not passed over.
            choose(name, value === "" && !validity.badInput ? undefined : valueAsNumber);
          }}
        />
      );
    case "numbers":
      return (
        <input
          {...common}
          type="text"
          value={Array.isArray(chosen) ? chosen.join(", ") : ""}
          placeholder={Array.isArray(usual) ? usual.join(", ") : ""}
          onChange={(event) => {
            const { value } = event.currentTarget;
            choose(
              name,
              value.trim() === ""
                ? undefined
                : value
                    .split(/[\s,]+/)
                    .filter((text) => text !== "")
                    .map(Number),
            );
          }}
        />
      );
    case "switch":
      return (
        <input
          {...common}
          type="checkbox"
          checked={Boolean(chosen ?? usual)}
          onChange={(event) => choose(name, event.currentTarget.checked)}
        />
      );
    case "text":
      return (
        <input
          {...common}
          type="text"
          value={typeof chosen === "string" ? chosen : ""}
          placeholder={entry.placeholder}
          onChange={(event) => choose(name, event.currentTarget.value === "" ? undefined : event.currentTarget.value)}
        />
      );
  }
}
