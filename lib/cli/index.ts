#!/usr/bin/env node
import { run } from './run.ts'

// Nothing that the application has left open may keep a worker alive that has closed.
process.exit(await run(process.argv.slice(2), process))
