// Stands for the front end's api: answers of the route by address, each given when the test says so.

export const api = {
  asked: [],
  answers: new Map(),
  listeners: new Map(),
  addEventListener(name, listener) {
    this.listeners.set(name, listener)
  },
  async fetchApi(path) {
    this.asked.push(path)
    const address = new URLSearchParams(path.split("?")[1]).get("address")
    return await this.answers.get(address)
  },
}

/** An answer of the route. */
export function json(body, status = 200) {
  return { status, json: async () => body }
}
