// The manifests are held to Kubernetes' own schemas, and to the code: names, ports, paths, folders, seconds.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { IHTTPGetAction } from 'kubernetes-models/v1/HTTPGetAction'
import t from 'tap'
import { parse } from 'yaml'
import { parseDuration } from '../src/lib/duration.ts'
import { METRICS } from '../src/metrics/table.ts'
import { testGateway } from './support/app.ts'
import { get } from './support/ask.ts'
import { compile, run, temporaryFolder } from './support/process.ts'

const build = join(dirname(fileURLToPath(import.meta.url)), '..')
const root = join(build, '..')
const folder = join(root, 'deploy/kubernetes')
const require = createRequire(import.meta.url)
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
}

interface Labelled {
  readonly matchLabels: Readonly<Record<string, string>>
}

interface Probe {
  readonly httpGet: IHTTPGetAction
}

interface Deployment {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly selector: Labelled
    readonly template: {
      readonly metadata: {
        readonly labels: Readonly<Record<string, string>>
        readonly annotations: Readonly<Record<string, string>>
      }
      readonly spec: {
        readonly terminationGracePeriodSeconds: number
        readonly securityContext: { readonly runAsUser: number; readonly runAsNonRoot: boolean }
        readonly containers: readonly Container[]
        readonly volumes: readonly {
          readonly name: string
          readonly projected?: { readonly sources: readonly { readonly configMap: { readonly name: string } }[] }
        }[]
      }
    }
  }
}

interface Container {
  readonly image: string
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe: Probe
  readonly readinessProbe: Probe
  readonly livenessProbe: Probe
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } }
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[]
}

const said = parse(read('deploy/kubernetes/kustomization.yaml')) as {
  readonly resources: readonly string[]
  readonly images: readonly { readonly name: string }[]
}
const manifests = said.resources.map(name => parse(read(`deploy/kubernetes/${name}`)) as Manifest)
const the = <Kind>(kind: string) => manifests.find(manifest => manifest.kind === kind) as unknown as Kind
const deployment = the<Deployment>('Deployment')
const pod = deployment.spec.template.spec
const [container] = pod.containers as readonly [Container]
const config = the<{ data: { 'gateway.yaml': string } }>('ConfigMap').data['gateway.yaml']
const dockerfile = read('Dockerfile')

/** Where kubernetes-models keeps a kind. */
function moduleOf({ apiVersion, kind }: Manifest): string {
  const [group = '', version] = apiVersion.split('/')
  return `kubernetes-models/${version === undefined ? group : `${group}/${version}`}/${kind}`
}

t.test('every file is listed, and is what Kubernetes takes', async t => {
  const files = readdirSync(folder).filter(name => name !== 'kustomization.yaml')
  t.same([...said.resources].sort(), files.sort())
  for (const manifest of manifests) {
    const model = require(moduleOf(manifest)) as Record<string, new (from: object) => { validate(): void }>
    const Model = model[manifest.kind]
    t.ok(Model !== undefined, manifest.kind)
    if (Model !== undefined) t.doesNotThrow(() => new Model(manifest).validate(), `${manifest.kind}: values`)
  }
})

/** What the compiler says of manifests as values of Kubernetes' types: unlike a validator, it knows every name that may stand there. */
function compiled(list: readonly object[]): ReturnType<typeof compile> {
  const place = mkdtempSync(join(build, 'manifests-'))
  try {
    const lines = list.flatMap((manifest, index) => {
      const { kind } = manifest as Manifest
      const type = `import type { I${kind} as I${index} } from '${moduleOf(manifest as Manifest)}'`
      return [type, `export const manifest${index}: I${index} = ${JSON.stringify(manifest)}`]
    })
    const file = join(place, 'manifests.ts')
    writeFileSync(file, lines.join('\n'))
    return compile([
      '--noEmit',
      '--skipLibCheck',
      '--strict',
      '--module',
      'preserve',
      '--types',
      '',
      '--ignoreConfig',
      file
    ])
  } finally {
    rmSync(place, { recursive: true })
  }
}

t.test('no name in the manifests is one that Kubernetes does not know', async t => {
  t.same(compiled(manifests), { ok: true, told: '' })
  const strange = { ...deployment, spec: { ...deployment.spec, replica: 2 } }
  t.match(compiled([strange]).told, /'"replica"' does not exist/, 'and one would be told')
})

t.test('what selects the pods selects them', async t => {
  const { labels } = deployment.spec.template.metadata
  const selectors = [
    deployment.spec.selector.matchLabels,
    the<{ spec: { selector: Record<string, string> } }>('Service').spec.selector,
    the<{ spec: { selector: Labelled } }>('PodDisruptionBudget').spec.selector.matchLabels,
    the<{ spec: { podSelector: Labelled } }>('NetworkPolicy').spec.podSelector.matchLabels
  ]
  for (const selector of selectors) t.same(selector, labels)
  const scaled = the<{ spec: { scaleTargetRef: Manifest & { name: string } } }>('HorizontalPodAutoscaler').spec
  t.equal(scaled.scaleTargetRef.name, deployment.metadata.name)
  t.ok(said.images.some(({ name }) => name === container.image))
})

t.test('ports, folders and the user are those of the image', async t => {
  const port = Number(/^EXPOSE (\d+)$/m.exec(dockerfile)?.[1])
  t.same(container.ports, [{ name: 'http', containerPort: port }])
  const { annotations } = deployment.spec.template.metadata
  t.equal(annotations['prometheus.io/port'], String(port))
  const user = Number(/^USER (\d+):/m.exec(dockerfile)?.[1])
  t.equal(pod.securityContext.runAsUser, user)
  t.same(
    container.volumeMounts.map(mount => mount.name).sort(),
    pod.volumes.map(volume => volume.name).sort(),
    'each volume is mounted'
  )
  const places = container.volumeMounts.map(mount => mount.mountPath)
  t.same(places, [/^WORKDIR (\/config)$/m.exec(dockerfile)?.[1], /^VOLUME (.+)$/m.exec(dockerfile)?.[1], '/tmp'])
  t.ok(container.volumeMounts.every(mount => mount.subPath === undefined))
  const maps = pod.volumes.flatMap(volume => volume.projected?.sources.map(source => source.configMap.name) ?? [])
  t.same(maps, [the<Manifest>('ConfigMap').metadata.name])
  t.match(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] }
  })
})

t.test('probes and scrapes ask what the gateway answers; a draining one is not ready, but alive', async t => {
  const gateway = await testGateway({ model_list: [{ model_name: 'demo', provider: 'demo' }] })
  t.teardown(() => gateway.close())
  const asks = (probe: Probe) => get(gateway.url + probe.httpGet.path).then(({ status }) => status)
  const { startupProbe, readinessProbe, livenessProbe } = container
  for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
    t.equal(probe.httpGet.port, 'http')
    t.equal(await asks(probe), 200)
  }
  const path = deployment.spec.template.metadata.annotations['prometheus.io/path'] ?? ''
  t.equal((await get(gateway.url + path)).status, 200)
  gateway.gateway.draining = true
  t.equal(await asks(readinessProbe), 503)
  t.equal(await asks(livenessProbe), 200)
})

t.test('a pod is given the time that its requests are', async t => {
  const { server } = parse(config) as { server: { drain: string } }
  const [program, seconds] = container.lifecycle.preStop.exec.command
  t.equal(program, 'sleep')
  t.ok(pod.terminationGracePeriodSeconds > Number(seconds) + parseDuration(server.drain) / 1000)
})

t.test('the autoscaler counts what the gateway counts', async t => {
  const { metrics } = the<{ spec: { metrics: { pods?: { metric: { name: string } } }[] } }>(
    'HorizontalPodAutoscaler'
  ).spec
  const names = metrics.flatMap(({ pods }) => (pods === undefined ? [] : [pods.metric.name]))
  t.same(names, ['gateway_inflight'])
  for (const name of names) t.ok(name in METRICS, name)
  t.match(read('docs/kubernetes.md'), names[0] ?? '-', 'and the docs have the rule for it')
})

t.test('the configuration is in order, and its secrets are those of the docs', async t => {
  const place = temporaryFolder()
  t.teardown(() => place.remove())
  const file = place.write('gateway.yaml', config)
  const variables = [...config.matchAll(/^[^#\n]*\$\{([A-Z_]+)\}/gm)].map(([, name = '']) => name)
  t.ok(variables.includes('SLUICE_MASTER_KEY'))
  const values: Readonly<Record<string, string>> = {
    DATABASE_URL: 'postgres://sluice@postgres:5432/sluice',
    REDIS_URL: 'redis://redis:6379'
  }
  const env = Object.fromEntries(variables.map(name => [name, values[name] ?? 'sk-test']))
  t.match(await run(['check', file], { cwd: place.path, env }), { code: 0 })
  for (const name of [...variables, 'SLUICE_KEY_PEPPER'])
    t.match(read('docs/kubernetes.md'), `--from-literal=${name}=`, name)
})
