// For --import: a process whose clock is OFFSET ms ahead, until its parent sends another { clock }.
const real = Date
const now = real.now
let offset = Number(process.env.OFFSET ?? 0)

real.now = () => now() + offset
globalThis.Date = new Proxy(real, {
  construct: (_, given, newTarget) => Reflect.construct(real, given.length === 0 ? [real.now()] : given, newTarget)
})

process.on('message', ({ clock }) => {
  if (clock !== undefined) offset = clock
})
