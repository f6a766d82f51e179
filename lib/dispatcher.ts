import { AsyncResource } from 'node:async_hooks'
import { performance } from 'node:perf_hooks'
// Taken here, so that a test's fake timers delay attempts and retries but never the start of tasks.
import { setImmediate } from 'node:timers'
import type { LossReason, Outcome } from '../types/index.ts'
import type { Events } from './events.ts'
import { Attempt, type Verdict } from './execute.ts'
import { FST_ERR_BGT_CANCELLED, FST_ERR_BGT_CLOSED, FST_ERR_BGT_SHUTDOWN } from './errors.ts'
import { Fifo } from './fifo.ts'
import type { Handle } from './handle.ts'
import type { Lane } from './lane.ts'
import type { Accounts } from './outcome.ts'

/** ms of a turn of the event loop after which no further task starts, so that responses come first. */
const TURN = 1

/** ms after which a task that kept the event loop to itself is named in the log. */
const BLOCKING = 100

/**
 * Starts tasks: in order within a lane, in turn between lanes, at most `concurrency` at once, each in a
 * turn of the event loop that is theirs for `TURN` ms. Knows nothing of HTTP.
 */
export class Dispatcher {
  readonly accounts: Accounts
  readonly #events: Events
  readonly #concurrency: number
  readonly #ready = new Fifo<Lane>()
  /** Every lane with a task that has not ended. */
  readonly #lanes = new Set<Lane>()
  /** Asynchronous attempts that began in the latest turn. */
  #started: Attempt[] = []
  #scheduled = false
  /** The plugin's own, else a turn would run in the async context of whichever request asked for it. */
  readonly #scope = new AsyncResource('BackgroundTasks')
  readonly #turn = (): void => this.#scope.runInAsyncScope(this.#run, this)

  draining = false
  #closed = false

  constructor (accounts: Accounts, events: Events, concurrency: number) {
    this.accounts = accounts
    this.#events = events
    this.#concurrency = concurrency
  }

  /** Counts a task in. It waits in its lane, which moves once it is released; or it is lost, where there is no room. */
  add (handle: Handle, overflow?: Error): void {
    const { lane, name } = handle
    this.accounts.open()
    if (overflow !== undefined) return this.accounts.settle(handle, loss('overflow', 0, overflow))
    if (this.#closed) return this.accounts.settle(handle, loss('closed', 0, new FST_ERR_BGT_CLOSED(name)))
    lane.push(handle)
    this.#lanes.add(lane)
  }

  release (lane: Lane): void {
    if (!lane.active) this.#advance(lane)
  }

  cancel (handle: Handle): 'cancelled' | 'running' | 'finished' {
    const { lane, state } = handle
    if (handle.outcome !== undefined) return 'finished'
    const outcome = { state: 'cancelled', attempts: handle.attempt, error: new FST_ERR_BGT_CANCELLED(handle.name) } as const
    if (state === 'running') {
      lane.attempt!.stop(outcome)
      return 'running'
    }
    this.accounts.settle(handle, outcome)
    if (state === 'retrying') this.#wake(lane)
    return 'cancelled'
  }

  /** From now on no retry waits: those that do are tried once more at once, and a failure is final. */
  drain (): void {
    this.draining = true
    for (const lane of this.#lanes) this.#wake(lane)
  }

  /** Aborts what runs, and records as lost what waits and what is added from now on. */
  close (drainTimeout: number): void {
    this.#closed = true
    const lost = ({ name, attempt }: Handle) =>
      loss('shutdown', attempt, new FST_ERR_BGT_SHUTDOWN(name, drainTimeout))
    for (const lane of this.#lanes) {
      lane.attempt?.stop(lost(lane.attempt.handle))
      for (let handle; (handle = nextOf(lane)) !== undefined;) this.accounts.settle(handle, lost(handle))
    }
  }

  /** Records as lost what still runs. */
  abandon (): void {
    for (const { attempt } of this.#lanes) attempt?.abandon()
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
      const handle = nextOf(lane)
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
    this.#events.started(handle)
    attempt.start()
    if (attempt.running) this.#started.push(attempt)
  }

  readonly #ended = (attempt: Attempt, verdict: Verdict): void => {
    const { handle, startedAt } = attempt
    const { lane } = handle
    lane.attempt = undefined
    if (verdict.state !== 'retrying') {
      this.accounts.settle(handle, verdict, startedAt)
      this.#advance(lane)
      return
    }
    this.accounts.move(handle, 'retrying')
    lane.unshift(handle)
    lane.retryTimer = setTimeout(() => this.#wake(lane), verdict.delay)
    this.#events.retrying(handle, verdict)
    this.#schedule()
  }

  #wake (lane: Lane): void {
    if (lane.retryTimer === undefined) return
    clearTimeout(lane.retryTimer)
    lane.retryTimer = undefined
    this.#advance(lane)
  }

  /** Puts the lane in line for its next task, behind all the others; or retires it, having none. */
  #advance (lane: Lane): void {
    lane.active = lane.head !== undefined
    if (lane.active) this.#ready.push(lane)
    else this.#lanes.delete(lane)
    this.#schedule()
  }
}

/** The next task that has not been cancelled or skipped meanwhile. */
function nextOf (lane: Lane): Handle | undefined {
  let handle = lane.shift()
  while (handle?.outcome !== undefined) handle = lane.shift()
  return handle
}

function loss (reason: LossReason, attempts: number, error: Error): Extract<Outcome, { state: 'lost' }> {
  return { state: 'lost', attempts, reason, error }
}
