/** Ways that people use today. */
export const handRolled = ['setImmediate', 'finish', 'onResponse', 'p-limit', 'p-queue', 'fastq']

/** Alike for every way that knows of it, so that nobody wins by a larger number. */
export const limits = { concurrency: 32, maxPending: 1_000 }

/**
 * `load` is the arrival rate as a multiple of the capacity, which is measured (capacity.js).
 * `cpu` and `wait` are ms a task; `count` tasks are left behind by each request.
 */
export const scenarios = {
  'cpu-overload': {
    title: 'Overload: a task of 2 ms CPU a request, 1.6 times capacity',
    task: { cpu: 2, count: 1 },
    loads: [1.6],
    ways: ['bare', 'plugin', ...handRolled],
    rounds: 3,
    seconds: 2
  },
  'cpu-below': {
    title: 'Below capacity: a task of 2 ms CPU a request, 0.8 times capacity',
    task: { cpu: 2, count: 1 },
    loads: [0.8],
    ways: ['bare', 'plugin', 'setImmediate', 'finish', 'onResponse', 'p-queue'],
    rounds: 3,
    seconds: 2
  },
  'short-cpu-below': {
    title: 'Below capacity: a task of 1 ms CPU a request, 0.8 times capacity',
    task: { cpu: 1, count: 1 },
    loads: [0.8],
    ways: ['bare', 'plugin', 'setImmediate', 'onResponse'],
    rounds: 3,
    seconds: 1.5
  },
  'many-small-overload': {
    title: 'Overload: 8 tasks of 50 us CPU a request, 1.6 times capacity',
    task: { cpu: 0.05, count: 8 },
    loads: [1.6],
    ways: ['bare', 'plugin', 'setImmediate', 'p-queue'],
    rounds: 3,
    seconds: 1.5
  },
  'wait-overload': {
    title: 'Overload: a task that waits 20 ms a request, 2.5 times what 32 at once can do',
    task: { wait: 20, count: 1 },
    loads: [2.5],
    ways: ['bare', 'plugin', 'setImmediate', 'p-queue', 'fastq'],
    rounds: 3,
    seconds: 1.5
  },
  sweep: {
    title: 'Response time against load: a task of 2 ms CPU a request',
    task: { cpu: 2, count: 1 },
    loads: [0.2, 0.5, 0.8, 1, 1.2, 1.6, 2],
    ways: ['bare', 'plugin', 'setImmediate', 'onResponse', 'p-queue'],
    rounds: 1,
    seconds: 1.2
  }
}
