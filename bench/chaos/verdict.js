const EXCUSES = ['worker killed', 'server killed', 'store stood']
/** Jobs that two workers have under way at once. */
const PLACES = 20

/** Whether the books balance: the row of the table, and for each check the jobs that do not pass. */
export function balance (books, jobs, states, surprises) {
  const answers = jobs.flatMap(job => job.answers)
  const runs = jobs.flatMap(job => job.runs)
  const count = kind => answers.filter(answer => answer.kind === kind).length
  const storedOf = kind => jobs.filter(job => !job.acknowledged && job.has(kind) && job.runs.length > 0).length
  const duplicates = jobs.flatMap(job => job.completed.slice(0, -1).map(run => ({ job, excuse: books.excuse(run) })))
  const because = excuse => duplicates.filter(duplicate => duplicate.excuse === excuse).length
  const faultsOf = kind => books.faults.filter(fault => fault.kind === kind)
  const faults = [...new Set(books.faults.map(({ kind }) => kind))].map(kind => `${faultsOf(kind).length} ${kind}`)

  const row = {
    requests: answers.length,
    acknowledged: count('acknowledged'),
    'of these deduplicated': answers.filter(({ deduplicated }) => deduplicated).length,
    'refused: surely not stored': count('sure'),
    'refused: ambiguous (of these stored)': `${count('ambiguous')} (${storedOf('ambiguous')})`,
    'no answer, producer killed (of these stored)': `${count('unanswered')} (${storedOf('unanswered')})`,
    'slowest answer, ms': Math.round(books.slowest),
    'jobs acknowledged': jobs.filter(job => job.acknowledged).length,
    'jobs completed': jobs.filter(job => job.completed.length > 0).length,
    'runs begun': runs.length,
    'runs completed': runs.filter(({ what }) => what === 'completed').length,
    'runs failed, to be tried again': runs.filter(({ what }) => what === 'failed').length,
    'runs cut off by a kill': runs.filter(({ end }) => end === undefined).length,
    'duplicates: worker killed / server killed / store stood': EXCUSES.map(because).join(' / '),
    'foreign rows': books.planted.length,
    faults: faults.join(', ')
  }

  const of = filter => jobs.filter(filter).map(describe)
  const twice = duplicates.filter(({ excuse }) => !EXCUSES.includes(excuse))
  const strange = answers.filter(({ kind }) => kind === 'unexpected' || kind === 'hung')
  const problems = {
    'acknowledged, and never completed': of(job => job.acknowledged && job.completed.length === 0),
    'acknowledged, and not completed for the queue':
      of(job => job.acknowledged && job.ids.some(id => states.get(id) !== 'completed')),
    'surely not stored, and stored':
      of(job => job.refused && (job.runs.length > 0 || job.ids.some(id => states.get(id) !== null))),
    'run, and nobody had asked for it': of(job => job.answers.length === 0),
    'one job, several ids': of(job => job.acknowledged && job.ids.length > 1),
    'completed twice, and no worker or server was killed, no store stood for longer than a lease':
      twice.map(({ job, excuse }) => describe(job) + (excuse === undefined ? '' : ` (${excuse})`)),
    'more duplicates than were under way': EXCUSES.filter(excuse => because(excuse) > PLACES * faultsOf(excuse).length)
      .map(excuse => `${because(excuse)}: ${excuse}`),
    'a foreign row that did not end as failed': books.planted.filter(id => (states.get(id) ?? 'failed') !== 'failed')
      .map(id => `${id}: ${states.get(id)}`),
    'run by a worker of a lower version': of(job => job.runs.some(({ version, by }) => version > by)),
    'cut off, and nobody was killed':
      of(job => job.runs.some(run => run.end === undefined && books.excuse(run) !== 'worker killed')),
    'an answer that is none': strange.map(answer => JSON.stringify(answer)),
    'a process that did not do as it was told': surprises
  }
  return { row, problems }
}

function describe ({ name, ids, answers, runs }) {
  const told = answers.map(({ kind }) => kind).join(', ')
  const ran = runs.map(({ pid, attempt, version, by, what = 'cut off', start, end }) =>
    `${what} by ${pid} (version ${version} by ${by}, attempt ${attempt}, ${start} to ${end})`).join(', ')
  return `${name} [${ids.join(', ')}]: ${told}; runs: ${ran || 'none'}`
}
