// Loaded into Heroku's client before its own code: what would leave this machine fails, and is written down. The client
// itself is not changed, but its tests must not depend on a network, nor tell Heroku's hosts anything.
'use strict'
const fs = require('node:fs')
const net = require('node:net')

const here = /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|::1)$/
const isOurs = host => here.test(host) || String(host).endsWith(`.${process.env.STORY_DOMAIN}`)
// It comes to port 80 for SSH, and many platforms on one machine cannot all have that: it finds the one it is here for.
const port80 = Number(process.env.STORY_PORT_80)
const connect = net.Socket.prototype.connect

net.Socket.prototype.connect = function (...given) {
  // Node hands its own normalized list on from one layer to the next.
  const [first, second] = Array.isArray(given[0]) ? given[0] : given
  const {host, path, port} = typeof first === 'object' ? first : {host: typeof second === 'string' ? second : undefined, port: first}
  if (!path && port80 && Number(port) === 80 && typeof first === 'object' && isOurs(host)) first.port = port80
  if (path || !host || isOurs(host)) return connect.apply(this, given)
  fs.appendFileSync(process.env.STORY_STRAYS, `${host}:${port}\n`)
  const refused = Object.assign(new Error(`connect ECONNREFUSED ${host}:${port}`), {code: 'ECONNREFUSED', port, syscall: 'connect'})
  process.nextTick(() => this.destroy(refused))
  return this
}
