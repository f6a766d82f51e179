import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const apps = fileURLToPath(new URL('apps/', import.meta.url))
const require = createRequire(import.meta.url)

const node = (file, env = {}) => ({ command: process.execPath, args: [file], cwd: apps, env })

const fastify = ['fastify']

/**
 * `reference` is what the peers are compared with besides: no framework's own way. `docs` is where its way comes
 * from, `shutdown` what stops it at SIGTERM. `npm` names the packages whose versions are reported;
 * `own` is true for those of this repository.
 */
export const peers = [
  {
    name: 'bare Fastify',
    reference: true,
    tasks: false,
    own: true,
    npm: fastify,
    start: node('fastify.js', { WAY: 'bare' })
  },
  {
    name: 'fastify-background-tasks',
    own: true,
    npm: fastify,
    docs: 'README.md',
    shutdown: 'close-with-grace (docs/deployment.md)',
    start: node('fastify.js', { WAY: 'plugin' })
  },
  {
    name: 'Fastify, setImmediate',
    reference: true,
    own: true,
    npm: fastify,
    docs: 'hand-rolled, with a catch',
    shutdown: 'close-with-grace',
    start: node('fastify.js', { WAY: 'setImmediate' })
  },
  {
    name: 'Fastify, onResponse',
    reference: true,
    own: true,
    npm: fastify,
    docs: 'hand-rolled, with a catch',
    shutdown: 'close-with-grace',
    start: node('fastify.js', { WAY: 'onResponse' })
  },
  {
    name: 'Next.js after',
    npm: ['next'],
    docs: 'https://nextjs.org/docs/app/api-reference/functions/after',
    shutdown: 'next start (https://nextjs.org/docs/app/guides/self-hosting#after)',
    build: { args: ['node_modules/next/dist/bin/next', 'build', 'apps/next'], env: { NEXT_TELEMETRY_DISABLED: '1' } },
    start: {
      command: process.execPath,
      args: ['../../node_modules/next/dist/bin/next', 'start', '-p', '$PORT', '-H', '127.0.0.1'],
      cwd: `${apps}next`,
      env: { NEXT_TELEMETRY_DISABLED: '1' }
    }
  },
  {
    name: 'h3 waitUntil',
    npm: ['h3', 'h3/node_modules/srvx'],
    docs: 'https://h3.dev/guide/api/h3event#h3eventwaituntil',
    shutdown: 'srvx, on by default (https://srvx.h3.dev/guide/options)',
    start: node('h3.js')
  },
  {
    name: 'Nitro waitUntil',
    npm: ['nitro', 'nitro/node_modules/h3', 'nitro/node_modules/srvx'],
    docs: 'https://h3.dev/guide/api/h3event#h3eventwaituntil',
    shutdown: 'preset node-server, on by default (https://nitro.build/deploy/runtimes/node)',
    build: { args: ['node_modules/nitro/dist/cli/index.mjs', 'build', '--dir', 'apps/nitro'] },
    start: node('nitro/.output/server/index.mjs', { HOST: '127.0.0.1' })
  },
  {
    // c.executionCtx.waitUntil, which Hono documents, throws on Node.js.
    name: 'Hono, unawaited',
    npm: ['hono', '@hono/node-server'],
    docs: 'hand-rolled, with a catch: https://hono.dev/docs/api/context#executionctx is for other platforms',
    shutdown: 'server.close, then process.exit (https://hono.dev/docs/getting-started/nodejs)',
    start: node('hono.js')
  },
  {
    name: 'Elysia onAfterResponse',
    npm: ['elysia', '@elysiajs/node', 'srvx'],
    docs: 'https://elysiajs.com/essential/life-cycle#after-response',
    shutdown: 'srvx, on by default',
    start: node('elysia.js')
  },
  {
    name: 'Express after-response',
    npm: ['express', 'after-response'],
    docs: 'https://www.npmjs.com/package/after-response',
    shutdown: 'server.close (https://expressjs.com/en/advanced/healthcheck-graceful-shutdown.html)',
    start: node('express.js')
  },
  {
    name: 'Koa on-finished',
    npm: ['koa', 'on-finished'],
    docs: 'hand-rolled, with a catch: https://github.com/koajs/koa/discussions/1981, with what Koa itself depends on',
    shutdown: 'server.close (none documented: as Express)',
    start: node('koa.js')
  }
]

export function npmVersions ({ npm = [], own }) {
  const folder = own ? '../../node_modules' : './node_modules'
  const versionOf = name => require(`${folder}/${name}/package.json`).version
  return Object.fromEntries(npm.map(name => [name.replaceAll('node_modules/', ''), versionOf(name)]))
}
