// The agents: where each is, how it is told about a gateway, and what it is asked to do with a tool of its own.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const packages = fileURLToPath(new URL('node_modules/', import.meta.url))

/** What each is to write into the file. */
export const CONTENT = 'written by the agent itself'

/**
 * @typedef {{ folder: string, home: string, url: string, key: string, file: string }} Place
 * @typedef {{
 *   name: string,
 *   speaks: string,
 *   troubled?: string,
 *   binary: string,
 *   prompt(place: Place): string,
 *   start(place: Place, prompt: string): { command: string, words: string[], env: Record<string, string> }
 * }} Agent
 */

/** One agent that speaks all four: the package of the AI SDK says which. */
const OPENCODE = {
  'OpenAI Chat': ['@ai-sdk/openai-compatible', '/v1'],
  'OpenAI Responses': ['@ai-sdk/openai', '/v1'],
  'Anthropic Messages': ['@ai-sdk/anthropic', '/v1'],
  Gemini: ['@ai-sdk/google', '/v1beta']
}

/** @type {Agent[]} */
export const AGENTS = [
  ...Object.entries(OPENCODE).map(([speaks, [npm, base]]) => openCode(speaks, npm, base)),
  {
    name: 'Claude Code',
    troubled: 'openai-chat',
    speaks: 'Anthropic Messages',
    binary: join(packages, '@anthropic-ai/claude-code-linux-x64/claude'),
    prompt: ({ file }) => `call Write with ${JSON.stringify({ file_path: file, content: CONTENT })}`,
    start: ({ home, url, key }, prompt) => ({
      command: join(packages, '@anthropic-ai/claude-code-linux-x64/claude'),
      words: ['-p', prompt, '--allowedTools', 'Write'],
      env: {
        ANTHROPIC_BASE_URL: url,
        ANTHROPIC_AUTH_TOKEN: key,
        ANTHROPIC_MODEL: 'claude-sonnet-4-5',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        CLAUDE_CODE_MAX_RETRIES: '2',
        CLAUDE_CODE_TMPDIR: join(home, 'tmp'),
        DISABLE_AUTOUPDATER: '1',
        DISABLE_ERROR_REPORTING: '1',
        DISABLE_TELEMETRY: '1'
      }
    })
  },
  {
    name: 'Codex',
    troubled: 'anthropic',
    speaks: 'OpenAI Responses',
    binary: join(packages, 'codex-bin/vendor/x86_64-unknown-linux-musl/bin/codex'),
    prompt: ({ file }) => `call exec_command with ${JSON.stringify({ cmd: `printf '%s' '${CONTENT}' > ${file}` })}`,
    start: ({ home, url, key }, prompt) => {
      const codexHome = join(home, 'codex')
      mkdirSync(codexHome)
      writeFileSync(join(codexHome, 'config.toml'), codexConfig(url))
      return {
        command: join(packages, 'codex-bin/vendor/x86_64-unknown-linux-musl/bin/codex'),
        words: ['exec', '--skip-git-repo-check', prompt],
        env: { CODEX_HOME: codexHome, GATEWAY_KEY: key }
      }
    }
  },
  {
    name: 'Gemini CLI',
    troubled: 'anthropic',
    speaks: 'Gemini',
    binary: join(packages, '@google/gemini-cli/bundle/gemini.js'),
    prompt: ({ file }) => `call write_file with ${JSON.stringify({ file_path: file, content: CONTENT })}`,
    start: ({ home, url, key }, prompt) => {
      mkdirSync(join(home, '.gemini'))
      writeFileSync(join(home, '.gemini/settings.json'), JSON.stringify(GEMINI_SETTINGS))
      return {
        command: process.execPath,
        words: [join(packages, '@google/gemini-cli/bundle/gemini.js'), '-m', 'gemini-2.5-pro', '--yolo', '-p', prompt],
        env: {
          GOOGLE_GEMINI_BASE_URL: url,
          GEMINI_API_KEY: key,
          GEMINI_CLI_TRUST_WORKSPACE: 'true',
          GEMINI_SANDBOX: 'false'
        }
      }
    }
  }
]

function openCode(speaks, npm, base) {
  const binary = join(packages, 'opencode-linux-x64-baseline/bin/opencode')
  return {
    name: 'opencode',
    speaks,
    binary,
    prompt: ({ file }) => `call write with ${JSON.stringify({ filePath: file, content: CONTENT })}`,
    start: ({ folder, url, key }, prompt) => {
      const model = 'gateway/some-model'
      const provider = { npm, options: { baseURL: url + base, apiKey: key }, models: { 'some-model': {} } }
      const config = {
        autoupdate: false,
        share: 'disabled',
        model,
        small_model: model,
        provider: { gateway: provider }
      }
      writeFileSync(join(folder, 'opencode.json'), JSON.stringify(config))
      const env = {
        OPENCODE_DISABLE_AUTOUPDATE: '1',
        OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
        OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
        OPENCODE_DISABLE_MODELS_FETCH: '1'
      }
      // It quotes a word that has a space in it.
      return { command: binary, words: ['run', ...prompt.split(' ')], env }
    }
  }
}

const GEMINI_SETTINGS = {
  security: { auth: { selectedType: 'gemini-api-key' } },
  privacy: { usageStatisticsEnabled: false },
  telemetry: { enabled: false },
  general: { enableAutoUpdate: false, enableAutoUpdateNotification: false, checkpointing: { enabled: false } }
}

const codexConfig = url => `model = "gpt-5"
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
plugins = false
apps = false
remote_plugin = false
[model_providers.gateway]
name = "gateway"
base_url = "${url}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 2
supports_websockets = true
`
