// Words of Gemini's dialect, for the tests that speak it.
import { Failure } from '../../src/chat/failure.ts'
import type { ChatRequest } from '../../src/chat/request.ts'
import type { EncodedRequest, Flavour, Translator } from '../../src/dialects/dialect.ts'
import { translator } from './translate.ts'

const gemini = translator('gemini')

export function right<T>(value: T | Failure): T {
  if (value instanceof Failure) throw new Error(value.message)
  return value
}

export const asked = (body: unknown): ChatRequest => right(gemini.decodeRequest(body))

export function encoded(translate: Translator, chat: ChatRequest, flavour?: Flavour): EncodedRequest {
  return right(translate.encodeRequest(chat, flavour))
}

export const user = (...parts: object[]) => ({ role: 'user', parts })
export const model = (...parts: object[]) => ({ role: 'model', parts })

/** An answer, or a frame of one. */
export const chunk = (parts: object[], more: object = {}, outer: object = {}) => ({
  candidates: [{ content: { parts, role: 'model' }, index: 0, ...more }],
  modelVersion: 'g',
  responseId: 'r1',
  ...outer
})

export const usageMetadata = {
  promptTokenCount: 20,
  candidatesTokenCount: 5,
  thoughtsTokenCount: 3,
  cachedContentTokenCount: 8,
  totalTokenCount: 30,
  toolUsePromptTokenCount: 2,
  promptTokensDetails: [{ modality: 'TEXT', tokenCount: 20 }]
}
