const HEAD = /^data:([^;,]*)(?:;[^;,]*)*?;base64,/i

/** The parts of a base64 data URL; undefined for anything else. */
export function readDataUrl(url: string): { mediaType: string; data: string } | undefined {
  const [head, mediaType = ''] = HEAD.exec(url.slice(0, 200)) ?? []
  return head === undefined ? undefined : { mediaType, data: url.slice(head.length) }
}

export function dataUrl(mediaType: string, data: string): string {
  return `data:${mediaType};base64,${data}`
}
