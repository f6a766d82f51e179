// What background tasks cost, measured side by side in one run.
//   npm run bench [-- request-path memory drain] [--instructions]
// With --instructions the request path is counted by valgrind's callgrind instead of timed, which takes longer.
import { parseArgs } from 'node:util'
import * as drain from './drain.js'
import * as memory from './memory.js'
import * as requestPath from './request-path.js'
import { about, print, save } from './lib/report.js'

const parts = { 'request-path': requestPath, memory, drain }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { instructions: { type: 'boolean', default: false } }
})
const names = positionals.length > 0 ? positionals : Object.keys(parts)
for (const name of names) {
  if (!Object.hasOwn(parts, name)) throw new Error(`there is no ${name}, but ${Object.keys(parts).join(', ')}`)
}

const { node, fastify, machine } = about()
console.log(`Node ${node}, Fastify ${fastify}, ${machine}`)
for (const name of names) {
  const result = await parts[name].measure(values)
  print(result)
  save(result, `npm run bench -- ${name}${values.instructions ? ' --instructions' : ''}`)
}
