import { AsyncLocalStorage } from 'node:async_hooks'
import type { Outcome, TaskEvent, TaskHooks } from '../../types/index.ts'
import { toError } from '../errors.ts'
import { copyHooks, hookNames } from '../task/settings.ts'
import { follow, isThenable } from '../thenable.ts'
import {
  isLogged, logBlocking, logGivenBack, logHookError, logOutcome, logProgressError, logResultError, logRetry,
  logStandstill, logStranded
} from './log.ts'
import type { TaskRun } from './task-run.ts'
import { publishOutcome } from './tracing.ts'
import type { Retry } from './verdict.ts'

type HookName = keyof TaskHooks
type Hook = ((event: TaskEvent) => unknown) | undefined

const ends: Record<Outcome['state'], HookName> = {
  completed: 'onTaskCompleted',
  failed: 'onTaskFailed',
  skipped: 'onTaskSkipped',
  cancelled: 'onTaskCancelled',
  escalated: 'onTaskEscalated',
  lost: 'onTaskLost'
}

/** Ends of a task whose event has the duration of the last attempt, if there was one. */
const timed: ReadonlySet<Outcome['state']> = new Set(['completed', 'failed', 'cancelled'])

/** On while an onTaskLost hook runs, and what it awaits. */
const lostHook = new AsyncLocalStorage<{ isOver: boolean }>()

/** Whether an onTaskLost hook is asking. What it adds and is lost again would call it again, without an end. */
export function isInLostHook (): boolean {
  return lostHook.getStore()?.isOver === false
}

/**
 * Tells logs, hooks and diagnostics channels what becomes of tasks, in each task's own async context. No call
 * throws, whatever a hook, a logger or an error does.
 */
export class Events {
  readonly #hooks: TaskHooks
  readonly #hasHooks: boolean
  readonly #underWay = new Set<Promise<unknown>>()
  /** Runs whose progress was not kept. */
  readonly #untold = new WeakSet<TaskRun>()

  constructor (hooks: TaskHooks) {
    this.#hooks = copyHooks(hooks)
    this.#hasHooks = hookNames.some(name => this.#hooks[name] !== undefined)
  }

  started (run: TaskRun): void {
    this.#tell('onTaskStart', run)
  }

  retrying (run: TaskRun, retry: Retry): void {
    logRetry(run, retry.error, retry.delay)
    this.#tell('onTaskRetry', run, retry)
  }

  settled (run: TaskRun, outcome: Outcome, startedAt: number): void {
    if (isLogged(run, outcome)) logOutcome(run, outcome)
    publishOutcome(run, outcome)
    this.#tell(ends[outcome.state], run, outcome, timed.has(outcome.state) ? startedAt : 0)
  }

  /** The queue did not take a task that was to escalate. */
  stranded (run: TaskRun, error: unknown): void {
    logStranded(run, toError(run.name, error))
  }

  blocked (run: TaskRun, ms: number): void {
    logBlocking(run, ms)
  }

  /** The event loop stood still while no other task ran. */
  mayHaveBlocked (run: TaskRun, ms: number): void {
    logStandstill(run, ms)
  }

  /** What the task said of its progress is not JSON, too large, or was refused by the queue. One line for each run. */
  progressNotKept (run: TaskRun, error: unknown): void {
    if (this.#untold.has(run)) return
    this.#untold.add(run)
    logProgressError(run, toError(run.name, error))
  }

  /** Hooks that returned a promise, and have not ended. */
  get hooksUnderWay (): number {
    return this.#underWay.size
  }

  /** A worker that closes has given the job back. */
  givenBack (run: TaskRun): void {
    logGivenBack(run)
  }

  /** The task has completed, and what it returned is not JSON, or too large. */
  resultNotKept (run: TaskRun, error: unknown): void {
    logResultError(run, toError(run.name, error))
  }

  /** Resolves when the hooks that returned a promise so far have ended. */
  async hooksEnded (): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #tell (name: HookName, run: TaskRun, verdict?: Outcome | Retry, startedAt = 0): void {
    const { hooks } = run.settings
    // Asking by a name that varies costs more than it looks.
    if (!this.#hasHooks && hooks === undefined) return
    const ours = this.#hooks[name] as Hook
    const its = hooks?.[name] as Hook
    if (ours === undefined && its === undefined) return
    const { id, attempt, payload, requestId, log } = run
    const { state, attempts, ...details } = { ...verdict } as Partial<Outcome>
    const duration = startedAt === 0 ? undefined : { duration: performance.now() - startedAt }
    const event = { id, name: run.name, attempt, requestId, log, payload, ...details, ...duration }
    for (const hook of [ours, its]) if (hook !== undefined) this.#call(name, run, () => hook(event))
  }

  #call (name: HookName, run: TaskRun, hook: () => unknown): void {
    const place = { isOver: false }
    try {
      const call = name === 'onTaskLost' ? () => lostHook.run(place, hook) : hook
      const result = run.runInAsyncScope(call)
      if (isThenable(result)) this.#await(name, run, result, place)
      else place.isOver = true
    } catch (error) {
      place.isOver = true
      logHookError(run, name, toError(run.name, error))
    }
  }

  #await (name: HookName, run: TaskRun, result: PromiseLike<unknown>, place: { isOver: boolean }): void {
    const ended = follow(result)
      .catch((thrown: unknown) => logHookError(run, name, toError(run.name, thrown)))
      .finally(() => {
        place.isOver = true
        this.#underWay.delete(ended)
      })
    this.#underWay.add(ended)
  }
}
