import type { DialectName } from '../dialects/dialect.ts'
import { CREATED } from './frames.ts'
import { FAULTS } from './orders.ts'

const IDS = ['demo', 'demo-slow', 'demo-thinking', ...FAULTS.map(fault => `demo-${fault}`)]
const CREATED_AT = new Date(CREATED * 1000).toISOString()

function openAIModel(id: string): object {
  return { id, object: 'model', created: CREATED, owned_by: 'sluice' }
}

function anthropicModel(id: string): object {
  return { type: 'model', id, display_name: `Sluice ${id}`, created_at: CREATED_AT }
}

function geminiModel(id: string): object {
  return {
    name: `models/${id}`,
    version: '1',
    displayName: `Sluice ${id}`,
    description: 'The model that is built into the gateway.',
    inputTokenLimit: 1_000_000,
    outputTokenLimit: 100_000,
    supportedGenerationMethods: ['generateContent', 'countTokens', 'embedContent', 'batchEmbedContents']
  }
}

/** The list of models, in the shape that a client of the dialect reads. */
export function modelList(dialect: DialectName): object {
  if (dialect === 'gemini') return { models: IDS.map(geminiModel) }
  if (dialect === 'anthropic') {
    return { data: IDS.map(anthropicModel), has_more: false, first_id: IDS[0], last_id: IDS.at(-1) }
  }
  return { object: 'list', data: IDS.map(openAIModel) }
}

/** One model. The demo answers to any name, so each has an entry. */
export function modelEntry(dialect: DialectName, id: string): object {
  if (dialect === 'gemini') return geminiModel(id)
  return dialect === 'anthropic' ? anthropicModel(id) : openAIModel(id)
}
