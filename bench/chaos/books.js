import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** ms from the end of a run, or of what kept the server from answering, until the queue knows of it, at the most. */
const RECORDING = 2_000
/** ms from the end of an outage until a worker begins the last job that it had asked for before. */
const ARRIVING = 500
const OUTAGES = ['server killed', 'store stood', 'server hung', 'file locked', 'clock stepped']

/** Every answer to an enqueue, every run, every fault. A job has a name of its own, since a lost answer has no id. */
export class Books {
  faults = []
  /** Ids of jobs that another program stored. */
  planted = []
  slowest = 0
  #folder
  #answers = []

  constructor (folder) {
    this.#folder = folder
  }

  answer (answer, duration) {
    this.#answers.push(answer)
    this.slowest = Math.max(this.slowest, duration)
  }

  /** @returns the fault, whose `end` is to be set. */
  fault (kind, more) {
    const fault = { kind, start: Date.now(), end: Infinity, ...more }
    this.faults.push(fault)
    return fault
  }

  #lines (file) {
    const path = join(this.#folder, file)
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').map(line => JSON.parse(line)) : []
  }

  /** What the producers enqueued by themselves is in a file: asked, and, if they lived to see it, answered. */
  #ownAnswers () {
    const answers = new Map()
    for (const line of this.#lines('answers')) answers.set(line.job, line)
    return [...answers.values()]
  }

  /** Jobs by name, with their answers and runs. */
  read () {
    const jobs = new Map()
    const of = name => {
      if (!jobs.has(name)) jobs.set(name, new Job(name))
      return jobs.get(name)
    }
    for (const answer of [...this.#answers, ...this.#ownAnswers()]) {
      of(answer.job).answers.push({ ...answer, kind: kindOf(answer) })
    }
    for (const line of this.#lines('runs')) of(line.job).take(line)
    return [...jobs.values()]
  }

  /**
   * What may have made a queue deliver a job again: the worker was killed during the run, or the server was, or
   * stood still for longer than a lease, from when the job was asked for until the run was recorded. Or what was the
   * matter then, for no reason.
   */
  excuse ({ pid, start, end = Infinity }) {
    let recorded = end + RECORDING
    const outages = this.faults.filter(fault => {
      const isMeanwhile = OUTAGES.includes(fault.kind) && fault.start <= recorded && fault.end + ARRIVING >= start
      if (isMeanwhile) recorded = Math.max(recorded, fault.end + RECORDING)
      return isMeanwhile
    })
    const killed = this.faults.find(fault => fault.pid === pid)
    if (killed !== undefined && killed.start <= recorded) return 'worker killed'
    return OUTAGES.find(kind => outages.some(outage => outage.kind === kind))
  }
}

class Job {
  answers = []
  runs = []

  constructor (name) {
    this.name = name
  }

  take ({ what, id, pid, attempt, version, by, at }) {
    if (what === 'started') this.runs.push({ id, pid, attempt, version, by, start: at })
    else Object.assign(this.runs.findLast(run => run.pid === pid && run.end === undefined), { what, end: at })
  }

  has (kind) {
    return this.answers.some(answer => answer.kind === kind)
  }

  get acknowledged () {
    return this.has('acknowledged')
  }

  /** All answers promise that nothing was stored. */
  get refused () {
    return this.answers.length > 0 && this.answers.every(({ kind }) => kind === 'sure')
  }

  get completed () {
    return this.runs.filter(({ what }) => what === 'completed')
  }

  get ids () {
    return [...new Set([...this.answers, ...this.runs].map(({ id }) => id).filter(id => id !== undefined))]
  }
}

function kindOf ({ status, ambiguous, code, hung }) {
  if (hung) return 'hung'
  if (status === undefined) return 'unanswered'
  if (status === 200) return 'acknowledged'
  if (code !== 'FST_ERR_BGT_QUEUE_UNAVAILABLE' && code !== 'FST_ERR_BGT_NOT_READY') return 'unexpected'
  return ambiguous === false || code === 'FST_ERR_BGT_NOT_READY' ? 'sure' : 'ambiguous'
}
