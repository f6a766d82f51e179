import type { Outcome, TaskEvent, TaskHooks } from '../../types/index.ts'
import { toError } from '../errors.ts'
import { isThenable } from '../thenable.ts'
import type { Retry, Verdict } from './attempt.ts'
import type { Handle } from './handle.ts'
import { isLogged, logBlocking, logHookError, logOutcome, logRetry, logStranded } from './log.ts'
import { publishOutcome } from './tracing.ts'

type HookName = keyof TaskHooks
const names: HookName[] = ['onTaskStart', 'onTaskSuccess', 'onTaskError', 'onTaskRetry', 'onTaskSkipped', 'onTaskLost']
type Hook = ((event: TaskEvent) => unknown) | undefined

/** Tells logs, hooks and diagnostics channels what becomes of tasks, in each task's own async context. */
export class Events {
  readonly #hooks: TaskHooks
  readonly #hasHooks: boolean
  readonly #underWay = new Set<Promise<unknown>>()

  constructor (hooks: TaskHooks) {
    this.#hooks = hooks
    this.#hasHooks = names.some(name => hooks[name] !== undefined)
  }

  started (handle: Handle): void {
    this.#call('onTaskStart', handle)
  }

  retrying (handle: Handle, retry: Retry): void {
    report(handle, () => logRetry(handle, retry.error, retry.delay))
    this.#call('onTaskRetry', handle, retry)
  }

  settled (handle: Handle, outcome: Outcome, startedAt: number): void {
    if (isLogged(handle, outcome)) report(handle, () => logOutcome(handle, outcome))
    publishOutcome(handle, outcome)
    switch (outcome.state) {
      case 'completed': return this.#call('onTaskSuccess', handle, outcome, startedAt)
      case 'failed': return this.#call('onTaskError', handle, outcome, startedAt)
      case 'skipped': return this.#call('onTaskSkipped', handle, outcome)
      case 'lost': return this.#call('onTaskLost', handle, outcome)
    }
  }

  /** The queue did not take a task that was to escalate. */
  stranded (handle: Handle, error: unknown): void {
    report(handle, () => logStranded(handle, toError(handle.name, error)))
  }

  blocked (handle: Handle, ms: number): void {
    report(handle, () => logBlocking(handle, ms))
  }

  /** Resolves when the hooks that returned a promise so far have ended. */
  async hooksEnded (): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #call (name: HookName, handle: Handle, verdict?: Verdict, startedAt?: number): void {
    const { hooks } = handle.settings
    // Asking by a name that varies costs more than it looks.
    if (!this.#hasHooks && hooks === undefined) return
    const ours = this.#hooks[name] as Hook
    const its = hooks?.[name] as Hook
    if (ours === undefined && its === undefined) return
    const { id, attempt, payload, lane: { requestId, log } } = handle
    const { state, attempts, ...details } = { ...verdict } as Partial<Outcome>
    const duration = startedAt === undefined ? undefined : { duration: performance.now() - startedAt }
    const event = { id, name: handle.name, attempt, requestId, log, payload, ...details, ...duration }
    for (const hook of [ours, its]) if (hook !== undefined) this.#run(name, handle, () => hook(event))
  }

  #run (name: HookName, handle: Handle, hook: () => unknown): void {
    const failed = (thrown: unknown): void => report(handle, () => logHookError(handle, name, toError(handle.name, thrown)))
    try {
      const result = handle.runInAsyncScope(hook)
      if (!isThenable(result)) return
      const ended = Promise.resolve(result).catch(failed).finally(() => this.#underWay.delete(ended))
      this.#underWay.add(ended)
    } catch (error) {
      failed(error)
    }
  }
}

/** Writes a log line. A logger can throw, for one when it serialises an error whose getters do. */
function report (handle: Handle, write: () => void): void {
  try {
    handle.runInAsyncScope(write)
  } catch {
    process.emitWarning(`The logger threw at a line about task "${handle.name}" (${handle.id}, ${handle.state})`, 'FastifyBackgroundTasksWarning')
  }
}
