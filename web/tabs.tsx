import type { Signal } from "@preact/signals";
import type { ComponentType } from "preact";

export type Tab = { readonly name: string; readonly title: string; readonly view: ComponentType };

/** Tabs as the ARIA practices have them: arrows move among them, Home and End to the ends. */
export function Tabs({ tabs, chosen }: { readonly tabs: readonly Tab[]; readonly chosen: Signal<string> }) {
  const move = (event: KeyboardEvent): void => {
    const at = tabs.findIndex(({ name }) => name === chosen.value);
    const to = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at + tabs.length - 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    const name = to === undefined ? undefined : tabs[to]?.name;
    if (name === undefined) return;
    event.preventDefault();
    chosen.value = name;
    document.getElementById(`tab-${name}`)?.focus();
  };
  return (
    <div role="tablist" aria-label="Views" class="tabs" onKeyDown={move}>
      {tabs.map(({ name, title }) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-controls="view"
          aria-selected={name === chosen.value}
          tabIndex={name === chosen.value ? 0 : -1}
          onClick={() => (chosen.value = name)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}
