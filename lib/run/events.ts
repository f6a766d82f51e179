import type { Outcome, TaskEvent, TaskHooks } from '../../types/index.ts'
import { toError } from '../errors.ts'
import { hookNames } from '../task/settings.ts'
import { isThenable } from '../thenable.ts'
import { isLogged, logBlocking, logHookError, logOutcome, logRetry, logStranded } from './log.ts'
import type { TaskRun } from './task-run.ts'
import { publishOutcome } from './tracing.ts'
import type { Retry } from './verdict.ts'

type HookName = keyof TaskHooks
type Hook = ((event: TaskEvent) => unknown) | undefined

/** Tells logs, hooks and diagnostics channels what becomes of tasks, in each task's own async context. */
export class Events {
  readonly #hooks: TaskHooks
  readonly #hasHooks: boolean
  readonly #underWay = new Set<Promise<unknown>>()

  constructor (hooks: TaskHooks) {
    this.#hooks = hooks
    this.#hasHooks = hookNames.some(name => hooks[name] !== undefined)
  }

  started (run: TaskRun): void {
    this.#call('onTaskStart', run)
  }

  retrying (run: TaskRun, retry: Retry): void {
    report(run, () => logRetry(run, retry.error, retry.delay))
    this.#call('onTaskRetry', run, retry)
  }

  settled (run: TaskRun, outcome: Outcome, startedAt: number): void {
    if (isLogged(run, outcome)) report(run, () => logOutcome(run, outcome))
    publishOutcome(run, outcome)
    switch (outcome.state) {
      case 'completed': return this.#call('onTaskSuccess', run, outcome, startedAt)
      case 'failed': return this.#call('onTaskError', run, outcome, startedAt)
      case 'skipped': return this.#call('onTaskSkipped', run, outcome)
      case 'lost': return this.#call('onTaskLost', run, outcome)
    }
  }

  /** The queue did not take a task that was to escalate. */
  stranded (run: TaskRun, error: unknown): void {
    report(run, () => logStranded(run, toError(run.name, error)))
  }

  blocked (run: TaskRun, ms: number): void {
    report(run, () => logBlocking(run, ms))
  }

  /** Resolves when the hooks that returned a promise so far have ended. */
  async hooksEnded (): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #call (name: HookName, run: TaskRun, verdict?: Outcome | Retry, startedAt?: number): void {
    const { hooks } = run.settings
    // Asking by a name that varies costs more than it looks.
    if (!this.#hasHooks && hooks === undefined) return
    const ours = this.#hooks[name] as Hook
    const its = hooks?.[name] as Hook
    if (ours === undefined && its === undefined) return
    const { id, attempt, payload, requestId, log } = run
    const { state, attempts, ...details } = { ...verdict } as Partial<Outcome>
    const duration = startedAt === undefined ? undefined : { duration: performance.now() - startedAt }
    const event = { id, name: run.name, attempt, requestId, log, payload, ...details, ...duration }
    for (const hook of [ours, its]) if (hook !== undefined) this.#run(name, run, () => hook(event))
  }

  #run (name: HookName, run: TaskRun, hook: () => unknown): void {
    const failed = (thrown: unknown): void => report(run, () => logHookError(run, name, toError(run.name, thrown)))
    try {
      const result = run.runInAsyncScope(hook)
      if (!isThenable(result)) return
      const ended = Promise.resolve(result).catch(failed).finally(() => this.#underWay.delete(ended))
      this.#underWay.add(ended)
    } catch (error) {
      failed(error)
    }
  }
}

/** Writes a log line. A logger can throw, for one when it serialises an error whose getters do. */
function report (run: TaskRun, write: () => void): void {
  try {
    run.runInAsyncScope(write)
  } catch {
    const { name, id, state } = run
    const message = `The logger threw at a line about task "${name}" (${id}, ${state})`
    process.emitWarning(message, 'FastifyBackgroundTasksWarning')
  }
}
