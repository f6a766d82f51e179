import { channel, tracingChannel } from 'node:diagnostics_channel'
import { setImmediate } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Dice } from '../../bench/soak/dice.js'
import { Hostile, hostileLogger } from '../../bench/soak/hostile.js'
import { memory } from '../../lib/adapters/memory/index.ts'
import backgroundTasks, { defineTask } from '../../lib/index.ts'
import type { Add, BackgroundTasksOptions, Outcome, Stats, TaskHandle } from '../../types/index.ts'

// `npm run soak` hands the same values to a server, for longer and from another seed each time.
const SEED = Number(process.env['SEED'] ?? 1)
const ROUNDS = Number(process.env['ROUNDS'] ?? 4)
const ADDS = 120
const JOBS = 40
/** ms after which a wait for what has to come has failed. */
const HANGS = 20_000

const hookNames = ['onTaskStart', 'onTaskRetry', 'onTaskCompleted', 'onTaskFailed', 'onTaskSkipped', 'onTaskCancelled',
  'onTaskEscalated', 'onTaskLost']

const fallen: unknown[] = []
const fell = (reason: unknown): void => { fallen.push(reason) }
process.on('unhandledRejection', fell)
process.on('uncaughtException', fell)
// Of a logger that threw: they are what is left to say.
process.on('warning', () => {})

function balance ({ added, pending, running, completed, failed, skipped, cancelled, escalated, lost }: Stats): number {
  return added - pending - running - completed - failed - skipped - cancelled - escalated - lost
}

/** The number of outcomes that were published of each task. */
function countOutcomes (t: Test): Map<string, number> {
  const counts = new Map<string, number>()
  const outcomes = channel('fastify-background-tasks.outcome')
  const heard = (message: unknown): void => {
    const { id } = message as { id: string }
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  outcomes.subscribe(heard)
  t.teardown(() => outcomes.unsubscribe(heard))
  return counts
}

function trace (t: Test): void {
  const attempts = tracingChannel('fastify-background-tasks.task')
  const nothing = (): void => {}
  const listeners = { start: nothing, end: nothing, asyncStart: nothing, asyncEnd: nothing, error: nothing }
  attempts.subscribe(listeners)
  t.teardown(() => attempts.unsubscribe(listeners))
}

interface Round {
  readonly dice: Dice
  readonly hostile: Hostile
  readonly app: FastifyInstance
}

type Anything = Add & ((...args: unknown[]) => TaskHandle)

async function makeRound (t: Test, seed: number, more: BackgroundTasksOptions): Promise<Round> {
  const dice = new Dice(seed)
  const hostile = new Hostile(dice)
  // Fastify itself falls with a logger that throws at the line of a request, so that there are none.
  const logger = dice.chance(0.5) ? undefined : hostileLogger(hostile, dice)
  const app: FastifyInstance = Fastify(logger && { loggerInstance: logger })
  await app.register(backgroundTasks, {
    timeout: 5,
    drainTimeout: 200,
    hooks: hostile.hooks(hookNames),
    ...more
  })
  t.teardown(() => app.close())
  await app.ready()
  if (logger !== undefined) Object.assign(logger, { isHostile: true })
  return { dice, hostile, app }
}

await t.test(`tasks: nothing falls, whatever user code hands over (seed ${SEED}, ${ROUNDS} rounds of ${ADDS})`, async t => {
  for (let round = 0; round < ROUNDS; round++) {
    await t.test(`round ${round}`, async t => { await tasks(t, SEED + round, round % 2 === 0) })
  }
})

async function tasks (t: Test, seed: number, isTraced: boolean): Promise<void> {
  if (isTraced) trace(t)
  const outcomes = countOutcomes(t)
  const definitions = Array.from({ length: 8 }, (_, index) => {
    const hostile = new Hostile(new Dice(seed * 100 + index))
    return defineTask({
      name: `defined-${index}`,
      ...(index % 2 === 0 && { payload: hostile.schema() }),
      hooks: hostile.hooks(hookNames),
      run: hostile.function()
    })
  })
  const overflow = new Dice(seed).pick(['reject', 'drop'] as const)
  const { dice, hostile, app } = await makeRound(t, seed, { tasks: definitions, overflow, maxPending: 60, concurrency: 20 })
  const handles: TaskHandle[] = []
  const settled: Outcome[] = []
  const { backgroundTasks } = app

  /** An `add` that throws has kept nothing. */
  const tryAdd = (to: { add: Add }): void => {
    const { added } = backgroundTasks.stats()
    let handle: TaskHandle
    try {
      handle = addOne(to.add.bind(to) as Anything)
    } catch {
      if (backgroundTasks.stats().added !== added) t.fail('what was refused was kept')
      return
    }
    handles.push(handle)
    if (dice.chance(0.5)) void handle.settled.then(outcome => settled.push(outcome))
    if (dice.chance(0.3)) void handle.id
    if (dice.chance(0.1)) handle.cancel()
    else if (dice.chance(0.1)) setTimeout(() => handle.cancel(), dice.below(10))
  }

  function addOne (add: Anything): TaskHandle {
    const work = hostile.use.bind(hostile)
    const options = {
      when: dice.pick(['success', 'error', 'always']),
      ...(dice.chance(0.3) && { retry: dice.pick([2, { attempts: 3, delay: 1 }]) }),
      ...(dice.chance(0.5) && { hooks: dice.chance(0.2) ? hostile.proxy(hostile.hooks(hookNames)) : hostile.hooks(hookNames) })
    }
    switch (dice.below(6)) {
      case 0: return add(hostile.value())
      case 1: return add(hostile.function(), hostile.value())
      case 2: return add(hostile.function(), ...Array.from({ length: dice.below(3) }, () => hostile.value()))
      case 3: return add(dice.chance(0.1) ? hostile.proxy(options) : options, hostile.function(work))
      case 4: return add(options, hostile.function(work))
      default: return add(dice.pick(definitions), hostile.value(), dice.chance(0.3) ? { timeout: 3 } : undefined)
    }
  }

  for (let n = 0; n < ADDS; n++) {
    tryAdd(backgroundTasks)
    if (balance(backgroundTasks.stats()) !== 0) t.fail('the books do not balance')
    if (n % 10 === 0) await setImmediate()
  }
  await backgroundTasks.idle({ timeout: HANGS })
  t.hasStrict(await backgroundTasks.add(() => 'innocent').settled, { state: 'completed', result: 'innocent' })
  for (let n = 0; n < 10; n++) tryAdd(backgroundTasks)
  await inTime(app.close(), 'close()')
  for (let n = 0; n < 10; n++) tryAdd(backgroundTasks)
  await inTime(Promise.all(handles.map(({ settled }) => settled)), 'settled')
  await setImmediate()
  await setImmediate()

  const stats = backgroundTasks.stats()
  t.equal(balance(stats), 0, 'the books balance')
  t.equal(stats.added, handles.length + 1, 'all that was added is counted')
  t.match(stats, { pending: 0, running: 0 })
  t.same(handles.filter(({ id }) => outcomes.get(id) !== 1), [], 'each task has one outcome')
  t.same(fallen.splice(0), [], 'nothing fell')
}

await t.test(`jobs: nothing falls, whatever user code hands over (seed ${SEED}, ${ROUNDS} rounds of ${JOBS})`, async t => {
  for (let round = 0; round < ROUNDS; round++) {
    await t.test(`round ${round}`, async t => { await jobs(t, SEED + round, round % 2 === 0) })
  }
})

async function jobs (t: Test, seed: number, isTraced: boolean): Promise<void> {
  if (isTraced) trace(t)
  const outcomes = countOutcomes(t)
  const definitions = Array.from({ length: 8 }, (_, index) => {
    const hostile = new Hostile(new Dice(seed * 100 + index))
    const work = (_payload: unknown, context: never): unknown => hostile.use(context)
    return defineTask({
      name: `defined-${index}`,
      ...(index % 4 === 0 && { payload: hostile.schema() }),
      ...(index % 3 === 0 && { retry: { attempts: 2, delay: 1 } }),
      hooks: hostile.hooks(hookNames),
      run: hostile.function(work)
    })
  })
  const innocent = defineTask({ name: 'innocent', run: () => 'innocent' })
  const { dice, app } = await makeRound(t, seed, { tasks: [...definitions, innocent], adapter: memory() })
  const { backgroundTasks } = app
  const worker = await backgroundTasks.work({ concurrency: 5 })
  const ids: string[] = []
  for (let n = 0; n < JOBS; n++) {
    const definition = dice.pick(definitions)
    try {
      ids.push((await backgroundTasks.enqueue(definition, definition.name.endsWith('0') ? { n } : undefined)).id)
    } catch {
      // Its validator did not want it.
    }
    if (dice.chance(0.1) && ids.length > 0) await backgroundTasks.cancel(dice.pick(ids))
  }
  ids.push((await backgroundTasks.enqueue(innocent)).id)
  await inTime(allEnded(app, ids), 'the end of all jobs')
  t.hasStrict(await backgroundTasks.status(ids.at(-1)!), { state: 'completed', result: 'innocent' })
  t.match(worker.stats(), { running: 0 })
  await inTime(app.close(), 'close()')
  await setImmediate()
  t.same(ids.filter(id => (outcomes.get(id) ?? 0) > 1), [], 'no job has two outcomes')
  t.same(fallen.splice(0), [], 'nothing fell')
}

async function allEnded (app: FastifyInstance, ids: string[]): Promise<void> {
  for (const id of ids) {
    while ((await app.backgroundTasks.status(id))?.endedAt === undefined) await setImmediate()
  }
}

async function inTime<T> (promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), HANGS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
