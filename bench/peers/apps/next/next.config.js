import { fileURLToPath } from 'node:url'

/** The scenarios and node_modules are outside of this folder. */
const root = fileURLToPath(new URL('../..', import.meta.url))

export default { outputFileTracingRoot: root, turbopack: { root } }
