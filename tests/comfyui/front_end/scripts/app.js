// Stands for the front end's app: keeps the extension that registers, and has a locale and a graph.

export const app = {
  graph: null,
  locale: "en",
  extension: null,
  registerExtension(extension) {
    this.extension = extension
  },
  extensionManager: { setting: { get: () => app.locale } },
}
