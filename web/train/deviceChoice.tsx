import { choose } from "../state/choose.ts";
import { devices, given } from "../state/lab.ts";

/** Where it is trained: each device with what it is, or why it isn't to be had. */
export function DeviceChoice() {
  const chosen = given.value.device ?? "wasm";
  return (
    <fieldset class="choices">
      <legend>Device</legend>
      {devices.value.length === 0 && <p class="quiet">Looking for devices…</p>}
      {devices.value.map(({ name, available, text }) => (
        <label key={name} class={available ? "" : "missing"}>
          <input
            type="radio"
            name="device"
            value={name}
            checked={name === chosen}
            disabled={!available}
            onChange={() => choose("device", name === "wasm" ? undefined : name)}
          />
          <span>
            <b>{name}</b> {text}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
