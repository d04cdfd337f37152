import { dismiss, messages } from "./state/lab.ts";

/** What the page has to say, until it is dismissed. */
export function Messages() {
  return (
    <div class="messages" role="log" aria-label="Messages" aria-live="polite">
      {messages.value.map(({ id, kind, text }) => (
        <p key={id} class={`message ${kind}`}>
          <span>{text}</span>
          <button type="button" aria-label="Dismiss" onClick={() => dismiss(id)}>
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
