// A graph with the part of the front end's interface that the extension uses.

import { app } from "./scripts/app.js"

let lastLink = 0

export class Graph {
  nodes = []
  links = new Map()
  outputs = []

  constructor(root = null) {
    this.rootGraph = root ?? this
  }

  add(node) {
    node.graph = this
    node.id = this.nodes.push(node)
    return node
  }

  getLink(id) {
    return this.links.get(id) ?? null
  }

  getNodeById(id) {
    return this.nodes.find((node) => node.id === id) ?? null
  }

  /** Links an output of a node, or of the border of a subgraph for null, to an input. */
  link(origin, slot, target, inputName) {
    const id = ++lastLink
    this.links.set(id, { origin_id: origin?.id ?? -10, origin_slot: slot })
    target.inputs.find((input) => input.name === inputName).link = id
    target.onConnectionsChange?.()
    return id
  }
}

export class Node {
  inputs = []
  widgets = []
  size = [360, 100]

  constructor(comfyClass, inputs = {}, widgets = {}) {
    this.comfyClass = comfyClass
    for (const [name, type] of Object.entries(inputs)) this.inputs.push({ name, type, link: null })
    for (const [name, [value, values]] of Object.entries(widgets)) {
      this.widgets.push({ name, value, options: values ? { values } : {}, callback: null })
    }
  }

  addWidget(type, name, value, callback, options) {
    const widget = { type, name, value, callback, options }
    this.widgets.push(widget)
    return widget
  }

  addDOMWidget(name, type, element, options) {
    const widget = { name, type, element, options }
    this.widgets.push(widget)
    return widget
  }

  getInputNode(slot) {
    const link = this.graph.getLink(this.inputs[slot]?.link)
    return link ? this.graph.getNodeById(link.origin_id) : null
  }

  computeSize() {
    return [200, 80 + this.widgets.reduce((sum, widget) => sum + (widget.options?.getMinHeight?.() ?? 20), 0)]
  }

  setSize(size) {
    this.size = size
  }

  widget(name) {
    return this.widgets.find((widget) => widget.name === name)
  }

  /** The text at the node's foot. */
  foot(name) {
    return this.widget(`stillcue_${name}`)?.element.textContent ?? ""
  }
}

/** Adds a node of the pack as the front end does: its class is prepared first, then the node is announced. */
export function addPackNode(graph, node) {
  const prepared = class extends Node {}
  app.extension.beforeRegisterNodeDef(prepared, { name: node.comfyClass })
  Object.setPrototypeOf(node, prepared.prototype)
  graph.add(node)
  app.extension.nodeCreated(node)
  return node
}
