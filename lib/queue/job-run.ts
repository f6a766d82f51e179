import { performance } from 'node:perf_hooks'
import type { FastifyBaseLogger } from 'fastify'
import type { JobVerdict, TaskContext, VerdictError, WorkerStats } from '../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_SHUTDOWN } from '../errors.ts'
import { toVerdictError } from '../failure.ts'
import { jsonCopy } from '../json.ts'
import { Attempt } from '../run/attempt.ts'
import type { Events } from '../run/events.ts'
import { BLOCKING, type LoopWatch } from '../run/loop-watch.ts'
import { TaskRun } from '../run/task-run.ts'
import type { Verdict } from '../run/verdict.ts'
import type { DefinedSettings } from '../task/registry.ts'
import { Progress } from './progress.ts'
import type { TakenJob } from './taken-job.ts'

interface Surroundings {
  readonly events: Events
  readonly loopWatch: LoopWatch
  readonly log: FastifyBaseLogger
  readonly stats: WorkerStats
  /** Bytes of JSON. */
  readonly maxPayload: number
  readonly keepsResult: boolean
}

/** One attempt of a job. The queue decides when there is another, so nothing here waits. */
export class JobRun extends TaskRun {
  readonly id: string
  readonly log: FastifyBaseLogger
  readonly #job: TakenJob
  readonly #progress: Progress
  readonly #surroundings: Surroundings
  readonly #attempt: Attempt
  #resolve!: (verdict: Verdict) => void
  readonly #verdict = new Promise<Verdict>(resolve => { this.#resolve = resolve })

  /** It keeps the async context in which it is made, which is that of the job's trace. */
  constructor (job: TakenJob, settings: DefinedSettings, surroundings: Surroundings) {
    super(settings.task.name, settings, 'running', job.attempt)
    this.id = job.id
    this.log = surroundings.log
    this.#job = job
    this.#surroundings = surroundings
    const { events, maxPayload } = surroundings
    this.#progress = new Progress(job, maxPayload, error => events.progressNotKept(this, error))
    this.#attempt = new Attempt<TaskRun>(this, performance.now(), (_attempt, verdict) => this.#resolve(verdict))
  }

  get begun (): Attempt {
    return this.#attempt
  }

  get requestId (): string | undefined {
    return this.#job.data.requestId
  }

  get payload (): unknown {
    return this.#job.data.payload
  }

  get takesContext (): boolean {
    return true
  }

  /**
   * Checks the payload again, as another release may have enqueued it. It does so in the attempt, so that hooks
   * and logs see the failure.
   */
  call (context: TaskContext): unknown {
    const task = this.settings.task!
    return task.run(task.parse(this.payload), context)
  }

  progress (value: unknown): void {
    this.#progress.keep(value)
  }

  countAbandoned (change: 1 | -1): void {
    this.#surroundings.stats.abandoned += change
  }

  async perform (): Promise<JobVerdict> {
    const { signal } = this.#job
    if (signal.aborted) {
      this.#cancel()
    } else {
      signal.addEventListener('abort', () => this.#cancel(), { once: true })
      this.#surroundings.events.started(this)
    }
    this.#start()
    const verdict = await this.#verdict
    await this.#progress.end()
    return this.#tell(verdict)
  }

  /** @param drainTimeout ms that it has had. */
  shutDown (drainTimeout: number): void {
    const error = new FST_ERR_BGT_SHUTDOWN(this.name, 'ended', drainTimeout)
    this.#attempt.stop({ state: 'lost', reason: 'shutdown', attempts: this.attempt, error })
  }

  abandon (): void {
    if (this.#attempt.running) this.#attempt.abandon()
  }

  #cancel (): void {
    const isRequested = (this.#job.signal.reason as { code?: unknown } | undefined)?.code === 'FST_ERR_BGT_CANCELLED'
    const reason = isRequested ? 'requested' : 'lease'
    const error = new FST_ERR_BGT_CANCELLED(this.name)
    this.#attempt.stop({ state: 'cancelled', attempts: this.attempt, reason, error })
  }

  #start (): void {
    const { events, loopWatch } = this.#surroundings
    const began = performance.now()
    this.#attempt.start()
    const blocked = performance.now() - began
    if (blocked > BLOCKING) events.blocked(this, blocked)
    if (!this.#attempt.running) return
    this.#attempt.watch()
    loopWatch.wake()
  }

  #tell (verdict: Verdict): JobVerdict {
    const { events, loopWatch } = this.#surroundings
    loopWatch.ended(this.#attempt)
    if (verdict.state === 'retrying') {
      events.retrying(this, verdict)
      return { state: 'retrying', error: this.#describe(verdict.error), delay: verdict.delay }
    }
    if (verdict.state === 'lost') {
      events.givenBack(this)
      return { state: 'postponed', error: this.#describe(verdict.error), delay: 0 }
    }
    this.state = verdict.state
    events.settled(this, verdict, this.#attempt.startedAt)
    this.emitDestroy()
    if (verdict.state === 'completed') return { state: 'completed', result: this.#keepable(verdict.result) }
    return { state: verdict.state, error: this.#describe(verdict.error) }
  }

  #describe (error: Error): VerdictError {
    return toVerdictError(error, this.#surroundings.maxPayload)
  }

  /** The work is done: a result that a queue cannot keep does not undo it. */
  #keepable (result: unknown): unknown {
    const { keepsResult, maxPayload, events } = this.#surroundings
    if (!keepsResult || result === undefined) return undefined
    try {
      return jsonCopy(result, maxPayload)
    } catch (error) {
      events.resultNotKept(this, error)
    }
  }
}
