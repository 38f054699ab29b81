#!/usr/bin/env node
import { Command, Option } from 'commander'
import { VERSION } from '../server/version.ts'
import { EXIT } from './output.ts'

// Each command's own file is read when it is asked for: `--help` and `stop` need no HTTP server in memory.

const EXITS = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no gateway is running,
            130 interrupted twice.`

const program = new Command('sluice')
  .description('An LLM gateway that one YAML file declares.')
  .version(VERSION, '-v, --version')
  .exitOverride(error => process.exit(error.exitCode === 0 ? EXIT.done : EXIT.usage))
  .showHelpAfterError('(add --help for what there is)')
  .helpCommand(false)
  .addHelpText('after', `${EXITS}\n\nExample: sluice start --port auto`)

const workspace = new Option('--workspace <dir>', 'the folder whose gateway.yaml is meant')
const config = new Option(
  '--config <file>',
  'the configuration; otherwise $SLUICE_CONFIG, ./gateway.yaml, ./config.yaml'
)
const elsewhere = new Option('--url <url>', 'a gateway elsewhere; its master key is then in $SLUICE_MASTER_KEY')

function command(usage: string, description: string, example: string): Command {
  return program
    .command(usage)
    .description(description)
    .option('--json', 'for programs: JSON instead of text')
    .addHelpText('after', `${EXITS}\n\nExample: ${example}`)
}

/** A command's own options as commander hands them over. */
type Options = Record<string, string | boolean | undefined> & { json?: boolean }

command('start', 'Run the gateway until Ctrl-C.', 'sluice start --config gateway.yaml --port auto')
  .addOption(config)
  .option('--port <port>', 'the port, or `auto`: the first free one from 4000; wins over the file')
  .option('--host <address>', 'the address to listen on; wins over the file')
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./start.ts')).start(options)))

command('check [file]', 'Look a configuration through and say all that is wrong.', 'sluice check gateway.yaml')
  .addOption(workspace)
  .action(async (file: string | undefined, options: Options) => run((await import('./check.ts')).check(file, options)))

command(
  'explain <model>',
  'Say where a model name leads and why; asks no upstream.',
  'sluice explain claude-sonnet-4-5 --request body.json'
)
  .addOption(config)
  .option('--key <key>', 'whether this key may use it, as the gateway that runs here says')
  .option('--request <file>', 'a request body: says what would be sent upstream instead')
  .option('--endpoint <path>', 'the route the body is sent to; otherwise guessed from its shape')
  .addOption(workspace)
  .action(async (model: string, options: Options) => run((await import('./explain.ts')).explainModel(model, options)))

command('models', 'List what is served, or what a provider offers.', 'sluice models --provider ollama')
  .addOption(config)
  .option('--provider <name>', 'ask this provider or backend which models it has')
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./models.ts')).models(options)))

command('status', 'Say whether a gateway runs here, and how its backends do.', 'sluice status --json')
  .addOption(config)
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./status.ts')).status(options)))

command('stop', 'End the gateway that runs here, once its requests are done.', 'sluice stop')
  .addOption(config)
  .option('--force', 'kill it when it has not ended after ten seconds')
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./stop.ts')).stop(options)))

command('recommend', 'Ask every upstream whether it is there, and say what to do where one is not.', 'sluice recommend')
  .addOption(config)
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./recommend.ts')).recommend(options)))

command('switch [name]', 'Send what goes to the active backend to another one; list them.', 'sluice switch vast')
  .addOption(config)
  .addOption(workspace)
  .action(async (name: string | undefined, options: Options) =>
    run((await import('./switch.ts')).switchBackend(name, options))
  )

command(
  'hooks <action> [name]',
  'list, enable, disable, new, test, schema: the files that see each call.',
  'sluice hooks enable token-cap'
)
  .addOption(config)
  .option('--options <json>', 'the options of the hook, for enable and test')
  .option('--request <file>', 'the body of a request, for test')
  .option('--answer <file>', 'the body of an answer, for test; otherwise a sentence')
  .option('--endpoint <path>', 'the route the body is sent to; otherwise guessed from its shape')
  .option('--write <file>', 'where to, for schema; otherwise printed')
  .addOption(workspace)
  .action(async (action: string, name: string | undefined, options: Options) =>
    run((await import('./hooks.ts')).hooks(action, name, options))
  )

command(
  'keys <action> [key]',
  'create, list, info, update, block, unblock, rotate, delete or import keys of the gateway that runs here.',
  'sluice keys create --alias ci --models "gpt-4o,claude-*" --max-budget 10 --budget-duration 30d'
)
  .addOption(config)
  .addOption(elsewhere)
  .option('--alias <name>', 'a name for it')
  .option('--models <list>', 'names and globs that it may use, with commas between; empty for all')
  .option('--max-budget <usd>', 'what it may spend, or `none`')
  .option('--budget-duration <time>', 'in which time: 1h, 1d, 30d, 1mo; otherwise in all')
  .option('--rpm-limit <number>', 'requests a minute, or `none`')
  .option('--rpd-limit <number>', 'requests a day, or `none`')
  .option('--tpm-limit <number>', 'tokens a minute, or `none`')
  .option('--max-parallel <number>', 'requests at once, or `none`')
  .option('--duration <time>', 'how long it is valid: 30d')
  .option('--team <id>', 'the team it belongs to')
  .option('--user <id>', 'the user it belongs to')
  .option('--tags <list>', 'tags of what it asks')
  .option('--allowed-ips <list>', 'addresses and ranges it may be used from')
  .option('--allowed-routes <list>', 'paths it may be used on')
  .option('--set <name=value...>', 'any other field of the admin API, the value as JSON')
  .option('--grace <time>', 'for rotate: how long the old one stays valid')
  .option('--page <number>', 'for list')
  .addOption(workspace)
  .action(async (action: string, key: string | undefined, options: Options & { set?: string[] }) =>
    run((await import('./keys.ts')).keys(action, key, options))
  )

command('spend', 'Say what was spent, by day, model, key, team, user or tag.', 'sluice spend --by key --since 7d')
  .addOption(config)
  .addOption(elsewhere)
  .option('--by <what>', 'day, model, key, team, user, organization, customer or tag')
  .option('--since <time>', 'a day, or how long ago: 7d; otherwise 30 days')
  .option('--until <time>', 'a day, the last one that counts')
  .option('--key <key>', 'of one key alone: itself, its id or its alias')
  .option('--limit <number>', 'how many rows at most')
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./spend.ts')).spend(options)))

command('top', 'Show what goes on, live: requests, models, upstreams.', 'sluice top --interval 1s')
  .addOption(config)
  .option('--url <address>', 'a gateway that runs elsewhere')
  .option('--token <token>', 'what its server.metrics asks for; of one that runs here, its file says it')
  .option('--interval <time>', 'how often it is looked', '2s')
  .option('--once', 'show one interval and end, as where nobody looks on')
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./top.ts')).top(options)))

command('setup', 'Write a first gateway.yaml for the servers and keys that are found here.', 'sluice setup --print')
  .option('--print', 'show it, and write nothing')
  .option('--docker', 'write secrets of your own into .env for docker-compose.yml instead')
  .addOption(workspace)
  .action(async (options: Options) => run((await import('./setup.ts')).setup(options)))

async function run(code: Promise<number>): Promise<void> {
  process.exitCode = await code
}

if (process.argv.length < 3) program.help()
await program.parseAsync()
