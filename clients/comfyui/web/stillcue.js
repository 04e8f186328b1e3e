// The pack's part in ComfyUI's front end.
//
// Life of a change: a workflow is loaded, a link is made or an address is typed; the server of each Stillcue node is
// looked up again (links.js); servers that are new to a node are asked once (capabilities.js); the answer goes into the
// nodes (choices.js). Without the route, or without a server, every node keeps its own choices and works.

import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"
import { askCapabilities } from "./capabilities.js"
import { showOffer, showServerState } from "./choices.js"
import { allNodes, SERVER_NODE, serverNodeOf } from "./links.js"
import { removeProgressText, showPanel } from "./panel.js"
import { words } from "./words.js"

const LINKED_NODES = ["StillcuePreparePicture", "StillcueMatchScore", "StillcueGenerateVideo"]
const OUR_NODES = [SERVER_NODE, ...LINKED_NODES, "StillcueDiagnosis"]
const SETTLE_MS = 100 // A workflow makes all its links at once.
const REPORT_LINES = 14

const questions = new WeakMap() // node → the question that its choices answer; "" without a server
const answers = new WeakMap() // node → the answer
let timer = null
let isAskingAnew = false

function refreshSoon({ anew = false } = {}) {
  isAskingAnew ||= anew
  clearTimeout(timer)
  timer = setTimeout(() => {
    const force = isAskingAnew
    isAskingAnew = false
    for (const node of allNodes(app.graph?.rootGraph ?? app.graph)) {
      if (node.comfyClass === SERVER_NODE || LINKED_NODES.includes(node.comfyClass)) void refresh(node, force)
    }
  }, SETTLE_MS)
}

async function refresh(node, force) {
  const server = questionOf(serverNodeOf(node))
  const question = server ? JSON.stringify(server) : ""
  if (!force && questions.get(node) === question) return show(node)
  questions.set(node, question)
  answers.delete(node)
  show(node)
  if (!server) return
  const answer = await askCapabilities(server)
  if (questions.get(node) !== question) return // The node was linked to another server meanwhile.
  answers.set(node, answer)
  show(node)
}

function show(node) {
  const answer = answers.get(node)
  if (node.comfyClass === SERVER_NODE) showServerState(node, answer)
  else showOffer(node, answer, questions.get(node) !== "")
}

// Address and TLS as the node has them, or as a node that is linked to them holds them.
function questionOf(serverNode) {
  if (!serverNode) return null
  const read = (name) => {
    const slot = serverNode.inputs?.findIndex((input) => input.name === name) ?? -1
    const feeding = slot >= 0 ? serverNode.getInputNode?.(slot) : null
    return String((feeding ?? serverNode).widgets?.find((widget) => feeding || widget.name === name)?.value ?? "")
  }
  return { address: read("address").trim(), tls: read("tls") }
}

function chain(owner, name, after) {
  const before = owner[name]
  owner[name] = function (...values) {
    const result = before?.apply(this, values)
    after.apply(this, values)
    return result
  }
}

function watchWidgets(node) {
  for (const widget of node.widgets ?? []) chain(widget, "callback", () => refreshSoon())
  if (node.comfyClass !== SERVER_NODE) return
  const button = node.addWidget("button", "ask_again", null, () => refreshSoon({ anew: true }), { serialize: false })
  button.label = words().askAgain
  button.serialize = false
}

app.registerExtension({
  name: "stillcue.nodes",
  setup() {
    api.addEventListener("graphChanged", () => refreshSoon())
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!OUR_NODES.includes(nodeData.name)) return
    chain(nodeType.prototype, "onConnectionsChange", () => refreshSoon())
    chain(nodeType.prototype, "onExecuted", function (output) {
      if (!output?.text) return
      removeProgressText(this)
      showPanel(this, "report", [output.text].flat().join("\n"), { lineLimit: REPORT_LINES })
    })
  },
  nodeCreated(node) {
    if (!OUR_NODES.includes(node.comfyClass)) return
    watchWidgets(node)
    refreshSoon()
  },
  afterConfigureGraph() {
    refreshSoon({ anew: true })
  },
  refreshComboInNodes() {
    refreshSoon({ anew: true })
  },
})
