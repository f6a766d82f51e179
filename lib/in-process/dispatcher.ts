import { AsyncResource } from 'node:async_hooks'
import { performance } from 'node:perf_hooks'
// Taken here, so that a test's fake timers delay attempts and retries but never the start of tasks.
import { setImmediate } from 'node:timers'
import type { Ending, Outcome } from '../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_CLOSED, FST_ERR_BGT_SHUTDOWN } from '../errors.ts'
import { Attempt } from '../run/attempt.ts'
import { type Events, isInLostHook } from '../run/events.ts'
import { BLOCKING, type LoopWatch } from '../run/loop-watch.ts'
import type { Stop, Verdict } from '../run/verdict.ts'
import { type Accounts, loss } from './accounts.ts'
import type { AddedTask } from './added-task.ts'
import type { Escalation } from './escalation.ts'
import { Fifo } from './fifo.ts'
import type { Lane, Owner } from './lane.ts'
import { Ring } from './ring.ts'
import type { StatusBook } from './status-book.ts'

/** ms of a turn of the event loop after which no further task starts, so that responses come first. */
const TURN = 0.25

type TaskLane = Lane<AddedTask>

/**
 * Starts tasks: in order within a lane, in turn between lanes, at most `concurrency` at once, each in a
 * turn of the event loop that is theirs for `TURN` ms. It knows nothing of HTTP.
 *
 * A lane is in one of five states:
 * - held: it collects tasks. `release` makes it ready.
 * - ready: it waits for a turn. The turn shifts its next task and makes it running; with none left it is done.
 * - running: `lane.attempt` stands. A verdict makes it ready, or waiting if the task is to be tried again.
 * - waiting: `lane.retryTimer` stands. The timer, a cancel of that task or the drain makes it ready.
 * - done: it has no task and is in no list. Another `add` makes it held or, after the response, ready.
 * `lane.active` is true in ready, running and waiting: something will look for its next task. Tasks that are
 * cancelled, skipped or handed over while they wait stay in the lane, and the turn passes over them.
 */
export class Dispatcher implements Owner<AddedTask> {
  readonly #accounts: Accounts
  readonly #escalation: Escalation
  readonly #book: StatusBook
  readonly #events: Events
  readonly #loopWatch: LoopWatch
  readonly #concurrency: number
  readonly #ready = new Fifo<TaskLane>()
  /** Every lane with a task that has not ended. */
  readonly #lanes = new Ring<TaskLane>()
  /** Asynchronous attempts that began in the latest turn. */
  #started: Attempt<AddedTask>[] = []
  #scheduled = false
  /** The plugin's own, else a turn would run in the async context of whichever request asked for it. */
  readonly #scope = new AsyncResource('BackgroundTasks')
  readonly #turn = (): void => this.#scope.runInAsyncScope(this.#run, this)
  readonly #pass = (): void => { setImmediate(this.#turn) }

  #draining = false
  #closed = false

  constructor (
    accounts: Accounts, escalation: Escalation, book: StatusBook, events: Events, loopWatch: LoopWatch,
    concurrency: number
  ) {
    this.#accounts = accounts
    this.#escalation = escalation
    this.#book = book
    this.#events = events
    this.#loopWatch = loopWatch
    this.#concurrency = concurrency
    loopWatch.add({
      running: () => accounts.running,
      attempts: () => this.#lanes.items().map(({ attempt }) => attempt).filter(attempt => attempt !== undefined)
    })
  }

  /** Tasks that have not started, or wait for their next attempt. */
  get waiting (): number {
    return this.#accounts.waiting
  }

  /**
   * Counts a task in. It waits in its lane, which moves once it is released.
   *
   * @throws FST_ERR_BGT_CLOSED in an onTaskLost hook, which would be called for it again.
   */
  add (task: AddedTask): void {
    const { lane, name } = task
    if (this.#closed) return this.#addLate(task, new FST_ERR_BGT_CLOSED(name))
    this.#accounts.add()
    lane.push(task)
    this.#lanes.add(lane)
  }

  /** Counts in a task for which there is no room: it leaves for the queue when its lane is released. */
  hold (task: AddedTask, overflow: Error): void {
    if (!this.#closed) this.#escalation.hold(task, overflow)
    this.add(task)
  }

  /** Counts in a task for which there is no room, and records it as lost. @throws `overflow` in an onTaskLost hook. */
  drop (task: AddedTask, overflow: Error): void {
    if (isInLostHook()) throw overflow
    this.#accounts.add()
    this.#accounts.settle(task, loss('overflow', 0, overflow))
  }

  release (lane: TaskLane): void {
    this.#escalation.release(lane)
    if (!lane.active) this.#advance(lane)
  }

  skip (task: AddedTask, reason: Ending): void {
    this.#accounts.settle(task, { state: 'skipped', attempts: 0, reason })
  }

  cancel (task: AddedTask): 'cancelled' | 'running' | 'finished' {
    const { lane, state } = task
    if (task.outcome !== undefined) return 'finished'
    // The lane may be running another task by now.
    if (this.#escalation.has(task)) return 'running'
    const error = new FST_ERR_BGT_CANCELLED(task.name)
    const stop: Stop = { state: 'cancelled', attempts: task.attempt, reason: 'requested', error }
    if (state === 'running') {
      lane.attempt!.stop(stop)
      return 'running'
    }
    this.#accounts.settle(task, stop)
    if (state === 'retrying') this.#wake(lane)
    return 'cancelled'
  }

  identified (task: AddedTask): void {
    if (task.form === 'payload') this.#book.add(task)
  }

  progress (task: AddedTask, value: unknown): void {
    try {
      this.#book.progress(task, value)
    } catch (error) {
      this.#events.progressNotKept(task, error)
    }
  }

  countAbandoned (change: 1 | -1): void {
    this.#accounts.countAbandoned(change)
  }

  /**
   * From now on no retry waits: those that do are tried once more at once, and a failure is final, or goes to
   * the queue. Returns how many waited.
   */
  drain (): number {
    const { retrying } = this.#accounts
    this.#draining = true
    for (const lane of this.#lanes.items()) this.#wake(lane)
    return retrying
  }

  /** The names of the tasks that have not ended. */
  unfinished (): string[] {
    const names = this.#escalation.names()
    for (const lane of this.#lanes.items()) {
      if (lane.attempt !== undefined) names.push(lane.attempt.run.name)
      for (let task = lane.head; task !== undefined; task = task.next) {
        if (task.outcome === undefined && !this.#escalation.has(task)) names.push(task.name)
      }
    }
    return names
  }

  /** Aborts what runs, and records as lost what waits and what is added from now on. */
  close (drainTimeout: number): void {
    this.#closed = true
    const lost = ({ name, attempt }: AddedTask) =>
      loss('shutdown', attempt, new FST_ERR_BGT_SHUTDOWN(name, attempt === 0 ? 'started' : 'ended', drainTimeout))
    for (const lane of this.#lanes.items()) {
      lane.attempt?.stop(lost(lane.attempt.run))
      for (let task; (task = this.#nextOf(lane)) !== undefined;) this.#giveUp(task, lost(task))
    }
  }

  /** Records as lost what still runs. */
  abandon (): void {
    for (const { attempt } of this.#lanes.items()) attempt?.abandon()
  }

  /** Asks for a turn, if there is something to do in it. */
  #schedule (next: () => void = this.#turn): void {
    if (this.#scheduled) return
    const canStart = this.#ready.head !== undefined && this.#hasRoom()
    if (!canStart && this.#started.length === 0) return
    this.#scheduled = true
    setImmediate(next)
  }

  /** A turn that was used up is followed by two of the event loop's own: what came meanwhile is read and answered. */
  #run (): void {
    let isUsedUp = false
    try {
      isUsedUp = this.#startTasks()
    } finally {
      this.#scheduled = false
      this.#schedule(isUsedUp ? this.#pass : this.#turn)
    }
  }

  /** Whether the turn is used up. */
  #startTasks (): boolean {
    this.#watchStarted()
    let now = performance.now()
    const end = now + TURN
    while (now < end && this.#hasRoom()) {
      const lane = this.#ready.shift()
      if (lane === undefined) break
      const task = this.#nextOf(lane)
      if (task === undefined) {
        this.#advance(lane)
        continue
      }
      this.#start(lane, task, now)
      const before = now
      now = performance.now()
      if (now - before > BLOCKING) this.#events.blocked(task, now - before)
    }
    return now >= end
  }

  /**
   * Arms the timeout of each attempt that outlived the turn it began in. Most attempts have ended by then, and
   * a timer costs more than they did.
   */
  #watchStarted (): void {
    if (this.#started.length === 0) return
    const started = this.#started
    this.#started = []
    for (const attempt of started) if (attempt.running) attempt.watch()
    this.#loopWatch.wake()
  }

  #hasRoom (): boolean {
    return this.#accounts.running < this.#concurrency
  }

  #start (lane: TaskLane, task: AddedTask, now: number): void {
    task.attempt++
    const attempt = lane.current = new Attempt(task, now, this.#ended)
    this.#accounts.start(task)
    attempt.start()
    if (attempt.running) this.#started.push(attempt)
  }

  readonly #ended = (attempt: Attempt<AddedTask>, verdict: Verdict): void => {
    const { run: task, startedAt } = attempt
    const { lane } = task
    this.#loopWatch.ended(attempt)
    lane.current = undefined
    if (verdict.state !== 'retrying' || this.#draining) {
      this.#settle(task, verdict, startedAt)
      this.#advance(lane)
      return
    }
    lane.unshift(task)
    lane.current = setTimeout(() => this.#wake(lane), verdict.delay)
    this.#accounts.retry(task, verdict)
    this.#schedule()
  }

  #settle (task: AddedTask, verdict: Verdict, startedAt: number): void {
    if (verdict.state === 'lost') return this.#giveUp(task, verdict)
    // Only the shutdown keeps it from another attempt.
    const isCutShort = verdict.state === 'retrying'
    const outcome: Outcome = isCutShort ? { state: 'failed', attempts: task.attempt, error: verdict.error } : verdict
    const escalates = outcome.state === 'failed' &&
      (this.#takes(task, 'failure') || (isCutShort && this.#takes(task, 'shutdown')))
    if (escalates) this.#escalate(task, outcome, startedAt)
    else this.#accounts.settle(task, outcome, startedAt)
  }

  /** Ends a task that this process will not run any more: the queue may take it. */
  #giveUp (task: AddedTask, lost: Stop): void {
    if (this.#takes(task, 'shutdown')) this.#escalate(task, lost)
    else this.#accounts.settle(task, lost)
  }

  #addLate (task: AddedTask, error: Error): void {
    if (isInLostHook()) throw error
    this.#accounts.add()
    this.#giveUp(task, loss('closed', 0, error))
  }

  #takes ({ settings }: AddedTask, cause: 'failure' | 'shutdown'): boolean {
    return this.#escalation.takes(settings, cause)
  }

  /** Its place among those that run is free only once it has left. */
  #escalate (task: AddedTask, otherwise: Outcome, startedAt?: number): void {
    void this.#escalation.take(task, otherwise, startedAt).then(() => this.#schedule())
  }

  #wake (lane: TaskLane): void {
    if (lane.retryTimer === undefined) return
    clearTimeout(lane.retryTimer)
    lane.current = undefined
    this.#advance(lane)
  }

  /** The next task that has not been cancelled, skipped or handed over meanwhile. */
  #nextOf (lane: TaskLane): AddedTask | undefined {
    let task = lane.shift()
    while (task !== undefined && (task.outcome !== undefined || this.#escalation.has(task))) task = lane.shift()
    return task
  }

  /** Puts the lane in line for its next task, behind all the others; or retires it, having none. */
  #advance (lane: TaskLane): void {
    lane.active = lane.head !== undefined
    if (lane.active) this.#ready.push(lane)
    else this.#lanes.delete(lane)
    this.#schedule()
  }
}
