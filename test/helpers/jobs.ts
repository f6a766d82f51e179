import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Hooks, TaskInfo } from '../../types/index.ts'

/** What the queue knows of a job once it is in that state, asked each turn of the event loop. */
export async function becomes (app: FastifyInstance, id: string, state: string): Promise<TaskInfo> {
  for (;;) {
    const info = await app.backgroundTasks.status(id)
    if (info?.state === state) return info
    if (info?.endedAt !== undefined) throw new Error(`the job was to become ${state}, and is ${info.state}`)
    await setImmediate()
  }
}

/** Hooks that write down what they are told, in one word or two. */
export function notedHooks (notes: string[]): Hooks {
  return {
    onTaskStart: ({ name, attempt }) => { notes.push(`${name} ${attempt} start`) },
    onTaskCompleted: ({ name, attempt, result }) => { notes.push(`${name} ${attempt} success ${String(result)}`) },
    onTaskRetry: ({ name, attempt, error, delay }) => { notes.push(`${name} ${attempt} retry in ${delay} ${error.message}`) },
    onTaskFailed: ({ name, attempt, error }) => { notes.push(`${name} ${attempt} error ${(error as { code?: string }).code ?? error.message}`) }
  }
}
