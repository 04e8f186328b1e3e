// A line or a page of text at the foot of a node. It is saved neither in the workflow nor in the prompt.

const PREFIX = "stillcue_"
const PROGRESS_TEXT = "$$node-text-preview"
const STYLE = {
  boxSizing: "border-box",
  width: "100%",
  height: "100%",
  overflow: "auto",
  padding: "4px 6px",
  borderRadius: "4px",
  fontSize: "11px",
  lineHeight: "1.4",
  whiteSpace: "pre-wrap",
  overflowWrap: "anywhere",
  userSelect: "text",
  background: "var(--comfy-input-bg, #222)",
  color: "var(--input-text, #ddd)",
}
const MARGIN_PX = 10
const LINE_PX = 16
const PADDING_PX = 5
const CHARACTER_PX = 6

/** Shows `text` in the panel `name` of a node; "" hides the panel. `tone` is "plain" or "warning". */
export function showPanel(node, name, text, { tone = "plain", lineLimit = 8 } = {}) {
  const widget = node.widgets?.find((known) => known.name === PREFIX + name) ?? (text ? addPanel(node, name) : null)
  if (!widget) return
  widget.element.textContent = text
  widget.element.style.borderLeft = tone === "warning" ? "3px solid #d97706" : "3px solid transparent"
  widget.lineLimit = lineLimit
  widget.hidden = !text
  const [, height] = node.computeSize()
  if (node.size[1] < height) node.setSize([node.size[0], height])
  node.setDirtyCanvas?.(true, true)
}

/** Removes ComfyUI's progress text from a node: it shows two lines, which a report would repeat. */
export function removeProgressText(node) {
  const index = node.widgets?.findIndex((widget) => widget.name === PROGRESS_TEXT) ?? -1
  if (index < 0) return
  node.widgets[index].onRemove?.()
  node.widgets.splice(index, 1)
}

function addPanel(node, name) {
  const element = document.createElement("div")
  Object.assign(element.style, STYLE)
  element.dataset.stillcue = name
  const widget = node.addDOMWidget(PREFIX + name, "stillcue_panel", element, {
    serialize: false, // not in the prompt
    hideOnZoom: false,
    getValue: () => element.textContent,
    setValue: () => {},
    getMinHeight: () => neededHeight(node, widget),
    getMaxHeight: () => neededHeight(node, widget),
  })
  widget.serialize = false // not in the workflow
  return widget
}

// Wide characters take two columns.
function neededHeight(node, widget) {
  if (!widget?.element.textContent) return 0
  const columns = Math.max(20, Math.floor((node.size[0] - 2 * MARGIN_PX - 16) / CHARACTER_PX)) // 16: padding, scroll bar
  const lines = widget.element.textContent
    .split("\n")
    .reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0)
  return Math.min(lines, widget.lineLimit ?? 8) * LINE_PX + 2 * (MARGIN_PX + PADDING_PX)
}

function widthOf(line) {
  return [...line].reduce((sum, character) => sum + (character.codePointAt(0) > 0x2e7f ? 2 : 1), 0)
}
