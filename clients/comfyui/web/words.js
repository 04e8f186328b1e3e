// The sentences that the extension itself shows, in English and Chinese. Sentences of the server come with its answers.

import { app } from "../../scripts/app.js"

const WORDS = {
  en: {
    asking: "Asking the server …",
    askAgain: "Ask the server again",
    model: (name) => `Serves ${name}`,
    sizes: (sizes) => `Sizes: ${sizes.join(", ")}`,
    notScored: "This model has no scorer: Match Score cannot judge pictures.",
    routeMissing: "ComfyUI has no route /stillcue/capabilities: restart ComfyUI, and look for errors of the pack in its log.",
    answerUnreadable: "ComfyUI did not say what the server offers: look for the error in its log, then ask again.",
    notLinked: "Link “server” to a Stillcue Server node to see what it offers.",
    notOffered: (label, value, offered) =>
      `${label}: “${value}” is not offered by this server. Choose ${offered.map((one) => `“${one}”`).join(" or ")}.`,
    serverDefaults: (parts) => `0 stands for the server's value: ${parts.join(", ")}.`,
    defaultOf: {
      frames: (value) => `${value} frames`,
      frame_rate: (value) => `${value} fps`,
      steps: (value) => `${value} steps`,
      guidance: (value) => `guidance ${value}`,
      guidance_low_noise: (value) => `low-noise guidance ${value}`,
      shift: (value) => `shift ${value}`,
    },
  },
  zh: {
    asking: "正在查询服务器……",
    askAgain: "重新查询服务器",
    model: (name) => `服务器模型：${name}`,
    sizes: (sizes) => `尺寸：${sizes.join("、")}`,
    notScored: "该模型没有评分器，“匹配度评分”无法判断图片。",
    routeMissing: "ComfyUI 没有 /stillcue/capabilities 接口：请重启 ComfyUI，并在其日志中查找本节点包的错误。",
    answerUnreadable: "ComfyUI 没有返回服务器信息：请在其日志中查看错误，然后重新查询。",
    notLinked: "将“服务器”连接到“Stillcue 服务器”节点，即可看到可用选项。",
    notOffered: (label, value, offered) =>
      `${label}：该服务器不提供“${value}”。请选择${offered.map((one) => `“${one}”`).join("或")}。`,
    serverDefaults: (parts) => `0 表示使用服务器的值：${parts.join("，")}。`,
    defaultOf: {
      frames: (value) => `${value} 帧`,
      frame_rate: (value) => `${value} 帧/秒`,
      steps: (value) => `${value} 步`,
      guidance: (value) => `引导系数 ${value}`,
      guidance_low_noise: (value) => `低噪声引导系数 ${value}`,
      shift: (value) => `shift ${value}`,
    },
  },
}

/** The sentences in the front end's language; English for all but Chinese. */
export function words() {
  const locale = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en"
  return String(locale).startsWith("zh") ? WORDS.zh : WORDS.en
}
