import { AsyncResource } from 'node:async_hooks'
import { performance } from 'node:perf_hooks'
// Taken here, so that a test's fake timers delay attempts and retries but never the start of tasks.
import { setImmediate } from 'node:timers'
import type { EscalationCause, Outcome } from '../../types/index.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_CLOSED, FST_ERR_BGT_SHUTDOWN } from '../errors.ts'
import type { TaskSettings } from '../options.ts'
import { Attempt, type Verdict } from '../run/attempt.ts'
import type { Events } from '../run/events.ts'
import type { Handle } from '../run/handle.ts'
import { type Accounts, loss } from './accounts.ts'
import { Departures } from './departures.ts'
import type { Escalation } from './escalation.ts'
import { Fifo } from './fifo.ts'
import type { Lane, Owner } from './lane.ts'
import { Ring } from './ring.ts'
import type { StatusBook } from './status-book.ts'

/** ms of a turn of the event loop after which no further task starts, so that responses come first. */
const TURN = 1

/** ms after which a task that kept the event loop to itself is named in the log. */
const BLOCKING = 100

/**
 * Starts tasks: in order within a lane, in turn between lanes, at most `concurrency` at once, each in a
 * turn of the event loop that is theirs for `TURN` ms. Knows nothing of HTTP.
 */
export class Dispatcher implements Owner {
  readonly accounts: Accounts
  readonly #events: Events
  readonly #concurrency: number
  readonly #book: StatusBook
  readonly #departures: Departures
  readonly #ready = new Fifo<Lane>()
  /** Every lane with a task that has not ended. */
  readonly #lanes = new Ring<Lane>()
  /** Asynchronous attempts that began in the latest turn. */
  #started: Attempt[] = []
  #scheduled = false
  /** The plugin's own, else a turn would run in the async context of whichever request asked for it. */
  readonly #scope = new AsyncResource('BackgroundTasks')
  readonly #turn = (): void => this.#scope.runInAsyncScope(this.#run, this)

  #draining = false
  #closed = false

  constructor (accounts: Accounts, events: Events, concurrency: number, book: StatusBook, escalation?: Escalation) {
    this.accounts = accounts
    this.#events = events
    this.#concurrency = concurrency
    this.#book = book
    this.#departures = new Departures(accounts, events, escalation, () => this.#schedule())
  }

  /**
   * Counts a task in. It waits in its lane, which moves once it is released. Where there is no room for
   * it, it leaves then for the queue, or is lost now.
   */
  add (handle: Handle, overflow?: Error): void {
    const { lane, name } = handle
    this.accounts.open()
    if (overflow !== undefined) {
      if (!this.wants(handle.settings, 'overflow')) return this.accounts.settle(handle, loss('overflow', 0, overflow))
      this.#departures.hold(handle, overflow)
    }
    if (this.#closed) return this.#giveUp(handle, loss('closed', 0, new FST_ERR_BGT_CLOSED(name)))
    lane.push(handle)
    this.#lanes.add(lane)
  }

  release (lane: Lane): void {
    this.#departures.release(lane)
    if (!lane.active) this.#advance(lane)
  }

  wants (settings: TaskSettings, cause: EscalationCause): boolean {
    return this.#departures.wants(settings, cause)
  }

  identified (handle: Handle): void {
    if (handle.form === 'payload') this.#book.add(handle)
  }

  progress (handle: Handle, value: unknown): void {
    this.#book.progress(handle, value)
  }

  cancel (handle: Handle): 'cancelled' | 'running' | 'finished' {
    const { lane, state } = handle
    if (handle.outcome !== undefined) return 'finished'
    // The lane may be running another task by now.
    if (this.#departures.has(handle)) return 'running'
    const outcome = { state: 'cancelled', attempts: handle.attempt, error: new FST_ERR_BGT_CANCELLED(handle.name) } as const
    if (state === 'running') {
      lane.attempt!.stop(outcome)
      return 'running'
    }
    this.accounts.settle(handle, outcome)
    if (state === 'retrying') this.#wake(lane)
    return 'cancelled'
  }

  /** From now on no retry waits: those that do are tried once more at once, and a failure is final, or goes to the queue. */
  drain (): void {
    this.#draining = true
    for (const lane of this.#lanes.items()) this.#wake(lane)
  }

  /** Aborts what runs, and records as lost what waits and what is added from now on. */
  close (drainTimeout: number): void {
    this.#closed = true
    const lost = ({ name, attempt }: Handle) =>
      loss('shutdown', attempt, new FST_ERR_BGT_SHUTDOWN(name, drainTimeout))
    for (const lane of this.#lanes.items()) {
      lane.attempt?.stop(lost(lane.attempt.handle))
      for (let handle; (handle = this.#nextOf(lane)) !== undefined;) this.#giveUp(handle, lost(handle))
    }
  }

  /** Records as lost what still runs. */
  abandon (): void {
    for (const { attempt } of this.#lanes.items()) attempt?.abandon()
  }

  /** Asks for a turn, if there is something to do in it. */
  #schedule (): void {
    if (this.#scheduled) return
    const canStart = this.#ready.head !== undefined && this.#hasRoom()
    if (!canStart && this.#started.length === 0) return
    this.#scheduled = true
    setImmediate(this.#turn)
  }

  #run (): void {
    this.#watchStarted()
    let now = performance.now()
    const end = now + TURN
    while (now < end && this.#hasRoom()) {
      const lane = this.#ready.shift()
      if (lane === undefined) break
      const handle = this.#nextOf(lane)
      if (handle === undefined) {
        this.#advance(lane)
        continue
      }
      this.#start(lane, handle, now)
      const before = now
      now = performance.now()
      if (now - before > BLOCKING) this.#events.blocked(handle, now - before)
    }
    this.#scheduled = false
    this.#schedule()
  }

  /** Gives those that outlived the turn they began in their timeout: most have ended, and a timer costs more than they did. */
  #watchStarted (): void {
    if (this.#started.length === 0) return
    const started = this.#started
    this.#started = []
    for (const attempt of started) if (attempt.running) attempt.watch()
  }

  #hasRoom (): boolean {
    return this.accounts.in.running < this.#concurrency
  }

  #start (lane: Lane, handle: Handle, now: number): void {
    handle.attempt++
    this.accounts.move(handle, 'running')
    const attempt = lane.attempt = new Attempt(handle, now, this.#ended)
    if (handle.isKnown) this.#book.started(handle)
    this.#events.started(handle)
    attempt.start()
    if (attempt.running) this.#started.push(attempt)
  }

  readonly #ended = (attempt: Attempt, verdict: Verdict): void => {
    const { handle, startedAt } = attempt
    const { lane } = handle
    lane.attempt = undefined
    if (verdict.state !== 'retrying' || this.#draining) {
      this.#settle(handle, verdict, startedAt)
      this.#advance(lane)
      return
    }
    this.accounts.move(handle, 'retrying')
    if (handle.isKnown) this.#book.failed(handle, verdict.error)
    lane.unshift(handle)
    lane.retryTimer = setTimeout(() => this.#wake(lane), verdict.delay)
    this.#events.retrying(handle, verdict)
    this.#schedule()
  }

  #settle (handle: Handle, verdict: Verdict, startedAt: number): void {
    if (verdict.state === 'lost') return this.#giveUp(handle, verdict)
    // Only the shutdown keeps it from another attempt.
    const isCutShort = verdict.state === 'retrying'
    const outcome = isCutShort ? { state: 'failed', attempts: handle.attempt, error: verdict.error } as const : verdict
    const escalates = outcome.state === 'failed' &&
      (this.wants(handle.settings, 'failure') || (isCutShort && this.wants(handle.settings, 'shutdown')))
    if (escalates) this.#departures.start(handle, outcome, startedAt)
    else this.accounts.settle(handle, outcome, startedAt)
  }

  /** This process will not run it any more, but the queue may. */
  #giveUp (handle: Handle, lost: Outcome): void {
    if (this.wants(handle.settings, 'shutdown')) this.#departures.start(handle, lost)
    else this.accounts.settle(handle, lost)
  }

  #wake (lane: Lane): void {
    if (lane.retryTimer === undefined) return
    clearTimeout(lane.retryTimer)
    lane.retryTimer = undefined
    this.#advance(lane)
  }

  /** The next task that has not been cancelled, skipped or handed over meanwhile. */
  #nextOf (lane: Lane): Handle | undefined {
    let handle = lane.shift()
    while (handle !== undefined && (handle.outcome !== undefined || this.#departures.has(handle))) handle = lane.shift()
    return handle
  }

  /** Puts the lane in line for its next task, behind all the others; or retires it, having none. */
  #advance (lane: Lane): void {
    lane.active = lane.head !== undefined
    if (lane.active) this.#ready.push(lane)
    else this.#lanes.delete(lane)
    this.#schedule()
  }
}
