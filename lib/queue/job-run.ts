import type { FastifyBaseLogger } from 'fastify'
import { performance } from 'node:perf_hooks'
import type { ActiveJob, JobVerdict, Outcome, WorkerStats } from '../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_SHUTDOWN, toError } from '../errors.ts'
import { Lane, type Owner } from '../in-process/lane.ts'
import { jsonCopy } from '../json.ts'
import type { ResolvedOptions } from '../options.ts'
import { Attempt, type Verdict } from '../run/attempt.ts'
import type { Events } from '../run/events.ts'
import { Handle } from '../run/handle.ts'
import type { Registered } from '../task/task.ts'
import { isThenable } from '../thenable.ts'

interface Surroundings {
  readonly log: FastifyBaseLogger
  readonly stats: WorkerStats
  readonly plugin: ResolvedOptions
  readonly keepsResult: boolean
}

/** One attempt of a job. The queue decides when there is another; so nothing here waits. */
export class JobRun implements Owner {
  readonly accounts: WorkerStats
  readonly #job: ActiveJob
  readonly #registered: Registered
  readonly #events: Events
  readonly #surroundings: Surroundings
  #attempt: Attempt | undefined = undefined

  constructor (job: ActiveJob, registered: Registered, events: Events, surroundings: Surroundings) {
    this.#job = job
    this.#registered = registered
    this.#events = events
    this.#surroundings = surroundings
    this.accounts = surroundings.stats
  }

  perform (): Promise<JobVerdict> {
    let verdict: Promise<JobVerdict> | undefined
    const begin = (): Promise<JobVerdict> => (verdict ??= this.#perform())
    this.#continueTrace(begin)
    // Whatever that did, the job runs, and once.
    return begin()
  }

  #continueTrace (begin: () => Promise<JobVerdict>): void {
    const { id, task, data: { trace } } = this.#job
    const { log, plugin } = this.#surroundings
    const extract = plugin.trace?.extract
    if (trace === undefined || extract === undefined) return
    const failed = (thrown: unknown): void =>
      log.warn({ err: toError(task, thrown), task, taskId: id }, 'background task trace could not be continued')
    try {
      const result: unknown = extract(trace, begin)
      if (isThenable(result)) Promise.resolve(result).catch(failed)
    } catch (thrown) {
      failed(thrown)
    }
  }

  async #perform (): Promise<JobVerdict> {
    const { id, data, attempt, signal } = this.#job
    const { task, settings } = this.#registered
    const lane = new Lane(this, this.#surroundings.log, data.requestId)
    // Checked again, as another release may have enqueued it; and in the attempt, so that hooks and logs see it fail.
    const run: typeof task.run = (payload, context) => task.run(task.parse(payload), context)
    const handle = new Handle(lane, task.name, settings, 'payload', run, data.payload, id)
    handle.attempt = attempt
    handle.state = 'running'
    const verdict = await new Promise<Verdict>(resolve => {
      const started = this.#attempt = new Attempt(handle, performance.now(), (_attempt, verdict) => resolve(verdict))
      if (signal.aborted) {
        handle.cancel()
      } else {
        signal.addEventListener('abort', () => handle.cancel(), { once: true })
        this.#events.started(handle)
      }
      started.start()
      if (started.running) started.watch()
    })
    return this.#tell(handle, verdict)
  }

  shutDown (drainTimeout: number): void {
    const attempt = this.#attempt!
    const { name } = attempt.handle
    attempt.stop({ state: 'lost', reason: 'shutdown', attempts: this.#job.attempt, error: new FST_ERR_BGT_SHUTDOWN(name, drainTimeout) })
  }

  abandon (): void {
    if (this.#attempt!.running) this.#attempt!.abandon()
  }

  cancel ({ name, attempt }: Handle): 'running' {
    this.#attempt!.stop({ state: 'cancelled', attempts: attempt, error: new FST_ERR_BGT_CANCELLED(name) })
    return 'running'
  }

  progress (_handle: Handle, value: unknown): void {
    void this.#keepProgress(value)
  }

  async #keepProgress (value: unknown): Promise<void> {
    try {
      await this.#job.progress(value)
    } catch (err) {
      this.#surroundings.log.warn({ err, task: this.#job.task, taskId: this.#job.id }, 'background task progress was not kept')
    }
  }

  #tell (handle: Handle, verdict: Verdict): JobVerdict {
    if (verdict.state === 'retrying') {
      this.#events.retrying(handle, verdict)
      return verdict
    }
    if (verdict.state === 'lost') {
      this.#surroundings.log.warn({ task: handle.name, taskId: handle.id, attempt: handle.attempt }, 'background task given back to the queue')
      return { state: 'postponed', error: verdict.error, delay: 0 }
    }
    const outcome = verdict as Extract<Outcome, { state: 'completed' | 'failed' | 'cancelled' }>
    handle.state = outcome.state
    this.#events.settled(handle, outcome, this.#attempt!.startedAt)
    handle.close(outcome)
    if (outcome.state === 'completed') return { state: 'completed', result: this.#keepable(handle, outcome.result) }
    return { state: outcome.state, error: outcome.error }
  }

  /** The work is done: a result that a queue cannot keep does not undo it. */
  #keepable (handle: Handle, result: unknown): unknown {
    if (!this.#surroundings.keepsResult || result === undefined) return undefined
    try {
      return jsonCopy(result, this.#surroundings.plugin.maxPayload)
    } catch (err) {
      this.#surroundings.log.warn({ err, task: handle.name, taskId: handle.id }, 'background task completed, but its result cannot be kept')
    }
  }
}
