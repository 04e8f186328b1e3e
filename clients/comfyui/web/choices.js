// Puts what a server offers into one node: the choices of its combos, and hints at its foot.
//
// A value that the server does not offer stays chosen and visible, and the node says so.

import { showPanel } from "./panel.js"
import { words } from "./words.js"

const PREPARE = "StillcuePreparePicture"
const GENERATE = "StillcueGenerateVideo"
const MATCH = "StillcueMatchScore"
const IS_SIZE = /^\d+x\d+$/

/** Shows the state of a server in its node: the model and its sizes, or the sentence with the remedy. */
export function showServerState(node, answer) {
  if (!answer) return showPanel(node, "state", words().asking)
  if (answer.error) return showPanel(node, "state", answer.error, { tone: "warning" })
  const lines = [words().model(answer.model), words().sizes(answer.sizes)]
  if (!answer.match_supported) lines.push(words().notScored)
  showPanel(node, "state", [...lines, ...(answer.notices ?? [])].join("\n"))
}

/** Puts the choices and hints of `answer` into a node; without an answer the node has its own choices again. */
export function showOffer(node, answer, isLinked) {
  const known = answer && !answer.error ? answer : null
  const problems = known ? offer(node, known) : (restoreChoices(node), [])
  if (!isLinked) return showPanel(node, "hint", words().notLinked)
  const hints = known && node.comfyClass === GENERATE ? [defaultsHint(known)] : []
  showPanel(node, "hint", [...problems, ...hints].join("\n"), { tone: problems.length ? "warning" : "plain" })
}

// Returns the sentences about values that the server does not offer.
function offer(node, answer) {
  if (node.comfyClass === MATCH) return answer.match_supported ? [] : [words().notScored]
  if (node.comfyClass === PREPARE) {
    const own = ownChoices(node, "size").filter((value) => !IS_SIZE.test(value))
    return setChoices(node, "size", [...own, ...answer.sizes])
  }
  if (node.comfyClass !== GENERATE) return []
  const choices = ["video", "step_reuse"].flatMap((name) => setChoices(node, name, answer[name]))
  return [...choices, ...unofferedFrames(node, answer)]
}

function unofferedFrames(node, answer) {
  const widget = widgetOf(node, "frames")
  const value = Number(widget?.value ?? 0)
  if (value === 0 || isFed(node, "frames") || answer.frame_counts.includes(value)) return []
  const [fewest, most] = answer.chain_frame_counts ?? []
  if (value >= fewest && value <= most && value % 4 === 1) return []
  return [words().notOffered(widget.label ?? "frames", value, answer.frame_counts)]
}

function setChoices(node, name, offered) {
  const widget = widgetOf(node, name)
  if (!widget || !offered?.length) return []
  ownChoices(node, name)
  const isOffered = isFed(node, name) || offered.includes(widget.value)
  widget.options.values = isOffered ? [...offered] : [...offered, widget.value]
  return isOffered ? [] : [words().notOffered(widget.label ?? name, widget.value, offered)]
}

// The choices of the node's definition, remembered before the first change.
function ownChoices(node, name) {
  const options = widgetOf(node, name)?.options
  if (!options) return []
  options.stillcueOwnValues ??= [...(options.values ?? [])]
  return options.stillcueOwnValues
}

function restoreChoices(node) {
  for (const widget of node.widgets ?? []) {
    const own = widget.options?.stillcueOwnValues
    if (own) widget.options.values = own.includes(widget.value) ? [...own] : [...own, widget.value]
  }
}

function defaultsHint({ defaults }) {
  const names = words().defaultOf
  const parts = Object.keys(names).flatMap((name) => (defaults[name] == null ? [] : [names[name](defaults[name])]))
  return words().serverDefaults(parts)
}

function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name)
}

function isFed(node, name) {
  return node.inputs?.some((input) => input.name === name && input.link != null) ?? false
}
