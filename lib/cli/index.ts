#!/usr/bin/env node
import { run } from './run.ts'

// What the application may have left open must not keep a worker that has closed.
process.exit(await run(process.argv.slice(2), process))
