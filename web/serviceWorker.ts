/** Adds the two headers that isolate a page, where its host doesn't send them. Changes nothing else and keeps nothing. */

/** A `FetchEvent`; the types of service workers and of pages exclude each other. */
type Fetching = Event & { readonly request: Request; respondWith(response: Promise<Response>): void };
type Installing = Event & { waitUntil(task: Promise<unknown>): void };
type ServiceWorkerScope = {
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  addEventListener(kind: "install" | "activate", heard: (event: Installing) => void): void;
  addEventListener(kind: "fetch", heard: (event: Fetching) => void): void;
};

const scope = globalThis as unknown as ServiceWorkerScope;

scope.addEventListener("install", (event) => event.waitUntil(scope.skipWaiting()));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  // Such a request can only be answered from the cache of the page itself.
  if (request.cache === "only-if-cached" && request.mode !== "same-origin") return;
  event.respondWith(isolated(request));
});

async function isolated(request: Request): Promise<Response> {
  const response = await fetch(request);
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  const mayHaveBody = ![101, 204, 205, 304].includes(status);
  return new Response(mayHaveBody ? response.body : null, { status, statusText, headers });
}
