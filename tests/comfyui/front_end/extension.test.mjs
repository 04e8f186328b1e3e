// The pack's extension, run by node on a graph of its own: `node --test` in the folder that test_front_end.py lays out.

import assert from "node:assert/strict"
import { beforeEach, mock, test } from "node:test"

globalThis.document = { createElement: () => ({ style: {}, dataset: {}, textContent: "" }) }
mock.timers.enable({ apis: ["setTimeout"] })

const { addPackNode, Graph, Node } = await import("./graph.js")
const { app } = await import("./scripts/app.js")
const { api, json } = await import("./scripts/api.js")
await import("./extensions/stillcue/stillcue.js")

const SERVER = "STILLCUE_SERVER"
const POCKET = {
  model: "pocket",
  sizes: ["64x64"],
  frame_counts: [17],
  chain_frame_counts: [], // as for an older server
  video: ["from the frames"],
  match_supported: true,
  notices: [],
  defaults: { frames: 17, frame_rate: 4, steps: 20, guidance: 1.5, guidance_low_noise: null, shift: 5 },
}
const A14B = { ...POCKET, model: "A14B", sizes: ["832x480", "480x832"], frame_counts: [81] }

beforeEach(() => {
  app.graph = new Graph()
  app.locale = "en"
  api.asked.length = 0
  api.answers = new Map([
    ["pocket:1", json(POCKET)],
    ["a14b:1", json(A14B)],
  ])
})

// The timer of the extension, then every promise that it started.
async function settle() {
  mock.timers.tick(1000)
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

function server(address, graph = app.graph) {
  const node = new Node("StillcueServer", {}, { address: [address], tls: ["auto", ["auto", "on", "off"]] })
  return addPackNode(graph, node)
}

function prepare(size = "by the picture", graph = app.graph) {
  const widgets = { size: [size, ["by the picture"]] }
  return addPackNode(graph, new Node("StillcuePreparePicture", { server: SERVER, image: "IMAGE" }, widgets))
}

const REUSES = ["server's default", "off", "balanced", "fast"]

function generate(frames = 0, reuse = "server's default") {
  const widgets = {
    frames: [frames],
    video: ["from the frames", ["from the frames", "H.264 from the server"]],
    step_reuse: [reuse, REUSES],
  }
  return addPackNode(app.graph, new Node("StillcueGenerateVideo", { server: SERVER }, widgets))
}

test("choices and hints follow the linked server, which is asked once", async () => {
  const [origin, picture, clip] = [server("pocket:1"), prepare(), generate()]
  app.graph.link(origin, 0, picture, "server")
  app.graph.link(origin, 0, clip, "server")
  await settle()
  assert.deepEqual(api.asked, ["/stillcue/capabilities?address=pocket%3A1&tls=auto"])
  assert.deepEqual(picture.widget("size").options.values, ["by the picture", "64x64"])
  assert.deepEqual(clip.widget("video").options.values, ["from the frames"])
  assert.equal(clip.foot("hint"), "0 stands for the server's value: 17 frames, 4 fps, 20 steps, guidance 1.5, shift 5.")
  assert.equal(origin.foot("state"), "Serves pocket\nSizes: 64x64")
})

test("another address brings the choices of another server", async () => {
  const [origin, picture] = [server("pocket:1"), prepare()]
  app.graph.link(origin, 0, picture, "server")
  await settle()
  origin.widget("address").value = "a14b:1"
  origin.widget("address").callback()
  await settle()
  assert.deepEqual(picture.widget("size").options.values, ["by the picture", "832x480", "480x832"])
  assert.equal(origin.foot("state"), "Serves A14B\nSizes: 832x480, 480x832")
})

test("a value that the server does not offer stays, and the node says so", async () => {
  const [origin, picture, clip] = [server("pocket:1"), prepare("832x480"), generate(81)]
  app.graph.link(origin, 0, picture, "server")
  app.graph.link(origin, 0, clip, "server")
  await settle()
  assert.equal(picture.widget("size").value, "832x480")
  assert.deepEqual(picture.widget("size").options.values, ["by the picture", "64x64", "832x480"])
  assert.equal(
    picture.foot("hint"),
    "size: “832x480” is not offered by this server. Choose “by the picture” or “64x64”.",
  )
  assert.match(clip.foot("hint"), /^frames: “81” is not offered by this server. Choose “17”.\n0 stands for/)
  picture.widget("size").value = "64x64"
  picture.widget("size").callback()
  await settle()
  assert.equal(picture.foot("hint"), "")
  assert.deepEqual(picture.widget("size").options.values, ["by the picture", "64x64"])
})

test("more frames than the longest length are offered by a server that makes chains", async () => {
  api.answers.set("chains:1", json({ ...POCKET, chain_frame_counts: [21, 149] }))
  const origin = server("chains:1")
  const clips = [29, 149, 153, 30, 13].map((frames) => generate(frames))
  for (const clip of clips) app.graph.link(origin, 0, clip, "server")
  await settle()
  const offered = clips.map((clip) => clip.foot("hint").startsWith("0 stands for"))
  assert.deepEqual(offered, [true, true, false, false, false])
})

test("a value that comes through a link is not judged", async () => {
  const [origin, picture, clip] = [server("pocket:1"), prepare("832x480"), generate(81)]
  for (const [node, name] of [[picture, "size"], [clip, "frames"]]) {
    node.inputs.push({ name, type: "*", link: null })
    app.graph.link(origin, 0, node, "server")
    app.graph.link(app.graph.add(new Node("Primitive")), 0, node, name)
  }
  await settle()
  assert.equal(picture.foot("hint"), "")
  assert.match(clip.foot("hint"), /^0 stands for/)
})

test("a node without a server says so and has its own choices again", async () => {
  const [origin, picture] = [server("pocket:1"), prepare()]
  app.graph.link(origin, 0, picture, "server")
  await settle()
  picture.inputs[0].link = null
  picture.onConnectionsChange()
  await settle()
  assert.equal(picture.foot("hint"), "Link “server” to a Stillcue Server node to see what it offers.")
  assert.deepEqual(picture.widget("size").options.values, ["by the picture"])
})

test("links are followed through reroutes and out of and into subgraphs", async () => {
  const inner = new Graph(app.graph)
  const outside = app.graph.add(new Node("uuid-1", { server: SERVER }))
  outside.subgraph = inner
  const [origin, reroute, picture] = [server("pocket:1"), app.graph.add(new Node("Reroute", { "": "*" })), prepare()]
  const innerPicture = prepare("by the picture", inner)
  app.graph.link(origin, 0, reroute, "")
  app.graph.link(reroute, 0, outside, "server")
  inner.link(null, 0, innerPicture, "server") // from the border
  const passing = inner.add(new Node("Reroute", { "": "*" }))
  inner.link(null, 0, passing, "")
  const end = new Node("end", { end: SERVER })
  inner.outputs.push({ linkIds: [inner.link(passing, 0, end, "end")] })
  app.graph.link(outside, 0, picture, "server") // out of the subgraph again
  await settle()
  for (const node of [picture, innerPicture]) {
    assert.deepEqual(node.widget("size").options.values, ["by the picture", "64x64"])
  }
})

test("links in a circle end the search", async () => {
  const [one, two] = ["one", "two"].map(() => app.graph.add(new Node("Reroute", { "": "*" })))
  const picture = prepare()
  app.graph.link(one, 0, two, "")
  app.graph.link(two, 0, one, "")
  app.graph.link(one, 0, picture, "server")
  await settle()
  assert.match(picture.foot("hint"), /^Link “server”/)
})

test("an address that another node holds is asked for", async () => {
  const origin = server("pocket:1")
  const text = app.graph.add(new Node("PrimitiveString", {}, { value: ["a14b:1"] }))
  origin.inputs.push({ name: "address", type: "STRING", link: null })
  app.graph.link(text, 0, origin, "address")
  await settle()
  assert.equal(origin.foot("state"), "Serves A14B\nSizes: 832x480, 480x832")
})

test("the sentence of a server that is away stands in its node alone, until it is asked again", async () => {
  api.answers.set("gone:1", json({ error: "no answer; start the server" }))
  const [origin, picture] = [server("gone:1"), prepare("832x480")]
  app.graph.link(origin, 0, picture, "server")
  await settle()
  assert.equal(origin.foot("state"), "no answer; start the server")
  assert.equal(picture.foot("hint"), "")
  assert.deepEqual(picture.widget("size").options.values, ["by the picture"])
  api.answers.set("gone:1", json(A14B))
  origin.widget("ask_again").callback()
  await settle()
  assert.equal(origin.foot("state"), "Serves A14B\nSizes: 832x480, 480x832")
  assert.deepEqual(picture.widget("size").options.values, ["by the picture", "832x480", "480x832"])
})

for (const [what, answer, expected] of [
  ["is missing", json({}, 404), /no route \/stillcue\/capabilities: restart ComfyUI/],
  ["fails", { status: 500, json: async () => JSON.parse("<html>") }, /did not say what the server offers/],
  ["gives no object", json(null), /did not say what the server offers/],
]) {
  test(`a route that ${what} breaks nothing`, async () => {
    api.answers.set("odd:1", answer)
    const origin = server("odd:1")
    await settle()
    assert.match(origin.foot("state"), expected)
  })
}

test("a late answer of the former server is not shown", async () => {
  const slow = Promise.withResolvers?.() ?? deferred()
  api.answers.set("slow:1", slow.promise)
  const origin = server("slow:1")
  await settle()
  assert.equal(origin.foot("state"), "Asking the server …")
  origin.widget("address").value = "pocket:1"
  origin.widget("address").callback()
  await settle()
  slow.resolve(json(A14B))
  await settle()
  assert.equal(origin.foot("state"), "Serves pocket\nSizes: 64x64")
})

test("a report replaces the progress text, and no text is saved or sent", async () => {
  const picture = prepare()
  let isRemoved = false
  picture.widgets.push({ name: "$$node-text-preview", onRemove: () => (isRemoved = true) })
  picture.onExecuted({ text: ["one line", "another"] })
  assert.equal(picture.foot("report"), "one line\nanother")
  assert.equal(isRemoved, true)
  assert.deepEqual(
    picture.widgets.map((widget) => widget.name),
    ["size", "stillcue_report"],
  )
  const widget = picture.widget("stillcue_report")
  assert.equal(widget.serialize, false)
  assert.equal(widget.options.serialize, false)
  assert.ok(picture.size[1] >= picture.computeSize()[1])
})

test("the sentences of the extension are Chinese where the front end is", async () => {
  app.locale = "zh"
  const origin = server("pocket:1")
  await settle()
  assert.equal(origin.foot("state"), "服务器模型：pocket\n尺寸：64x64")
})

test("a model without a scorer is told at Match Score", async () => {
  api.answers.set("plain:1", json({ ...POCKET, match_supported: false }))
  const origin = server("plain:1")
  const match = addPackNode(app.graph, new Node("StillcueMatchScore", { server: SERVER }, {}))
  app.graph.link(origin, 0, match, "server")
  await settle()
  assert.equal(match.foot("hint"), "This model has no scorer: Match Score cannot judge pictures.")
})

test("reuse that a server lacks is told, and a server that says nothing of it changes nothing", async () => {
  api.answers.set("full:1", json({ ...POCKET, step_reuse: REUSES.slice(0, 2) }))
  const [origin, clip] = [server("full:1"), generate(0, "fast")]
  app.graph.link(origin, 0, clip, "server")
  await settle()
  assert.deepEqual(clip.widget("step_reuse").options.values, ["server's default", "off", "fast"])
  assert.match(clip.foot("hint"), /^step_reuse: “fast” is not offered by this server. Choose “server's default” or “off”.\n/)
  origin.widget("address").value = "pocket:1"
  origin.widget("address").callback()
  await settle()
  assert.match(clip.foot("hint"), /^0 stands for/)
  assert.equal(clip.widget("step_reuse").value, "fast")
})

function deferred() {
  const parts = {}
  parts.promise = new Promise((resolve) => (parts.resolve = resolve))
  return parts
}
