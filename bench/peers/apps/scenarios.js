import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

// On globalThis because Next.js and Nitro bundle each route for itself, with its own copy of this module.
export const ran = globalThis.ran ??= { tasks: 0 }

const answer = { ok: true }

async function count () {
  await null
  ran.tasks++
}

async function slow () {
  await sleep(500)
  writeSync(1, 'slow task ran\n')
}

async function waiting () {
  await sleep(150)
  writeSync(1, 'half of the task has run\n')
  await sleep(150)
}

function block (time) {
  const until = performance.now() + time
  while (performance.now() < until);
}

async function blocking () {
  block(150)
  writeSync(1, 'half of the task has run\n')
  block(150)
}

async function rejects () {
  await null
  throw new Error('the first task failed')
}

function throws () {
  throw new Error('the first task failed')
}

async function answerLate () {
  writeSync(1, 'the handler has begun\n')
  await sleep(200)
  return answer
}

function fail () {
  throw new Error('the handler failed')
}

const finish = () => answer

/**
 * What each peer serves as POST /NAME: it parses the JSON body, adds `tasks`, and then does what `finish` does.
 * Nobody validates the body. GET /ran tells how many small tasks ran.
 */
export const scenarios = {
  one: { tasks: [count], finish },
  three: { tasks: [count, count, count], finish },
  abort: { tasks: [count], finish: answerLate },
  rejects: { tasks: [rejects, count, count], finish },
  throws: { tasks: [throws, count, count], finish },
  slow: { tasks: [slow, slow, slow], finish },
  waiting: { tasks: [waiting], finish },
  blocking: { tasks: [blocking], finish },
  fails: { tasks: [count], finish: fail }
}

export const port = Number(process.env.PORT)

/** For those who have no place of their own for what runs after the response. */
export async function runEach (tasks) {
  for (const task of tasks) {
    try {
      await task()
    } catch (error) {
      console.error(error)
    }
  }
}
