/** The sum that stats() promises at every moment. */
export const SUM = ['pending', 'running', 'completed', 'failed', 'skipped', 'cancelled', 'escalated', 'lost']

/** What the server counts itself, to be compared with what the plugin says. */
export class Books {
  added = 0
  refused = 0
  /** What `enqueue` resolved with, and rejected with. */
  enqueued = { stored: 0, failed: 0 }
  /** Outcomes as each handle's `settled` tells them. */
  settled = counters()
  /** Outcomes as hooks tell them; there is none for cancelled and escalated tasks. */
  hooked = { ...counters(), retried: 0 }
  /** What onTaskLost hooks added again, and were refused. */
  again = { added: 0, refused: 0 }
  lostBy = { overflow: 0, shutdown: 0, closed: 0 }
  /** Lines of the log by message. */
  logged = {}
  /** Skips that are logged at debug, which is off. */
  quietSkips = 0
  /** Attempts as hooks tell them, as outcomes tell them, and as the functions themselves do. */
  attempts = { hooked: 0, settled: 0, run: 0 }
  /** How often stats() was looked at, and what was wrong with it. */
  looks = 0
  wrong = []

  look (stats, added = stats.added) {
    this.looks++
    const sum = SUM.reduce((sum, state) => sum + stats[state], 0)
    if ((stats.added !== sum || stats.added !== added) && this.wrong.length < 5) this.wrong.push({ added, stats })
  }
}

function counters () {
  return { completed: 0, failed: 0, skipped: 0, cancelled: 0, escalated: 0, lost: 0 }
}
