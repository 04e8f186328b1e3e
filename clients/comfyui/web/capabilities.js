// Asks ComfyUI's process what a Stillcue server offers: GET /stillcue/capabilities.
//
// The answer is the route's JSON, or {error: sentence with the remedy}. A question that is open is shared.

import { api } from "../../scripts/api.js"
import { words } from "./words.js"

const open = new Map()

/** What the server at `address` offers. Never rejects: every failure is an answer with `error`. */
export function askCapabilities({ address, tls }) {
  const query = new URLSearchParams({ address, tls }).toString()
  if (!open.has(query)) {
    open.set(query, ask(query).finally(() => open.delete(query)))
  }
  return open.get(query)
}

async function ask(query) {
  try {
    const response = await api.fetchApi(`/stillcue/capabilities?${query}`)
    if (response.status === 404) return { error: words().routeMissing }
    const answer = await response.json()
    return answer && typeof answer === "object" ? answer : { error: words().answerUnreadable }
  } catch {
    return { error: words().answerUnreadable }
  }
}
