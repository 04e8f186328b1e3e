// Finds the Stillcue Server node that a node is linked to.
//
// A link is followed upwards through reroutes, bypassed nodes and any other node with an input of a server's type, and
// through the borders of subgraphs. Knows the front end's graph, nothing of Stillcue's answers.

export const SERVER_TYPE = "STILLCUE_SERVER"
export const SERVER_NODE = "StillcueServer"

const DEPTH_LIMIT = 64 // Links of a broken workflow may run in a circle.

/** The Stillcue Server node above `node`, the node itself if it is one, or null. */
export function serverNodeOf(node) {
  return climb(node, [], 0)
}

/** Every node of a graph and of its subgraphs, outermost first. */
export function allNodes(graph) {
  const nodes = graph?.nodes ?? []
  return nodes.flatMap((node) => [node, ...(node.subgraph ? allNodes(node.subgraph) : [])])
}

// `owners` are the subgraph nodes that the search is inside of, outermost first.
function climb(node, owners, depth) {
  if (!node || depth > DEPTH_LIMIT) return null
  if (node.comfyClass === SERVER_NODE) return node
  for (const [slot, input] of (node.inputs ?? []).entries()) {
    const carriesServer = input.type === SERVER_TYPE || (input.type === "*" && node.inputs.length === 1)
    const found = carriesServer && followInput(node, slot, owners, depth + 1)
    if (found) return found
  }
  return null
}

function followInput(node, slot, owners, depth) {
  const graph = node.graph
  const link = node.inputs[slot]?.link != null ? graph?.getLink?.(node.inputs[slot].link) : null
  if (!link) return null
  const origin = graph.getNodeById(link.origin_id)
  if (!origin) return leaveSubgraph(graph, link.origin_slot, owners, depth)
  return origin.subgraph ? enterSubgraph(origin, link.origin_slot, owners, depth) : climb(origin, owners, depth)
}

// The link begins at the border of the subgraph: it goes on at the node that stands for the subgraph outside.
function leaveSubgraph(graph, slot, owners, depth) {
  const owner = owners.at(-1) ?? allNodes(graph.rootGraph).find((node) => node.subgraph === graph)
  return owner && depth <= DEPTH_LIMIT ? followInput(owner, slot, owners.slice(0, -1), depth + 1) : null
}

// The link comes out of a subgraph: it goes on at the node inside that feeds this output.
function enterSubgraph(owner, slot, owners, depth) {
  const inner = owner.subgraph
  const linkId = inner.outputs?.[slot]?.linkIds?.[0]
  const link = linkId == null ? null : inner.getLink(linkId)
  const origin = link && inner.getNodeById(link.origin_id)
  if (origin) return climb(origin, [...owners, owner], depth)
  return link ? followInput(owner, link.origin_slot, owners, depth + 1) : null
}
